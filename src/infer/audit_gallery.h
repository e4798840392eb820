// SPDX-License-Identifier: MIT
// The pictures of the most doubtful images: kept while the images pass by, so that none is read
// twice. Memory: a fixed number of pictures of at most AUDIT_PICTURE_SIZE pixels a side.
#ifndef ADELE_INFER_AUDIT_GALLERY_H
#define ADELE_INFER_AUDIT_GALLERY_H

#include "data/images.h"
#include "infer/doubt.h"

#define AUDIT_PICTURE_SIZE 512

struct audit_picture {
    double score;
    int order;    // of the image, as struct audit_row
    int n_before; // pictures of other ranks that are more doubtful
    int h, w;
    uint8_t *rgb;                               // (h, w, 3)
    uint8_t *labels, *prediction, *is_doubtful; // (h, w)
};
struct audit_gallery {
    struct audit_picture *pictures;
    int n, max;
};

ADELE_MUST_CHECK adele_status audit_gallery_init(struct audit_gallery *out, int max);
void audit_gallery_deinit(struct audit_gallery *gallery); // also zeroes it
// Keeps a picture of row i of `images` if it is among the most doubtful so far.
ADELE_MUST_CHECK adele_status audit_gallery_add(struct audit_gallery *gallery, double score,
                                                int order, const struct dataset_images *images,
                                                int i, const uint8_t *labels,
                                                const struct doubt *doubt);
// Writes FOLDER/overlays/RANK_image.png, RANK_label.png and RANK_prediction.png (indexed, colours
// of PASCAL VOC) and RANK_overlay.png: the image with the outlines of the label in white, and the
// doubtful regions in orange. RANK is that of audit.csv, from 0001 up to gallery->max.
ADELE_MUST_CHECK adele_status audit_gallery_save(struct audit_gallery *gallery, const char *folder);
// "image", "label", "prediction", "overlay"; NULL behind the last.
extern const char *const audit_picture_kinds[];
#endif
