// SPDX-License-Identifier: MIT
// What each layout (nnU-Net raw, Pascal VOC, MMSegmentation) knows about its folders.
#ifndef ADELE_DATA_LAYOUT_H
#define ADELE_DATA_LAYOUT_H

#include "data/finder.h"

// One layout. `list` is what the configuration calls the list of a split; NULL = the layout's own.
struct dataset_layout_ops {
    // Categories (0 when the layout does not say), channels (0 = as the first picture has), ending.
    adele_status (*describe)(struct dataset_finder *finder);
    // The names of a split's cases, in `out`; none is legal.
    adele_status (*list)(struct dataset_finder *finder, enum dataset_split split, const char *list,
                         struct file_list *out);
    // The files of a case: image_path stays NULL when there is no image, label_path when no label.
    adele_status (*locate)(struct dataset_finder *finder, enum dataset_split split,
                           const char *list, struct dataset_case *item);
    // For reports: files that have no partner and that no split names. May be NULL.
    adele_status (*orphans)(struct dataset_finder *finder);
};
extern const struct dataset_layout_ops layout_nnunet;
extern const struct dataset_layout_ops layout_voc;
extern const struct dataset_layout_ops layout_img_ann;
#endif
