// SPDX-License-Identifier: MIT
// One output pixel at a time. Draws for (seed, RANDOM_AUGMENT, epoch, sample id), in this order and
// always all of them: angle in +-rotate_degrees, horizontal then vertical shift in +-translate
// (times w and h), scale in [scale_low, scale_high), flip when a uniform number is below `flip`.
// Output (x, y), x mirrored first when this image is flipped (its own draw and args->flip cancel
// each other), looks up the source at
//     u = x - (w - 1) / 2 - shift_x, v = y - (h - 1) / 2 - shift_y
//     ((w - 1) / 2 + (cos u + sin v) / scale, (h - 1) / 2 + (cos v - sin u) / scale)
// With elastic_shift, the source of (x, y) (mirrored) is moved by sums of cubic B-splines B over
// the points (i, j) of a grid: sum_ij B(y / spacing - i + 1) B(x / spacing - j + 1) s_ij, where the
// x and y of s_ij are uniform in +-elastic_shift: the first two words of Philox with the counter (i
// (floor((w - 1) / spacing) + 4) + j, id, epoch, RANDOM_ELASTIC). Image: bilinear over normalized
// pixels, 0 outside. Labels: the pixel at floor(source + 1/2), 255 outside. VOC draws instead:
// scale, two uniform numbers u for the place of the crop along x and y, flip, and shifts of hue
// (degrees), saturation and value (255ths) in +-hsv. The image of n pixels is scaled to m = max(1,
// floor(n scale)); the crop of k begins at floor(u (m - k + 1)) of it, or, where m < k, at -floor(u
// (k - m + 1)). Scaled position o looks at (o + 1/2) n / m - 1/2: cubic with a = -1/2 over
// border-replicated pixels, cut to 0..255 for u8; the label of the pixel there. An id < 0 is image
// 0, labels 255. Scales k >= 1 are scale 0 resampled.
#include "reference/reference_method.h"

#include "base/random.h"
#include <math.h>

struct warp {
    double angle, shift_x, shift_y, scale;
    bool is_flipped;
};

static struct warp draw(const struct adele_sample_desc *desc, const struct adele_sample_args *args,
                        int id) {
    const struct adele_augment *augment = &desc->augment;
    struct warp warp = {0.0, 0.0, 0.0, 1.0, args->flip};
    if (!augment->enabled)
        return warp;
    struct random_stream stream;
    random_stream_init(&stream, desc->seed, RANDOM_AUGMENT, args->epoch, (uint32_t)id);
    double limit = augment->rotate_degrees;
    warp.angle = random_range(&stream, -limit, limit) * (3.14159265358979323846 / 180.0);
    limit = augment->translate;
    warp.shift_x = random_range(&stream, -limit, limit) * (double)desc->w;
    warp.shift_y = random_range(&stream, -limit, limit) * (double)desc->h;
    warp.scale = random_range(&stream, augment->scale_low, augment->scale_high);
    bool is_mirrored = random_uniform(&stream) < augment->flip;
    warp.is_flipped = is_mirrored != args->flip;
    return warp;
}

static void look_up(const struct adele_sample_desc *desc, const struct warp *warp, int y, int x,
                    double *source_y, double *source_x) {
    double center_x = 0.5 * (double)(desc->w - 1), center_y = 0.5 * (double)(desc->h - 1);
    double u = (double)(warp->is_flipped ? desc->w - 1 - x : x) - center_x - warp->shift_x;
    double v = (double)y - center_y - warp->shift_y;
    double cosine = cos(warp->angle) / warp->scale, sine = sin(warp->angle) / warp->scale;
    *source_x = center_x + cosine * u + sine * v;
    *source_y = center_y + cosine * v - sine * u;
}

// The cubic B-spline, by the formula of its even pieces.
static double spline(double x) {
    x = fabs(x);
    if (x < 1.0)
        return 2.0 / 3.0 - x * x + x * x * x / 2.0;
    return x < 2.0 ? (2.0 - x) * (2.0 - x) * (2.0 - x) / 6.0 : 0.0;
}

