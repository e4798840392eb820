// SPDX-License-Identifier: MIT
// How many steps an epoch has, and how many images its last one takes.
#include "run/trainer_state.h"

#include "base/fail.h"
#include "base/log.h"

// A single image is trained on alone, as other tools do, unless a batch norm would see one value of
// each channel: that has no variance, so that the image joins the batch before it.
void trainer_plan_steps(struct trainer *trainer) {
    const struct config *config = trainer->config;
    int n_images = trainer->resident[SPLIT_TRAIN].set.n_images, batch = trainer->full.n;
    trainer->last_batch = LAST_KEPT;
    if (config->train.drop_last)
        trainer->last_batch = LAST_DROPPED;
    else
        for (int k = 0; k < trainer->n_scales; k++)
            if (plan_needs_two_images(trainer->full.plans[k]))
                trainer->last_batch = LAST_JOINED;
    int n_last = last_batch_images(trainer->last_batch, n_images, batch);
    trainer->n_left_out_images = trainer->last_batch == LAST_DROPPED ? n_images % batch : 0;
    trainer->n_epoch_steps = (n_images - trainer->n_left_out_images - n_last) / batch + 1;
    trainer->n_last_images = n_last;
    long n_steps = trainer->n_epoch_steps, n_total = config->train.iterations;
    trainer->n_epochs = config->train.epochs;
    if (n_total > 0)
        trainer->n_epochs = (int)((n_total + n_steps - 1) / n_steps);
    else
        n_total = n_steps * trainer->n_epochs;
    trainer->n_steps_total = n_total;
    log_line(LOG_INFO, "steps: %ld, %ld an epoch, %d epochs", n_total, n_steps, trainer->n_epochs);
    if (n_last > batch)
        log_line(LOG_INFO, "last batch of an epoch: %d images, for one alone has no variance",
                 n_last);
    if (trainer->n_left_out_images > 0)
        log_line(LOG_INFO, "train.drop_last: the last %d images of an epoch's order are left out",
                 trainer->n_left_out_images);
}

int trainer_step_images(const struct trainer *trainer, int i_step) {
    return i_step == trainer->n_epoch_steps - 1 ? trainer->n_last_images : trainer->full.n;
}

// Images that an epoch leaves out have no prediction of it: 255 is no category and 0 is no
// confidence, so that the correction at its end leaves their labels alone.
adele_status trainer_forget_predictions(struct trainer *trainer) {
    const struct prediction *prediction = &trainer->prediction;
    const struct adele_device *device = trainer->device;
    if (trainer->n_left_out_images == 0 || prediction->category == NULL)
        return ADELE_OK;
    const struct adele_sample_set *set = &trainer->resident[SPLIT_TRAIN].set;
    size_t maps = (size_t)prediction->n * (size_t)set->h * (size_t)set->w;
    TRY(device->iface->fill(device, prediction->category, ADELE_IGNORE, maps));
    TRY(device->iface->fill(device, prediction->confidence_foreground, 0, maps * sizeof(float)));
    return device->iface->fill(device, prediction->confidence_background, 0, maps * sizeof(float));
}
