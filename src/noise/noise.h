// SPDX-License-Identifier: MIT
// Synthetic annotation noise: METHOD section 6.
#ifndef ADELE_NOISE_NOISE_H
#define ADELE_NOISE_NOISE_H

#include "adele/status.h"
#include <stdint.h>

enum noise_kind {
    NOISE_NONE,
    NOISE_UNDER_OVER, // METHOD section 6; noise_morph.c
    NOISE_FLIP,
    NOISE_MIXED,    // per image under, over or flip
    NOISE_BOUNDARY, // noise_boundary.c
    NOISE_COARSE,   // noise_coarse.c
    NOISE_MISSING,  // noise_objects.h, also the next two
    NOISE_EXTRA,
    NOISE_CONFUSE,
    NOISE_SHIFT, // noise_render.c
    NOISE_N_KINDS
};
extern const char
    *const noise_kind_names[NOISE_N_KINDS + 1]; // as users write them; NULL at the end

struct noise_config {
    enum noise_kind kind;
    double target_miou; // mean foreground IoU of noisy against clean labels; 0 = use the numbers
    int iterations_low; // under-over, boundary: count or steps drawn from low..high; 2..4
    int iterations_high;
    double flip_fraction; // flip: share of pixels that get another category at random; 0.05
    double outward;       // boundary: share of a contour that tends to move outward; 0.5
    int corners_low;      // coarse: corners of a polygon drawn from low..high, 3..100; 4..8
    int corners_high;
    double object_fraction; // missing, extra, confuse: share of the objects; 0.2
    double shift_fraction;  // shift: mean distance as a share of the shorter side; 0.05
    uint64_t seed;
};
void noise_config_init(struct noise_config *out);
// Whether the numbers are within their range: those of outward and behind it for the kinds that use
// them, the others for every kind. ADELE_INVALID_ARGUMENT.
ADELE_MUST_CHECK adele_status noise_config_check(const struct noise_config *config);

// A set of label maps (u8; 255 = ignore, unchanged). Sizes may differ from image to image.
struct noise_image {
    const char *name; // the case's name: with the seed, the only source of this image's randomness,
    int height, width;    // so that the order of images changes nothing
    const uint8_t *clean; // (H, W), borrowed
    uint8_t *noisy;       // (H, W), the caller's, filled
};

struct noise_report {
    double miou_foreground; // realized: counts summed over the set, mean over foreground categories
    double iou[256];        // per category; -1 where the category is absent from both
    double strength;        // of the bisection: 1 = as configured or as found
    int n_steps;            // bisection steps
};

// All images. Per image one draw of the kind (mixed: under, over or flip) and one of the count from
// low..high. `strength` multiplies counts, steps, shares, copies and distances, and divides the
// number of corners; between whole counts each stretch of a contour follows a smooth seeded field
// (noise_morph.c), so that the noise grows with the strength in small amounts and looks like an
// annotator's. shift: a distance from 0.5 to 1.5 of shift_fraction, in any direction. With
// target_miou > 0 the strength is bisected until |realized - target| <= 0.01 (aim 0.002) or 40
// steps, ADELE_DATA when the target cannot be reached (message: the closest value and its
// strength).
ADELE_MUST_CHECK adele_status noise_apply(const struct noise_config *config, int n_categories,
                                          int n_images, struct noise_image *images,
                                          struct noise_report *out);
#endif
