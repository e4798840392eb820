// SPDX-License-Identifier: MIT
// What a checkpoint in the folder of a run says of its model, and what any reader of checkpoints
// needs.
#ifndef ADELE_RUN_FOLDER_CHECKPOINT_MODEL_H
#define ADELE_RUN_FOLDER_CHECKPOINT_MODEL_H

#include "base/safetensors.h"

#define CHECKPOINT_FORMAT "1" // adele.format of the files that this build writes and reads

#define CHECKPOINT_AVERAGE "average." // begins the names of averaged weights beside "model."

struct checkpoint_model {
    const char *name;       // of the network; borrowed from the file, as the next two
    const char *backbone;   // NULL: the default
    const char *categories; // names joined by '\n'
    int width, n_channels, n_categories;
    int rate;                // 0: as published
    int height, image_width; // size of the training images
    int epoch;
    int normalize; // enum image_normalize
    bool has_palette;
    bool is_averaged;        // the model is the average of the weights
    const char *orientation; // of the training volumes ("RAS"); borrowed; "": none, or not known
};

// ADELE_FORMAT unless the file is a checkpoint that this build reads.
ADELE_MUST_CHECK adele_status checkpoint_check(const struct safetensors *file);
ADELE_MUST_CHECK adele_status checkpoint_read_model(const struct safetensors *file,
                                                    struct checkpoint_model *out);
// What begins the names of the weights of the file's model: "model.", or CHECKPOINT_AVERAGE where
// the run's model is the average of its weights (train.evaluate_averaged).
const char *checkpoint_model_prefix(const struct safetensors *file);
// The number under that key of the metadata; `otherwise` where it is missing.
double checkpoint_number(const struct safetensors *file, const char *key, double otherwise);
#endif
