// SPDX-License-Identifier: MIT
#include "device/op_check.h"

#include "base/fail.h"
#include "device/crf_spatial.h"

#include <math.h>

// ---- ops of networks ----------------------------------------------------------------------------

adele_status op_check_conv2d(const struct adele_conv2d_desc *desc) {
    bool is_valid = desc->n >= 1 && desc->c_in >= 1 && desc->c_out >= 1 && desc->h_in >= 1 &&
                    desc->w_in >= 1 && desc->kernel >= 1 && desc->stride >= 1 && desc->pad >= 0 &&
                    desc->dilation >= 1;
    int64_t reach = is_valid ? (int64_t)desc->dilation * (desc->kernel - 1) + 1 : 0;
    is_valid = is_valid && reach <= (int64_t)desc->h_in + 2 * (int64_t)desc->pad &&
               reach <= (int64_t)desc->w_in + 2 * (int64_t)desc->pad;
    return is_valid ? ADELE_OK
                    : FAIL(ADELE_INVALID_ARGUMENT, "",
                           "conv2d: src (%d, %d, %d, %d), c_out %d, kernel %d, stride %d, pad %d, "
                           "dilation %d",
                           desc->n, desc->c_in, desc->h_in, desc->w_in, desc->c_out, desc->kernel,
                           desc->stride, desc->pad, desc->dilation);
}

adele_status op_check_slice(const char *op, struct adele_slice slice, int c, int multiple) {
    if (slice.of != 0 &&
        (slice.first % multiple != 0 || (c % multiple != 0 && slice.first + c != slice.of)))
        return FAIL(ADELE_UNSUPPORTED, "Concatenate tensors of such channels by the concat op.",
                    "%s: %d channels from channel %d of %d do not begin and end at multiples of %d",
                    op, c, slice.first, slice.of, multiple);
    return ADELE_OK;
}

static adele_status check_slice(const char *op, struct adele_slice slice, int c) {
    int of = slice.of != 0 ? slice.of : c;
    if (slice.first < 0 || of < c || slice.first > of - c)
        return FAIL(ADELE_INVALID_ARGUMENT, "A slice lies inside of the wide tensor.",
                    "%s: %d channels from channel %d of %d", op, c, slice.first, of);
    return ADELE_OK;
}

adele_status op_check_batch_norm(const struct adele_batch_norm_desc *desc) {
    if (desc->n < 1 || desc->c < 1 || desc->h < 1 || desc->w < 1 || !(desc->eps > 0.0f) ||
        !(desc->momentum >= 0.0f && desc->momentum <= 1.0f))
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "batch_norm: shape (%d, %d, %d, %d), eps %g, momentum %g", desc->n, desc->c,
                    desc->h, desc->w, (double)desc->eps, (double)desc->momentum);
    return check_slice("batch_norm", desc->dst, desc->c);
}

adele_status op_check_max_pool(const struct adele_max_pool_desc *desc) {
    if (desc->n < 1 || desc->c < 1 || desc->h_in < 1 || desc->w_in < 1 || desc->kernel < 1 ||
        desc->stride < 1 || desc->pad < 0 || desc->pad >= desc->kernel ||
        desc->kernel > desc->h_in + 2 * desc->pad || desc->kernel > desc->w_in + 2 * desc->pad)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "max_pool: shape (%d, %d, %d, %d), kernel %d, stride %d, pad %d", desc->n,
                    desc->c, desc->h_in, desc->w_in, desc->kernel, desc->stride, desc->pad);
    return check_slice("max_pool", desc->src, desc->c);
}

adele_status op_check_rescale(const struct adele_rescale_desc *desc) {
    if (desc->n < 1 || desc->c < 1 || desc->h_in < 1 || desc->w_in < 1 || desc->h_out < 1 ||
        desc->w_out < 1 || desc->h_dst < 1 || desc->w_dst < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "rescale: (%d, %d, %d, %d) to %d x %d in a plane of %d x %d", desc->n, desc->c,
                    desc->h_in, desc->w_in, desc->h_out, desc->w_out, desc->h_dst, desc->w_dst);
    return check_slice("rescale", desc->dst, desc->c);
}