static void bend(const struct adele_sample_desc *desc, const struct adele_sample_args *args, int id,
                 int y, int x, double *source_y, double *source_x) {
    const uint32_t key[2] = {(uint32_t)desc->seed, (uint32_t)(desc->seed >> 32)};
    double spacing = desc->augment.elastic_spacing, most = desc->augment.elastic_shift;
    int n_columns = (int)floor((desc->w - 1) / spacing) + 4;
    int n_rows = (int)floor((desc->h - 1) / spacing) + 4;
    for (int i = 0; i < n_rows; i++)
        for (int j = 0; j < n_columns; j++) {
            const uint32_t counter[4] = {(uint32_t)(i * n_columns + j), (uint32_t)id, args->epoch,
                                         RANDOM_ELASTIC};
            uint32_t words[4];
            double weight = spline(y / spacing - i + 1) * spline(x / spacing - j + 1);
            random_philox(counter, key, words);
            *source_x += weight * most * (2.0 * (words[0] / 4294967296.0) - 1.0);
            *source_y += weight * most * (2.0 * (words[1] / 4294967296.0) - 1.0);
        }
}

static double half_value(uint16_t half) {
    int exponent = (half >> 10) & 31;
    double sign = (half & 0x8000) != 0 ? -1.0 : 1.0;
    double mantissa = (double)(half & 1023);
    if (exponent == 31)
        return mantissa != 0.0 ? (double)NAN : sign * (double)INFINITY;
    return exponent == 0 ? sign * ldexp(mantissa, -24)
                         : sign * ldexp(1024.0 + mantissa, exponent - 25);
}

static double normalized(const struct adele_sample_set *set, int id, int c, double y, double x) {
    if (y < 0.0 || y >= (double)set->h || x < 0.0 || x >= (double)set->w)
        return 0.0;
    size_t plane = (size_t)id * (size_t)set->c + (size_t)c;
    size_t i = (plane * (size_t)set->h + (size_t)y) * (size_t)set->w + (size_t)x;
    double pixel = set->pixel == ADELE_PIXEL_U8 ? (double)((const uint8_t *)set->images)[i]
                                                : half_value(((const uint16_t *)set->images)[i]);
    return (pixel - (double)set->mean[plane]) * (double)set->inv_std[plane];
}

static double image_value(const struct adele_sample_set *set, int id, int c, double y, double x) {
    double top = floor(y), left = floor(x), sum = 0.0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            double weight = (1.0 - fabs(top + i - y)) * (1.0 - fabs(left + j - x));
            if (weight > 0.0)
                sum += weight * normalized(set, id, c, top + i, left + j);
        }
    return sum;
}

static void put_label(const struct adele_sample_set *set, const uint8_t *maps, int id, double y,
                      double x, uint8_t *out, size_t i) {
    if (out == NULL)
        return;
    y = floor(y + 0.5);
    x = floor(x + 0.5);
    out[i] = 255;
    if (id >= 0 && y >= 0.0 && y < (double)set->h && x >= 0.0 && x < (double)set->w)
        out[i] = maps[((size_t)id * (size_t)set->h + (size_t)y) * (size_t)set->w + (size_t)x];
}

static void sample_pixel(const struct adele_sample_desc *desc, const struct adele_sample_args *args,
                         const struct warp *warp, int n, int y, int x) {
    const struct adele_sample_set *set = &args->set;
    int id = args->sample_ids[n];
    double source_y, source_x;
    look_up(desc, warp, y, x, &source_y, &source_x);
    if (desc->augment.enabled && desc->augment.elastic_shift > 0.0)
        bend(desc, args, id, y, warp->is_flipped ? desc->w - 1 - x : x, &source_y, &source_x);
    size_t pixel = (size_t)y * (size_t)desc->w + (size_t)x;
    size_t plane = (size_t)desc->h * (size_t)desc->w;
    float *image = args->images[0];
    for (int c = 0; c < desc->c; c++)
        image[((size_t)n * (size_t)desc->c + (size_t)c) * plane + pixel] =
            id < 0 ? 0.0f : (float)image_value(set, id, c, source_y, source_x);
    put_label(set, set->labels, id, source_y, source_x, args->labels, (size_t)n * plane + pixel);
    put_label(set, set->noisy, id, source_y, source_x, args->noisy, (size_t)n * plane + pixel);
    put_label(set, set->truth, id, source_y, source_x, args->truth, (size_t)n * plane + pixel);
}

