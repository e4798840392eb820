// SPDX-License-Identifier: MIT
// scores.csv of `adele compare`. What is read has the same bytes after it was written and read
// again.
#include "scores/score_cases.h"

#include "base/file.h"
#include "base/memory.h"
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

static char *write_again(const struct case_scores *scores, const char *path, size_t *n_bytes) {
    char *text = NULL;
    FUZZ_REQUIRE(case_scores_write(path, scores) == ADELE_OK);
    FUZZ_REQUIRE(file_read(path, 0, &text, n_bytes) == ADELE_OK);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    struct case_scores scores, again;
    adele_status status = case_scores_read(fuzz_file(0, data, n_bytes), &scores);
    fuzz_check_status(status);
    FUZZ_REQUIRE((status == ADELE_OK) == (scores.n_cases > 0));
    if (status != ADELE_OK)
        return 0;
    char path[4200];
    size_t sizes[2];
    (void)snprintf(path, sizeof path, "%s/scores.csv", fuzz_folder());
    char *first = write_again(&scores, path, &sizes[0]);
    FUZZ_REQUIRE(case_scores_read(path, &again) == ADELE_OK);
    char *second = write_again(&again, path, &sizes[1]);
    FUZZ_REQUIRE(sizes[0] == sizes[1] && memcmp(first, second, sizes[0]) == 0);
    memory_free(first);
    memory_free(second);
    case_scores_deinit(&scores);
    case_scores_deinit(&again);
    return 0;
}
