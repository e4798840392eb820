// SPDX-License-Identifier: MIT
// A seeded data set and a batch of it for the op sample: run on a device, and by its reference.
#ifndef ADELE_TESTS_SAMPLE_PROBLEM_H
#define ADELE_TESTS_SAMPLE_PROBLEM_H

#include "support/devices.h"

#define SAMPLE_PROBLEM_SET 5 // images

struct sample_problem {
    struct adele_sample_desc desc;
    struct adele_sample_set set; // on the host
    const int32_t *ids;
    uint32_t epoch;
    bool flip;
    bool is_batch; // images come as batch_images
};
struct sample_outputs {
    float *images[ADELE_MAX_SCALES];
    uint8_t *labels, *noisy, *truth;
};

// A set of images of h x w; a tenth of its labels is ignored. The arena owns it.
struct sample_problem sample_problem_sized(struct arena *arena, struct adele_sample_desc desc,
                                           int h, int w, enum adele_pixel pixel,
                                           const int32_t *ids);
// The same with images of the output's size.
struct sample_problem sample_problem_make(struct arena *arena, struct adele_sample_desc desc,
                                          enum adele_pixel pixel, const int32_t *ids);
// Host arrays that the arena owns.
struct sample_outputs sample_problem_run(struct arena *arena, const struct sample_problem *p);

size_t sample_problem_pixels(const struct sample_problem *p); // of an output image
struct adele_shape sample_problem_shape(const struct sample_problem *p, int k); // of scale k
#endif
