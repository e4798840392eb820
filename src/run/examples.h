// SPDX-License-Identifier: MIT
// RUN/examples.safetensors: a few training images with their noisy labels, corrected labels,
// prediction and truth, which `adele report` shows: four that are spread over the set (metadata
// "spread": how many of them), then up to twelve whose labels were changed most.
#ifndef ADELE_RUN_EXAMPLES_H
#define ADELE_RUN_EXAMPLES_H

#include "loader/run_data.h"
#include "nn/network.h"

ADELE_MUST_CHECK adele_status examples_save(struct run_data *data, struct network *network,
                                            int batch, const char *run_folder);
#endif
