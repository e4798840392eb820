// SPDX-License-Identifier: MIT
// Corrects the training labels at the end of an epoch: the curves of the classes, the onset of
// memorization that they show, the schedule of corrections, and the labels rewritten on the device
// (METHOD sections 2 and 3).
#ifndef ADELE_CORRECTION_CORRECTOR_H
#define ADELE_CORRECTION_CORRECTOR_H

#include "correction/curves.h"
#include "correction/label_rewriter.h"
#include "loader/epoch_plan.h"
#include "loader/run_data.h"
#include "onset/onset.h"
#include "predict/set_inference.h"
#include "scores/shared_counter.h"

struct corrector {
    struct run_data *data;           // borrowed
    const struct epoch_plan *epochs; // borrowed
    struct network *network;         // borrowed
    struct curves curves;            // kept without correction, too
    struct schedule_state schedule;
    unsigned char *corrected; // (n_epochs + 1, 256): the class was corrected at that epoch's end
    struct onset_result onsets[256]; // of the last epoch's decision

    // With correction.enabled:
    struct label_rewriter rewriter;
    struct shared_counter counter; // of the training set
    int *owners; // (n_images): the rank that corrects each image, now; NULL: there is one rank
    uint8_t *scratch_map; // device, plain (n_images, H, W): the labels before a correction, or a
                          // prediction of the training set
    struct correction_adele *adele;       // with correction.method: adele; else NULL
    struct correction_ensemble *ensemble; // with correction.method: ensemble; else NULL
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
// At one of the epochs 1 .. epoch.
static inline bool corrector_has_corrected_until(const struct corrector *corrector, int epoch,
                                                 int c) {
    for (int e = 1; e <= epoch; e++)
        if (corrector_has_corrected(corrector, e, c))
            return true;
    return false;
}

// correction.c: fits the curves, decides, rewrites the labels; with the method ensemble, also adds
// the epoch's predictions to it, by the averaged weights where there are such. Collective: all
// ranks have the same curves, and the same labels before and after it. *out_changed: pixels that
// changed; -1: no correction.
ADELE_MUST_CHECK adele_status corrector_run(struct corrector *corrector, int epoch,
                                            int64_t *out_changed);

// onset_file.c: RUN/onset.json, after epoch `epoch`; is_last: the run ends with it.
ADELE_MUST_CHECK adele_status corrector_save_onsets(const struct corrector *corrector, int epoch,
                                                    bool is_last, const char *run_folder);
#endif
