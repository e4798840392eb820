// SPDX-License-Identifier: MIT
// The VOC augmentation of one row of a batch (METHOD section 5): what is drawn, and the pixel and
// label that an output position gets.
#ifndef ADELE_CPU_SAMPLE_VOC_H
#define ADELE_CPU_SAMPLE_VOC_H

#include "device/device.h"
#include "device/voc_augment.h"

// The draws for (seed, epoch, id), and what they come to. *out_is_flipped: mirrored by the draw or
// by the caller's wish, not by both.
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

// Value i of an image (C, H, W) of the set (sample.c).
float sample_pixel_at(const struct adele_sample_set *set, const void *image, size_t i);
#endif
