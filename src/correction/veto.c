// SPDX-License-Identifier: MIT
// The veto: a class whose labels look clean is not corrected. The curve of a network that learns
// clean labels flattens like that of one that is about to memorize wrong ones, so the paper's rule
// corrects both, and a correction of clean labels replaces them by the network's mistakes. The two
// differ in how well the network's predictions at two scales agree with each other. With correct
// labels, the predictions agree with the labels about as well as with each other; with wrong labels
// they agree with the labels much less, as long as the network has not memorized them.
//
// The comparison is with the original labels, so a class whose labels were found wrong once is not
// tested again. Mirrored images are no second view, because left and right may be two classes.
//
// A curve of few values may flatten by chance, but very wrong labels are best corrected in the
// first epochs: before correction.min_points values, the margin is a quarter wider. A class that is
// not corrected is tested again at the next epoch, because predictions vary from epoch to epoch,
// and wrong labels may look clean in one of them.
#include "correction/veto.h"

#include "base/fail.h"
#include "base/log.h"

#include <math.h>

// The second scale for a network that is trained at scale 1 alone.
#define ONLY_SCALE 1.5
// Factor of the margin before correction.min_points values.
#define EARLY 1.25

static adele_status view_init(struct veto *veto, const struct corrector *corrector,
                              struct network *network, double scale) {
    const struct run_data *data = corrector->data;
    const struct adele_sample_set *set = &data->resident[SPLIT_TRAIN].set;
    const struct inference_config config =
        set_inference_config(data->config, corrector->epochs->part_images, scale);
    TRY(set_inference_create(data->device, network, &config, data->images[SPLIT_TRAIN].origin,
                             data->n_categories, set->c, set->h, set->w,
                             &veto->views[veto->n_views]));
    veto->n_views++;
    return ADELE_OK;
}

// The scales that the network is trained at, because training makes its predictions at those agree.
static adele_status views_init(struct veto *veto, const struct corrector *corrector,
                               const struct corrector_options *options) {
    const double *scales = corrector->data->config->loss.scales;
    TRY(view_init(veto, corrector, options->network, 1.0));
    for (int k = 1; k < options->n_loss_scales; k++)
        TRY(view_init(veto, corrector, options->network, scales[k]));
    return options->n_loss_scales > 1 ? ADELE_OK
                                      : view_init(veto, corrector, options->network, ONLY_SCALE);
}

adele_status veto_init(struct veto *out, const struct corrector *corrector,
                       const struct corrector_options *options) {
    const struct adele_device *device = corrector->data->device;
    double margin = corrector->data->config->correction.veto;
    size_t bytes = resident_map_bytes(&corrector->data->resident[SPLIT_TRAIN]);
    *out = (struct veto){0};
    if (margin <= 0.0)
        return ADELE_OK;
    TRY(device->iface->alloc(device, bytes, (void **)&out->map));
    adele_status status = views_init(out, corrector, options);
    return status == ADELE_OK ? status : fail_context(status, "correction.veto: %g", margin);
}

void veto_deinit(struct veto *veto, const struct adele_device *device) {
    for (int i = 0; i < veto->n_views; i++)
        set_inference_destroy(veto->views[i]);
    device->iface->release(device, veto->map);
}

static adele_status predict(const struct veto *veto, struct corrector *corrector, int i_view,
                            uint8_t *map) {
    const struct inference_output output = {.prediction = map};
    return set_inference_run_share(veto->views[i_view], corrector->counter.share,
                                   &corrector->data->resident[SPLIT_TRAIN], &output);
}

// IoU of each class, NaN where it does not occur: of the predictions at two scales, for the scale
// that agrees best; and with the original labels, now or in the training pass, whichever is higher.
static adele_status measure(const struct veto *veto, struct corrector *corrector, double *own,
                            double *labels) {
    struct score score;
    TRY(predict(veto, corrector, 0, corrector->scratch_map));
    TRY(shared_counter_score(&corrector->counter, corrector->scratch_map,
                             corrector->data->resident[SPLIT_TRAIN].noisy, &score));
    for (int c = 0; c < corrector->data->n_categories; c++) {
        own[c] = NAN;
        labels[c] = fmax(score.iou[c], corrector->curves.iou[c][corrector->curves.n_values - 1]);
    }
    for (int i = 1; i < veto->n_views; i++) {
        TRY(predict(veto, corrector, i, veto->map));
        TRY(shared_counter_score(&corrector->counter, veto->map, corrector->scratch_map, &score));
        for (int c = 0; c < corrector->data->n_categories; c++)
            own[c] = fmax(own[c], score.iou[c]); // a NaN counts as absent
    }
    return ADELE_OK;
}

// Whether a class is to be corrected whose labels were not found wrong before.
static bool has_untested_class(const struct corrector *corrector, int epoch,
                               const struct schedule_decision *decision) {
    for (int c = 1; c < corrector->data->n_categories; c++)
        if (decision->correct[c] && !corrector_has_corrected_until(corrector, epoch - 1, c))
            return true;
    return false;
}

// Keeps the values of the epoch at which the class came nearest to a correction.
static void record_veto(struct veto_record *record, const struct veto_record *now) {
    double n_epochs = record->n_epochs + 1.0;
    double nearest = record->itself - record->labels - record->margin;
    double distance = now->itself - now->labels - now->margin;
    if (isnan(nearest) || record->n_epochs == 0.0 || distance > nearest) // false for NaN
        *record = *now;
    record->n_epochs = n_epochs;
}

adele_status veto_apply(struct veto *veto, struct corrector *corrector, int epoch,
                        struct schedule_decision *decision) {
    double own[256], labels[256], margin = corrector->data->config->correction.veto;
    if (margin <= 0.0 || !has_untested_class(corrector, epoch, decision))
        return ADELE_OK;
    TRY(measure(veto, corrector, own, labels));
    bool is_early = corrector->curves.n_values < corrector->data->config->correction.min_points,
         any = false;
    margin *= is_early ? EARLY : 1.0;
    for (int c = 1; c < corrector->data->n_categories; c++) {
        if (decision->correct[c] && !corrector_has_corrected_until(corrector, epoch - 1, c)) {
            decision->correct[c] = own[c] - labels[c] > margin; // false for NaN
            if (!decision->correct[c]) {
                corrector->schedule.is_done[c] = 0;
                record_veto(&veto->records[c], &(struct veto_record){.epoch = epoch,
                                                                     .itself = own[c],
                                                                     .labels = labels[c],
                                                                     .margin = margin,
                                                                     .is_early = is_early});
            }
            log_line(LOG_INFO, "epoch %d: %s: IoU with the labels %.3f, with itself %.3f: they %s",
                     epoch, corrector->data->dataset->category_names[c], labels[c], own[c],
                     decision->correct[c] ? "are corrected" : "look clean and are not corrected");
        }
        any = any || decision->correct[c];
    }
    decision->any = any;
    decision->correct[0] = any;
    return ADELE_OK;
}
