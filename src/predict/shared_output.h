// SPDX-License-Identifier: MIT
// The folder of the output of several ranks, in which each of them writes the masks of its cases.
#ifndef ADELE_PREDICT_SHARED_OUTPUT_H
#define ADELE_PREDICT_SHARED_OUTPUT_H

#include "output/output.h"
#include "ranks/ranks.h"

// Collective, after rank 0 alone has begun the output and before the first file: each rank looks
// for rank 0's list of the files in the folder. ADELE_INVALID_ARGUMENT on all when one does not
// find it, because the hosts have folders of their own under that path: masks would be lost.
ADELE_MUST_CHECK adele_status shared_output_check(struct ranks *ranks, const struct output *output);
// The same for a file that rank 0 has written and all read.
ADELE_MUST_CHECK adele_status shared_output_wait(struct ranks *ranks, const char *path);
#endif
