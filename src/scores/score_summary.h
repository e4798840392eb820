// SPDX-License-Identifier: MIT
// What the scores of many cases say together: statistics of each class, as a struct and as JSON,
// and the differences between two files.
#ifndef ADELE_SCORES_SCORE_SUMMARY_H
#define ADELE_SCORES_SCORE_SUMMARY_H

#include "adele/scores.h"
#include "scores/score_cases.h"

#include <cjson/cJSON.h>

// The statistics of every class. Destroy *out with score_summary_destroy.
ADELE_MUST_CHECK adele_status case_scores_summarize(const struct case_scores *scores,
                                                    struct adele_case_scores **out);
void score_summary_destroy(struct adele_case_scores *scores); // NULL is legal
// {"n":..., "unit":..., "classes":[{"class":..., "iou":{"n":..., "mean":..., "median":...,
// "low":..., "high":...}, ..., "lesion_tp":..., "lesion_fp":..., "lesion_fn":...}, ...]}; NaN is
// null. NULL when memory is out. Free with cJSON_Delete.
cJSON *case_scores_to_json(const struct adele_case_scores *scores);

// Of two files, or folders of runs; see adele_compare. Destroy *out with score_comparison_destroy.
ADELE_MUST_CHECK adele_status score_compare_files(const char *a, const char *b,
                                                  struct adele_comparison **out);
void score_comparison_destroy(struct adele_comparison *comparison); // NULL is legal
#endif
