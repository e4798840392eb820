// SPDX-License-Identifier: MIT
// The VOC augmentation of one row of a batch (METHOD section 5): its random numbers, and the pixel
// and label of an output position.
#ifndef ADELE_CPU_SAMPLE_VOC_H
#define ADELE_CPU_SAMPLE_VOC_H

#include "base/half.h"
#include "device/device.h"
#include "device/voc_augment.h"

// The placement that the random numbers of (seed, epoch, id) give. *out_is_flipped: flipped either
// by the random number or by args->flip; both cancel out.
struct voc_placement sample_voc_place(const struct adele_sample_desc *desc,
                                      const struct adele_sample_args *args, int id,
                                      bool *out_is_flipped);

// The pixel of the scaled image before normalization, all channels, in out[c]. `image`: see
// sample_pixel_at.
void sample_voc_pixel(const struct adele_sample_set *set, const struct voc_placement *placement,
                      bool has_hsv, const void *image, int x_scaled, int y_scaled, float *out);

// The nearest label.
uint8_t sample_voc_label(const struct adele_sample_set *set, const struct voc_placement *placement,
                         const uint8_t *map, int x_scaled, int y_scaled);

// Value i of an image (C, H, W) of the set.
static inline float sample_pixel_at(const struct adele_sample_set *set, const void *image,
                                    size_t i) {
    return set->pixel == ADELE_PIXEL_U8 ? (float)((const uint8_t *)image)[i]
                                        : half_to_float(((const uint16_t *)image)[i]);
}
#endif
