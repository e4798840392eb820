// SPDX-License-Identifier: MIT
#include "noise/noise_window.h"

#include "base/fail.h"
#include "base/memory.h"
#include "image/image.h"

#include <math.h>

#define ORGAN_PIXELS 1000.0
// A mask that would be enlarged beyond this many pixels is first cropped to the organ's
// neighbourhood, because a tiny organ in a large slice would need gigabytes otherwise.
#define MAX_PLANE (1 << 22)

static int at_least_one(double extent) {
    return extent < 1 ? 1 : (int)lrint(extent);
}

void noise_window_choose(const uint8_t *labels, int height, int width, int category, int n_steps,
                         int64_t area, struct noise_window *out) {
    double scale = sqrt(ORGAN_PIXELS / (double)area);
    *out = (struct noise_window){0, 0, height, width, 0, 0};
    if (scale * scale * height * width > MAX_PLANE) {
        int top = height, left = width, bottom = 0, right = 0;
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                if (labels[(size_t)y * (size_t)width + (size_t)x] != category)
                    continue;
                top = y < top ? y : top;
                bottom = y > bottom ? y : bottom;
                left = x < left ? x : left;
                right = x > right ? x : right;
            }
        int margin = 3 + (int)(n_steps / scale);
        out->top = top > margin ? top - margin : 0;
        out->left = left > margin ? left - margin : 0;
        out->height = (bottom + margin < height - 1 ? bottom + margin : height - 1) - out->top + 1;
        out->width = (right + margin < width - 1 ? right + margin : width - 1) - out->left + 1;
        double largest = sqrt((double)MAX_PLANE / ((double)out->height * out->width));
        scale = fmin(scale, largest);
    }
    out->small_height = at_least_one(out->height * scale);
    out->small_width = at_least_one(out->width * scale);
}

void noise_work_deinit(struct noise_work *work) {
    memory_free(work->large);
    memory_free(work->small);
    memory_free(work->mask);
}

adele_status noise_work_init(struct noise_work *work, const struct noise_window *window) {
    size_t n_large = (size_t)window->height * (size_t)window->width;
    size_t n_small = (size_t)window->small_height * (size_t)window->small_width;
    TRY(ALLOCATE(&work->large, n_large));
    TRY(ALLOCATE(&work->small, n_small));
    return ALLOCATE(&work->mask, n_small);
}

adele_status noise_work_shrink(const uint8_t *labels, int width, int category,
                               const struct noise_window *w, struct noise_work *work) {
    size_t n_small = (size_t)w->small_height * (size_t)w->small_width;
    for (int y = 0; y < w->height; y++) {
        const uint8_t *row = labels + (size_t)(w->top + y) * (size_t)width + (size_t)w->left;
        for (int x = 0; x < w->width; x++)
            work->large[(size_t)y * (size_t)w->width + (size_t)x] = row[x] == category;
    }
    TRY(resize_cubic_f32(work->large, w->height, w->width, work->small, w->small_height,
                         w->small_width));
    for (size_t i = 0; i < n_small; i++)
        work->mask[i] = work->small[i] > NOISE_COVERED;
    return ADELE_OK;
}

adele_status noise_work_enlarge(const struct noise_window *w, struct noise_work *work) {
    size_t n_small = (size_t)w->small_height * (size_t)w->small_width;
    for (size_t i = 0; i < n_small; i++)
        work->small[i] = work->mask[i];
    return resize_cubic_f32(work->small, w->small_height, w->small_width, work->large, w->height,
                            w->width);
}

int noise_order_category(int i) {
    static const int organs[] = {1, 3, 4, 2};
    return i < 4 ? organs[i] : i + 1;
}

// One more than the last category, because the order has gaps below 4.
int noise_order_count(int n_categories) {
    return n_categories > 5 ? n_categories - 1 : 4;
}
