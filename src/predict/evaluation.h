// SPDX-License-Identifier: MIT
// `adele evaluate`: scores a split, and writes the scores of the split and of its cases.
#ifndef ADELE_PREDICT_EVALUATION_H
#define ADELE_PREDICT_EVALUATION_H

#include "adele/model.h"
#include "predict/model.h"

// See adele_model_evaluate. `wanted`: what `options` say to model_evaluate. The predictions alone
// are collective with wanted->ranks. *options->cases is the caller's after ADELE_OK.
ADELE_MUST_CHECK adele_status evaluation_run(struct model *model,
                                             const struct adele_evaluate_options *options,
                                             const struct model_options *wanted,
                                             struct adele_score *out);
#endif
