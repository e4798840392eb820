// SPDX-License-Identifier: MIT
// The VOC augmentation on the CPU: draws from the Philox stream, and the cubic's sum. What is
// computed is in device/voc_augment.h.
#include "cpu/sample_voc.h"

#include "base/random.h"

struct voc_placement sample_voc_place(const struct adele_sample_desc *desc,
                                      const struct adele_sample_args *args, int id,
                                      bool *out_is_flipped) {
    const struct adele_augment *augment = &desc->augment;
    struct random_stream stream;
    struct voc_draws draws;
    random_stream_init(&stream, desc->seed, RANDOM_AUGMENT, args->epoch, (uint32_t)id);
    draws.scale = random_range(&stream, augment->scale_low, augment->scale_high);
    draws.along_x = random_uniform(&stream);
    draws.along_y = random_uniform(&stream);
    draws.flip = random_uniform(&stream);
    draws.hue = random_range(&stream, -augment->hsv, augment->hsv);
    draws.saturation = random_range(&stream, -augment->hsv, augment->hsv);
    draws.value = random_range(&stream, -augment->hsv, augment->hsv);
    *out_is_flipped = (draws.flip < augment->flip) != args->flip;
    return voc_place(&draws, args->set.h, args->set.w, desc->h, desc->w);
}

void sample_voc_pixel(const struct adele_sample_set *set, const struct voc_placement *placement,
                      bool has_hsv, const void *image, int x_scaled, int y_scaled, float *out) {
    struct voc_taps columns = voc_taps_of(set->w, placement->w_scaled, x_scaled);
    struct voc_taps rows = voc_taps_of(set->h, placement->h_scaled, y_scaled);
    for (int c = 0; c < set->c; c++) {
        size_t plane = (size_t)c * (size_t)set->h;
        float sum = 0.0f;
        for (int i = 0; i < 4; i++) {
            size_t row = (plane + (size_t)rows.at[i]) * (size_t)set->w;
            float line = 0.0f;
            for (int j = 0; j < 4; j++)
                line +=
                    columns.weight[j] * sample_pixel_at(set, image, row + (size_t)columns.at[j]);
            sum += rows.weight[i] * line;
        }
        out[c] = set->pixel == ADELE_PIXEL_U8 ? voc_clamped(sum, 255.0f) : sum;
    }
    if (has_hsv)
        voc_shift_hsv(placement, out);
}

uint8_t sample_voc_label(const struct adele_sample_set *set, const struct voc_placement *placement,
                         const uint8_t *map, int x_scaled, int y_scaled) {
    int x = voc_nearest(set->w, placement->w_scaled, x_scaled);
    int y = voc_nearest(set->h, placement->h_scaled, y_scaled);
    return map[(size_t)y * (size_t)set->w + (size_t)x];
}
