// SPDX-License-Identifier: MIT
#include "run/rank_check.h"

#include "base/fail.h"
#include "base/memory.h"
#include "ranks/rank_facts.h"

#include <stdio.h>
#include <string.h>

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
    (void)snprintf(line_a, RANK_FACT_BYTES, "'%.*s'", (int)strcspn(a, "\n"), a);
    (void)snprintf(line_b, RANK_FACT_BYTES, "'%.*s'", (int)strcspn(b, "\n"), b);
}

static adele_status compare_texts(struct ranks *ranks, const char *texts, const size_t *starts) {
    char other[RANK_FACT_BYTES], first[RANK_FACT_BYTES];
    for (int r = 1; r < ranks_count(ranks); r++) {
        if (strcmp(texts + starts[r], texts) == 0)
            continue;
        find_difference(texts + starts[r], texts, other, first);
        return ranks_agree(ranks,
                           FAIL(ADELE_INVALID_ARGUMENT, rank_facts_hint,
                                "rank %d on %s: its configuration has %s, that of rank 0 on "
                                "%s has %s",
                                r, ranks_host(ranks, r), other, ranks_host(ranks, 0), first));
    }
    return ADELE_OK;
}

static adele_status compare_configurations(struct ranks *ranks, const struct config *config) {
    OWNED char *yaml = NULL, *texts = NULL;
    OWNED size_t *starts = NULL;
    TRY(ALLOCATE(&starts, ranks_count(ranks) + 1));
    TRY(config_to_yaml(config, &yaml));
    TRY(ranks_gather_sized(ranks, yaml, strlen(yaml) + 1, (void **)&texts, starts));
    return compare_texts(ranks, texts, starts);
}

adele_status rank_check_start(const struct trainer_options *options) {
    struct rank_fact facts[4];
    if (ranks_count(options->ranks) == 1)
        return ADELE_OK;
    rank_fact_set(&facts[0], "version", ADELE_VERSION);
    rank_fact_set(&facts[1], "compiler", provenance_compiler());
    rank_fact_set_option(&facts[2], "folder of the run", options->run_folder);
    rank_fact_set_option(&facts[3], "options", options->resume ? "--resume" : "no --resume");
    TRY(rank_facts_compare(options->ranks, 4, facts));
    return compare_configurations(options->ranks, options->config);
}

// ---- data and device ----------------------------------------------------------------------------

adele_status rank_check_provenance(struct ranks *ranks, const struct provenance *made_by) {
    struct rank_fact facts[PROVENANCE_COUNT];
    for (int i = 0; i < PROVENANCE_COUNT; i++)
        rank_fact_set(&facts[i], provenance_row_name((enum provenance_row)i), made_by->rows[i]);
    return rank_facts_compare(ranks, PROVENANCE_COUNT, facts);
}

adele_status rank_check_data(const struct trainer *trainer) {
    struct ranks *ranks = trainer->options.ranks;
    struct rank_fact labels;
    rank_fact_set(&labels, "XXH3 of the training labels", trainer->data.noisy_hash);
    TRY(rank_check_provenance(ranks, &trainer->origin.made_by));
    return rank_facts_compare(ranks, 1, &labels);
}

adele_status rank_check_checkpoint(const struct trainer *trainer, bool is_found) {
    char value[RANK_FACT_BYTES] = "not there";
    struct rank_fact fact;
    if (is_found)
        (void)snprintf(value, sizeof value, "that of epoch %d, step %ld", trainer->progress.epoch,
                       trainer->progress.step);
    rank_fact_set(&fact, "checkpoint", value);
    return rank_facts_compare(trainer->options.ranks, 1, &fact);
}
