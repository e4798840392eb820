// SPDX-License-Identifier: MIT
// loss.class_weights: the weight of each class in the cross-entropy.
#ifndef ADELE_STEP_CLASS_WEIGHTS_H
#define ADELE_STEP_CLASS_WEIGHTS_H

#include "loader/run_data.h"

// Writes data->n_categories weights. `inverse` counts the labels that the run starts with: the
// weight of a class with n pixels is (1 / n) / m, with m the mean of 1 / n over the classes that
// have pixels; a class without pixels has the weight 1. *out_any: whether there are weights at all.
// ADELE_CONFIG when their number is not that of the classes.
ADELE_MUST_CHECK adele_status class_weights_find(const struct run_data *data, float *out,
                                                 bool *out_any);
#endif
