// SPDX-License-Identifier: MIT
// What the files of a training run share: everything one run holds. Private to
// src/run.
#ifndef ADELE_RUN_TRAINER_STATE_H
#define ADELE_RUN_TRAINER_STATE_H

#include "base/json.h"
#include "infer/inference.h"
#include "infer/memory_check.h"
#include "infer/resident.h"
#include "infer/score.h"
#include "nn/network.h"
#include "report/metrics.h"
#include "run/provenance.h"
#include "run/trainer.h"

// Plans and ops of one batch size: the full batch, and the rest that a last batch of an epoch may
// be, or the full batch and one image more.
struct step_plan {
    int n; // 0 = not used
    struct plan *plans[ADELE_MAX_SCALES];
    struct adele_op *sample, *loss;
};

// Batch buffers in device memory, for the larger of the two batch sizes.
struct step_buffers {
    uint8_t *labels, *noisy, *truth; // plain (n, H, W)
    int32_t *order;      // plain (n_images): the epoch's permutation; a step reads a part of it
    int32_t *host_order; // the same, on the host
    void *workspace;
    int64_t *counts;         // plain (ADELE_COUNT_SIZE)
    double *sums;            // plain (ADELE_SUM_COUNT)
    int32_t *loss_is_finite; // plain (1): of the step
    // Pinned, plain (2, ADELE_HEALTH_COUNT): of the network's and the scale weights' updates. The
    // host looks at it while the device works.
    int64_t *health;
    float *kept; // plain: the network's running statistics after its last good step
};

// The prediction that the correction reads: of the whole training set where the training pass
// leaves it, else of one batch, whose labels are corrected before the next is predicted.
struct prediction {
    int n;                                                // images
    uint8_t *category;                                    // plain (n, H, W)
    float *confidence_foreground, *confidence_background; // plain (n, H, W)
};

// veto.c: predictions of the training set at single scales.
struct veto {
    struct inference *views[1 + ADELE_MAX_SCALES]; // the first at scale 1
    int n_views;                                   // 0: no veto
    uint8_t *map;                                  // device: plain (n_images, H, W)
};

struct trainer {
    struct trainer_options options;
    int folder_lock;             // keeps a second run out of the folder; -1: none
    const struct config *config; // borrowed
    struct adele_device *device;
    struct dataset *dataset;
    struct dataset_images images[SPLIT_COUNT]; // host; only train keeps its pixels (examples)
    struct resident resident[SPLIT_COUNT];     // n_images = 0: the split is empty
    int n_categories;
    struct network *network;

    int n_scales; // of the loss
    struct step_plan full, rest;
    struct step_buffers buffers;
    struct adele_op *sgd, *sgd_scales, *count[SPLIT_COUNT];
    struct adele_op *correct, *correct_rest; // of prediction.n images, and of a smaller last batch
    float *scale_state; // device, 3 x ADELE_MAX_SCALES: raw scale weights, their gradient, their
                        // momentum
    struct prediction prediction;
    struct veto veto;
    uint8_t *scratch_map; // device, plain (n_images, H, W): the labels before a correction, or a
                          // prediction of the training set
    struct inference *correction_inference; // NULL: from the training pass
    struct inference *evaluation[SPLIT_COUNT];
    uint8_t *evaluation_map;    // device: predictions of the larger evaluation split
    int64_t *evaluation_counts; // device (3, 256)

    enum last_batch last_batch;
    int n_epoch_steps, n_last_images; // steps of an epoch, and the images of the last one
    int n_left_out_images;            // of an epoch: train.drop_last
    int n_epochs;                     // by train.epochs or train.iterations
    long n_steps_total;               // the last epoch may be a part of one

    // Progress; all of it is in a checkpoint.
    int epoch;           // finished epochs
    long step;           // finished steps
    int step_in_epoch;   // finished steps of the epoch after those: above 0 where a run was
                         // interrupted
    double *series[256]; // of each category: IoU of the prediction against the original noisy
                         // labels, n_values: one an epoch, or one an interval (pipeline voc)
    int n_values;
    // Pipeline voc: the counters of prediction against noisy label less these are those of the
    // interval so far. Negative where an interval began in an epoch before.
    int64_t interval_base[ADELE_COUNT_KINDS * 256];
    struct schedule_state schedule;
    unsigned char
        *corrected; // (n_epochs + 1, 256): category was corrected at the end of that epoch
    double best_miou;
    int best_epoch;

