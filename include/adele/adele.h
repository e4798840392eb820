// SPDX-License-Identifier: MIT
// The engine as a library: train a run, score a model, predict, export corrected labels, find
// onsets. What the verbs of the command line do, for programs that embed it. Thread-compatible:
// calls of different threads do not disturb each other as long as they work on different runs; the
// log sink is the process's.
#ifndef ADELE_ADELE_H
#define ADELE_ADELE_H

#include "adele/status.h"
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// "0.1.0"; static storage.
const char *adele_version(void);

// Receives the library's lines for people; `is_warning` is 0 or 1; `line` has no newline and is
// borrowed during the call. NULL drops them (the default).
typedef void (*adele_log_function)(void *context, int is_warning, const char *line);
void adele_log_to(adele_log_function function, void *context);

// ---- training -----------------------------------------------------------------------------------
struct adele_train_options {
    const char *config;      // path of a YAML file; configs/KEYS.md explains every key
    const char *const *sets; // n_sets texts "key=value" that override it; NULL when n_sets is 0
    int n_sets;
    const char *run_folder; // made when it is not there; holds everything the run writes
    int resume;             // 1: go on from its last checkpoint, if there is one
    // "auto", "cpu"; NULL = "auto". The kernels of a GPU are not tested first, as the command line
    // does it: that takes a program that can start itself as a child.
    const char *device;
    // May be NULL. Asked before every step; anything but 0 stops the run with ADELE_INTERRUPTED,
    // everything up to the last finished step saved.
    int (*should_stop)(void *context);
    void *context;
};
struct adele_train_result {
    int n_epochs;     // finished
    double val_miou;  // foreground mean IoU after the last epoch; NaN when there is no such split
    double test_miou; // the same; NaN unless train.evaluate_test is set
    double best_miou; // of validation, -1 when not measured
    int best_epoch;
};
// METHOD: the paper's algorithm; see configs/ for its variants. Errors: ADELE_CONFIG, ADELE_DATA,
// ADELE_IO, ADELE_NUMERIC (a loss that is not finite), ADELE_NO_MEMORY, ADELE_INTERRUPTED; the last
// checkpoint stays valid in every case.
ADELE_MUST_CHECK adele_status adele_train(const struct adele_train_options *options,
                                          struct adele_train_result *out);

// ---- a trained model ----------------------------------------------------------------------------
struct adele_score {
    int n_categories, n_images;
    double iou[256], dice[256]; // NaN where a category is neither predicted nor labelled
    double miou, miou_foreground, dice_foreground;
};
// IoU and Dice of a checkpoint file or run folder on a split ("train", "val", "test") of `data`
// (NULL: the run's own data set). Counts are summed over the split.
ADELE_MUST_CHECK adele_status adele_evaluate(const char *checkpoint, const char *device,
                                             const char *data, const char *split,
                                             struct adele_score *out);
// A label map in `output` for every image of the folder `input`, at the image's own size.
// *out_cases: how many. ADELE_INVALID_ARGUMENT, before anything is written, when a file would fall
// into a data set, `input` or another run, or onto a file that is there.
ADELE_MUST_CHECK adele_status adele_predict(const char *checkpoint, const char *device,
                                            const char *input, const char *output, int *out_cases);
// The corrected labels of a run as files of the input's own layout and type in `output`; epoch < 0:
// the last. ADELE_INVALID_ARGUMENT as above.
ADELE_MUST_CHECK adele_status adele_export_labels(const char *run_folder, int epoch,
                                                  const char *output);

// ---- onset of memorization ----------------------------------------------------------------------
struct adele_onset {
    int is_known;   // 0: not yet
    int epoch;      // correction starts at the end of the first epoch e with e - 1 >= epoch
    double a, b, c; // f(t) = a (1 - exp(-t^b / c))
};
// The onset in a series of n training IoU values, one an epoch (SegTHOR rule, ADELE section 3.2),
// for a run of n_epochs and the threshold r (the paper: 0.9). Values that are not finite: not
// known.
void adele_find_onset(const double *iou, int n, int n_epochs, double r, struct adele_onset *out);

#ifdef __cplusplus
}
#endif
#endif
