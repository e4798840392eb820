// SPDX-License-Identifier: MIT
// The interface of a layout: nnU-Net raw, Pascal VOC, MMSegmentation.
#ifndef ADELE_DATA_LAYOUT_H
#define ADELE_DATA_LAYOUT_H

#include "data/finder.h"

// The functions of a layout. `list` is the configured list of a split; NULL = the layout's own.
struct dataset_layout_ops {
    // Sets categories (0 when the layout does not define them), channels (0 = as in the pictures),
    // ending.
    adele_status (*describe)(struct dataset_finder *finder);
    // Lists the names of a split's cases; none is legal.
    adele_status (*list)(struct dataset_finder *finder, enum dataset_split split, const char *list,
                         struct file_list *out);
    // Finds the files of a case: image_path stays NULL when there is no image, label_path when no
    // label.
    adele_status (*locate)(struct dataset_finder *finder, enum dataset_split split,
                           const char *list, struct dataset_case *item);
    // For reports: adds files without a partner that no split names. May be NULL.
    adele_status (*orphans)(struct dataset_finder *finder);
};
extern const struct dataset_layout_ops layout_nnunet;
extern const struct dataset_layout_ops layout_voc;
extern const struct dataset_layout_ops layout_img_ann;
#endif
