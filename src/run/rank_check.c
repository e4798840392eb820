// SPDX-License-Identifier: MIT
#include "run/rank_check.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define VALUE_BYTES 192

// What has to be the same on all ranks. The name stands before "is VALUE" in the message.
struct fact {
    const char *name;
    char value[VALUE_BYTES];
};

static const char hint[] =
    "Start the same program on all hosts, with folders that all of them see under the same path. "
    "Where processors differ, give ADELE_CPU_ISA on all ranks the set that each has (mpirun -x "
    "ADELE_CPU_ISA=avx2).";

// The same error on each rank; the agreement makes that known, so that rank 0 alone tells it.
static adele_status compare(struct ranks *ranks, int n, const struct fact *facts) {
    char(*all)[VALUE_BYTES] = NULL;
    adele_status status = ADELE_OK;
    for (int i = 0; i < n && status == ADELE_OK; i++) {
        TRY(ALLOCATE(&all, ranks_count(ranks)));
        status = ranks_gather(ranks, facts[i].value, VALUE_BYTES, all);
        for (int r = 1; r < ranks_count(ranks) && status == ADELE_OK; r++)
            if (strncmp(all[r], all[0], VALUE_BYTES) != 0)
                status = ranks_agree(
                    ranks, FAIL(ADELE_INVALID_ARGUMENT, hint,
                                "rank %d on %s: its %s is %.*s, that of rank 0 on %s is %.*s", r,
                                ranks_host(ranks, r), facts[i].name, VALUE_BYTES, all[r],
                                ranks_host(ranks, 0), VALUE_BYTES, all[0]));
        memory_free(all);
        all = NULL;
    }
    return status;
}

// ---- configuration ------------------------------------------------------------------------------

// The lines of two configurations that differ first, each as long as a fact.
static void find_difference(const char *a, const char *b, char *line_a, char *line_b) {
    size_t n_a = strcspn(a, "\n"), n_b = strcspn(b, "\n");
    while (a[n_a] == '\n' && b[n_b] == '\n' && n_a == n_b && memcmp(a, b, n_a) == 0) {
        a += n_a + 1;
        b += n_b + 1;
        n_a = strcspn(a, "\n");
        n_b = strcspn(b, "\n");
    }
    a += strspn(a, " ");
    b += strspn(b, " ");
    (void)snprintf(line_a, VALUE_BYTES, "'%.*s'", (int)strcspn(a, "\n"), a);
    (void)snprintf(line_b, VALUE_BYTES, "'%.*s'", (int)strcspn(b, "\n"), b);
}

static adele_status compare_texts(struct ranks *ranks, const char *texts, const size_t *starts) {
    char other[VALUE_BYTES], first[VALUE_BYTES];
    for (int r = 1; r < ranks_count(ranks); r++) {
        if (strcmp(texts + starts[r], texts) == 0)
            continue;
        find_difference(texts + starts[r], texts, other, first);
        return ranks_agree(ranks,
                           FAIL(ADELE_INVALID_ARGUMENT, hint,
                                "rank %d on %s: its configuration has %s, that of rank 0 on "
                                "%s has %s",
                                r, ranks_host(ranks, r), other, ranks_host(ranks, 0), first));
    }
    return ADELE_OK;
}

static adele_status compare_configurations(struct ranks *ranks, const struct config *config) {
    char *yaml = NULL, *texts = NULL;
    size_t *starts = NULL;
    adele_status status;
    TRY_GOTO(ALLOCATE(&starts, ranks_count(ranks) + 1), done);
    TRY_GOTO(config_to_yaml(config, &yaml), done);
    TRY_GOTO(ranks_gather_sized(ranks, yaml, strlen(yaml) + 1, (void **)&texts, starts), done);
    status = compare_texts(ranks, texts, starts);
done:
    memory_free(starts);
    memory_free(yaml);
    memory_free(texts);
    return status;
}

