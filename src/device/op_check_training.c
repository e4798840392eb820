// SPDX-License-Identifier: MIT
// Checks of the ops in training_ops.h.
#include "device/op_check.h"

#include "base/fail.h"

#include <math.h>

adele_status op_check_loss(const struct adele_loss_desc *desc) {
    if (desc->n < 1 || desc->h < 1 || desc->w < 1 || desc->c < 1 || desc->c > ADELE_MAX_CATEGORIES)
        return FAIL(ADELE_INVALID_ARGUMENT, "1 to 255 classes, extents of at least 1.",
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

adele_status op_check_dice(const struct adele_dice_desc *desc) {
    if (desc->n < 1 || desc->h < 1 || desc->w < 1 || desc->h_logits < 1 || desc->w_logits < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "Extents are at least 1.",
                    "dice: bad shape %d x %d x %d, logits of %d x %d", desc->n, desc->h, desc->w,
                    desc->h_logits, desc->w_logits);
    if (desc->c < 2 || desc->c > ADELE_MAX_CATEGORIES)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give 2 to 255: the foreground alone counts.",
                    "dice: %d categories", desc->c);
    if (!(desc->weight >= 0.0) || !isfinite(desc->weight))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give a finite one of at least 0.",
                    "dice: a weight of %g", desc->weight);
    return ADELE_OK;
}

adele_status op_check_dice_args(const struct adele_dice_args *args) {
    if (args->logits == NULL || args->labels == NULL || args->workspace == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give logits, labels and workspace.",
                    "dice: an array is missing");
    return ADELE_OK;
}

static adele_status check_segments(const char *op, int n_segments,
                                   const struct adele_sgd_segment *segments) {
    for (int i = 0; i < n_segments; i++)
        if (segments[i].offset < 0 || segments[i].count < 0)
            return FAIL(ADELE_INVALID_ARGUMENT, "", "%s: segment %d: offset %lld, count %lld", op,
                        i, (long long)segments[i].offset, (long long)segments[i].count);
    return ADELE_OK;
}

adele_status op_check_sgd(const struct adele_sgd_desc *desc) {
    return check_segments("sgd", desc->n_segments, desc->segments);
}

adele_status op_check_adamw(const struct adele_adamw_desc *desc) {
    return check_segments("adamw", desc->n_segments, desc->segments);
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

adele_status op_check_combine(const struct adele_combine_desc *desc) {
    if (desc->n_floats < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give at least one.", "combine: vectors of %lld floats",
                    (long long)desc->n_floats);
    return ADELE_OK;
}

adele_status op_check_average(const struct adele_average_desc *desc) {
    if (desc->n_floats < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give at least one.", "average: vectors of %lld floats",
                    (long long)desc->n_floats);
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

static adele_status check_elastic(const struct adele_augment *augment) {
    double shift = augment->elastic_shift, spacing = augment->elastic_spacing;
    if (shift == 0.0)
        return ADELE_OK;
    if (is_voc(augment) || !(shift > 0.0) || !isfinite(spacing) ||
        spacing < ADELE_ELASTIC_SPACING || shift > ADELE_ELASTIC_SHARE * spacing)
        return FAIL(ADELE_INVALID_ARGUMENT,
                    "Use kind affine, a spacing of at least 8 pixels and a shift of at most 0.48 "
                    "of it.",
                    "sample: elastic shifts of %g pixels, %g apart, kind %d", shift, spacing,
                    (int)augment->kind);
    return ADELE_OK;
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
    return check_elastic(augment);
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
        return FAIL(ADELE_INVALID_ARGUMENT, "Ask only for masks that the set has.",
                    "sample: the set lacks a mask");
    for (int k = 0; k < desc->n_scales; k++)
        if (args->images[k] == NULL)
            return FAIL(ADELE_INVALID_ARGUMENT, "Give an image tensor for every scale.",
                        "sample: no image tensor for scale %d", k);
    return ADELE_OK;
}

adele_status op_check_augment_intensity(const struct adele_augment_intensity_desc *desc) {
    const struct adele_intensity *intensity = &desc->intensity;
    const double rates[] = {intensity->brightness, intensity->contrast, intensity->gamma,
                            intensity->noise, intensity->blur};
    if (desc->n < 1 || desc->c < 1 || desc->h < 1 || desc->w < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "Extents are at least 1.",
                    "augment_intensity: bad shape %d x %d x %d x %d", desc->n, desc->c, desc->h,
                    desc->w);
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        if (!(rates[i] >= 0.0 && rates[i] <= 1.0))
            return FAIL(ADELE_INVALID_ARGUMENT, "Probabilities are 0 to 1.",
                        "augment_intensity: brightness %g, contrast %g, gamma %g, noise %g, blur "
                        "%g",
                        rates[0], rates[1], rates[2], rates[3], rates[4]);
    return ADELE_OK;
}

adele_status op_check_augment_intensity_args(const struct adele_augment_intensity_args *args) {
    if (args->sample_ids == NULL || args->images == NULL || args->workspace == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give ids, images and workspace.",
                    "augment_intensity: an array is missing");
    return ADELE_OK;
}
