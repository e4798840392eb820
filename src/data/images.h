// SPDX-License-Identifier: MIT
// The images and label maps of a split in host memory.
#ifndef ADELE_DATA_IMAGES_H
#define ADELE_DATA_IMAGES_H

#include "base/shared_memory.h"
#include "data/dataset.h"

// Where image i of a loaded set comes from.
struct dataset_origin {
    int i_case, slice; // slice 0 for pictures; of volumes in the set's orientation
    int height, width; // of the file (in that orientation), before resizing
};

// A split in host memory, at the configured size.
struct dataset_images {
    int n, c, h, w;
    bool is_f16;  // else u8
    void *images; // (N, C, H, W)
    // Of `images`, when other processes of the host read the same pages; they are read only then.
    struct shared_memory pixels;
    bool is_counted_elsewhere; // another process counts `pixels` as memory that it takes
    // (N, C): standardization (x - mean) * inv_std of each image, METHOD section 5. Pictures of 8
    // bits are raw. Volumes, and all pictures of a split in which a file has 16 bits, are
    // standardized before they become f16, so theirs are 0 and 1, because 30000 and 30010 would be
    // the same half float. With NORMALIZE_IMAGENET the numbers are the same for all images.
    float *mean, *inv_std;
    // (N, H, W), NULL when there are none: labels for training (noisy when configured), and truth.
    uint8_t *labels, *truth;
    // (N). With dataset_config.is_padded, image i is the upper left part of h x w that has the
    // extents of its file; the rest has the image's mean, which is 0 when standardized but for
    // rounding, and the label 255.
    struct dataset_origin *origin;
    unsigned notes;              // notes.h: when loaded as a single case
    struct palette_use *palette; // palette_check.h: the same, NULL = none
};
// Zeroed storage for images->n images of the extents in `images`.
ADELE_MUST_CHECK adele_status dataset_images_allocate(struct dataset_images *images,
                                                      bool has_labels, bool has_truth);
// The same without `images`, which stays NULL.
ADELE_MUST_CHECK adele_status dataset_images_allocate_maps(struct dataset_images *images,
                                                           bool has_labels, bool has_truth);
void dataset_images_deinit(struct dataset_images *images);
size_t dataset_images_pixel_bytes(const struct dataset_images *images); // 1 or 2
size_t dataset_images_plane_size(const struct dataset_images *images);  // h * w
// Pixels outside of images that are smaller than the set's extents (dataset_config.is_padded) get
// the label 255 in both maps.
void dataset_images_ignore_padding(struct dataset_images *images);
// Copies n parts of one size and kind, with or without labels, one behind the other.
ADELE_MUST_CHECK adele_status dataset_images_stack(const struct dataset_images *const *parts, int n,
                                                   struct dataset_images *out);
// Joins the parts, one for each case of the split, in their order, and frees each of them. A part
// without labels among parts with labels becomes LABEL_IGNORE.
ADELE_MUST_CHECK adele_status dataset_images_join(const struct dataset *dataset,
                                                  enum dataset_split split,
                                                  struct dataset_images *parts,
                                                  struct dataset_images *out);
#endif
