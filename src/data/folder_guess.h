// SPDX-License-Identifier: MIT
// Finds the images and masks in a folder without a configuration: one of the layouts, or two
// folders whose files have the same names.
#ifndef ADELE_DATA_FOLDER_GUESS_H
#define ADELE_DATA_FOLDER_GUESS_H

#include "data/dataset.h"

#define FOLDER_GUESS_BYTES 512
struct folder_guess {
    enum dataset_layout layout;
    // Layout img_ann, as data.image_folder and data.mask_folder; "": the layout's own.
    char image_folder[FOLDER_GUESS_BYTES], mask_folder[FOLDER_GUESS_BYTES];
    const char *mask_suffix; // as data.mask_suffix; static storage
};
// Of two folders, the masks are in the one whose name contains "mask", "label", "seg", "annot" or
// "truth", begins with "ann", or is "gt"; the images are in the folder that shares most names of
// pictures with it. Both may hold folders train, val, test, or lie in such. The names of masks may
// have a suffix, such as _mask; then both may be in one folder. ADELE_DATA lists what there is when
// nothing fits.
ADELE_MUST_CHECK adele_status folder_guess(const char *root, struct folder_guess *out);
#endif
