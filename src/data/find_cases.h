// SPDX-License-Identifier: MIT
// The cases of a split: names from the layout or a list, then each case's files.
#ifndef ADELE_DATA_FIND_CASES_H
#define ADELE_DATA_FIND_CASES_H

#include "data/folder_cache.h"
#include "data/layout.h"

// Fills dataset->cases[split]. Problems of single cases are added to the finder's report.
ADELE_MUST_CHECK adele_status find_cases(struct dataset_finder *finder, enum dataset_split split);

// As folder_cache_describe, for the folder ROOT/SUB.
ADELE_MUST_CHECK adele_status find_cases_describe_folder(const struct dataset *dataset,
                                                         const char *sub, const char *name,
                                                         char out[FOLDER_CACHE_TEXT_BYTES]);
#endif
