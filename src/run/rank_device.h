// SPDX-License-Identifier: MIT
// Which device a rank trains on.
#ifndef ADELE_RUN_RANK_DEVICE_H
#define ADELE_RUN_RANK_DEVICE_H

#include "ranks/ranks.h"

#define RANK_DEVICE_BYTES 64

// "cuda" and "auto" become "cuda:N" (with the same engine), where N is the rank's number on its
// host, or among the ranks there that see the same GPUs (CUDA_VISIBLE_DEVICES). Other names, among
// them "cuda:0" and "auto" on a host without a GPU, stay as they are. ADELE_DEVICE when the host
// has more ranks than GPUs. Collective.
ADELE_MUST_CHECK adele_status rank_device_choose(struct ranks *ranks, const char *name,
                                                 char out[RANK_DEVICE_BYTES]);
// The same for a rank with that number on its host, which has so many GPUs.
ADELE_MUST_CHECK adele_status rank_device_name(const char *name, int place, int n_gpus,
                                               char out[RANK_DEVICE_BYTES]);
#endif
