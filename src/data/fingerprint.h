// SPDX-License-Identifier: MIT
// What a data set consists of: sizes, voxel spacings, intensities, classes, and what is odd. The
// memory is bounded: numbers per case, a sample of pixels, and a count for each value of masks.
#ifndef ADELE_DATA_FINGERPRINT_H
#define ADELE_DATA_FINGERPRINT_H

#include "adele/data.h"
#include "data/case_image.h"
#include "data/case_labels.h"

struct fingerprint; // under construction

// The data set is borrowed, and so are the paths of its cases.
ADELE_MUST_CHECK adele_status fingerprint_create(const struct dataset *dataset,
                                                 struct fingerprint **out);
void fingerprint_destroy(struct fingerprint *fingerprint); // NULL is legal
// The next calls are about this case.
void fingerprint_begin_case(struct fingerprint *fingerprint, enum dataset_split split, int i_case);
ADELE_MUST_CHECK adele_status fingerprint_add_size(struct fingerprint *fingerprint, int width,
                                                   int height, int n_slices);
// Its size too.
ADELE_MUST_CHECK adele_status fingerprint_add_image(struct fingerprint *fingerprint,
                                                    const struct case_image *image);
// Values that are no classes are counted like others.
ADELE_MUST_CHECK adele_status fingerprint_add_mask(struct fingerprint *fingerprint,
                                                   const char *path,
                                                   const struct case_labels *labels);
// A file of the case that could not be read.
void fingerprint_add_unreadable(struct fingerprint *fingerprint, const char *path);
// The result; free it with fingerprint_free.
ADELE_MUST_CHECK adele_status fingerprint_finish(struct fingerprint *fingerprint,
                                                 struct adele_fingerprint **out);
void fingerprint_free(struct adele_fingerprint *fingerprint); // NULL is legal

// The fingerprint of a data set: reads all masks, the headers of all images, and the pixels of at
// most FINGERPRINT_IMAGES images, evenly over the cases. Files that cannot be read are counted.
#define FINGERPRINT_IMAGES 1000
ADELE_MUST_CHECK adele_status fingerprint_dataset(const struct dataset *dataset,
                                                  struct adele_fingerprint **out);
#endif
