// SPDX-License-Identifier: MIT
// Loads the images of a split once for all ranks of a host: its first rank reads the files, and the
// others map the pages in which it puts the pixels. Labels, which each rank rewrites, are copied.
#ifndef ADELE_LOADER_SHARED_IMAGES_H
#define ADELE_LOADER_SHARED_IMAGES_H

#include "data/load.h"
#include "ranks/ranks.h"

// As dataset_load; collective. Where the pages cannot be shared, a rank loads the files itself,
// and one line of its log names the reason.
ADELE_MUST_CHECK adele_status shared_images_load(const struct dataset *dataset,
                                                 enum dataset_split split, bool keep_empty_slices,
                                                 struct ranks *ranks, struct dataset_images *out);
#endif
