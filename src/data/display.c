// SPDX-License-Identifier: MIT
// A window by percentile: with the smallest and the largest value instead, a single bright marker
// makes the rest of an X-ray one shade.
#include "data/display.h"

#include "base/fail.h"
#include "base/half.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

#define N_KEYS    65536
#define N_CUT_OFF 200 // one of 200 values lies below the window, and one above

struct window {
    float low, high;
};

// Numbers that are in the order of the values, so that a histogram of them gives exact percentiles:
// the bits of negative half floats grow with the magnitude.
static unsigned key_of(const struct dataset_images *images, size_t at) {
    if (!images->is_f16)
        return ((const uint8_t *)images->images)[at];
    unsigned bits = ((const uint16_t *)images->images)[at];
    return bits & 0x8000u ? 0xFFFFu - bits : bits | 0x8000u;
}

static float value_of_key(const struct dataset_images *images, unsigned key) {
    if (!images->is_f16)
        return (float)key;
    return half_to_float((uint16_t)(key & 0x8000u ? key & 0x7FFFu : 0xFFFFu - key));
}

static struct window find_window(const struct dataset_images *images, size_t first, size_t n,
                                 uint32_t *histogram) {
    size_t n_finite = 0, seen = 0;
    struct window window = {NAN, NAN};
    memset(histogram, 0, N_KEYS * sizeof *histogram);
    for (size_t k = 0; k < n; k++) {
        unsigned key = key_of(images, first + k);
        bool is_finite = isfinite(value_of_key(images, key));
        histogram[key] += is_finite;
        n_finite += is_finite;
    }
    size_t n_cut = n_finite / N_CUT_OFF;
    for (unsigned key = 0; key < N_KEYS && seen < n_finite; key++) {
        if (histogram[key] == 0)
            continue;
        if (seen <= n_cut)
            window.low = value_of_key(images, key);
        if (seen < n_finite - n_cut)
            window.high = value_of_key(images, key);
        seen += histogram[key];
    }
    return window;
}

static void apply_window(const struct dataset_images *images, struct window window, size_t first,
                         size_t n, uint8_t *out) {
    for (size_t k = 0; k < n; k++) {
        float value = value_of_key(images, key_of(images, first + k));
        float share = (value - window.low) / (window.high - window.low);
        out[k] = !(share > 0.0f) || !isfinite(value) ? 0
                 : share >= 1.0f                     ? 255
                                                     : (uint8_t)(share * 255.0f + 0.5f);
    }
}

adele_status display_image(const struct dataset_images *images, int i, uint8_t *out) {
    size_t plane = (size_t)images->h * (size_t)images->w, n = plane * (size_t)images->c;
    size_t first = (size_t)i * n;
    if (!images->is_f16 && images->c == 3) {
        memcpy(out, (const uint8_t *)images->images + first, n);
        return ADELE_OK;
    }
    OWNED uint32_t *histogram = NULL;
    TRY(ALLOCATE(&histogram, N_KEYS));
    size_t step = images->c == 3 ? n : plane;
    for (size_t at = 0; at < n; at += step)
        apply_window(images, find_window(images, first + at, step, histogram), first + at, step,
                     out + at);
    return ADELE_OK;
}
