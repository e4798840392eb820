// SPDX-License-Identifier: MIT
// The value that pixels of doubtful regions get in the label files that an audit writes.
#ifndef ADELE_AUDIT_AUDIT_MASK_H
#define ADELE_AUDIT_AUDIT_MASK_H

#include "data/dataset.h"

// Makes it the value of ignored pixels; below 0: none is wanted. *out_is_new: it has not been
// before. ADELE_INVALID_ARGUMENT for a value that means something else.
ADELE_MUST_CHECK adele_status audit_mask_choose(const struct dataset *dataset, int value,
                                                bool *out_is_new);
// Where those files are, and what a training on them needs.
void audit_mask_log(const struct dataset *dataset, enum dataset_split split, int value, bool is_new,
                    const char *folder);
#endif
