// SPDX-License-Identifier: MIT
// Loads the data set of a run: its splits in host memory and on the device, with noise in the
// training labels where data.noise asks for it.
#ifndef ADELE_LOADER_RUN_DATA_H
#define ADELE_LOADER_RUN_DATA_H

#include "base/hash.h"
#include "config/config.h"
#include "loader/resident.h"
#include "ranks/ranks.h"

struct run_data {
    const struct config *config;       // borrowed
    const struct adele_device *device; // borrowed
    struct ranks *ranks;               // borrowed; NULL: one process
    struct dataset *dataset;
    struct dataset_images images[SPLIT_COUNT]; // host; the training split alone keeps its pixels
    struct resident resident[SPLIT_COUNT];     // n_images = 0: the split is empty
    // data.patch: what the epoch's steps train on, one patch of each image (patches.h); n_images =
    // 0: they train on the images.
    struct resident patches;
    bool are_images_moved; // to host memory, to make room on the device
    // What the maps of an ensemble (correction/ensemble.h) take beside the images: of the device,
    // of the host.
    size_t map_bytes, map_host_bytes;
    int n_categories;
    struct noise_report noise;       // of data.noise
    char noisy_hash[HASH_HEX_BYTES]; // XXH3 of the training labels that the run starts with
};

// Borrows config, device and ranks. After an error, run_data_deinit frees what was loaded.
ADELE_MUST_CHECK adele_status run_data_load(struct run_data *out, const struct config *config,
                                            const struct adele_device *device, struct ranks *ranks);
void run_data_deinit(struct run_data *data); // also zeroes it; legal on a zeroed struct

// The set that a training step takes its batches from: the patches, or the training images.
struct resident *run_data_training_set(struct run_data *data);

// Moves the images of all splits to host memory where data.residency is auto and that frees memory
// of the device; *out_moved: some were moved, or the maps of an ensemble, which is made after it,
// will be there instead.
ADELE_MUST_CHECK adele_status run_data_move_images(struct run_data *data, bool *out_moved);
// Writes RUN/noise.json when there is data.noise.
ADELE_MUST_CHECK adele_status run_data_save_noise(const struct run_data *data,
                                                  const char *run_folder);
#endif
