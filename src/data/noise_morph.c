// SPDX-License-Identifier: MIT
// One label map's organs eroded or dilated at a common size of about 1,000 pixels: METHOD
// section 6. The program resamples 8-bit masks, so "> 0" after its cubic interpolation means more
// than half: one half itself rounds to the even 0.
#include "data/noise_morph.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/noise.h"
#include "image/image.h"

#include <math.h>
#include <string.h>

#define ORGAN_PIXELS 1000.0
// A mask that would be enlarged beyond this many pixels is first cropped to the organ's
// neighbourhood, because a tiny organ in a large slice would need gigabytes otherwise.
#define MAX_PLANE   (1 << 22)
#define MAX_COUNT   2048
#define WOBBLE_GRID 6
#define COVERED     0.5F

// The part of the plane that is processed, and its size after resizing.
struct window {
    int top, left, height, width;
    int small_height, small_width;
};

struct wobble {
    double grid[WOBBLE_GRID][WOBBLE_GRID];
};

static void wobble_init(struct wobble *wobble, struct random_stream *stream) {
    for (int i = 0; i < WOBBLE_GRID; i++)
        for (int j = 0; j < WOBBLE_GRID; j++)
            wobble->grid[i][j] = random_uniform(stream);
}

// The field at a position given as a share of height and width: bilinear interpolation of the
// grid's values.
static double wobble_at(const struct wobble *wobble, double y, double x) {
    double row = y * (WOBBLE_GRID - 1), column = x * (WOBBLE_GRID - 1);
    int i = (int)row, j = (int)column;
    double v = row - i, u = column - j;
    const double(*grid)[WOBBLE_GRID] = wobble->grid;
    return (1 - v) * ((1 - u) * grid[i][j] + u * grid[i][j + 1]) +
           v * ((1 - u) * grid[i + 1][j] + u * grid[i + 1][j + 1]);
}

static int at_least_one(double extent) {
    return extent < 1 ? 1 : (int)lrint(extent);
}

// The whole plane resized by sqrt(1000 / area) or, if that is too large, the organ's neighbourhood.
static void choose_window(const uint8_t *labels, int height, int width, int category,
                          int n_iterations, int64_t area, struct window *out) {
    double scale = sqrt(ORGAN_PIXELS / (double)area);
    *out = (struct window){0, 0, height, width, 0, 0};
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
        int margin = 3 + (int)(n_iterations / scale);
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

// Buffers of one category's work, freed together.
struct work {
    float *large, *small; // of the window, before and after resizing
    uint8_t *mask;        // (small_height, small_width)
};

static void work_deinit(struct work *work) {
    memory_free(work->large);
    memory_free(work->small);
    memory_free(work->mask);
}

static adele_status work_init(struct work *work, const struct window *window) {
    size_t n_large = (size_t)window->height * (size_t)window->width;
    size_t n_small = (size_t)window->small_height * (size_t)window->small_width;
    TRY(ALLOCATE(&work->large, n_large));
    TRY(ALLOCATE(&work->small, n_small));
    return ALLOCATE(&work->mask, n_small);
}

// The category's mask in the window, resized, eroded or dilated, resized back; in work->large.
static adele_status reshape(const uint8_t *labels, int width, int category, int n_iterations,
                            int is_over, const struct window *w, struct work *work) {
    size_t n_small = (size_t)w->small_height * (size_t)w->small_width;
    for (int y = 0; y < w->height; y++) {
        const uint8_t *row = labels + (size_t)(w->top + y) * (size_t)width + (size_t)w->left;
        for (int x = 0; x < w->width; x++)
            work->large[(size_t)y * (size_t)w->width + (size_t)x] = row[x] == category;
    }
    TRY(resize_cubic_f32(work->large, w->height, w->width, work->small, w->small_height,
                         w->small_width));
    for (size_t i = 0; i < n_small; i++)
        work->mask[i] = work->small[i] > COVERED;
    if (is_over)
        TRY(morphology_dilate(work->mask, w->small_height, w->small_width, n_iterations));
    else
        TRY(morphology_erode(work->mask, w->small_height, w->small_width, n_iterations));
    for (size_t i = 0; i < n_small; i++)
        work->small[i] = work->mask[i];
    return resize_cubic_f32(work->small, w->small_height, w->small_width, work->large, w->height,
                            w->width);
}

// The pixels that are changed: where the field (NULL = everywhere) is below `share`.
struct selection {
    const struct wobble *wobble;
    double share;
};

// One whole count of iterations of one category, on the selected pixels of `out`.
static adele_status apply(const uint8_t *clean, int height, int width, int category,
                          int n_iterations, int is_over, int64_t area, struct selection selection,
                          uint8_t *out) {
    struct window w;
    struct work work = {NULL, NULL, NULL};
    adele_status status;
    choose_window(clean, height, width, category, n_iterations, area, &w);
    TRY_GOTO(work_init(&work, &w), done);
    TRY_GOTO(reshape(clean, width, category, n_iterations, is_over, &w, &work), done);
    for (int y = 0; y < w.height; y++) {
        uint8_t *row = out + (size_t)(w.top + y) * (size_t)width + (size_t)w.left;
        const float *inside = work.large + (size_t)y * (size_t)w.width;
        for (int x = 0; x < w.width; x++) {
            bool is_in = inside[x] > COVERED;
            if (is_over ? !is_in || row[x] != 0 : is_in || row[x] != category)
                continue;
            if (selection.wobble && !(wobble_at(selection.wobble, (w.top + y) / (double)height,
                                                (w.left + x) / (double)width) < selection.share))
                continue;
            row[x] = is_over ? (uint8_t)category : 0;
        }
    }
done:
    work_deinit(&work);
    return status;
}

// The official program's order of organs, then the others.
static int category_in_order(int i) {
    static const int organs[] = {1, 3, 4, 2};
    return i < 4 ? organs[i] : i + 1;
}

adele_status noise_morph(const uint8_t *clean, int height, int width, int n_categories,
                         double count, int is_over, struct random_stream wobble, uint8_t *out) {
    if (height < 1 || width < 1 || n_categories < 1 || n_categories > 255 ||
        !(count >= 0 && count <= MAX_COUNT))
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "noise of a %d x %d map of %d classes, %g iterations", width, height,
                    n_categories, count);
    size_t n_pixels = (size_t)height * (size_t)width;
    int whole = (int)count;
    double share = count - whole;
    int64_t area[256] = {0};
    memcpy(out, clean, n_pixels);
    for (size_t i = 0; i < n_pixels; i++)
        area[clean[i]]++;
    // One more than the last category, because the order has gaps below 4.
    for (int i = 0; i < (n_categories > 5 ? n_categories - 1 : 4); i++) {
        int category = category_in_order(i);
        struct wobble field;
        if (category >= n_categories || area[category] == 0)
            continue;
        wobble_init(&field, &wobble);
        if (whole > 0)
            TRY(apply(clean, height, width, category, whole, is_over, area[category],
                      (struct selection){NULL, 1}, out));
        if (share > 0)
            TRY(apply(clean, height, width, category, whole + 1, is_over, area[category],
                      (struct selection){&field, share}, out));
    }
    return ADELE_OK;
}

adele_status noise_under_over(const uint8_t *clean, int height, int width, int n_categories,
                              int n_iterations, int is_over, uint8_t *out) {
    struct random_stream unused = {{0}, {0}, {0}, 4};
    return noise_morph(clean, height, width, n_categories, n_iterations, is_over, unused, out);
}
