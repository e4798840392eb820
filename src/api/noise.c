// SPDX-License-Identifier: MIT
#include "adele/data.h"

#include "api/data_options.h"
#include "base/fail.h"
#include "base/memory.h"
#include "noise/noise_files.h"

#include <math.h>
#include <string.h>

// The public report comes first, so that its address is that of the whole.
struct noise {
    struct adele_noise_report report;
    struct noise_report made;
    struct dataset *dataset; // owns the names of the classes
};

void adele_noise_report_destroy(struct adele_noise_report *report) {
    struct noise *noise = (struct noise *)report;
    if (noise == NULL)
        return;
    dataset_close(noise->dataset);
    memory_free(noise);
}
OWNER(adele_noise_report_destroy, struct adele_noise_report)

void adele_noise_options_init(struct adele_noise_options *out) {
    struct noise_config config;
    noise_config_init(&config);
    *out = (struct adele_noise_options){.kind = noise_kind_names[config.kind],
                                        .target_miou = config.target_miou,
                                        .iterations_low = config.iterations_low,
                                        .iterations_high = config.iterations_high,
                                        .flip_fraction = config.flip_fraction,
                                        .outward = config.outward,
                                        .corners_low = config.corners_low,
                                        .corners_high = config.corners_high,
                                        .object_fraction = config.object_fraction,
                                        .shift_fraction = config.shift_fraction,
                                        .seed = config.seed};
}

static adele_status find_kind(const char *name, enum noise_kind *out) {
    for (int kind = NOISE_UNDER_OVER; name != NULL && kind < NOISE_N_KINDS; kind++) {
        if (strcmp(name, noise_kind_names[kind]) == 0) {
            *out = kind;
            return ADELE_OK;
        }
    }
    return FAIL(ADELE_INVALID_ARGUMENT,
                "Use under-over, flip, mixed, boundary, coarse, missing, extra, confuse or shift.",
                "no kind of noise is named '%s'", name != NULL ? name : "(null)");
}

static adele_status read_options(const struct adele_noise_options *options,
                                 struct noise_config *out) {
    *out = (struct noise_config){.target_miou = options->target_miou,
                                 .iterations_low = options->iterations_low,
                                 .iterations_high = options->iterations_high,
                                 .flip_fraction = options->flip_fraction,
                                 .outward = options->outward,
                                 .corners_low = options->corners_low,
                                 .corners_high = options->corners_high,
                                 .object_fraction = options->object_fraction,
                                 .shift_fraction = options->shift_fraction,
                                 .seed = options->seed};
    TRY(find_kind(options->kind, &out->kind));
    if (options->output == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name a folder.", "no output is given");
    return noise_config_check(out);
}

// Noise is made from the clean labels at the files' own size.
static adele_status open_dataset(const struct adele_data *data, struct config **config,
                                 struct dataset **out) {
    struct dataset_config clean;
    TRY(data_options_resolve(data, config, &clean));
    if (*config == NULL)
        clean.foreground_slices_only = true;
    clean.noisy_labels = clean.true_labels = NULL;
    clean.height = clean.width = 0;
    return dataset_open(&clean, out);
}

static void fill_report(struct noise *noise) {
    struct adele_noise_report *report = &noise->report;
    double miou = noise->made.miou_foreground;
    report->n_classes = noise->dataset->n_categories;
    report->class_names = (const char *const *)noise->dataset->category_names;
    for (int c = 0; c < report->n_classes; c++)
        if (noise->made.iou[c] < 0.0)
            noise->made.iou[c] = NAN;
    report->iou = noise->made.iou;
    report->miou_foreground = miou >= 0.0 ? miou : NAN;
    report->strength = noise->made.strength;
}

adele_status adele_noise(const struct adele_data *data, const struct adele_noise_options *options,
                         struct adele_noise_report **out) {
    OWNED_BY(config_destroy) struct config *config = NULL;
    struct noise_config wanted;
    struct noise *noise = NULL;
    *out = NULL;
    TRY(ALLOCATE(&noise, 1));
    OWNED_BY(adele_noise_report_destroy) struct adele_noise_report *report = &noise->report;
    TRY(read_options(options, &wanted));
    TRY(open_dataset(data, &config, &noise->dataset));
    TRY(noise_files_write(noise->dataset, &wanted, options->output, options->overwrite != 0,
                          &noise->made, &report->n_images));
    fill_report(noise);
    *out = report;
    report = NULL;
    return ADELE_OK;
}
