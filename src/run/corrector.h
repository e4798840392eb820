// SPDX-License-Identifier: MIT
// Corrects the training labels at the end of an epoch: the curves of the classes, the onset of
// memorization that they show, the schedule of corrections, and the labels rewritten on the device
// (METHOD sections 2 and 3).
#ifndef ADELE_RUN_CORRECTOR_H
#define ADELE_RUN_CORRECTOR_H

#include "infer/set_inference.h"
#include "method/onset.h"
#include "run/curves.h"
#include "run/ensemble.h"
#include "run/ensemble_gate.h"
#include "run/epoch_plan.h"
#include "run/prediction.h"
#include "run/run_data.h"
#include "run/shared_counter.h"

// veto.c: predictions of the training set at single scales.
struct veto {
    struct set_inference *views[1 + ADELE_MAX_SCALES]; // the first at scale 1
    int n_views;                                       // 0: no veto
    uint8_t *map;                                      // device: plain (n_images, H, W)
};

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

struct corrector {
    struct run_data *data;           // borrowed
    const struct epoch_plan *epochs; // borrowed
    struct network *network;         // borrowed
    struct curves curves;            // kept without correction, too
    struct schedule_state schedule;
    unsigned char *corrected; // (n_epochs + 1, 256): the class was corrected at that epoch's end
    struct onset_result onsets[256]; // of the last epoch's decision
    struct veto_record vetoes[256];

    // With correction.enabled:
    struct prediction prediction;
    int *owners; // (n_images): the rank that corrects each image, now; NULL: there is one rank
    // NULL: the training pass stores the prediction, or the method is the ensemble's.
    struct set_inference *inference;
    struct adele_op *correct, *correct_rest; // of prediction.n images, and of a smaller last batch
    struct shared_counter counter;           // of the training set
    int64_t *n_changed;                      // device: pixels that a correction changed
    bool is_labelled[256]; // of the method ensemble: the labels as given contain the class
    uint8_t *scratch_map;  // device, plain (n_images, H, W): the labels before a correction, or a
                           // prediction of the training set
    struct veto veto;      // of the method adele
    struct ensemble_gate gate; // of the method ensemble
    struct ensemble ensemble;  // of the method ensemble
};

struct corrector_options {
    struct network *network;         // borrowed
    const struct epoch_plan *epochs; // borrowed
    int n_loss_scales;               // that the network is trained at
};
// Borrows data. After an error, corrector_deinit frees what was made.
ADELE_MUST_CHECK adele_status corrector_init(struct corrector *out, struct run_data *data,
                                             const struct corrector_options *options);
void corrector_deinit(struct corrector *corrector); // also zeroes it; legal on a zeroed struct
struct schedule_config corrector_schedule(const struct corrector *corrector);
static inline bool corrector_has_corrected(const struct corrector *corrector, int epoch, int c) {
    return corrector->corrected[(size_t)epoch * 256 + (size_t)c] != 0;
}

// correction.c: fits the curves, decides, rewrites the labels; with the method ensemble, also adds
// the epoch's predictions to it, by the averaged weights where there are such. Collective: all
// ranks have the same curves, and the same labels before and after it. *out_changed: pixels that
// changed; -1: no correction.
ADELE_MUST_CHECK adele_status corrector_run(struct corrector *corrector, int epoch,
                                            int64_t *out_changed);

// veto.c: withdraws the decision for classes whose labels look clean. Collective.
ADELE_MUST_CHECK adele_status veto_init(struct corrector *corrector,
                                        const struct corrector_options *options);
void veto_deinit(struct corrector *corrector);
ADELE_MUST_CHECK adele_status veto_apply(struct corrector *corrector, int epoch,
                                         struct schedule_decision *decision);

// onset_file.c: RUN/onset.json, after epoch `epoch`; is_last: the run ends with it.
ADELE_MUST_CHECK adele_status corrector_save_onsets(const struct corrector *corrector, int epoch,
                                                    bool is_last, const char *run_folder);
#endif