adele_status op_check_concat(const struct adele_concat_desc *desc) {
    if (desc->n < 1 || desc->c0 < 1 || desc->c1 < 1 || desc->h < 1 || desc->w < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "concat: shape (%d, %d + %d, %d, %d)", desc->n,
                    desc->c0, desc->c1, desc->h, desc->w);
    return ADELE_OK;
}

static adele_status check_shape(const char *op, int n, int c, int h, int w) {
    if (n < 1 || c < 1 || h < 1 || w < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "%s: shape (%d, %d, %d, %d)", op, n, c, h, w);
    return ADELE_OK;
}

adele_status op_check_add(const struct adele_add_desc *desc) {
    return check_shape("add", desc->n, desc->c, desc->h, desc->w);
}

adele_status op_check_global_pool(const struct adele_global_pool_desc *desc) {
    return check_shape("global_pool", desc->n, desc->c, desc->h, desc->w);
}

adele_status op_check_dropout(const struct adele_dropout_desc *desc) {
    TRY(check_shape("dropout", desc->n, desc->c, desc->h, desc->w));
    if (!(desc->rate >= 0.0 && desc->rate < 1.0) || desc->stream > ADELE_MAX_DROPOUT_STREAM)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "dropout: rate %g, want 0 up to 1 exclusively; stream %u, want 0 to %d",
                    desc->rate, (unsigned)desc->stream, ADELE_MAX_DROPOUT_STREAM);
    if ((uint64_t)desc->h * (uint64_t)desc->w > UINT32_MAX / (((uint64_t)desc->c + 3) / 4))
        return FAIL(ADELE_INVALID_ARGUMENT, "Make the images smaller.",
                    "dropout: %d channels of %d x %d pixels are more than one stream has", desc->c,
                    desc->h, desc->w);
    return ADELE_OK;
}

adele_status op_check_aspp(const struct adele_aspp_desc *desc) {
    if ((desc->form != ADELE_ASPP_SUM && desc->form != ADELE_ASPP_CONCAT) || desc->n < 1 ||
        desc->c_in < 1 || desc->h < 1 || desc->w < 1 || desc->c_out < 1 || desc->n_rates < 1 ||
        desc->n_rates > ADELE_MAX_RATES)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "aspp: form %d, src (%d, %d, %d, %d), %d rates of %d channels", (int)desc->form,
                    desc->n, desc->c_in, desc->h, desc->w, desc->n_rates, desc->c_out);
    for (int r = 0; r < desc->n_rates; r++)
        if (desc->rates[r] < 0 || desc->rates[r] > ADELE_MAX_RATE)
            return FAIL(ADELE_INVALID_ARGUMENT, "", "aspp: rate %d is %d, want 0 to %d", r,
                        desc->rates[r], ADELE_MAX_RATE);
    return ADELE_OK;
}

// ---- training -----------------------------------------------------------------------------------

adele_status op_check_loss(const struct adele_loss_desc *desc) {
    if (desc->n < 1 || desc->h < 1 || desc->w < 1 || desc->c < 1 || desc->c > ADELE_MAX_CATEGORIES)
        return FAIL(ADELE_INVALID_ARGUMENT, "1 to 255 categories, extents of at least 1.",
                    "loss: bad shape %d x %d x %d x %d", desc->n, desc->c, desc->h, desc->w);
    if (desc->n_scales < 1 || desc->n_scales > ADELE_MAX_SCALES)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give 1 to 4 scales.", "loss: %d scales",
                    desc->n_scales);
    for (int k = 0; k < desc->n_scales; k++)
        if (desc->h_scale[k] < 1 || desc->w_scale[k] < 1)
            return FAIL(ADELE_INVALID_ARGUMENT, "Extents are at least 1.",
                        "loss: scale %d has logits of %d x %d", k, desc->h_scale[k],
                        desc->w_scale[k]);
    if ((int)desc->form < ADELE_LOSS_PLAIN || (int)desc->form > ADELE_LOSS_PAPER)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use plain, program or paper.", "loss: unknown form %d",
                    (int)desc->form);
    if (!(desc->divisor > 0.0) || !isfinite(desc->divisor) || !(desc->lambda >= 0.0) ||
        !isfinite(desc->lambda) || isnan(desc->rho))
        return FAIL(ADELE_INVALID_ARGUMENT,
                    "lambda is at least 0, the divisor above 0, and all are finite.",
                    "loss: lambda %g, rho %g, divisor %g", desc->lambda, desc->rho, desc->divisor);
    return ADELE_OK;
}

