// SPDX-License-Identifier: MIT
// Which classes the ensemble may rewrite (correction/gate.h), from counts over the training set.
#ifndef ADELE_CORRECTION_ENSEMBLE_GATE_H
#define ADELE_CORRECTION_ENSEMBLE_GATE_H

#include "correction/ensemble.h"
#include "correction/gate.h"
#include "onset/onset.h"

// What was measured of a class. All are doubles, as a checkpoint keeps them.
#define GATE_RECORD_VALUES 7
struct gate_record {
    double epoch;                       // at whose end; 0: not measured, and the rest is 0
    double known, deviation, one_sided; // of struct gate_result; NaN where it is
    double with_decided, with_labels;
    double corrects; // 1: the class was corrected
};

struct ensemble_gate {
    struct ensemble *ensemble; // borrowed; NULL: there is no gate, and all classes pass
    uint8_t *plain;            // borrowed, device: (n_images, H, W): the most probable classes
    struct gate_record records[256];
};

// Borrows the ensemble, and `plain`: device memory of (n_images, H, W), which ensemble_gate_apply
// overwrites. With correction.gate: false there is no gate. Nothing is to be freed.
void ensemble_gate_init(struct ensemble_gate *out, struct ensemble *ensemble, uint8_t *plain);

// After the epoch's ensemble_decide into ensemble->decided, while its maps are there: withdraws the
// decision for classes that do not pass, and logs and records what was measured. The background
// has no gate: it is corrected with any other class. Collective; the results are the same on any
// number of ranks.
ADELE_MUST_CHECK adele_status ensemble_gate_apply(struct ensemble_gate *gate, int epoch,
                                                  struct schedule_decision *decision);
#endif
