// SPDX-License-Identifier: MIT
// METHOD section 3: labels rewritten from confident predictions. One image is one task, because the
// labels of the whole image decide whether it is corrected; `labels` may be the memory of `base`.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "device/op_check.h"
#include <math.h>
#include <string.h>

// The guard rejects a correction that leaves less than this part of the foreground,
#define GUARD_FOREGROUND_KEPT 0.5
// and background in more than this part of the image.
#define GUARD_BACKGROUND 0.95

struct correct_op {
    struct cpu_op base;
    struct adele_correct_desc desc;
};

// Properties of an image's labels before the first pixel is rewritten.
struct image_labels {
    bool is_present[256];
    bool is_corrected;
    bool has_only_background; // only labels 0 and 255
};

adele_status cpu_correct_create(const struct adele_device *device,
                                const struct adele_correct_desc *desc, struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_correct, sizeof(struct correct_op), out));
    struct correct_op *op = (struct correct_op *)*out;
    op->desc = *desc;
    return ADELE_OK;
}

static bool is_foreground(uint8_t label) {
    return label != 0 && label != ADELE_IGNORE;
}

static void inspect_labels(const struct correct_op *op, const struct adele_correct_args *args,
                           const uint8_t *base, size_t n_pixels, struct image_labels *image) {
    memset(image, 0, sizeof *image);
    for (size_t i = 0; i < n_pixels; i++)
        image->is_present[base[i]] = true;
    image->has_only_background = true;
    for (int c = 1; c < ADELE_IGNORE; c++) {
        image->has_only_background &= !image->is_present[c];
        image->is_corrected |= image->is_present[c] && args->correct[c] != 0;
    }
    if (op->desc.rule == ADELE_CORRECT_SINGLE)
        image->is_corrected |= image->has_only_background;
}

// The label of one pixel after the correction.
static uint8_t corrected_label(const struct correct_op *op, const struct adele_correct_args *args,
                               const struct image_labels *image, uint8_t label, size_t i) {
    const struct adele_correct_desc *desc = &op->desc;
    uint8_t prediction = args->prediction[i];
    bool is_both = desc->rule == ADELE_CORRECT_BOTH;
    // The thresholds are rounded to float, the type of the confidences, on every device.
    bool is_confident = args->confidence_foreground[i] > (float)desc->tau_foreground ||
                        args->confidence_background[i] > (float)desc->tau_background;
    bool is_due = prediction == 0 || (prediction != ADELE_IGNORE && args->correct[prediction] != 0);
    if (is_both)
        is_due = is_due && (label == 0 || (label != ADELE_IGNORE && args->correct[label] != 0));
    bool is_allowed = !desc->class_constraint || image->is_present[prediction] ||
                      (is_both ? prediction == 0 : image->has_only_background);
    uint8_t result = label;
    if (is_confident && is_due && is_allowed)
        result = desc->mask && prediction != label ? ADELE_IGNORE : prediction;
    if (is_both && desc->logic255 && label != 0 && prediction == 0)
        result = ADELE_IGNORE;
    return result;
}

// True when the correction would remove most of the foreground and leave almost only background.
static bool is_guarded(const struct correct_op *op, const struct adele_correct_args *args,
                       const struct image_labels *image, const uint8_t *base, size_t first,
                       size_t n_pixels) {
    size_t n_foreground_before = 0, n_foreground_after = 0, n_background_after = 0;
    for (size_t i = 0; i < n_pixels; i++) {
        uint8_t after = corrected_label(op, args, image, base[i], first + i);
        n_foreground_before += is_foreground(base[i]);
        n_foreground_after += is_foreground(after);
        n_background_after += after == 0;
    }
    return (double)n_foreground_after < GUARD_FOREGROUND_KEPT * (double)n_foreground_before &&
           (double)n_background_after > GUARD_BACKGROUND * (double)n_pixels;
}

// Returns how many pixels differ from the base.
static int64_t correct_image(const struct correct_op *op, const struct adele_correct_args *args,
                             int n) {
    const struct adele_correct_desc *desc = &op->desc;
    size_t n_pixels = (size_t)desc->h * (size_t)desc->w;
    size_t first = (size_t)n * n_pixels;
    const uint8_t *base = args->base + first;
    uint8_t *labels = args->labels + first;
    struct image_labels image;
    inspect_labels(op, args, base, n_pixels, &image);
    bool is_skipped = !image.is_corrected || (desc->rule == ADELE_CORRECT_SINGLE && desc->guard &&
                                              is_guarded(op, args, &image, base, first, n_pixels));
    if (is_skipped) {
        memmove(labels, base, n_pixels);
        return 0;
    }
    int64_t n_changed = 0;
    for (size_t i = 0; i < n_pixels; i++) {
        uint8_t before = base[i];
        labels[i] = corrected_label(op, args, &image, before, first + i);
        n_changed += labels[i] != before;
    }
    return n_changed;
}

adele_status cpu_correct_forward(struct adele_op *base, const struct adele_correct_args *args) {
    struct correct_op *op = (struct correct_op *)base;
    TRY(op_check_correct_args(args));
    int64_t n_changed = 0;
#pragma omp parallel for schedule(dynamic) reduction(+ : n_changed)
    for (int n = 0; n < op->desc.n; n++)
        n_changed += correct_image(op, args, n);
    if (args->n_changed != NULL)
        *args->n_changed += n_changed;
    return ADELE_OK;
}