adele_status op_check_loss_args(const struct adele_loss_desc *desc,
                                const struct adele_loss_args *args, bool *needs_gradient) {
    int n_used = desc->form == ADELE_LOSS_PLAIN ? 1 : desc->n_scales, n_gradients = 0;
    for (int k = 0; k < n_used; k++) {
        if (args->logits[k] == NULL)
            return FAIL(ADELE_INVALID_ARGUMENT, "Give the logits of every scale.",
                        "loss: no logits for scale %d", k);
        n_gradients += args->d_logits[k] != NULL;
    }
    if (n_gradients != 0 && n_gradients != n_used)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give d_logits for every scale or for none.",
                    "loss: %d of %d gradients", n_gradients, n_used);
    if (args->labels == NULL || args->workspace == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give labels and workspace.", "loss: no %s",
                    args->labels == NULL ? "labels" : "workspace");
    if (desc->learn_scale_weights && desc->form == ADELE_LOSS_PROGRAM &&
        args->scale_weights == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give the raw scale weights.",
                    "loss: no scale weights to learn");
    *needs_gradient = n_gradients > 0;
    return ADELE_OK;
}

adele_status op_check_sgd(const struct adele_sgd_desc *desc) {
    for (int i = 0; i < desc->n_segments; i++) {
        const struct adele_sgd_segment *segment = &desc->segments[i];
        if (segment->offset < 0 || segment->count < 0)
            return FAIL(ADELE_INVALID_ARGUMENT, "", "sgd: segment %d: offset %lld, count %lld", i,
                        (long long)segment->offset, (long long)segment->count);
    }
    return ADELE_OK;
}

adele_status op_check_pack(const struct adele_pack_desc *desc) {
    if (desc->n_items < 0 || (desc->n_items > 0 && desc->items == NULL))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give one item for each convolution.",
                    "pack: %d items, and no list of them", desc->n_items);
    for (int i = 0; i < desc->n_items; i++) {
        const struct adele_pack_item *item = &desc->items[i];
        if (item->c_out < 1 || item->c_in < 1 || item->kernel < 1)
            return FAIL(ADELE_INVALID_ARGUMENT, "Extents are at least 1.",
                        "pack: item %d has %d x %d channels and a kernel of %d", i, item->c_out,
                        item->c_in, item->kernel);
        if (item->weight < 0 || item->packed < 0 || item->packed % ADELE_PACK_ALIGNMENT != 0 ||
            item->bytes < 1)
            return FAIL(ADELE_INVALID_ARGUMENT,
                        "Offsets are not negative, packed ones multiples of 256; leave out "
                        "convolutions that take no packed weights.",
                        "pack: item %d: %lld bytes at %lld, from float %lld", i,
                        (long long)item->bytes, (long long)item->packed, (long long)item->weight);
    }
    if ((int)desc->precision < ADELE_PRECISION_FP32 || (int)desc->precision > ADELE_PRECISION_TF32)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use fp32, bf16 or tf32.", "pack: unknown precision %d",
                    (int)desc->precision);
    return ADELE_OK;
}

