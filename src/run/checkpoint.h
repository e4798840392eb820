// SPDX-License-Identifier: MIT
// All of a run's state in one safetensors file, written atomically, every tensor with its XXH3.
//
//   model.NAME       weights and running statistics, PyTorch names, OIHW
//   momentum.NAME    SGD momenta, or AdamW's first moments
//   scale_weights    f32 (3, ADELE_MAX_SCALES): raw weights, gradient, momentum
//   second_moment.NAME, adamw.scale_weights (f32, ADELE_MAX_SCALES), adamw.updates (i64, 2):
//                    AdamW, its second moments and the updates done of network and scale weights
//   average.NAME     with train.average, averaged weights and running statistics; where the run
//                    evaluates these (model.averaged), they are the model of the file
//   ensemble         f16 (N, C, h, w): with correction.method: ensemble, its maps; missing where
//                    ensemble.is_open is 0: they were freed after the last correction
//   labels           u8 (N, H, W): the current labels
//   curves           f64 (values, C): IoU of the prediction against the original noisy labels
//   interval_base    i64 (3, 256): pipeline voc, the counters at the last value of the curves
//   onset_epoch, is_on, is_done, corrected: the schedule
//   vetoes           f64 (256, 6): struct veto_record of each class, once there is one
//   gates            f64 (256, 7): struct gate_record likewise, with the method ensemble
//   records          u8: metrics.jsonl up to this epoch, to restore it when it is damaged
//   progress.*       of an epoch that was interrupted: its counters, and the predictions that the
//                    correction at its end will read; progress.sums are rows of each part
//   __metadata__     adele.format, epoch, step, best, network, categories, hash of the original
//                    labels, adele.version and made.*: what made it (provenance.h)
#ifndef ADELE_RUN_CHECKPOINT_H
#define ADELE_RUN_CHECKPOINT_H

#include "base/safetensors.h"
#include "run/trainer_state.h"

// The file that was there is kept under the name `keep`; NULL: it is replaced. After
// ensemble_collect and divided_update_collect on all ranks.
ADELE_MUST_CHECK adele_status checkpoint_save(struct trainer *trainer, const char *path,
                                              const char *keep);
// The model alone, for the best checkpoint: the weights that the network has now.
ADELE_MUST_CHECK adele_status checkpoint_save_model(struct trainer *trainer, const char *path);
ADELE_MUST_CHECK adele_status checkpoint_load(struct trainer *trainer, const char *path);
// Whether the file exists but some byte of it is not as it was written, or the disk cannot read it.
bool checkpoint_is_damaged(const char *path);

// A part of an interrupted epoch.
#define CHECKPOINT_N_EPOCH_BLOCKS 5
struct checkpoint_block {
    const char *name;
    enum safetensors_dtype dtype;
    void *block; // in device memory; NULL: this run has none
    size_t count, bytes;
};
void checkpoint_epoch_blocks(const struct trainer *trainer,
                             struct checkpoint_block out[CHECKPOINT_N_EPOCH_BLOCKS]);
#endif
