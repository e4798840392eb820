// SPDX-License-Identifier: MIT
// Noisy versions of a set of label maps: METHOD section 6.
#include "noise/noise.h"

#include "base/fail.h"
#include "data/label_lookup.h"
#include "noise/noise_kinds.h"
#include "noise/noise_render.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define MAX_ITERATIONS   100
#define MAX_WALK         64.0 // times the configured steps of boundary
#define MAX_COPIES       16.0 // of each object for extra
#define MAX_STEPS        40
#define TARGET_AIM       0.002
#define TARGET_TOLERANCE 0.01
#define LEAST_INTERVAL   1e-7 // of the strength, relative: the search stops at such an interval

const char *const noise_kind_names[NOISE_N_KINDS + 1] = {
    [NOISE_NONE] = "none",       [NOISE_UNDER_OVER] = "under-over", [NOISE_FLIP] = "flip",
    [NOISE_MIXED] = "mixed",     [NOISE_BOUNDARY] = "boundary",     [NOISE_COARSE] = "coarse",
    [NOISE_MISSING] = "missing", [NOISE_EXTRA] = "extra",           [NOISE_CONFUSE] = "confuse",
    [NOISE_SHIFT] = "shift"};

void noise_config_init(struct noise_config *out) {
    *out = (struct noise_config){
        .kind = NOISE_UNDER_OVER,
        .iterations_low = 2,
        .iterations_high = 4,
        .flip_fraction = 0.05,
        .outward = 0.5,
        .corners_low = 4,
        .corners_high = 8,
        .object_fraction = 0.2,
        .shift_fraction = 0.05,
    };
}

static adele_status check_share(const char *name, double share) {
    if (share >= 0 && share <= 1)
        return ADELE_OK;
    return FAIL(ADELE_INVALID_ARGUMENT, "Give a share from 0 to 1.", "noise: %s %g", name, share);
}

static adele_status check_range(const char *name, int low, int high, int least) {
    if (low >= least && low <= high && high <= MAX_ITERATIONS)
        return ADELE_OK;
    return FAIL(ADELE_INVALID_ARGUMENT, "Give a range, the lower number first.",
                "noise %s %d..%d, not within %d..%d", name, low, high, least, MAX_ITERATIONS);
}

// The numbers that this kind alone uses: a caller may leave those of the others at 0.
static adele_status check_kind(const struct noise_config *config) {
    switch (config->kind) {
    case NOISE_BOUNDARY:
        return check_share("outward", config->outward);
    case NOISE_COARSE:
        return check_range("corners", config->corners_low, config->corners_high, 3);
    case NOISE_MISSING:
    case NOISE_EXTRA:
    case NOISE_CONFUSE:
        return check_share("object fraction", config->object_fraction);
    case NOISE_SHIFT:
        return check_share("shift fraction", config->shift_fraction);
    default:
        return ADELE_OK;
    }
}

adele_status noise_config_check(const struct noise_config *config) {
    TRY(check_range("iterations", config->iterations_low, config->iterations_high, 1));
    TRY(check_share("flip fraction", config->flip_fraction));
    TRY(check_kind(config));
    if (!(config->target_miou >= 0 && config->target_miou < 1))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give a mean IoU above 0 and below 1.",
                    "noise target mIoU %g", config->target_miou);
    return ADELE_OK;
}

static adele_status check_config(const struct noise_config *config, int n_categories) {
    if (n_categories < 2 || n_categories > 255)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give at least the background and one class.",
                    "noise for %d classes", n_categories);
    if (config->kind == NOISE_CONFUSE && n_categories < 3)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use another kind, such as boundary.",
                    "confuse noise for one class beside the background, which leaves no other one");
    return noise_config_check(config);
}

// ---- the set ------------------------------------------------------------------------------------

struct counts {
    int64_t clean[256], both[256], either[256];
};

static void add_counts(const struct noise_image *image, struct counts *counts) {
    size_t n_pixels = (size_t)image->height * (size_t)image->width;
    for (size_t i = 0; i < n_pixels; i++) {
        uint8_t clean = image->clean[i], noisy = image->noisy[i];
        if (clean == LABEL_IGNORE)
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
        adele_status status = noise_render(config, n_categories, strength, &images[i]);
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
                    "noise for the mask %s (%d x %d pixels, height x width): %s",
                    images[i_failed].name, images[i_failed].height, images[i_failed].width,
                    adele_status_text(failure));
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

// At which the noise has become as strong as it gets, or as it has to.
static double largest_strength(const struct noise_config *config) {
    switch (config->kind) {
    case NOISE_FLIP:
        return 1 / fmax(config->flip_fraction, 1e-6);
    case NOISE_BOUNDARY:
        return fmin(MAX_WALK, (double)NOISE_BOUNDARY_MAX_STEPS / config->iterations_high);
    case NOISE_COARSE:
        return (config->corners_high + 1) / 3.0;
    case NOISE_EXTRA:
        return MAX_COPIES / fmax(config->object_fraction, 1e-6);
    case NOISE_MISSING:
    case NOISE_CONFUSE:
        return 1 / fmax(config->object_fraction, 1e-6);
    case NOISE_SHIFT:
        return 1 / fmax(config->shift_fraction, 1e-6);
    default:
        return NOISE_ALL_UNDER;
    }
}

static adele_status search(const struct noise_config *config, int n_categories, int n_images,
                           struct noise_image *images, struct noise_report *out) {
    double target = config->target_miou, low = 0, high = INFINITY, miou_low = 1, miou_high = 0;
    double largest = largest_strength(config);
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