// ---- the VOC augmentation -----------------------------------------------------------------------

struct crop {
    double uniform_x, uniform_y, scale, hue, saturation, value;
    bool is_flipped;
};

static struct crop draw_crop(const struct adele_sample_desc *desc,
                             const struct adele_sample_args *args, int id) {
    const struct adele_augment *augment = &desc->augment;
    struct random_stream stream;
    struct crop crop;
    random_stream_init(&stream, desc->seed, RANDOM_AUGMENT, args->epoch, (uint32_t)id);
    crop.scale = random_range(&stream, augment->scale_low, augment->scale_high);
    crop.uniform_x = random_uniform(&stream);
    crop.uniform_y = random_uniform(&stream);
    crop.is_flipped = (random_uniform(&stream) < augment->flip) != args->flip;
    crop.hue = random_range(&stream, -augment->hsv, augment->hsv);
    crop.saturation = random_range(&stream, -augment->hsv, augment->hsv) / 255.0;
    crop.value = random_range(&stream, -augment->hsv, augment->hsv);
    return crop;
}

// Source position of crop position o, in pixels; NAN outside.
static double crop_source(int n, int n_crop, double scale, double uniform, int o) {
    double m = fmax(1.0, floor(n * scale)), k = n_crop;
    double start = m > k ? floor(uniform * (m - k + 1.0)) : -floor(uniform * (k - m + 1.0));
    double at = o + start;
    return at >= 0.0 && at < m ? (at * 2.0 + 1.0) * n / (2.0 * m) - 0.5 : (double)NAN;
}

static double keys(double x) {
    x = fabs(x);
    if (x < 1.0)
        return 1.5 * x * x * x - 2.5 * x * x + 1.0;
    return x < 2.0 ? -0.5 * x * x * x + 2.5 * x * x - 4.0 * x + 2.0 : 0.0;
}

static double cubic_value(const struct adele_sample_set *set, int id, int c, double y, double x) {
    double sum = 0.0;
    size_t plane = (size_t)id * (size_t)set->c + (size_t)c;
    for (int i = -1; i < 3; i++)
        for (int j = -1; j < 3; j++) {
            double row = floor(y) + i, column = floor(x) + j;
            double weight = keys(row - y) * keys(column - x);
            row = fmin(fmax(row, 0.0), set->h - 1.0);
            column = fmin(fmax(column, 0.0), set->w - 1.0);
            size_t at = (plane * (size_t)set->h + (size_t)row) * (size_t)set->w + (size_t)column;
            sum += weight * (set->pixel == ADELE_PIXEL_U8
                                 ? (double)((const uint8_t *)set->images)[at]
                                 : half_value(((const uint16_t *)set->images)[at]));
        }
    return set->pixel == ADELE_PIXEL_U8 ? fmin(fmax(sum, 0.0), 255.0) : sum;
}

// By the six sectors of the hue.
static void jitter(const struct crop *crop, double rgb[3]) {
    double v = fmax(rgb[0], fmax(rgb[1], rgb[2])), low = fmin(rgb[0], fmin(rgb[1], rgb[2]));
    double range = v - low, degrees = 0.0, s = 0.0;
    if (range > 0.0) {
        if (v == rgb[0])
            degrees = 60.0 * (rgb[1] - rgb[2]) / range;
        else if (v == rgb[1])
            degrees = 60.0 * (rgb[2] - rgb[0]) / range + 120.0;
        else
            degrees = 60.0 * (rgb[0] - rgb[1]) / range + 240.0;
        degrees = fmod(degrees + crop->hue + 720.0, 360.0);
        s = fmin(fmax(range / v + crop->saturation, 0.0), 1.0);
    }
    v = fmin(fmax(v + crop->value, 0.0), 255.0);
    int sector = (int)(degrees / 60.0) % 6;
    double f = degrees / 60.0 - floor(degrees / 60.0);
    double p = v * (1.0 - s), q = v * (1.0 - f * s), t = v * (1.0 - (1.0 - f) * s);
    const double red[] = {v, q, p, p, t, v}, green[] = {t, v, v, q, p, p};
    const double blue[] = {p, p, t, v, v, q};
    rgb[0] = red[sector];
    rgb[1] = green[sector];
    rgb[2] = blue[sector];
}

