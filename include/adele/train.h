// SPDX-License-Identifier: MIT
// Training: a run from a configuration to its last checkpoint.
#ifndef ADELE_TRAIN_H
#define ADELE_TRAIN_H

#include "adele/ranks.h"
#include "adele/status.h"
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// IoU of all classes of one split or table.
struct adele_iou {
    const double *classes; // (n_classes); NaN where a class is neither predicted nor labelled
    // Means of those that are not NaN: of all classes, and without the background, class 0. Both
    // are NaN when no foreground class has one.
    double mean, foreground;
};

// A finished epoch. The library may append fields in later versions. Everything is borrowed during
// the call.
struct adele_epoch {
    int epoch, n_epochs; // 1 .. n_epochs
    int n_classes;       // with the background
    const char *const *class_names;
    double seconds; // of its training steps
    double loss;    // mean over its steps
    // Predictions of the training steps against the labels that the run was given.
    struct adele_iou train;
    // The network after the epoch on the split; `classes` is NULL where the split is empty or was
    // not evaluated after this epoch (train.evaluate_every, train.evaluate_test).
    struct adele_iou val, test;
    int64_t n_corrected_pixels; // training labels that this epoch's correction changed
};

// A split, as it lies in memory.
struct adele_train_split {
    int n_cases;  // pictures, or volumes
    int n_images; // pictures, or slices of volumes; 0 with cases: the run leaves the split out
};

// A run before its first step. The library may append fields in later versions. Everything is
// borrowed during the call.
struct adele_train_start {
    const char *run_folder; // NULL: of a dry run
    const char *data_folder;
    const char *layout; // "nnunet", "voc", "img_ann"
    struct adele_train_split train, val, test;
    int height, width, n_channels; // of the images in memory
    int crop_height, crop_width;   // what a step trains on
    // Of the training files, before images are resized.
    int min_file_height, max_file_height, min_file_width, max_file_width;
    int n_classes; // with the background
    const char *const *class_names;
    const double *class_shares;     // (n_classes) of the training labels that are not ignored
    double ignored_share;           // of all training labels
    const char *network, *backbone; // backbone "": the network has none
    int64_t n_parameters;
    int batch;         // images of a step
    double step_flops; // of such a step, forward and backward at all scales of the loss
    const char *device, *precision;
    // Of the device's memory: what the run takes in all, and what it may take; SIZE_MAX: not known.
    size_t planned_bytes, available_bytes;
    int n_epochs, n_steps;            // steps of an epoch; the last epoch may have fewer
    int n_last_images;                // of an epoch's last step
    int n_dropped_images;             // of each epoch: train.drop_last, train.parts
    long n_steps_total, n_done_steps; // of the run, and before this call: above 0 in a resumed run
    int n_processes, n_parts; // that train together, and train.parts; bytes are of one process
    // When labels will be corrected ("once, after epoch 8 of 24, from the ensemble"), and why that
    // is of little or no use with so few epochs; "": nothing to say.
    const char *correction, *correction_warning;
    int64_t n_corrected_pixels; // of the corrections before this call, in a resumed run
    // Noise that the configuration puts into the training labels: its kind; NULL: none. The mean
    // foreground IoU of the noisy labels with the given ones.
    const char *noise;
    double noise_miou;
};

// A run between two steps. The library may append fields in later versions.
struct adele_train_progress {
    int epoch, n_epochs; // 1 .. n_epochs
    int step, n_steps;   // finished in this epoch: 1 .. n_steps
    long n_done_steps, n_steps_total;
    // Both of the steps since the call before, in this epoch. The loss is a mean, NaN without a
    // step whose loss is finite.
    double images_per_second, loss;
};

// A batch size that a dry run has tried. The library may append fields in later versions.
struct adele_train_batch {
    int batch;
    int is_configured; // 1: train.batch, or all training images where those are fewer
    int fits;          // 0: planned_bytes are more than available_bytes
    size_t planned_bytes, available_bytes;
    // Of one step; NaN where it does not fit. Not measured where that would have taken too long:
    // then it is that of the size before, or of the configured one, for another number of images;
    // NaN with several processes.
    double step_seconds;
    int is_measured;
};

