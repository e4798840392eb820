// SPDX-License-Identifier: MIT
// Noisy versions of a set of label maps: METHOD section 6.
#include "data/noise.h"

#include "base/fail.h"
#include "base/hash.h"
#include "base/random.h"
#include "data/noise_morph.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define IGNORE           255
#define MAX_ITERATIONS   100
#define ALL_UNDER_BEGIN  4.0
#define ALL_UNDER_END    16.0
#define MAX_STEPS        40
#define TARGET_AIM       0.002
#define TARGET_TOLERANCE 0.01
#define LEAST_INTERVAL   1e-7 // of the strength, relative: the search stops at such an interval

void noise_config_init(struct noise_config *out) {
    *out = (struct noise_config){
        .kind = NOISE_UNDER_OVER,
        .iterations_low = 2,
        .iterations_high = 4,
        .flip_fraction = 0.05,
    };
}

static adele_status check_config(const struct noise_config *config, int n_categories) {
    if (n_categories < 2 || n_categories > 255)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give at least the background and one class.",
                    "noise for %d classes", n_categories);
    if (config->iterations_low < 1 || config->iterations_high < config->iterations_low ||
        config->iterations_high > MAX_ITERATIONS)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give a range within 1..100, the lower number first.",
                    "noise iterations %d..%d", config->iterations_low, config->iterations_high);
    if (!(config->flip_fraction >= 0 && config->flip_fraction <= 1))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give a share from 0 to 1.", "flip fraction %g",
                    config->flip_fraction);
    if (!(config->target_miou >= 0 && config->target_miou < 1))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give a mean IoU above 0 and below 1.",
                    "noise target mIoU %g", config->target_miou);
    return ADELE_OK;
}

// ---- one image ----------------------------------------------------------------------------------

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
        if (draw < share && clean != IGNORE)
            image->noisy[i] = (uint8_t)(other + (other >= clean));
    }
}

// Half of the images are under-drawn. Dilation cannot lower the IoU arbitrarily: once the organs
// fill the whole background, it rises again. So beyond ALL_UNDER_BEGIN times the configured counts
// more and more images become under-drawn, and every target can be reached.
static double under_share(double strength) {
    double excess = (strength - ALL_UNDER_BEGIN) / (ALL_UNDER_END - ALL_UNDER_BEGIN);
    return 0.5 + 0.5 * fmin(1, fmax(0, excess));
}

static adele_status render(const struct noise_config *config, int n_categories, double strength,
                           const struct noise_image *image) {
    struct random_stream stream;
    uint64_t id = hash_xxh3(image->name, strlen(image->name));
    random_stream_init(&stream, config->seed, RANDOM_NOISE, (uint32_t)(id >> 32), (uint32_t)id);
    uint32_t n_counts = (uint32_t)(config->iterations_high - config->iterations_low + 1);
    double side = random_uniform(&stream);
    bool is_flip = random_below(&stream, 3) == 0;
    double count = config->iterations_low + (int)random_below(&stream, n_counts);
    if (config->kind == NOISE_FLIP || (config->kind == NOISE_MIXED && is_flip)) {
        flip(image, n_categories, fmin(1, config->flip_fraction * strength), &stream);
        return ADELE_OK;
    }
    return noise_morph(image->clean, image->height, image->width, n_categories, count * strength,
                       side >= under_share(strength), stream, image->noisy);
}

// ---- the set ------------------------------------------------------------------------------------

struct counts {
    int64_t clean[256], both[256], either[256];
};

static void add_counts(const struct noise_image *image, struct counts *counts) {
    size_t n_pixels = (size_t)image->height * (size_t)image->width;
    for (size_t i = 0; i < n_pixels; i++) {
        uint8_t clean = image->clean[i], noisy = image->noisy[i];
        if (clean == IGNORE)
            continue;
        counts->clean[clean]++;
        counts->either[clean]++;
        if (clean == noisy)
            counts->both[clean]++;
        else
            counts->either[noisy]++;
    }
}

static void measure(int n_categories, int n_images, const struct noise_image *images,
                    struct noise_report *out) {
    struct counts counts = {{0}, {0}, {0}};
    double sum = 0;
    int n_present = 0;
    for (int i = 0; i < n_images; i++)
        add_counts(&images[i], &counts);
    for (int c = 0; c < 256; c++) {
        out->iou[c] = counts.either[c] > 0 ? (double)counts.both[c] / (double)counts.either[c] : -1;
        if (c >= 1 && c < n_categories && counts.clean[c] > 0) {
            sum += out->iou[c];
            n_present++;
        }
    }
    out->miou_foreground = n_present > 0 ? sum / n_present : NAN;
}

