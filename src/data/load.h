// SPDX-License-Identifier: MIT
// Loads the files of a split, or of one case, as resident images and label maps.
#ifndef ADELE_DATA_LOAD_H
#define ADELE_DATA_LOAD_H

#include "data/images.h"

// Images are resized bilinearly (antialiased), labels nearest. Every label value is checked against
// n_categories (255 = ignore). Unlabelled cases (predict) give labels = NULL. `keep_empty_slices`:
// also slices without foreground (evaluation, prediction).
ADELE_MUST_CHECK adele_status dataset_load(const struct dataset *dataset, enum dataset_split split,
                                           bool keep_empty_slices, struct dataset_images *out);
// The same for one case of the split (prediction goes case by case).
ADELE_MUST_CHECK adele_status dataset_load_case(const struct dataset *dataset,
                                                enum dataset_split split, int i_case,
                                                struct dataset_images *out);
// The same in two steps: reading, which another thread may do meanwhile, and what is logged and
// checked from case to case (notes, palettes), in the order of the cases. Both sizes 0: the file's.
ADELE_MUST_CHECK adele_status dataset_read_case(const struct dataset *dataset,
                                                enum dataset_split split, int i_case, int height,
                                                int width, struct dataset_images *out);
ADELE_MUST_CHECK adele_status dataset_note_case(const struct dataset *dataset,
                                                enum dataset_split split, int i_case,
                                                const struct dataset_images *images);
#endif
