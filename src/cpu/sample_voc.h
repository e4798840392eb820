// SPDX-License-Identifier: MIT
// The VOC augmentation of one row of a batch (METHOD section 5): what is drawn, and the pixel and
// label that an output position gets.
#ifndef ADELE_CPU_SAMPLE_VOC_H
#define ADELE_CPU_SAMPLE_VOC_H

#include "device/device.h"

struct voc_placement {
    int w_scaled, h_scaled; // of the whole image after scaling
    int left, top;          // of the crop in it; negative: the image lies inside of the crop
    bool is_flipped;
    bool has_hsv;
    float hue, saturation, value; // shifts: in sixths of a turn, of 1, of 255
};

// The draws for (seed, epoch, id), in a fixed order, all of them: scale, place of the crop along x
// and y, flip, hue, saturation, value.
struct voc_placement voc_place(const struct adele_sample_desc *desc,
                               const struct adele_sample_args *args, int id);

// Where the output's column x and row y look, in the scaled image; false: outside of it.
bool voc_find(const struct voc_placement *placement, int w, int x, int y, int *x_scaled,
              int *y_scaled);

// The pixel of the scaled image before normalization, all channels, in out[c].
void voc_pixel(const struct adele_sample_set *set, const struct voc_placement *placement, int id,
               int x_scaled, int y_scaled, float *out);

// The nearest label.
uint8_t voc_label(const struct adele_sample_set *set, const struct voc_placement *placement,
                  const uint8_t *map, int x_scaled, int y_scaled);

// One raw value of a set's images (sample.c).
float sample_pixel_at(const struct adele_sample_set *set, size_t i);
#endif
