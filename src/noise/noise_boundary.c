// SPDX-License-Identifier: MIT
#include "noise/noise_kinds.h"

#include "base/fail.h"
#include "base/memory.h"
#include "noise/noise_field.h"
#include "noise/noise_window.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define MOVE 0.5 // probability that a pixel at the contour moves, where the bias allows it
// The bias rises from 0 to 1 while the field rises by 1 / STEEPNESS.
#define STEEPNESS 4.0

struct walk {
    struct noise_window window; // of the category at work
    int height, width;          // of the whole plane
    double n_steps, outward;
    struct noise_field field;
    struct random_stream stream;
};

// Outward 0 puts the rise above all values of the field, outward 1 below them.
static double bias_at(const struct walk *walk, int y, int x) {
    const struct noise_window *w = &walk->window;
    double row = w->top + (y + 0.5) * w->height / w->small_height;
    double column = w->left + (x + 0.5) * w->width / w->small_width;
    double middle = 1 + 0.5 / STEEPNESS - walk->outward * (1 + 1 / STEEPNESS);
    double value = noise_field_at(&walk->field, row / walk->height, column / walk->width);
    return fmin(1, fmax(0, 0.5 + STEEPNESS * (value - middle)));
}

struct box {
    int top, left, bottom, right; // the last two are not part of it
};

// The box of the mask and one pixel more on each side, which is where its contour can move to.
static struct box box_of(const uint8_t *mask, int height, int width) {
    struct box box = {height, width, 0, 0};
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            if (!mask[(size_t)y * (size_t)width + (size_t)x])
                continue;
            box.top = y < box.top ? y : box.top;
            box.left = x < box.left ? x : box.left;
            box.bottom = y + 1;
            box.right = x + 1 > box.right ? x + 1 : box.right;
        }
    }
    return box;
}

static struct box box_grow(struct box box, int height, int width) {
    return (struct box){box.top > 0 ? box.top - 1 : 0, box.left > 0 ? box.left - 1 : 0,
                        box.bottom < height ? box.bottom + 1 : height,
                        box.right < width ? box.right + 1 : width};
}

static bool is_at_contour(const uint8_t *mask, int height, int width, int y, int x) {
    const uint8_t *here = mask + (size_t)y * (size_t)width + (size_t)x;
    return (y > 0 && here[-width] != *here) || (y < height - 1 && here[width] != *here) ||
           (x > 0 && here[-1] != *here) || (x < width - 1 && here[1] != *here);
}

// Every pixel at the contour draws one number, whatever its chance, so that the steps of a larger
// count begin with those of a smaller one.
static void step(struct walk *walk, double share, struct box box, const uint8_t *before,
                 uint8_t *mask) {
    int height = walk->window.small_height, width = walk->window.small_width;
    for (int y = box.top; y < box.bottom; y++) {
        for (int x = box.left; x < box.right; x++) {
            if (!is_at_contour(before, height, width, y, x))
                continue;
            size_t at = (size_t)y * (size_t)width + (size_t)x;
            double draw = random_uniform(&walk->stream), bias = bias_at(walk, y, x);
            if (draw < share * MOVE * (before[at] ? 1 - bias : bias))
                mask[at] = !before[at];
        }
    }
}

static adele_status walk_mask(struct walk *walk, uint8_t *mask) {
    int height = walk->window.small_height, width = walk->window.small_width;
    size_t n = (size_t)height * (size_t)width;
    struct box box = box_of(mask, height, width);
    OWNED uint8_t *before = NULL;
    if (box.bottom == 0)
        return ADELE_OK;
    TRY(ALLOCATE(&before, n));
    memcpy(before, mask, n);
    for (int i = 0; i < walk->n_steps; i++) {
        box = box_grow(box, height, width);
        step(walk, fmin(1, walk->n_steps - i), box, before, mask);
        for (int y = box.top; y < box.bottom; y++) {
            size_t row = (size_t)y * (size_t)width + (size_t)box.left;
            memcpy(before + row, mask + row, (size_t)(box.right - box.left));
        }
    }
    return ADELE_OK;
}

// The masks before and after the walk are resized back both, so that what the resizing itself does
// to a contour changes no pixel.
static void change_pixels(const struct noise_window *w, int width, int category,
                          const uint8_t *was_in, const float *inside, uint8_t *out) {
    for (int y = 0; y < w->height; y++) {
        uint8_t *row = out + (size_t)(w->top + y) * (size_t)width + (size_t)w->left;
        for (int x = 0; x < w->width; x++) {
            size_t at = (size_t)y * (size_t)w->width + (size_t)x;
            bool is_in = inside[at] > NOISE_COVERED;
            if (was_in[at] && !is_in && row[x] == category)
                row[x] = 0;
            if (!was_in[at] && is_in && row[x] == 0)
                row[x] = (uint8_t)category;
        }
    }
}

static adele_status move_category(struct walk *walk, const uint8_t *clean, int category,
                                  int64_t area, uint8_t *out) {
    struct noise_window *w = &walk->window;
    CLEANUP(noise_work_deinit) struct noise_work work = {0};
    OWNED uint8_t *was_in = NULL;
    noise_window_choose(clean, walk->height, walk->width, category, (int)ceil(walk->n_steps), area,
                        w);
    size_t n = (size_t)w->height * (size_t)w->width;
    TRY(ALLOCATE(&was_in, n));
    TRY(noise_work_init(&work, w));
    TRY(noise_work_shrink(clean, walk->width, category, w, &work));
    TRY(noise_work_enlarge(w, &work));
    for (size_t i = 0; i < n; i++)
        was_in[i] = work.large[i] > NOISE_COVERED;
    TRY(walk_mask(walk, work.mask));
    TRY(noise_work_enlarge(w, &work));
    change_pixels(w, walk->width, category, was_in, work.large, out);
    return ADELE_OK;
}

adele_status noise_boundary(const uint8_t *clean, int height, int width, int n_categories,
                            double n_steps, double outward, struct random_stream stream,
                            uint8_t *out) {
    struct walk walk = {.height = height, .width = width, .n_steps = n_steps, .outward = outward};
    int64_t area[256] = {0};
    if (height < 1 || width < 1 || !(n_steps >= 0 && n_steps <= NOISE_BOUNDARY_MAX_STEPS) ||
        !(outward >= 0 && outward <= 1))
        return FAIL(ADELE_INVALID_ARGUMENT, "", "a walk of %g steps, %g outward, on %d x %d pixels",
                    n_steps, outward, width, height);
    memcpy(out, clean, (size_t)height * (size_t)width);
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++)
        area[clean[i]]++;
    for (int i = 0; i < noise_order_count(n_categories); i++) {
        int category = noise_order_category(i);
        if (category >= n_categories || area[category] == 0)
            continue;
        random_stream_split(&stream, &walk.stream);
        noise_field_init(&walk.field, &walk.stream);
        TRY(move_category(&walk, clean, category, area[category], out));
    }
    return ADELE_OK;
}
