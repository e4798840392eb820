// SPDX-License-Identifier: MIT
// The veto of the method adele: a class whose labels look clean is not corrected.
#ifndef ADELE_CORRECTION_VETO_H
#define ADELE_CORRECTION_VETO_H

#include "correction/corrector.h"

// The epochs at which a class was not corrected because its labels look clean, and what was
// measured at the one that came nearest to a correction. All are doubles, as a checkpoint keeps
// them.
#define VETO_RECORD_VALUES 6
struct veto_record {
    double n_epochs;       // 0: no such epoch, and the rest is 0
    double epoch;          // of the values below
    double itself, labels; // IoU of the predictions with each other, and with the labels; NaN: none
    double margin;         // that itself - labels had to exceed
    double is_early;       // 1: the margin of a curve of few values
};

// Predictions of the training set at single scales.
struct veto {
    struct set_inference *views[1 + ADELE_MAX_SCALES]; // the first at scale 1
    int n_views;                                       // 0: no veto
    uint8_t *map;                                      // device: plain (n_images, H, W)
    struct veto_record records[256];
};

// After an error, veto_deinit frees what was made. With correction.veto: 0 there is no veto.
ADELE_MUST_CHECK adele_status veto_init(struct veto *out, const struct corrector *corrector,
                                        const struct corrector_options *options);
void veto_deinit(struct veto *veto, const struct adele_device *device);

// Withdraws the decision for classes whose labels look clean; overwrites the corrector's scratch
// map. Collective.
ADELE_MUST_CHECK adele_status veto_apply(struct veto *veto, struct corrector *corrector, int epoch,
                                         struct schedule_decision *decision);
#endif
