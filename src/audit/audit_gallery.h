// SPDX-License-Identifier: MIT
// The pictures of the most doubtful images: kept while the images pass by, so that none is read
// twice. Scores are final only behind the last image (audit_bias.h), so that more are kept than are
// written. Memory: a fixed number of pictures of at most AUDIT_PICTURE_SIZE pixels a side.
#ifndef ADELE_AUDIT_AUDIT_GALLERY_H
#define ADELE_AUDIT_AUDIT_GALLERY_H

#include "audit/audit_table.h"
#include "data/images.h"

#define AUDIT_PICTURE_SIZE   512
#define AUDIT_SPARE_PICTURES 32 // kept beyond those that are written

struct audit_picture {
    double score; // audit_row.first_score
    int order;    // of the image, as struct audit_row
    int h, w;
    uint8_t *rgb;                               // (h, w, 3)
    uint8_t *labels, *prediction, *is_doubtful; // (h, w)
};
struct audit_gallery {
    struct audit_picture *pictures;
    int n, max; // max: pictures that are kept
};

// n: pictures that are written at most.
ADELE_MUST_CHECK adele_status audit_gallery_init(struct audit_gallery *out, int n);
void audit_gallery_deinit(struct audit_gallery *gallery); // also zeroes it
// Keeps a picture of row i of `images` if it is among the most doubtful so far.
ADELE_MUST_CHECK adele_status audit_gallery_add(struct audit_gallery *gallery, double score,
                                                int order, const struct dataset_images *images,
                                                int i, const uint8_t *labels,
                                                const struct doubt *doubt);
// After audit_gather_table and audit_table_number_pictures, before the rows are sorted.
// first: what audit_gather_table has returned.
// Writes FOLDER/overlays/RANK_image.png, RANK_label.png and RANK_prediction.png (indexed, colours
// of PASCAL VOC) and RANK_overlay.png: the image with the outlines of the label in white, and the
// doubtful regions in orange. RANK is that of audit.csv, from 0001.
ADELE_MUST_CHECK adele_status audit_gallery_save(const struct audit_gallery *gallery,
                                                 const struct audit_table *table, int first,
                                                 const char *folder);
// "image", "label", "prediction", "overlay"; NULL behind the last.
extern const char *const audit_picture_kinds[];
#endif
