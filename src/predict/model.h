// SPDX-License-Identifier: MIT
// A trained model: evaluation of a split, prediction of a folder.
#ifndef ADELE_PREDICT_MODEL_H
#define ADELE_PREDICT_MODEL_H

#include "config/config.h"
#include "data/dataset.h"
#include "data/load.h"
#include "predict/inference.h"
#include "ranks/ranks.h"
#include "scores/score.h"
#include "scores/score_cases.h"

struct output; // output/output.h

// A checkpoint on a device.
struct model {
    struct adele_device *device;
    struct network *network;
    struct config *config; // of the run the checkpoint lies in; NULL when there is none
    int n_channels, n_categories, height, width;
    int window_h, window_w; // data.patch of its run, for images at their own size; 0, 0: none
    enum image_normalize normalize;
    bool has_palette; // the labels it was trained on were indexed PNG, so its masks are too
    struct nifti_codes orientation; // in which the slices of its training volumes were cut
    char **category_names;          // n_categories
    char *path;                     // of the checkpoint
    char *run_folder;               // that it lies in; NULL when there is none
    int epoch;                      // after which it was saved
    bool is_averaged;               // its weights are the average of those of all steps
};

// `path` is a checkpoint file, or a run folder: then its checkpoints/CHECKPOINT.safetensors, where
// `checkpoint` is "last" or "best" (NULL: last). With a file, `checkpoint` is NULL.
ADELE_MUST_CHECK adele_status model_load(const char *path, const char *checkpoint,
                                         const char *device, struct model *out);
void model_deinit(struct model *model); // also zeroes it

struct model_options {
    const char *data;         // evaluate: data set; NULL = the run's. predict: folder of images
    bool is_folder;           // predict: `data` is a folder of images
    enum dataset_split split; // evaluate
    bool may_be_val;          // evaluate: `split` is val where it is test and holds no cases
    struct inference_config inference; // batch 0 = 8
    const char *masks_folder;          // where predictions go; NULL = nowhere (evaluate)
    bool is_overwriting;               // earlier output there is replaced (output/output.h)
    bool probabilities; // predict: also NAME.safetensors with "probabilities" (slices, C, H, W), in
                        // the order of the file
    struct case_scores *case_scores; // evaluate: gets the scores of each case; the caller frees
                                     // them. NULL: none
    // Processes that divide the cases among them: the functions below are collective, the results
    // the same on all. Masks are written by the rank that has predicted them, everything else by
    // rank 0. NULL: one process.
    struct ranks *ranks;
    void (*on_case)(void *context, int i, int n); // NULL: none. With ranks, i are done by all
    bool (*should_stop)(void *context);
    void *context;
};
void model_options_init(struct model_options *out); // scale 1, no flip, probabilities averaged

// Scores a split against its label files at their own size, to which the logits are resized before
// they are averaged; *out_images is how many images were counted, *out_split which split it was
// (see may_be_val).
ADELE_MUST_CHECK adele_status model_evaluate(struct model *model,
                                             const struct model_options *options, struct score *out,
                                             int *out_images, enum dataset_split *out_split);
// The data set of a model: options->data, else the run's, as the model takes it. Labels are the
// layout's own. out->root is NULL where no data set is known; *out borrows from both.
void model_dataset_config(const struct model *model, const struct model_options *options,
                          struct dataset_config *out);
// Opens it; `noisy_labels` (NULL: none) as in struct dataset_config. With options->data the splits
// are those of the run (data.split) where the folder has all their cases; else its own, with a
// warning. Warns too where the run's paths lead to other files than those that it had. The caller
// closes *out.
ADELE_MUST_CHECK adele_status model_open_dataset(const struct model *model,
                                                 const struct model_options *options,
                                                 const char *noisy_labels, struct dataset **out);

// One predicted slice, on the host. Everything is borrowed during the call.
struct model_view {
    int i_case;                          // of the split
    int i;                               // row of `images`, ascending within the case
    int h, w;                            // of the maps
    const struct dataset_images *images; // of the case, at that size
    const float *probabilities;          // (K, h, w) of the slice
};
struct model_visitor {
    const bool *is_wanted; // of each case of the split; NULL: all
    // Maps have the size at which the network works, else the file's. Not with windows, which are
    // cut from the file's.
    bool at_network_size;
    adele_status (*visit)(void *context, const struct model_view *view);
    // After the slices of a case; NULL: none.
    adele_status (*end_case)(void *context, int i_case, const struct dataset_images *images);
    void *context;
};
// Predicts the split case after case, and keeps the probabilities of one batch of slices at a time.
// Of several ranks each visits its own cases, neighbours in the list (case_ranks.h).
// Begins `output` (NULL: none) before the first case; the caller ends it.
ADELE_MUST_CHECK adele_status model_visit(struct model *model, const struct model_options *options,
                                          struct dataset *dataset, struct output *output,
                                          const struct model_visitor *visitor);

// Predicts every image of options->data into options->masks_folder, at the file's own size;
// *out_cases is how many.
ADELE_MUST_CHECK adele_status model_predict(struct model *model,
                                            const struct model_options *options, int *out_cases);
#endif
