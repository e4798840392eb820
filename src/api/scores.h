// SPDX-License-Identifier: MIT
#ifndef ADELE_API_SCORES_H
#define ADELE_API_SCORES_H

#include "adele/scores.h"
#include "scores/score_cases.h"

#include <cjson/cJSON.h>

// The statistics of every class. Destroy *out with adele_case_scores_destroy.
ADELE_MUST_CHECK adele_status case_scores_summarize(const struct case_scores *scores,
                                                    struct adele_case_scores **out);
// {"n":..., "unit":..., "classes":[{"class":..., "iou":{"n":..., "mean":..., "median":...,
// "low":..., "high":...}, ..., "lesion_tp":..., "lesion_fp":..., "lesion_fn":...}, ...]}; NaN is
// null. NULL when memory is out. Free with cJSON_Delete.
cJSON *case_scores_to_json(const struct adele_case_scores *scores);
#endif
