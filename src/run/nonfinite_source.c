// SPDX-License-Identifier: MIT
// Which layer a number that is not finite comes from: the step is done once more, tensor by tensor,
// in the order it runs in, and ends at the first that is bad. Only after a failure: it is slow.
#include "run/trainer_state.h"

#include "base/fail.h"
#include "base/memory.h"

#include <math.h>

// What a step changes beside the weights, as it was.
struct kept_state {
    int64_t counts[ADELE_COUNT_SIZE];
    double sums[ADELE_SUM_COUNT];
};

static adele_status keep(const struct trainer *trainer, struct kept_state *out) {
    const struct adele_device *device = trainer->device;
    TRY(device->iface->download(device, out->counts, trainer->buffers.counts, sizeof out->counts));
    return device->iface->download(device, out->sums, trainer->buffers.sums, sizeof out->sums);
}

// The running statistics go back to those after the last good step, as the device itself put them.
static adele_status restore(struct trainer *trainer, const struct kept_state *kept) {
    const struct adele_device *device = trainer->device;
    const struct step_buffers *buffers = &trainer->buffers;
    size_t n_kept = (size_t)network_graph(trainer->network)->n_buffers;
    TRY(device->iface->upload(device, buffers->counts, kept->counts, sizeof kept->counts));
    TRY(device->iface->upload(device, buffers->sums, kept->sums, sizeof kept->sums));
    if (n_kept > 0)
        TRY(device->iface->copy(device, network_buffers(trainer->network), buffers->kept,
                                n_kept * sizeof(float)));
    return device->iface->fill(device, trainer->scale_state + ADELE_MAX_SCALES, 0,
                               ADELE_MAX_SCALES * sizeof(float));
}

static adele_status printed(char *text, char **out) {
    *out = text;
    return text ? ADELE_OK : FAIL_NO_MEMORY(256);
}

// "the input image 'case_012' is not finite"; of a volume also the slice.
static adele_status describe_image(const struct trainer *trainer, const int32_t *ids, int row,
                                   char **out) {
    const struct adele_device *device = trainer->device;
    const struct dataset_images *images = &trainer->images[SPLIT_TRAIN];
    int32_t id = 0;
    TRY(device->iface->download(device, &id, ids + row, sizeof id));
    const struct dataset_origin *origin = &images->origin[id];
    const char *name = trainer->dataset->cases[SPLIT_TRAIN][origin->i_case].name;
    if (!trainer->dataset->is_volume)
        return printed(memory_printf("the input image '%.300s' is not finite", name), out);
    return printed(
        memory_printf("the input image '%.300s', slice %d, is not finite", name, origin->slice),
        out);
}

static adele_status look_at_images(const struct trainer *trainer, const struct step_plan *step,
                                   const int32_t *ids, char **out) {
    for (int k = 0; k < trainer->n_scales; k++) {
        int row = -1;
        TRY(plan_find_nonfinite_input(step->plans[k], &row));
        if (row >= 0)
            return describe_image(trainer, ids, row, out);
    }
    return ADELE_OK;
}

// "...; at scale 0.7" where there are several.
static adele_status add_scale(const struct trainer *trainer, int k, char **what) {
    if (!*what || trainer->n_scales == 1)
        return ADELE_OK;
    char *text = memory_printf("%s (scale %g)", *what, trainer->config->loss.scales[k]);
    memory_free(*what);
    return printed(text, what);
}

static adele_status look_at_loss(struct trainer *trainer, struct step_plan *step,
                                 const int32_t *ids, char **out) {
    const struct adele_device *device = trainer->device;
    int32_t is_finite = 1;
    float d_scales[ADELE_MAX_SCALES];
    TRY(trainer_compute_loss(trainer, step, ids));
    TRY(device->iface->download(device, &is_finite, trainer->buffers.loss_is_finite,
                                sizeof is_finite));
    if (!is_finite)
        return printed(memory_printf("the loss is not finite"), out);
    TRY(device->iface->download(device, d_scales, trainer->scale_state + ADELE_MAX_SCALES,
                                sizeof d_scales));
    for (int k = 0; k < trainer->n_scales; k++)
        if (!isfinite(d_scales[k]))
            return printed(memory_printf("the gradient of 'loss.scale_weights' is not finite"),
                           out);
    return ADELE_OK;
}

static adele_status look(struct trainer *trainer, struct step_plan *step, int epoch,
                         const int32_t *ids, char **out) {
    TRY(trainer_sample_batch(trainer, step, epoch, ids));
    TRY(look_at_images(trainer, step, ids, out));
    TRY(network_zero_gradients(trainer->network));
    for (int k = 0; k < trainer->n_scales && !*out; k++) {
        plan_set_samples(step->plans[k], (uint32_t)epoch, ids);
        TRY(plan_find_nonfinite_forward(step->plans[k], out));
        TRY(add_scale(trainer, k, out));
    }
    if (!*out)
        TRY(look_at_loss(trainer, step, ids, out));
    for (int k = 0; k < trainer->n_scales && !*out; k++) {
        TRY(plan_find_nonfinite_backward(step->plans[k], out));
        TRY(add_scale(trainer, k, out));
    }
    return ADELE_OK;
}

adele_status trainer_find_culprit(struct trainer *trainer, int epoch, int i_step, char **out_what) {
    *out_what = NULL;
    struct kept_state *kept = memory_calloc(1, sizeof *kept);
    if (!kept)
        return FAIL_NO_MEMORY(sizeof *kept);
    adele_status status = keep(trainer, kept);
    // Images that lie on the host are fetched again, and then those of the step that comes next.
    if (status == ADELE_OK)
        status = trainer_fetch_batch(trainer, epoch, i_step);
    if (status == ADELE_OK)
        status = resident_turn(&trainer->resident[SPLIT_TRAIN]);
    if (status == ADELE_OK)
        status = look(trainer, trainer_step_plan(trainer, i_step), epoch,
                      trainer_step_ids(trainer, i_step), out_what);
    if (status == ADELE_OK)
        status = trainer_fetch_batch(trainer, epoch, trainer->step_in_epoch + 1);
    if (status == ADELE_OK)
        status = restore(trainer, kept);
    if (status != ADELE_OK) {
        memory_free(*out_what);
        *out_what = NULL;
    }
    memory_free(kept);
    return status;
}
