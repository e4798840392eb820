// SPDX-License-Identifier: MIT
// Checks of a file's tensors against a network, before their values are read.
#ifndef ADELE_NN_WEIGHTS_H
#define ADELE_NN_WEIGHTS_H

#include "nn/network.h"

// Room for a prefix and a parameter's name.
#define WEIGHTS_NAME_BYTES 256

ADELE_MUST_CHECK adele_status weights_full_name(const char *prefix,
                                                const struct parameter *parameter,
                                                char out[WEIGHTS_NAME_BYTES]);
bool weights_is_wanted(const struct parameter *parameter, enum weights_content content);

// Compares every name and shape of the file with the graph. Missing and extra tensors are errors,
// or, with is_partial, only logged as long as something fits; a wrong shape is always an error. The
// message names the tensors of each kind.
ADELE_MUST_CHECK adele_status weights_check(const struct graph *graph, enum weights_content content,
                                            const char *prefix, const struct safetensors *file,
                                            bool is_partial);
#endif
