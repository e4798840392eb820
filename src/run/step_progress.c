// SPDX-License-Identifier: MIT
// The device adds the losses up. The host reads them only for a call of on_progress, because it has
// to wait for the device then.
#include "run/step_progress.h"

#include "base/clock.h"
#include "base/fail.h"
#include "run/trainer_state.h"

#include <math.h>

void step_progress_begin(struct step_progress *progress) {
    progress->counts_at = clock_seconds();
    progress->n_images = 0;
    progress->sum = progress->n = 0.0;
}

adele_status step_progress_report(struct trainer *trainer, int epoch, int i_step, int n_steps) {
    const struct trainer_options *options = &trainer->options;
    const struct training_step *step = &trainer->step;
    struct step_progress *progress = &trainer->step_progress;
    if (options->on_progress == NULL)
        return ADELE_OK;
    progress->n_images += epoch_plan_images(&step->epochs, i_step);
    if (progress->has_reported &&
        clock_seconds() - progress->reported_at < options->progress_seconds)
        return ADELE_OK;
    double sums[ADELE_SUM_COUNT];
    TRY(training_step_read_own_sums(step, sums)); // with several ranks, those of this rank alone
    double now = clock_seconds(), n = sums[ADELE_SUM_STEPS] - progress->n;
    const struct adele_train_progress report = {
        .epoch = epoch,
        .n_epochs = step->epochs.n_epochs,
        .step = i_step + 1,
        .n_steps = n_steps,
        .n_done_steps = trainer->progress.step,
        .n_steps_total = step->epochs.n_steps_total,
        .images_per_second = (double)progress->n_images / fmax(now - progress->counts_at, 1e-9),
        .loss = n > 0.0 ? (sums[ADELE_SUM_TOTAL] - progress->sum) / n : NAN};
    *progress = (struct step_progress){.has_reported = true,
                                       .reported_at = now,
                                       .counts_at = now,
                                       .sum = sums[ADELE_SUM_TOTAL],
                                       .n = sums[ADELE_SUM_STEPS]};
    options->on_progress(options->context, &report);
    return ADELE_OK;
}
