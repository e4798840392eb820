// SPDX-License-Identifier: MIT
// The interface of a layout (ADELE_LAYOUTS of adele/data.h, whose order counts: where the files of
// two layouts are there, the first one is taken).
#ifndef ADELE_DATA_LAYOUT_H
#define ADELE_DATA_LAYOUT_H

#include "data/finder.h"

#define LAYOUT_MAX_PARTS 12

// `list` is the configured list of a split; NULL = the layout's own.
struct dataset_layout_ops {
    const char *marks[2];   // folders or files: "auto" takes the layout when one of them is there
    const char *folders[2]; // `adele init` takes the layout when both are there; not NULL, so one
                            // folder is named twice
    // Its folders and files, the folder of images first. No output may fall into them; a folder
    // that holds the images and another part outside of them is a data set.
    const char *parts[LAYOUT_MAX_PARTS]; // NULL behind the last one
    bool has_channel_files;              // a case has a file for each channel
    bool has_mask_suffix;                // data.mask_suffix
    // Sets what the whole set has: the categories, by finder_read_names (from a file of names) or
    // label_names_set (none when the layout does not define them: data.label_map must, then),
    // n_channels (0 = as in the pictures), is_volume and file_ending.
    adele_status (*describe)(struct dataset_finder *finder);
    // Lists the names of a split's cases; none is legal. A missing list of val or test, where none
    // is configured, means no cases; one of train, or any that is configured, is an error.
    adele_status (*list)(struct dataset_finder *finder, enum dataset_split split, const char *list,
                         struct file_list *out);
    // Finds the files of a case and sets n_files, of images (0: the case is then looked for without
    // the ending of its name); image_path stays NULL when there is no image, label_path when no
    // label.
    adele_status (*locate)(struct dataset_finder *finder, enum dataset_split split,
                           const char *list, struct dataset_case *item);
    // For reports: adds files without a partner that no split names. May be NULL.
    adele_status (*orphans)(struct dataset_finder *finder);
    // The folders of a split's images and of a case's labels. Borrowed from the data set.
    const char *(*image_folder)(const struct dataset *dataset, enum dataset_split split);
    const char *(*label_folder)(const struct dataset *dataset, enum dataset_split split,
                                const struct dataset_case *item);
};
#define LAYOUT_OPS(id, name) extern const struct dataset_layout_ops layout_##name;
ADELE_LAYOUTS(LAYOUT_OPS)
#undef LAYOUT_OPS
const struct dataset_layout_ops *layout_ops(enum dataset_layout layout);
#endif