adele_status op_check_initialize(const struct adele_initialize_desc *desc) {
    if (desc->n_items < 0 || (desc->n_items > 0 && desc->items == NULL))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give one item for each parameter.",
                    "initialize: %d items, and no list of them", desc->n_items);
    for (int i = 0; i < desc->n_items; i++) {
        const struct adele_initialize_item *item = &desc->items[i];
        if (item->offset < 0 || item->count < 0)
            return FAIL(ADELE_INVALID_ARGUMENT, "Neither may be negative.",
                        "initialize: item %d has %lld values from float %lld on", i,
                        (long long)item->count, (long long)item->offset);
        if ((int)item->kind < ADELE_INITIAL_CONSTANT || (int)item->kind > ADELE_INITIAL_NORMAL)
            return FAIL(ADELE_INVALID_ARGUMENT, "Use constant, uniform or normal.",
                        "initialize: item %d is of unknown kind %d", i, (int)item->kind);
        if (!isfinite(item->spread))
            return FAIL(ADELE_INVALID_ARGUMENT, "Give a finite one.",
                        "initialize: item %d has a spread of %g", i, item->spread);
    }
    return ADELE_OK;
}

static bool is_voc(const struct adele_augment *augment) {
    return augment->enabled && augment->kind == ADELE_AUGMENT_VOC;
}

static adele_status check_augment(const struct adele_augment *augment, int c) {
    bool is_finite = isfinite(augment->rotate_degrees) && isfinite(augment->translate) &&
                     isfinite(augment->scale_low) && isfinite(augment->scale_high) &&
                     isfinite(augment->flip);
    if (!augment->enabled)
        return ADELE_OK;
    if ((int)augment->kind < ADELE_AUGMENT_AFFINE || (int)augment->kind > ADELE_AUGMENT_VOC)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use affine or voc.",
                    "sample: unknown kind of augmentation %d", (int)augment->kind);
    if (is_voc(augment) &&
        (!(augment->hsv >= 0.0 && augment->hsv <= 180.0) || (augment->hsv > 0.0 && c != 3)))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give 0 to 180 for images of 3 channels, else 0.",
                    "sample: hsv jitter of %g for %d channels", augment->hsv, c);
    if (!is_finite || !(augment->scale_low > 0.0) || augment->scale_high < augment->scale_low)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give finite numbers with 0 < low <= high scale.",
                    "sample: augmentation rotates %g, translates %g, scales %g to %g, flips %g",
                    augment->rotate_degrees, augment->translate, augment->scale_low,
                    augment->scale_high, augment->flip);
    return ADELE_OK;
}

adele_status op_check_sample(const struct adele_sample_desc *desc) {
    if (desc->n < 1 || desc->c < 1 || desc->h < 1 || desc->w < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "Extents are at least 1.",
                    "sample: bad shape %d x %d x %d x %d", desc->n, desc->c, desc->h, desc->w);
    if (desc->n_scales < 1 || desc->n_scales > ADELE_MAX_SCALES || desc->h_scale[0] != desc->h ||
        desc->w_scale[0] != desc->w)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give 1 to 4 scales; scale 0 has the crop's size.",
                    "sample: %d scales, scale 0 of %d x %d for crops of %d x %d", desc->n_scales,
                    desc->h_scale[0], desc->w_scale[0], desc->h, desc->w);
    for (int k = 1; k < desc->n_scales; k++)
        if (desc->h_scale[k] < 1 || desc->w_scale[k] < 1)
            return FAIL(ADELE_INVALID_ARGUMENT, "Extents are at least 1.",
                        "sample: scale %d is %d x %d", k, desc->h_scale[k], desc->w_scale[k]);
    return check_augment(&desc->augment, desc->c);
}