adele_status rank_check_start(const struct trainer_options *options) {
    struct fact facts[] = {{"version", ADELE_VERSION},
                           {"compiler", ""},
                           {"folder of the run", ""},
                           {"option --resume", ""}};
    if (ranks_count(options->ranks) == 1)
        return ADELE_OK;
    (void)snprintf(facts[1].value, VALUE_BYTES, "%s", provenance_compiler());
    (void)snprintf(facts[2].value, VALUE_BYTES, "%s", options->run_folder);
    (void)snprintf(facts[3].value, VALUE_BYTES, "%s", options->resume ? "there" : "not there");
    TRY(compare(options->ranks, (int)(sizeof facts / sizeof *facts), facts));
    return compare_configurations(options->ranks, options->config);
}

// ---- data and device ----------------------------------------------------------------------------

static adele_status add_file(struct buffer *text, const char *path) {
    struct stat info = {0};
    if (path == NULL)
        return ADELE_OK;
    const char *name = strrchr(path, '/');
    if (stat(path, &info) != 0)
        info.st_size = -1;
    return buffer_printf(text, " %s %jd", name != NULL ? name + 1 : path, (intmax_t)info.st_size);
}

static adele_status add_case(struct buffer *text, const struct dataset_case *item) {
    TRY(buffer_printf(text, "%s", item->name));
    for (int i = 0; i < DATASET_MAX_FILES; i++)
        TRY(add_file(text, item->image_path[i]));
    TRY(add_file(text, item->label_path));
    TRY(add_file(text, item->noisy_path));
    TRY(add_file(text, item->truth_path));
    return buffer_printf(text, "\n");
}

// Names and sizes of all files: "3 cases, XXH3".
static adele_status describe_files(const struct dataset *dataset, enum dataset_split split,
                                   char out[VALUE_BYTES]) {
    struct buffer text = {0};
    char hash[17] = "";
    adele_status status = ADELE_OK;
    for (int i = 0; i < dataset->n_cases[split] && status == ADELE_OK; i++)
        status = add_case(&text, &dataset->cases[split][i]);
    if (status == ADELE_OK) {
        hash_xxh3_hex(text.data, text.n_bytes, hash);
        (void)snprintf(out, VALUE_BYTES, "%d cases with XXH3 %s of file names and sizes",
                       dataset->n_cases[split], hash);
    }
    buffer_deinit(&text);
    return status;
}

adele_status rank_check_files(struct ranks *ranks, const struct dataset *dataset) {
    struct fact facts[SPLIT_COUNT] = {[SPLIT_TRAIN] = {"training set", ""},
                                      [SPLIT_VAL] = {"validation set", ""},
                                      [SPLIT_TEST] = {"test set", ""}};
    adele_status status = ADELE_OK;
    if (ranks_count(ranks) == 1)
        return ADELE_OK;
    for (int split = 0; split < SPLIT_COUNT && status == ADELE_OK; split++)
        status = describe_files(dataset, (enum dataset_split)split, facts[split].value);
    TRY(ranks_agree(ranks, status));
    return compare(ranks, SPLIT_COUNT, facts);
}

adele_status rank_check_data(const struct trainer *trainer) {
    struct ranks *ranks = trainer->options.ranks;
    struct fact facts[PROVENANCE_COUNT + 1] = {0};
    int n = 0;
    if (ranks_count(ranks) == 1)
        return ADELE_OK;
    for (int i = 0; i < PROVENANCE_COUNT; i++) {
        facts[n].name = provenance_row_name((enum provenance_row)i);
        (void)snprintf(facts[n++].value, VALUE_BYTES, "%s", trainer->origin.made_by.rows[i]);
    }
    facts[n].name = "XXH3 of the training labels";
    (void)snprintf(facts[n++].value, VALUE_BYTES, "%s", trainer->data.noisy_hash);
    return compare(ranks, n, facts);
}

adele_status rank_check_checkpoint(const struct trainer *trainer, bool is_found) {
    struct fact fact = {"checkpoint", "not there"};
    if (is_found)
        (void)snprintf(fact.value, VALUE_BYTES, "that of epoch %d, step %ld",
                       trainer->progress.epoch, trainer->progress.step);
    return compare(trainer->options.ranks, 1, &fact);
}
