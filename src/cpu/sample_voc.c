// SPDX-License-Identifier: MIT
// Position o of an axis of n_scaled pixels looks at the source (o + 1/2) n / n_scaled - 1/2. That
// is a fraction of whole numbers, so pixels and labels do not depend on rounding. The cubic has
// Keys' a = -1/2 and four taps at every scale; beyond the border the border's pixel counts.
#include "cpu/sample_voc.h"

#include "base/random.h"

#include <math.h>

// Four source positions along an axis and their weights.
struct cubic_taps {
    int at[4];
    float weight[4];
};

static int scaled_extent(int n, double scale) {
    double scaled = floor((double)n * scale);
    return scaled < 1.0 ? 1 : (int)scaled;
}

// Uniform among all places, of the crop in the image or of the image in the crop.
static int crop_offset(int n_scaled, int n_crop, double uniform) {
    int n_places = (n_scaled > n_crop ? n_scaled - n_crop : n_crop - n_scaled) + 1;
    int offset = (int)floor(uniform * (double)n_places);
    return n_scaled > n_crop ? offset : -offset;
}

struct voc_placement voc_place(const struct adele_sample_desc *desc,
                               const struct adele_sample_args *args, int id) {
    const struct adele_augment *augment = &desc->augment;
    struct random_stream stream;
    random_stream_init(&stream, desc->seed, RANDOM_AUGMENT, args->epoch, (uint32_t)id);
    double scale = random_range(&stream, augment->scale_low, augment->scale_high);
    double along_x = random_uniform(&stream), along_y = random_uniform(&stream);
    bool is_mirrored = random_uniform(&stream) < augment->flip;
    struct voc_placement placement = {.w_scaled = scaled_extent(args->set.w, scale),
                                      .h_scaled = scaled_extent(args->set.h, scale),
                                      .is_flipped = is_mirrored != args->flip,
                                      .has_hsv = augment->hsv > 0.0};
    placement.left = crop_offset(placement.w_scaled, desc->w, along_x);
    placement.top = crop_offset(placement.h_scaled, desc->h, along_y);
    placement.hue = (float)(random_range(&stream, -augment->hsv, augment->hsv) / 60.0);
    placement.saturation = (float)(random_range(&stream, -augment->hsv, augment->hsv) / 255.0);
    placement.value = (float)random_range(&stream, -augment->hsv, augment->hsv);
    return placement;
}

bool voc_find(const struct voc_placement *placement, int w, int x, int y, int *x_scaled,
              int *y_scaled) {
    *x_scaled = (placement->is_flipped ? w - 1 - x : x) + placement->left;
    *y_scaled = y + placement->top;
    return *x_scaled >= 0 && *x_scaled < placement->w_scaled && *y_scaled >= 0 &&
           *y_scaled < placement->h_scaled;
}

static struct cubic_taps find_taps(int n, int n_scaled, int o) {
    struct cubic_taps taps;
    int64_t twice = 2 * (int64_t)n_scaled;
    int64_t position = (2 * (int64_t)o + 1) * n - n_scaled; // times 2 n_scaled
    int64_t first = (position + twice) / twice - 1;         // rounded down: position >= -twice
    float t = (float)(position - first * twice) / (float)twice;
    for (int i = 0; i < 4; i++) {
        int64_t at = first - 1 + i;
        taps.at[i] = (int)(at < 0 ? 0 : at > n - 1 ? n - 1 : at);
    }
    taps.weight[0] = ((-0.5f * t + 1.0f) * t - 0.5f) * t;
    taps.weight[1] = (1.5f * t - 2.5f) * t * t + 1.0f;
    taps.weight[2] = ((-1.5f * t + 2.0f) * t + 0.5f) * t;
    taps.weight[3] = (0.5f * t - 0.5f) * t * t;
    return taps;
}

// Channel 5 is red, 3 green, 1 blue: the distance of the hue to the channel's own decides.
static float channel_of(float channel, float hue, float saturation, float value) {
    float k = channel + hue;
    k = k >= 6.0f ? k - 6.0f : k;
    float share = k < 4.0f - k ? k : 4.0f - k;
    share = share < 0.0f ? 0.0f : share > 1.0f ? 1.0f : share;
    return value - value * saturation * share;
}

static float clamped(float x, float high) {
    return x < 0.0f ? 0.0f : x > high ? high : x;
}

// Gray has no hue, and stays gray.
static void shift_hsv(const struct voc_placement *placement, float rgb[3]) {
    float r = rgb[0], g = rgb[1], b = rgb[2];
    float high = r > g ? (r > b ? r : b) : (g > b ? g : b);
    float low = r < g ? (r < b ? r : b) : (g < b ? g : b);
    float range = high - low;
    float hue = 0.0f, saturation = 0.0f;
    if (range > 0.0f) {
        if (high == r)
            hue = (g - b) / range;
        else if (high == g)
            hue = (b - r) / range + 2.0f;
        else
            hue = (r - g) / range + 4.0f;
        hue += placement->hue;
        hue = hue < 0.0f ? hue + 6.0f : hue >= 6.0f ? hue - 6.0f : hue;
        saturation = clamped(range / high + placement->saturation, 1.0f);
    }
    float value = clamped(high + placement->value, 255.0f);
    rgb[0] = channel_of(5.0f, hue, saturation, value);
    rgb[1] = channel_of(3.0f, hue, saturation, value);
    rgb[2] = channel_of(1.0f, hue, saturation, value);
}

void voc_pixel(const struct adele_sample_set *set, const struct voc_placement *placement, int id,
               int x_scaled, int y_scaled, float *out) {
    struct cubic_taps columns = find_taps(set->w, placement->w_scaled, x_scaled);
    struct cubic_taps rows = find_taps(set->h, placement->h_scaled, y_scaled);
    for (int c = 0; c < set->c; c++) {
        size_t plane = ((size_t)id * (size_t)set->c + (size_t)c) * (size_t)set->h;
        float sum = 0.0f;
        for (int i = 0; i < 4; i++) {
            size_t row = (plane + (size_t)rows.at[i]) * (size_t)set->w;
            float line = 0.0f;
            for (int j = 0; j < 4; j++)
                line += columns.weight[j] * sample_pixel_at(set, row + (size_t)columns.at[j]);
            sum += rows.weight[i] * line;
        }
        out[c] = set->pixel == ADELE_PIXEL_U8 ? clamped(sum, 255.0f) : sum;
    }
    if (placement->has_hsv)
        shift_hsv(placement, out);
}

uint8_t voc_label(const struct adele_sample_set *set, const struct voc_placement *placement,
                  const uint8_t *map, int x_scaled, int y_scaled) {
    int64_t x = (2 * (int64_t)x_scaled + 1) * set->w / (2 * (int64_t)placement->w_scaled);
    int64_t y = (2 * (int64_t)y_scaled + 1) * set->h / (2 * (int64_t)placement->h_scaled);
    return map[(size_t)y * (size_t)set->w + (size_t)x];
}
