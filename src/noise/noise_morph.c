// SPDX-License-Identifier: MIT
// One label map's organs eroded or dilated at a common size of about 1,000 pixels: METHOD
// section 6.
#include "noise/noise_kinds.h"

#include "base/fail.h"
#include "base/memory.h"
#include "image/image.h"
#include "noise/noise.h"
#include "noise/noise_field.h"
#include "noise/noise_window.h"

#include <stdbool.h>
#include <string.h>

#define MAX_COUNT 2048

// The category's mask in the window, resized, eroded or dilated, resized back; in work->large.
static adele_status reshape(const uint8_t *labels, int width, int category, int n_iterations,
                            int is_over, const struct noise_window *w, struct noise_work *work) {
    TRY(noise_work_shrink(labels, width, category, w, work));
    if (is_over)
        TRY(morphology_dilate(work->mask, w->small_height, w->small_width, n_iterations));
    else
        TRY(morphology_erode(work->mask, w->small_height, w->small_width, n_iterations));
    return noise_work_enlarge(w, work);
}

// The pixels that are changed: where the field (NULL = everywhere) is below `share`.
struct selection {
    const struct noise_field *field;
    double share;
};

// One whole count of iterations of one category, on the selected pixels of `out`.
static adele_status reshape_category(const uint8_t *clean, int height, int width, int category,
                                     int n_iterations, int is_over, int64_t area,
                                     struct selection selection, uint8_t *out) {
    struct noise_window w;
    CLEANUP(noise_work_deinit) struct noise_work work = {NULL, NULL, NULL};
    noise_window_choose(clean, height, width, category, n_iterations, area, &w);
    TRY(noise_work_init(&work, &w));
    TRY(reshape(clean, width, category, n_iterations, is_over, &w, &work));
    for (int y = 0; y < w.height; y++) {
        uint8_t *row = out + (size_t)(w.top + y) * (size_t)width + (size_t)w.left;
        const float *inside = work.large + (size_t)y * (size_t)w.width;
        for (int x = 0; x < w.width; x++) {
            bool is_in = inside[x] > NOISE_COVERED;
            if (is_over ? !is_in || row[x] != 0 : is_in || row[x] != category)
                continue;
            if (selection.field &&
                !(noise_field_at(selection.field, (w.top + y) / (double)height,
                                 (w.left + x) / (double)width) < selection.share))
                continue;
            row[x] = is_over ? (uint8_t)category : 0;
        }
    }
    return ADELE_OK;
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
    for (int i = 0; i < noise_order_count(n_categories); i++) {
        int category = noise_order_category(i);
        struct noise_field field;
        if (category >= n_categories || area[category] == 0)
            continue;
        noise_field_init(&field, &wobble);
        if (whole > 0)
            TRY(reshape_category(clean, height, width, category, whole, is_over, area[category],
                                 (struct selection){NULL, 1}, out));
        if (share > 0)
            TRY(reshape_category(clean, height, width, category, whole + 1, is_over, area[category],
                                 (struct selection){&field, share}, out));
    }
    return ADELE_OK;
}