    struct onset_result onsets[256]; // of the last epoch's decision
    struct noise_report noise;       // of data.noise
    struct metrics *metrics;
    char *records; // what a loaded checkpoint knows of metrics.jsonl; NULL: nothing
    size_t records_bytes;
    struct provenance made_by;    // this program on its device
    struct provenance resumed_of; // what made the checkpoint that was loaded
    char *earlier; // lines "until step 20: ...", of steps that something else made; NULL: none
    struct score last_score[SPLIT_COUNT];
    int n_rollbacks, rollback_epoch; // so many of them in that epoch
    char noisy_hash[17];             // XXH3 of the original noisy labels
};

// setup.c
ADELE_MUST_CHECK adele_status trainer_create(const struct trainer_options *options,
                                             struct trainer **out);
struct schedule_config trainer_schedule(const struct trainer *trainer);
// Writes `json` to that file of the run, and frees it in any case. When it is not complete, for its
// building ran out of memory, nothing is written.
ADELE_MUST_CHECK adele_status trainer_write_json(const struct trainer *trainer, const char *name,
                                                 cJSON *json, bool is_complete);

// epoch_steps.c: steps and epochs of the run, by the plans of the full batch.
void trainer_plan_steps(struct trainer *trainer);
int trainer_step_images(const struct trainer *trainer, int i_step); // of an epoch, from 0
// Before an epoch that leaves images out.
ADELE_MUST_CHECK adele_status trainer_forget_predictions(struct trainer *trainer);

// teardown.c
void trainer_destroy(struct trainer *trainer);
// Gives back all but device and data.
void trainer_drop_preparations(struct trainer *trainer);

// load_data.c: loads the splits, puts noise into the training labels where it is asked for, and
// makes all of it resident.
ADELE_MUST_CHECK adele_status trainer_load_data(struct trainer *trainer);
// Writes noise.json when there is data.noise.
ADELE_MUST_CHECK adele_status trainer_save_noise(const struct trainer *trainer);

// device_memory.c: before the network's memory is allocated, says how much that will be;
// ADELE_NO_MEMORY names the largest batch that fits when this one does not.
ADELE_MUST_CHECK adele_status trainer_check_memory(struct trainer *trainer);
// Moves the images of all splits to the host, where data.residency lets them and that makes room;
// *out_moved: some were moved.
ADELE_MUST_CHECK adele_status trainer_move_images(struct trainer *trainer, bool *out_moved);

// epoch.c: all steps of epoch `epoch` (from 1); counts and sums are read back.
struct epoch_numbers {
    int first_step; // of those that were done now, counted from 0
    int n_steps;    // of a whole epoch
    int n_left_out; // steps, as far as they are known
    int n_images;   // of the steps that were done now
    double rate;    // of the last one
    double seconds; // of them all, as trainer.c measures them
    bool is_back;   // the epoch was given up: the run goes on after trainer->epoch
    char what[512]; // the first step that was left out, and why
    int64_t counts[ADELE_COUNT_TABLES][ADELE_COUNT_KINDS][256];
    double sums[ADELE_SUM_COUNT];
};
ADELE_MUST_CHECK adele_status trainer_run_epoch(struct trainer *trainer, int epoch,
                                                struct epoch_numbers *out);
// Parts of a step: `ids` are the samples of its batch, on the device.
struct step_plan *trainer_step_plan(struct trainer *trainer, int i_step);
const int32_t *trainer_step_ids(const struct trainer *trainer, int i_step);
// Images that lie on the host: those of that step, for the turn after; nothing behind the last one.
ADELE_MUST_CHECK adele_status trainer_fetch_batch(struct trainer *trainer, int epoch, int i_step);
ADELE_MUST_CHECK adele_status trainer_sample_batch(struct trainer *trainer, struct step_plan *step,
                                                   int epoch, const int32_t *ids);
ADELE_MUST_CHECK adele_status trainer_compute_loss(struct trainer *trainer, struct step_plan *step,
                                                   const int32_t *ids);
// One value of every category's curve, from counts (3, 256).
void trainer_append_series(struct trainer *trainer, const int64_t *counts);

// nonfinite.c: called when `n_issued` steps of the epoch were handed to the device in this
// run; looks whether one of them was left out because something was not finite, without waiting
// where the device is not far behind. At the first one, by train.on_nan: ADELE_NUMERIC names
// epoch, step and culprit; or a warning; or the state of the last checkpoint and numbers->is_back.
ADELE_MUST_CHECK adele_status trainer_watch(struct trainer *trainer, int epoch, int n_issued,
                                            struct epoch_numbers *numbers);
// The same where all of the steps are done, and numbers->sums are read: also an epoch that has no
// step but such is ADELE_NUMERIC.
ADELE_MUST_CHECK adele_status trainer_check_health(struct trainer *trainer, int epoch,
                                                   struct epoch_numbers *numbers);

