// SPDX-License-Identifier: MIT
// Rewrites labels of the training set in device memory from predictions (METHOD section 3), with
// the rule of either method.
#ifndef ADELE_CORRECTION_LABEL_REWRITER_H
#define ADELE_CORRECTION_LABEL_REWRITER_H

#include "onset/onset.h"
#include "predict/prediction.h"

struct label_rewriter {
    struct run_data *data;           // borrowed
    struct prediction prediction;    // its confidences are those of the rule
    struct adele_op *correct, *rest; // of prediction.n images, and of a smaller last batch
    int64_t *n_changed;    // device: pixels that were rewritten since label_rewriter_begin
    bool is_from_original; // a pixel that is not corrected gets its original label, not that of now
};

// n_images: that are rewritten at once. Borrows data. After an error, label_rewriter_deinit frees
// what was made.
ADELE_MUST_CHECK adele_status label_rewriter_init(struct label_rewriter *out, struct run_data *data,
                                                  int n_images);
void label_rewriter_deinit(struct label_rewriter *rewriter); // legal on a zeroed struct

ADELE_MUST_CHECK adele_status label_rewriter_begin(struct label_rewriter *rewriter);
// Images first .. first + n - 1, whose prediction is `category` (device, plain (n, H, W)), and
// whose confidences are in rewriter->prediction.
ADELE_MUST_CHECK adele_status label_rewriter_forward(const struct label_rewriter *rewriter,
                                                     const struct schedule_decision *decision,
                                                     const uint8_t *category, int first, int n);
// Collective: the pixels that all ranks have rewritten. The device has finished.
ADELE_MUST_CHECK adele_status label_rewriter_end(const struct label_rewriter *rewriter,
                                                 int64_t *out_changed);
#endif