// Draws all images at one strength and measures the IoU.
static adele_status render_all(const struct noise_config *config, int n_categories, double strength,
                               int n_images, struct noise_image *images, struct noise_report *out) {
    int i_failed = n_images;
    adele_status failure = ADELE_OK;
#pragma omp parallel for schedule(dynamic, 4)
    for (int i = 0; i < n_images; i++) {
        adele_status status = render(config, n_categories, strength, &images[i]);
        if (status != ADELE_OK) {
            // Error messages belong to a thread; the first failing image in order decides which is
            // reported.
#pragma omp critical(noise_failure)
            if (i < i_failed) {
                i_failed = i;
                failure = status;
            }
        }
    }
    if (failure != ADELE_OK)
        return FAIL(failure,
                    failure == ADELE_NO_MEMORY ? "Close other programs."
                                               : "Check the mask with `adele check`.",
                    "noise for the mask %s (%d x %d pixels): %s", images[i_failed].name,
                    images[i_failed].width, images[i_failed].height, adele_status_text(failure));
    out->strength = strength;
    measure(n_categories, n_images, images, out);
    return ADELE_OK;
}

// Keeps the strength whose IoU is closest to the target.
struct closest {
    double strength, miou;
};

// The next strength between one that is too weak and one that is too strong: where the line between
// them meets the target, but well inside, so that the interval shrinks at least by a tenth.
static double next_strength(double low, double miou_low, double high, double miou_high,
                            double target, bool halve) {
    double share = halve ? 0.5 : (miou_low - target) / (miou_low - miou_high);
    if (!(share >= 0.1))
        share = 0.1;
    if (share > 0.9)
        share = 0.9;
    return low + share * (high - low);
}

static adele_status search(const struct noise_config *config, int n_categories, int n_images,
                           struct noise_image *images, struct noise_report *out) {
    double target = config->target_miou, low = 0, high = INFINITY, miou_low = 1, miou_high = 0;
    double largest =
        config->kind == NOISE_FLIP ? 1 / fmax(config->flip_fraction, 1e-6) : ALL_UNDER_END;
    double strength = fmin(1, largest);
    struct closest closest = {0, 1};
    for (out->n_steps = 1;; out->n_steps++) {
        TRY(render_all(config, n_categories, strength, n_images, images, out));
        double miou = out->miou_foreground;
        if (isnan(miou))
            return FAIL(ADELE_DATA, "Check that the labels are those of this data set.",
                        "no mask has foreground: a target mIoU has no meaning");
        if (fabs(miou - target) < fabs(closest.miou - target))
            closest = (struct closest){strength, miou};
        if (fabs(miou - target) <= TARGET_AIM || out->n_steps == MAX_STEPS)
            break;
        if (miou > target) {
            low = strength;
            miou_low = miou;
        } else {
            high = strength;
            miou_high = miou;
        }
        if (low >= largest || (isfinite(high) && high - low <= LEAST_INTERVAL * high))
            break;
        strength = isinf(high) ? fmin(2 * strength, largest)
                               : next_strength(low, miou_low, high, miou_high, target,
                                               out->n_steps % 3 == 0);
    }
    if (!(fabs(closest.miou - target) <= TARGET_TOLERANCE))
        return FAIL(
            ADELE_DATA, "Ask for a target near that value, or use more images or another kind.",
            "the noise cannot reach a foreground mIoU of %g: the closest is %.4f at strength "
            "%.4g after %d steps",
            target, closest.miou, closest.strength, out->n_steps);
    if (out->strength != closest.strength)
        TRY(render_all(config, n_categories, closest.strength, n_images, images, out));
    return ADELE_OK;
}

adele_status noise_apply(const struct noise_config *config, int n_categories, int n_images,
                         struct noise_image *images, struct noise_report *out) {
    memset(out, 0, sizeof *out);
    TRY(check_config(config, n_categories));
    if (config->kind == NOISE_NONE) {
        for (int i = 0; i < n_images; i++)
            memcpy(images[i].noisy, images[i].clean,
                   (size_t)images[i].height * (size_t)images[i].width);
        measure(n_categories, n_images, images, out);
        return ADELE_OK;
    }
    if (config->target_miou > 0)
        return search(config, n_categories, n_images, images, out);
    return render_all(config, n_categories, 1, n_images, images, out);
}
