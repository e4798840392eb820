// SPDX-License-Identifier: MIT
// What a data set consists of: sizes, voxel spacings, intensities, classes, and what is odd. The
// memory is bounded: numbers per case, a sample of pixels, and a count for each value of masks.
#ifndef ADELE_DATA_FINGERPRINT_H
#define ADELE_DATA_FINGERPRINT_H

#include "adele/data.h"
#include "base/memory.h"
#include "data/case_image.h"
#include "data/case_labels.h"

struct fingerprint_builder; // a fingerprint under construction

// The data set is borrowed, and so are the paths of its cases.
ADELE_MUST_CHECK adele_status fingerprint_builder_create(const struct dataset *dataset,
                                                         struct fingerprint_builder **out);
void fingerprint_builder_destroy(struct fingerprint_builder *builder); // NULL is legal
OWNER(fingerprint_builder_destroy, struct fingerprint_builder)
// The next calls are about this case.
void fingerprint_builder_begin_case(struct fingerprint_builder *builder, enum dataset_split split,
                                    int i_case);
ADELE_MUST_CHECK adele_status fingerprint_builder_add_image(struct fingerprint_builder *builder,
                                                            const struct case_image *image);
// Values that are no classes are counted like others.
ADELE_MUST_CHECK adele_status fingerprint_builder_add_mask(struct fingerprint_builder *builder,
                                                           const char *path,
                                                           const struct case_labels *labels);
// A file of the case that could not be read.
void fingerprint_builder_add_unreadable(struct fingerprint_builder *builder, const char *path);
// The result; free it with fingerprint_destroy.
ADELE_MUST_CHECK adele_status fingerprint_builder_finish(struct fingerprint_builder *builder,
                                                         struct adele_fingerprint **out);
void fingerprint_destroy(struct adele_fingerprint *fingerprint); // NULL is legal

// The fingerprint of a data set: reads all masks, the headers of all images, and the pixels of at
// most FINGERPRINT_IMAGES images, evenly over the cases. Files that cannot be read are counted.
#define FINGERPRINT_IMAGES 1000
ADELE_MUST_CHECK adele_status fingerprint_dataset(const struct dataset *dataset,
                                                  struct adele_fingerprint **out);
#endif