// All members may be 0 or NULL, but for `config`.
struct adele_train_options {
    const char *config;      // path of a YAML file; configs/KEYS.md explains every key
    const char *const *sets; // n_sets texts "key=value" that override it
    int n_sets;
    const char *run_folder; // made when it is not there; holds all that the run writes. NULL:
                            // runs/NAME, where NAME is the configuration's
    int resume;             // 1: go on from its last checkpoint, if there is one; 2: also fail
                            // with ADELE_IO where its folder is not there or holds no run
    const char *device;     // "cpu", "cuda", "cuda:1", "auto"; NULL: "auto"
    int keep_log;           // 1: appends the log's lines to log.txt in the run's folder, with the
                            // seconds since the start; of one run at a time in a process, because
                            // the lines are the process's: another gets ADELE_INVALID_ARGUMENT
    // The processes that train together (adele/ranks.h); NULL: this one alone. All pass the same
    // options, and get the same result. Rank 0 alone writes the run's files and calls the functions
    // below but for should_stop, which any rank may use to stop all. A device without a number is
    // one GPU for each rank of a host. Rank N > 0 keeps its log in log.N.txt.
    struct adele_ranks *ranks;
    // Path of the program `adele`, which tests the kernels of a GPU that is new to this build
    // before the first training on it. NULL: no test; the result of an earlier one is used.
    const char *selftest_program;
    // Above 0: ends with ADELE_OK after so many steps, or the run's last one. Nothing is evaluated
    // or corrected, no checkpoint is written, not even where should_stop stops it, and on_epoch is
    // not called.
    int64_t n_profile_steps;

    // Called on the calling thread, with `context`; may be NULL. After every step and epoch, the
    // latter when its checkpoint is written. Anything but 0 from on_epoch stops the run like
    // should_stop; after the last epoch there is nothing to stop, and the run ends with ADELE_OK.
    void (*on_step)(void *context, int epoch, int n_epochs, int step, int n_steps);
    int (*on_epoch)(void *context, const struct adele_epoch *epoch);
    // Asked before every step; anything but 0 stops the run with ADELE_INTERRUPTED, everything up
    // to the last finished step saved: `resume` goes on from there.
    int (*should_stop)(void *context);
    void *context;
    // Before the first step, once everything is in memory.
    void (*on_start)(void *context, const struct adele_train_start *start);
    // After the first step, and after the first one that ends progress_seconds or more after the
    // last call (0: after every step). The host waits for the device then.
    void (*on_progress)(void *context, const struct adele_train_progress *progress);
    double progress_seconds;
};

struct adele_train_result {
    int n_epochs; // finished, with those before a resume
    // Foreground mean IoU of the last evaluation of the split in this call, which the last epoch
    // may have been without (train.evaluate_every). NaN when there was none, because the split is
    // empty or, for test, train.evaluate_test is off, and when no foreground class has one.
    double val_miou, test_miou;
    double best_miou; // of validation, with what was before a resume; -1 when not measured
    int best_epoch;   // 0 when not measured
    // Where the run lies; "" when the configuration could not be read or the path does not fit.
    char run_folder[4096];
};

// Trains: the paper's algorithm, see configs/ for its variants. *out is filled in every case.
// Errors: ADELE_CONFIG, ADELE_DATA, ADELE_IO, ADELE_DEVICE, ADELE_UNSUPPORTED (a device that this
// build does not have), ADELE_NUMERIC (a loss that is not finite), ADELE_NO_MEMORY,
// ADELE_INTERRUPTED; ADELE_RUN_EXISTS for a folder that holds a run already, with which `resume`
// goes on; ADELE_INVALID_ARGUMENT for one that lies in a data set, for a path of it above 4095
// bytes, for what keep_log says, and for ranks that differ in version, configuration, data or
// device. The last checkpoint stays valid in every case.
ADELE_MUST_CHECK adele_status adele_train(const struct adele_train_options *options,
                                          struct adele_train_result *out);

// Stops where adele_train would begin: reads the data, makes the plans and calls on_start. Then
// calls on_batch, with options->context, for batches of 1, 2, 4, ... images up to the largest that
// fits, and for the configuration's own, with the smallest first. Steps are run to measure them,
// for some 20 seconds in all, and change no weights. With `ranks` no step is run: the memory is
// what one process would take (the most of all), of what is available to each. Nothing is written,
// no run folder is looked at; the result of selftest_program alone is kept. should_stop is asked
// before every step. Errors as adele_train; ADELE_NO_MEMORY when the smallest batch does not fit,
// and ADELE_INVALID_ARGUMENT with `resume` or n_profile_steps.
ADELE_MUST_CHECK adele_status
adele_train_dry_run(const struct adele_train_options *options,
                    void (*on_batch)(void *context, const struct adele_train_batch *batch));

// One key of a configuration, as configs/KEYS.md lists it. Static storage.
struct adele_config_key {
    const char *name;          // "train.optimizer.lr"
    const char *default_value; // as YAML; "" = none
    const char *meaning;
    int may_change; // 1: a run that is resumed may have another value
};
// Key number i, from 0; returns 0, and leaves *out alone, when there is none of that number.
int adele_config_key(int i, struct adele_config_key *out);

#ifdef __cplusplus
}
#endif
#endif
