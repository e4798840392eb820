// SPDX-License-Identifier: MIT
#include "adele/scores.h"

#include "base/fail.h"
#include "scores/score_summary.h"

adele_status adele_compare(const char *a, const char *b, struct adele_comparison **out) {
    *out = NULL;
    if (a == NULL || b == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name two runs or two files of scores.", "%s is NULL",
                    a == NULL ? "a" : "b");
    return score_compare_files(a, b, out);
}

void adele_comparison_destroy(struct adele_comparison *comparison) {
    score_comparison_destroy(comparison);
}

void adele_case_scores_destroy(struct adele_case_scores *scores) {
    score_summary_destroy(scores);
}