adele_status op_check_sample_args(const struct adele_sample_desc *desc,
                                  const struct adele_sample_args *args) {
    const struct adele_sample_set *set = &args->set;
    const struct adele_augment *augment = &desc->augment;
    bool has_size = set->h == desc->h && set->w == desc->w;
    if (set->c != desc->c || set->h < 1 || set->w < 1 || (!has_size && !is_voc(augment)))
        return FAIL(ADELE_INVALID_ARGUMENT, "Make the op for the size of the set's images.",
                    "sample: set of %d x %d x %d, op for %d x %d x %d", set->c, set->h, set->w,
                    desc->c, desc->h, desc->w);
    if ((int)set->pixel < ADELE_PIXEL_U8 || (int)set->pixel > ADELE_PIXEL_F16)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use u8 or f16.", "sample: unknown pixel type %d",
                    (int)set->pixel);
    if (is_voc(augment) && augment->hsv > 0.0 && set->pixel != ADELE_PIXEL_U8)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use u8 images, or no hsv jitter.",
                    "sample: hsv jitter of %g for images that are not u8", augment->hsv);
    if ((set->images == NULL && args->batch_images == NULL) || set->mean == NULL ||
        set->inv_std == NULL || args->sample_ids == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give images, mean, inv_std and ids.",
                    "sample: an array is missing");
    if ((args->labels != NULL && set->labels == NULL) ||
        (args->noisy != NULL && set->noisy == NULL) || (args->truth != NULL && set->truth == NULL))
        return FAIL(ADELE_INVALID_ARGUMENT, "Ask only for label maps that the set has.",
                    "sample: the set lacks a label map");
    for (int k = 0; k < desc->n_scales; k++)
        if (args->images[k] == NULL)
            return FAIL(ADELE_INVALID_ARGUMENT, "Give an image tensor for every scale.",
                        "sample: no image tensor for scale %d", k);
    return ADELE_OK;
}

// ---- predictions and labels ---------------------------------------------------------------------

adele_status op_check_ensemble(const struct adele_ensemble_desc *desc) {
    if (desc->n < 1 || desc->c < 1 || desc->c > ADELE_MAX_CATEGORIES || desc->h_in < 1 ||
        desc->w_in < 1 || desc->h < 1 || desc->w < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "1 to 255 categories, extents of at least 1.",
                    "ensemble: %d x %d x %d x %d to %d x %d", desc->n, desc->c, desc->h_in,
                    desc->w_in, desc->h, desc->w);
    if ((int)desc->mode < ADELE_ENSEMBLE_PROBABILITIES || (int)desc->mode > ADELE_ENSEMBLE_LOGITS)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use probabilities or logits.",
                    "ensemble: unknown mode %d", (int)desc->mode);
    return ADELE_OK;
}

adele_status op_check_ensemble_args(const struct adele_ensemble_args *args) {
    if (args->logits == NULL || args->accumulator == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give logits and accumulator.",
                    "ensemble: an array is missing");
    if (!isfinite(args->weight))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give 1 / number of members.", "ensemble: weight %g",
                    (double)args->weight);
    return ADELE_OK;
}

adele_status op_check_decide(const struct adele_decide_desc *desc) {
    if (desc->n < 1 || desc->c < 1 || desc->c > ADELE_MAX_CATEGORIES || desc->h < 1 || desc->w < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "1 to 255 categories, extents of at least 1.",
                    "decide: bad shape %d x %d x %d x %d", desc->n, desc->c, desc->h, desc->w);
    if ((int)desc->mode < ADELE_ENSEMBLE_PROBABILITIES || (int)desc->mode > ADELE_ENSEMBLE_LOGITS)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use probabilities or logits.",
                    "decide: unknown mode %d", (int)desc->mode);
    if (desc->mode == ADELE_ENSEMBLE_LOGITS &&
        (!(desc->temperature > 0.0) || !isfinite(desc->temperature)))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give a temperature above 0, 1 for none.",
                    "decide: temperature %g", desc->temperature);
    return ADELE_OK;
}

adele_status op_check_decide_args(const struct adele_decide_args *args) {
    if (args->accumulator == NULL || args->prediction == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give accumulator and prediction.",
                    "decide: an array is missing");
    return ADELE_OK;
}

// Above 0, and not so narrow that the lattice's coordinates of `extent` lose their fractions.
static bool is_sigma(double sigma, double extent) {
    return isfinite(sigma) && sigma > 0.0 && extent / sigma <= 1e6;
}

