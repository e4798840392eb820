// SPDX-License-Identifier: MIT
// What `adele evaluate` and `adele predict` write, planned before the first case.
#ifndef ADELE_PREDICT_MODEL_OUTPUT_H
#define ADELE_PREDICT_MODEL_OUTPUT_H

#include "output/output.h"
#include "predict/model.h"

// Forbids outputs in options->data, and in the model's run and its data.
ADELE_MUST_CHECK adele_status model_guard_inputs(const struct model *model,
                                                 const struct model_options *options,
                                                 struct output_guard *guard);
// The label maps of a split in options->masks_folder, checked (output_check). *out is NULL when
// none are wanted; destroy with output_destroy.
ADELE_MUST_CHECK adele_status model_plan_masks(const struct model *model,
                                               const struct model_options *options,
                                               const struct dataset *dataset,
                                               enum dataset_split split, struct output **out);
// The same for a single file, the scores of `adele evaluate`. NULL `path`: none.
ADELE_MUST_CHECK adele_status model_plan_file(const struct model *model,
                                              const struct model_options *options, const char *path,
                                              struct output **out);

#endif