// nonfinite_source.c: runs step `i_step` (from 0) of the epoch again, but for its update, and looks
// at every tensor. *out_what (caller frees with memory_free) names the first that is not finite:
// "the output of 'outc.conv' is not finite"; NULL: all were finite this time. Leaves the state as
// it was.
ADELE_MUST_CHECK adele_status trainer_find_culprit(struct trainer *trainer, int epoch, int i_step,
                                                   char **out_what);

// correction.c: fits, decides, rewrites the labels; *out_changed pixels against before, -1 =
// no correction.
ADELE_MUST_CHECK adele_status trainer_correct_labels(struct trainer *trainer, int epoch,
                                                     int64_t *out_changed);
// veto.c: takes back the decision for categories whose labels look clean.
ADELE_MUST_CHECK adele_status trainer_veto_init(struct trainer *trainer); // also scratch_map
void trainer_veto_deinit(struct trainer *trainer);
ADELE_MUST_CHECK adele_status trainer_veto(struct trainer *trainer, int epoch,
                                           struct schedule_decision *decision);
// label_changes.c: around a correction.
ADELE_MUST_CHECK adele_status trainer_keep_labels(struct trainer *trainer);
ADELE_MUST_CHECK adele_status trainer_log_changes(struct trainer *trainer, int epoch);
// score_drop.c: warns where validation fell after a correction, once the epoch is recorded.
ADELE_MUST_CHECK adele_status trainer_warn_of_fall(const struct trainer *trainer, int epoch);
ADELE_MUST_CHECK adele_status trainer_save_onsets(const struct trainer *trainer);

// save_labels.c: writes labels/epoch_NNNN.safetensors and labels/manifest.json.
ADELE_MUST_CHECK adele_status trainer_save_generation(struct trainer *trainer, int epoch,
                                                      int64_t n_changed);
// Drops generations of epochs later than `epoch` and verifies the others (resume): damaged files
// are named in warnings, and written again from the checkpoint or from one another where possible.
ADELE_MUST_CHECK adele_status trainer_trim_generations(struct trainer *trainer, int epoch);

// evaluation.c
// The count op on two maps of a whole split, read back: counts (3, 256).
ADELE_MUST_CHECK adele_status trainer_count_maps(struct trainer *trainer, enum dataset_split split,
                                                 const uint8_t *prediction, const uint8_t *labels,
                                                 int64_t *counts);
ADELE_MUST_CHECK adele_status trainer_evaluate(struct trainer *trainer, enum dataset_split split,
                                               struct score *out);
// Score of the current training labels against the truth; ADELE_OK with n_categories = 0 without
// truth.
ADELE_MUST_CHECK adele_status trainer_score_labels(struct trainer *trainer, struct score *out);
ADELE_MUST_CHECK adele_status trainer_save_examples(struct trainer *trainer);

// checkpoint.c
// The file that was there stays under the name `keep`; NULL: it goes.
ADELE_MUST_CHECK adele_status checkpoint_save(struct trainer *trainer, const char *path,
                                              const char *keep);
ADELE_MUST_CHECK adele_status checkpoint_load(struct trainer *trainer, const char *path);
// The model alone, for `best`.
ADELE_MUST_CHECK adele_status checkpoint_save_model(struct trainer *trainer, const char *path);

// run_provenance.c: what the run is made by, into a checkpoint and out of one.
ADELE_MUST_CHECK adele_status trainer_add_provenance(const struct trainer *trainer,
                                                     struct safetensors_writer *writer);
ADELE_MUST_CHECK adele_status trainer_read_provenance(struct trainer *trainer,
                                                      const struct safetensors *file);
// One warning where the checkpoint that was loaded was made by something else.
void trainer_compare_provenance(const struct trainer *trainer);
// Writes config.resolved.yaml, which begins with comments that say what the run is made by.
ADELE_MUST_CHECK adele_status trainer_save_config(const struct trainer *trainer);

// Whether the file is there but is not, byte for byte, a file that was written with hashes, or the
// disk cannot read it.
bool checkpoint_is_damaged(const char *path);

// resume.c: loads the newest checkpoint of the run that is whole; none: nothing happens. A
// damaged or missing last one is named in a warning, and the one before is taken.
ADELE_MUST_CHECK adele_status trainer_load_newest(struct trainer *trainer, bool *out_found);
// The same, at the start.
ADELE_MUST_CHECK adele_status trainer_take_over(struct trainer *trainer);
// Opens the metrics of the run with the records that the checkpoint brought.
ADELE_MUST_CHECK adele_status trainer_open_metrics(struct trainer *trainer);

// RUN/NAME in *out (caller frees with memory_free).
ADELE_MUST_CHECK adele_status trainer_path(const struct trainer *trainer, const char *name,
                                           char **out);
#endif
