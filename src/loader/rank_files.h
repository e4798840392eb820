// SPDX-License-Identifier: MIT
// Whether the ranks see the same data set.
#ifndef ADELE_LOADER_RANK_FILES_H
#define ADELE_LOADER_RANK_FILES_H

#include "data/dataset.h"
#include "ranks/ranks.h"

// Names and sizes of the files of all splits, before they are read. Collective; fails as the
// functions of ranks/rank_facts.h.
ADELE_MUST_CHECK adele_status rank_files_compare(struct ranks *ranks,
                                                 const struct dataset *dataset);
#endif
