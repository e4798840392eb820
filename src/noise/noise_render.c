// SPDX-License-Identifier: MIT
#include "noise/noise_render.h"

#include "base/fail.h"
#include "base/hash.h"
#include "base/random.h"
#include "data/label_lookup.h"
#include "noise/noise_kinds.h"
#include "noise/noise_objects.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define ALL_UNDER_BEGIN 4.0

// Gives a share of the pixels another category. Every pixel draws two numbers whatever the share,
// so that a larger share flips the same pixels and more.
static void flip(const struct noise_image *image, int n_categories, double share,
                 struct random_stream *stream) {
    size_t n_pixels = (size_t)image->height * (size_t)image->width;
    for (size_t i = 0; i < n_pixels; i++) {
        double draw = random_uniform(stream);
        uint32_t other = random_below(stream, (uint32_t)n_categories - 1);
        uint8_t clean = image->clean[i];
        image->noisy[i] = clean;
        if (draw < share && clean != LABEL_IGNORE)
            image->noisy[i] = (uint8_t)(other + (other >= clean));
    }
}

// Half of the images are under-drawn. Dilation cannot lower the IoU arbitrarily: once the organs
// fill the whole background, it rises again. So beyond ALL_UNDER_BEGIN times the configured counts
// more and more images become under-drawn, and every target can be reached.
static double under_share(double strength) {
    double excess = (strength - ALL_UNDER_BEGIN) / (NOISE_ALL_UNDER - ALL_UNDER_BEGIN);
    return 0.5 + 0.5 * fmin(1, fmax(0, excess));
}

static int clamp(int64_t i, int n) {
    return i < 0 ? 0 : i >= n ? n - 1 : (int)i;
}

void noise_shift(const uint8_t *clean, int height, int width, int down, int right, uint8_t *out) {
    for (int y = 0; y < height; y++) {
        const uint8_t *from = clean + (size_t)clamp((int64_t)y - down, height) * (size_t)width;
        for (int x = 0; x < width; x++) {
            size_t at = (size_t)y * (size_t)width + (size_t)x;
            uint8_t moved = from[clamp((int64_t)x - right, width)];
            out[at] = clean[at] == LABEL_IGNORE || moved == LABEL_IGNORE ? clean[at] : moved;
        }
    }
}

// Moves the map in any direction, by half to one and a half times the distance in pixels.
static void shift(const struct noise_image *image, double distance, struct random_stream *stream) {
    double angle = random_range(stream, 0, 2 * M_PI);
    double length = distance * random_range(stream, 0.5, 1.5);
    noise_shift(image->clean, image->height, image->width, (int)lrint(length * sin(angle)),
                (int)lrint(length * cos(angle)), image->noisy);
}

// The kinds that are not the paper's. `n_steps` has the strength in it.
static adele_status render_shape(const struct noise_config *config, int n_categories,
                                 double strength, double n_steps, const struct noise_image *image,
                                 struct random_stream stream) {
    const uint8_t *clean = image->clean;
    int height = image->height, width = image->width;
    double share = config->object_fraction * strength;
    switch (config->kind) {
    case NOISE_BOUNDARY:
        return noise_boundary(clean, height, width, n_categories, n_steps, config->outward, stream,
                              image->noisy);
    case NOISE_COARSE:
        return noise_coarse(clean, height, width, config->corners_low, config->corners_high,
                            strength, stream, image->noisy);
    case NOISE_MISSING:
        return noise_missing(clean, height, width, share, stream, image->noisy);
    case NOISE_EXTRA:
        return noise_extra(clean, height, width, share, stream, image->noisy);
    case NOISE_CONFUSE:
        return noise_confuse(clean, height, width, n_categories, share, stream, image->noisy);
    default:
        shift(image, config->shift_fraction * strength * (height < width ? height : width),
              &stream);
        return ADELE_OK;
    }
}

adele_status noise_render(const struct noise_config *config, int n_categories, double strength,
                          const struct noise_image *image) {
    struct random_stream stream;
    uint64_t id = hash_xxh3(image->name, strlen(image->name));
    if (image->height < 1 || image->width < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "a map of %d x %d pixels", image->width,
                    image->height);
    random_stream_init(&stream, config->seed, RANDOM_NOISE, (uint32_t)(id >> 32), (uint32_t)id);
    uint32_t n_counts = (uint32_t)(config->iterations_high - config->iterations_low + 1);
    double side = random_uniform(&stream);
    bool is_flip = random_below(&stream, 3) == 0;
    double count = config->iterations_low + (int)random_below(&stream, n_counts);
    if (config->kind >= NOISE_BOUNDARY)
        return render_shape(config, n_categories, strength, count * strength, image, stream);
    if (config->kind == NOISE_FLIP || (config->kind == NOISE_MIXED && is_flip)) {
        flip(image, n_categories, fmin(1, config->flip_fraction * strength), &stream);
        return ADELE_OK;
    }
    return noise_morph(image->clean, image->height, image->width, n_categories, count * strength,
                       side >= under_share(strength), stream, image->noisy);
}
