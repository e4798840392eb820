// SPDX-License-Identifier: MIT
// Which tensor of a step is the first that is not finite. All tensors are downloaded, so this is
// slow, and runs after a failure alone.
#include "step/nonfinite_source.h"

#include "base/fail.h"
#include "base/memory.h"
#include "ranks/agreement.h"

#include <math.h>

// What a step adds to, as it was before the search.
struct totals {
    int64_t counts[ADELE_COUNT_SIZE];
    double sums[]; // (parts, ADELE_SUM_COUNT)
};

static size_t sums_bytes(const struct training_step *step) {
    return (size_t)step->parts.n * ADELE_SUM_COUNT * sizeof(double);
}

static adele_status keep(const struct training_step *step, struct totals *totals) {
    const struct adele_device *device = step->data->device;
    TRY(device->iface->synchronize(device));
    TRY(device->iface->download(device, totals->counts, step->counts, sizeof totals->counts));
    return device->iface->download(device, totals->sums, step->sums, sums_bytes(step));
}

static adele_status restore_statistics(struct training_step *step) {
    const struct adele_device *device = step->data->device;
    size_t n_statistics = (size_t)network_graph(step->network)->n_buffers;
    if (n_statistics == 0)
        return ADELE_OK;
    return device->iface->copy(device, network_buffers(step->network), step->good_statistics,
                               n_statistics * sizeof(float));
}

static adele_status restore(struct training_step *step, const struct totals *totals) {
    const struct adele_device *device = step->data->device;
    TRY(device->iface->upload(device, step->counts, totals->counts, sizeof totals->counts));
    TRY(device->iface->upload(device, step->sums, totals->sums, sums_bytes(step)));
    TRY(restore_statistics(step));
    return device->iface->fill(device, step->scale_state + ADELE_MAX_SCALES, 0,
                               ADELE_MAX_SCALES * sizeof(float));
}

static adele_status set_text(char *text, char **out) {
    *out = text;
    return CHECK_MEMORY(text);
}

// "the input image 'case_012' is not finite"; for a volume, the slice too.
static adele_status describe_image(const struct training_step *step, const int32_t *ids, int row,
                                   char **out) {
    const struct adele_device *device = step->data->device;
    const struct dataset_images *images = &step->data->images[SPLIT_TRAIN];
    int32_t id = 0;
    TRY(device->iface->download(device, &id, ids + row, sizeof id));
    const struct dataset_origin *origin = &images->origin[id];
    const char *name = step->data->dataset->cases[SPLIT_TRAIN][origin->i_case].name;
    if (!step->data->dataset->is_volume)
        return set_text(memory_printf("the input image '%.300s' is not finite", name), out);
    return set_text(
        memory_printf("the input image '%.300s', slice %d, is not finite", name, origin->slice),
        out);
}

static adele_status check_images(const struct training_step *step, const struct step_part *part,
                                 char **out) {
    for (int k = 0; k < step->n_scales; k++) {
        int row = -1;
        TRY(plan_find_nonfinite_input(part->batch->plans[k], &row));
        if (row >= 0)
            return describe_image(step, part->ids, row, out);
    }
    return ADELE_OK;
}

// "the output of ... is not finite (scale 0.7)" when the network is trained at several scales.
static adele_status add_scale(const struct training_step *step, int k, char **what) {
    if (!*what || step->n_scales == 1)
        return ADELE_OK;
    char *text = memory_printf("%s (scale %g)", *what, step->data->config->loss.scales[k]);
    memory_free(*what);
    return set_text(text, what);
}

static adele_status check_loss(struct training_step *step, const struct step_part *part,
                               char **out) {
    const struct adele_device *device = step->data->device;
    int32_t is_finite = 1;
    float d_scales[ADELE_MAX_SCALES];
    step->n_batches = 1; // so that is_finite is that of this batch
    TRY(training_step_loss(step, part));
    TRY(device->iface->download(device, &is_finite, step->loss_is_finite + part->index,
                                sizeof is_finite));
    if (!is_finite)
        return set_text(memory_printf("the loss is not finite"), out);
    TRY(device->iface->download(device, d_scales, step->scale_state + ADELE_MAX_SCALES,
                                sizeof d_scales));
    for (int k = 0; k < step->n_scales; k++)
        if (!isfinite(d_scales[k]))
            return set_text(memory_printf("the gradient of 'loss.scale_weights' is not finite"),
                            out);
    return ADELE_OK;
}

// In the order of a step whose scales take turns. Where they run together, what only an op for all
// scales does is not repeated, and then nothing is found.
static adele_status check_part(struct training_step *step, const struct step_part *part, int epoch,
                               char **out) {
    struct batch_plan *batch = part->batch;
    TRY(training_step_sample(step, part, epoch));
    TRY(check_images(step, part, out));
    TRY(restore_statistics(step));
    TRY(network_zero_gradients(step->network));
    for (int k = 0; k < step->n_scales && !*out; k++) {
        plan_set_samples(batch->plans[k], (uint32_t)epoch, part->ids);
        TRY(plan_find_nonfinite_forward(batch->plans[k], out));
        TRY(add_scale(step, k, out));
    }
    if (!*out)
        TRY(check_loss(step, part, out));
    for (int k = 0; k < step->n_scales && !*out; k++) {
        TRY(plan_find_nonfinite_backward(batch->plans[k], out));
        TRY(add_scale(step, k, out));
    }
    return ADELE_OK;
}

static adele_status find(struct training_step *step, int epoch, int i_step, int i_next,
                         char **out_what) {
    OWNED struct totals *totals = memory_aligned(sizeof *totals + sums_bytes(step));
    OWNED char *what = NULL;
    TRY(CHECK_MEMORY(totals));
    TRY(keep(step, totals));
    // Images that stay in host memory are fetched again, and then those of the step that follows.
    TRY(training_step_fetch(step, epoch, i_step));
    TRY(resident_swap(run_data_training_set(step->data)));
    for (int i = 0; i < step->parts.n_own && !what; i++) {
        const struct step_part part = training_step_part(step, i_step, step->parts.i_first + i);
        TRY(check_part(step, &part, epoch, &what));
    }
    TRY(agreement_first_text(step->data->ranks, &what));
    TRY(training_step_fetch(step, epoch, i_next));
    TRY(restore(step, totals));
    *out_what = what;
    what = NULL;
    return ADELE_OK;
}

adele_status nonfinite_source_find(struct training_step *step, int epoch, int i_step, int i_next,
                                   char **out_what) {
    *out_what = NULL;
    // What is repeated here leaves no predictions: later weights may do it.
    const struct prediction *prediction = step->prediction;
    step->prediction = NULL;
    adele_status status = find(step, epoch, i_step, i_next, out_what);
    step->prediction = prediction;
    return status;
}
