// SPDX-License-Identifier: MIT
#include "loader/rank_files.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"
#include "ranks/rank_facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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
                                   struct rank_fact *out) {
    CLEANUP(buffer_deinit) struct buffer text = {0};
    char hash[HASH_HEX_BYTES] = "";
    for (int i = 0; i < dataset->n_cases[split]; i++)
        TRY(add_case(&text, &dataset->cases[split][i]));
    hash_xxh3_hex(text.data, text.n_bytes, hash);
    (void)snprintf(out->value, sizeof out->value, "%d cases with XXH3 %s of file names and sizes",
                   dataset->n_cases[split], hash);
    return ADELE_OK;
}

adele_status rank_files_compare(struct ranks *ranks, const struct dataset *dataset) {
    struct rank_fact facts[SPLIT_COUNT] = {[SPLIT_TRAIN] = {"training set", ""},
                                           [SPLIT_VAL] = {"validation set", ""},
                                           [SPLIT_TEST] = {"test set", ""}};
    adele_status status = ADELE_OK;
    if (ranks_count(ranks) == 1)
        return ADELE_OK;
    for (int split = 0; split < SPLIT_COUNT && status == ADELE_OK; split++)
        status = describe_files(dataset, (enum dataset_split)split, &facts[split]);
    TRY(ranks_agree(ranks, status));
    return rank_facts_compare(ranks, SPLIT_COUNT, facts);
}
