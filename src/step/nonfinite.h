// SPDX-License-Identifier: MIT
// What the device has recorded of updates that it skipped, because a loss or a gradient was not
// finite: how many, and which was the first.
#ifndef ADELE_STEP_NONFINITE_H
#define ADELE_STEP_NONFINITE_H

#include "step/training_step.h"

// Since the epoch's steps began in this run. Does not wait for the device.
int nonfinite_count_skipped(const struct training_step *step);

struct nonfinite_epoch {
    int epoch;
    int first_step; // of those that the record is of, from 0
    int n_steps;    // of a whole epoch
};
// The first skipped step, and the first tensor of it that was not finite, into `out`: "epoch 3,
// step 2 of 5: the output of 'outc.conv' is not finite". The device has finished. Runs the steps of
// that update again (nonfinite_source.h); leaves the images of step i_next fetched. Collective.
ADELE_MUST_CHECK adele_status nonfinite_describe(struct training_step *step,
                                                 const struct nonfinite_epoch *epoch, int i_next,
                                                 char *out, size_t out_bytes);
#endif