static void crop_pixel(const struct adele_sample_desc *desc, const struct adele_sample_args *args,
                       const struct crop *crop, int n, int y, int x) {
    const struct adele_sample_set *set = &args->set;
    int id = args->sample_ids[n];
    int seen_x = crop->is_flipped ? desc->w - 1 - x : x;
    double source_x = crop_source(set->w, desc->w, crop->scale, crop->uniform_x, seen_x);
    double source_y = crop_source(set->h, desc->h, crop->scale, crop->uniform_y, y);
    size_t plane = (size_t)desc->h * (size_t)desc->w;
    size_t pixel = (size_t)y * (size_t)desc->w + (size_t)x;
    bool is_outside = id < 0 || isnan(source_x) || isnan(source_y);
    double values[32] = {0.0};
    for (int c = 0; c < desc->c && !is_outside; c++)
        values[c] = cubic_value(set, id, c, source_y, source_x);
    if (desc->augment.hsv > 0.0)
        jitter(crop, values);
    for (int c = 0; c < desc->c; c++) {
        size_t i = (size_t)n * (size_t)desc->c + (size_t)c;
        size_t of = is_outside ? 0 : (size_t)id * (size_t)set->c + (size_t)c;
        ((float *)args->images[0])[i * plane + pixel] =
            is_outside ? 0.0f : (float)((values[c] - set->mean[of]) * set->inv_std[of]);
    }
    // The nearest pixel of a source a hair below an edge is the one that exact numbers name.
    double nearest_y = floor(source_y + 0.5 + 1e-9), nearest_x = floor(source_x + 0.5 + 1e-9);
    size_t at = (size_t)n * plane + pixel;
    put_label(set, set->labels, is_outside ? -1 : id, nearest_y, nearest_x, args->labels, at);
    put_label(set, set->noisy, is_outside ? -1 : id, nearest_y, nearest_x, args->noisy, at);
    put_label(set, set->truth, is_outside ? -1 : id, nearest_y, nearest_x, args->truth, at);
}

static void sample_row(const struct adele_sample_desc *desc, const struct adele_sample_args *args,
                       int n) {
    bool is_voc = desc->augment.enabled && desc->augment.kind == ADELE_AUGMENT_VOC;
    struct warp warp = draw(desc, args, args->sample_ids[n]);
    struct crop crop = draw_crop(desc, args, args->sample_ids[n]);
    for (int y = 0; y < desc->h; y++)
        for (int x = 0; x < desc->w; x++)
            if (is_voc)
                crop_pixel(desc, args, &crop, n, y, x);
            else
                sample_pixel(desc, args, &warp, n, y, x);
}

void reference_sample_forward(const struct adele_sample_desc *desc,
                              const struct adele_sample_args *args) {
    for (int n = 0; n < desc->n; n++)
        sample_row(desc, args, n);
    const float *source = args->images[0];
    for (int k = 1; k < desc->n_scales; k++) {
        float *out = args->images[k];
        for (int i = 0; i < desc->n * desc->c; i++)
            for (int y = 0; y < desc->h_scale[k]; y++)
                for (int x = 0; x < desc->w_scale[k]; x++)
                    *out++ = (float)reference_bilinear(
                        source + (size_t)i * (size_t)desc->h * (size_t)desc->w, desc->h, desc->w,
                        desc->h_scale[k], desc->w_scale[k], y, x);
    }
}
