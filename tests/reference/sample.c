// SPDX-License-Identifier: MIT
// One output pixel at a time. Draws for (seed, RANDOM_AUGMENT, epoch, sample id), in this order and
// always all of them: angle in +-rotate_degrees, horizontal then vertical shift in +-translate
// (times w and h), scale in [scale_low, scale_high), flip when a uniform number is below `flip`.
// Output (x, y), x mirrored first when this image is flipped (its own draw and args->flip cancel
// each other), looks up the source at
//     u = x - (w - 1) / 2 - shift_x, v = y - (h - 1) / 2 - shift_y
//     ((w - 1) / 2 + (cos u + sin v) / scale, (h - 1) / 2 + (cos v - sin u) / scale)
// Image: bilinear over normalized pixels, 0 outside. Labels: the pixel at floor(source + 1/2), 255
// outside. An id < 0 is image 0, labels 255. Scales k >= 1 are scale 0 resampled.
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

void reference_sample_forward(const struct adele_sample_desc *desc,
                              const struct adele_sample_args *args) {
    for (int n = 0; n < desc->n; n++) {
        struct warp warp = draw(desc, args, args->sample_ids[n]);
        for (int y = 0; y < desc->h; y++)
            for (int x = 0; x < desc->w; x++)
                sample_pixel(desc, args, &warp, n, y, x);
    }
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