adele_status op_check_crf(const struct adele_crf_desc *desc) {
    if (desc->n < 1 || desc->c < 1 || desc->c > ADELE_MAX_CATEGORIES || desc->h < 1 || desc->w < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "1 to 255 categories, extents of at least 1.",
                    "crf: bad shape %d x %d x %d x %d", desc->n, desc->c, desc->h, desc->w);
    if (desc->image_c != 1 && desc->image_c != 3)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give gray or RGB images.", "crf: image of %d channels",
                    desc->image_c);
    if ((int64_t)desc->h * desc->w > CRF_MAX_PIXELS)
        return FAIL(ADELE_INVALID_ARGUMENT, "Make the images smaller.",
                    "crf: image of %d x %d, at most %d pixels", desc->h, desc->w, CRF_MAX_PIXELS);
    if (desc->iterations < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give 1 or more.", "crf: %d iterations",
                    desc->iterations);
    double extent = desc->h > desc->w ? desc->h : desc->w;
    if (!is_sigma(desc->spatial_sigma, extent) || !is_sigma(desc->bilateral_sigma, extent) ||
        !is_sigma(desc->colour_sigma, 255.0) || !isfinite(desc->spatial_weight) ||
        !isfinite(desc->bilateral_weight))
        return FAIL(ADELE_INVALID_ARGUMENT, "Widths above 0, weights finite; 3, 3, 32, 13, 10.",
                    "crf: spatial width %g, weight %g; bilateral width %g, colour %g, weight %g",
                    desc->spatial_sigma, desc->spatial_weight, desc->bilateral_sigma,
                    desc->colour_sigma, desc->bilateral_weight);
    return ADELE_OK;
}

adele_status op_check_crf_args(const struct adele_crf_args *args) {
    if (args->probabilities == NULL || args->images == NULL || args->dst == NULL ||
        args->workspace == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give probabilities, images, dst and workspace.",
                    "crf: an array is missing");
    return ADELE_OK;
}

adele_status op_check_correct(const struct adele_correct_desc *desc) {
    if (desc->n < 1 || desc->h < 1 || desc->w < 1 || desc->n_categories < 1 ||
        desc->n_categories > ADELE_MAX_CATEGORIES)
        return FAIL(ADELE_INVALID_ARGUMENT, "1 to 255 categories, extents of at least 1.",
                    "correct: %d images of %d x %d with %d categories", desc->n, desc->h, desc->w,
                    desc->n_categories);
    if ((int)desc->rule < ADELE_CORRECT_BOTH || (int)desc->rule > ADELE_CORRECT_SINGLE)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use both or single.", "correct: unknown rule %d",
                    (int)desc->rule);
    if (isnan(desc->tau_foreground) || isnan(desc->tau_background))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give thresholds between 0 and 1.",
                    "correct: thresholds %g and %g", desc->tau_foreground, desc->tau_background);
    return ADELE_OK;
}

adele_status op_check_correct_args(const struct adele_correct_args *args) {
    if (args->base == NULL || args->labels == NULL || args->prediction == NULL ||
        args->confidence_foreground == NULL || args->confidence_background == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give base, labels, prediction and both confidences.",
                    "correct: an array is missing");
    return ADELE_OK;
}

adele_status op_check_count(const struct adele_count_desc *desc) {
    if (desc->n < 1 || desc->h < 1 || desc->w < 1 || desc->n_categories < 1 ||
        desc->n_categories > ADELE_MAX_CATEGORIES)
        return FAIL(ADELE_INVALID_ARGUMENT, "1 to 255 categories, extents of at least 1.",
                    "count: %d maps of %d x %d with %d categories", desc->n, desc->h, desc->w,
                    desc->n_categories);
    return ADELE_OK;
}

adele_status op_check_count_args(const struct adele_count_args *args) {
    if (args->prediction == NULL || args->labels == NULL || args->counts == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give prediction, labels and counts.",
                    "count: an array is missing");
    return ADELE_OK;
}
