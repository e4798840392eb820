// SPDX-License-Identifier: MIT
// What `adele init` chooses for a data set, and the text of the configuration that it writes.
#ifndef ADELE_INIT_INIT_CHOICES_H
#define ADELE_INIT_INIT_CHOICES_H

#include "adele/data.h"
#include "base/buffer.h"
#include "data/dataset.h"
#include "data/folder_guess.h"
#include "data/mask_values.h"
#include "device/device.h"

// ---- init_fit.c ---------------------------------------------------------------------------------
// The size of images, or of patches of large ones, the width of the U-Net and the batch with which
// a training fits into the memory of a device.

struct init_fit {
    int height, width;             // that are trained on: of whole images, or of patches
    bool is_ensemble;              // the method of the correction
    bool is_patch;                 // of images at the files' own size
    int whole_height, whole_width; // is_patch: what whole images would be reduced to
    int channels;                  // of the network's first level
    int batch, epochs;
    bool is_gpu;
    size_t needed_bytes, free_bytes; // free_bytes: SIZE_MAX when it is not known
};
// Patches where whole images would lose too much, if there is memory for all images at their own
// size; the method ensemble takes whole images. Tries smaller batches, then narrower networks, then
// smaller images or patches.
// ADELE_NO_MEMORY when nothing fits.
ADELE_MUST_CHECK adele_status init_fit(const struct adele_device *device,
                                       const struct dataset *dataset,
                                       const struct adele_fingerprint *fingerprint,
                                       bool is_ensemble, struct init_fit *out);

// ---- label_guess.c ------------------------------------------------------------------------------
// Classes from the values that masks hold, where no file defines them, or where the values are not
// the defined ones: masks of 0 and 255, gray values, nnU-Net's regions.

struct label_guess { // zeroed = no label_map is needed
    int n;           // pairs
    int *from;
    uint8_t *to;
    int other; // of label_map_other: -1, or 255 where the other values are ignored
    int n_names;
    char **names;    // (n_names), [0] = background
    const char *why; // in a few words, for a comment; static storage
};
void label_guess_deinit(struct label_guess *guess); // also zeroes it

// `dataset` was opened with any label_map, so that its own_names are those of its layout; `values`
// are those of its masks. ADELE_DATA when the values cannot be classes.
ADELE_MUST_CHECK adele_status label_guess(const struct dataset *dataset,
                                          const struct mask_values *values,
                                          struct label_guess *out);

// ---- split_guess.c ------------------------------------------------------------------------------
// A split for a data set that has no validation cases: a fifth of the training cases, drawn by a
// seed; all cases of a patient (data/patient_name.h) stay together.

struct split_guess {
    bool has_lists; // the layout's own splits do not serve
    bool is_drawn;  // by the seed
    int n_patients; // above 0: the cases were split by patient
    int n_left_out; // cases without image or mask
    // Of these, the images without a mask. In a folder that holds the masks too, a file with their
    // suffix is not counted.
    int n_without_mask;
    char first_without_mask[256]; // the file's name without its folder
    int n_absent;                 // of these, the ones without an image
    char first_absent[256];       // name of the case
};
// Takes cases without image or mask out of the train and val splits of the data set, and moves
// cases from train to val when val has none. has_lists says whether it has changed anything.
// ADELE_DATA when fewer than two cases are left.
ADELE_MUST_CHECK adele_status split_guess(struct dataset *dataset, uint64_t seed,
                                          struct split_guess *out);

// ---- init_yaml.c --------------------------------------------------------------------------------
// The text of the configuration that `adele init` writes: under 30 lines, with comments.

struct init_choices {
    const char *root; // absolute
    bool follow_links;
    uint64_t seed;
    const struct dataset *dataset; // with the splits of the configuration
    const struct adele_fingerprint *fingerprint;
    struct folder_guess folders;
    struct label_guess labels;
    struct split_guess split;
    struct init_fit fit;
    char *lists[2]; // absolute paths of the files of train and val; NULL: the layout's own
};
ADELE_MUST_CHECK adele_status init_yaml_write(const struct init_choices *choices,
                                              struct buffer *out);
#endif
