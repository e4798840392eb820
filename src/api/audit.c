// SPDX-License-Identifier: MIT
#include "adele/audit.h"

#include "api/data_options.h"
#include "api/model.h"
#include "api/ranks.h"
#include "audit/audit_folds.h"
#include "base/fail.h"
#include "run/rank_device.h"

#include <string.h>

_Static_assert(DOUBT_MAX_CATEGORIES == 256, "the summary holds all classes");

enum { MAX_REGIONS = 10000000, MAX_OVERLAYS = 9999 };

void adele_audit_options_init(struct adele_audit_options *out) {
    struct audit_options defaults;
    audit_options_init(&defaults);
    memset(out, 0, sizeof *out);
    out->min_pixels = defaults.limits.n_pixels;
    out->confidence = defaults.limits.confidence;
    out->n_regions = defaults.max_regions;
    out->n_overlays = defaults.max_pictures;
    out->mask_value = defaults.mask_value;
}

static adele_status check_ranges(const struct adele_audit_options *options) {
    if (options->min_pixels < 0)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "min_pixels %lld: not from 0",
                    (long long)options->min_pixels);
    if (!(options->confidence >= 0.0 && options->confidence <= 1.0))
        return FAIL(ADELE_INVALID_ARGUMENT, "", "confidence %g: not from 0 to 1",
                    options->confidence);
    if (options->n_regions < 0 || options->n_regions > MAX_REGIONS)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "n_regions %d: not from 0 to %d",
                    options->n_regions, MAX_REGIONS);
    if (options->n_overlays < 0 || options->n_overlays > MAX_OVERLAYS)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "n_overlays %d: not from 0 to %d",
                    options->n_overlays, MAX_OVERLAYS);
    return ADELE_OK;
}

static void fill_summary(const struct audit_result *result, int n_classes,
                         struct adele_audit_summary *out) {
    *out = (struct adele_audit_summary){.n_classes = n_classes,
                                        .n_images = result->n_images,
                                        .n_pixels = result->n_pixels,
                                        .n_doubtful_pixels = result->n_doubtful,
                                        .n_regions = result->n_regions};
    memcpy(out->score, result->score, sizeof out->score);
    memcpy(out->class_pixels, result->n_class_pixels, sizeof out->class_pixels);
    memcpy(out->class_doubtful_pixels, result->n_class_doubtful, sizeof out->class_doubtful_pixels);
}

// ADELE_INVALID_ARGUMENT for an option out of its range. *out borrows from `options`.
static adele_status read_options(const struct adele_audit_options *options,
                                 struct audit_options *out) {
    audit_options_init(out);
    TRY(check_ranges(options));
    TRY(split_name_read(options->split, &out->model.split));
    TRY(inference_options_read(&options->inference, &out->model.inference));
    out->model.data = options->data;
    out->model.is_overwriting = options->overwrite != 0;
    watch_connect(&options->watch, &out->model);
    out->labels = options->labels;
    out->folder = options->output;
    out->limits = (struct doubt_limits){options->confidence, options->min_pixels};
    out->max_regions = options->n_regions;
    out->max_pictures = options->n_overlays;
    out->mask_value = options->mask_value;
    return ADELE_OK;
}

static adele_status audit(struct adele_model *model, const struct adele_audit_options *options,
                          struct audit_result *out) {
    struct audit_options wanted;
    TRY(read_options(options, &wanted));
    wanted.model.ranks = model->ranks;
    TRY(segmenter_drop_plans(&model->segmenter));
    return model_audit(&model->model, &wanted, out);
}

adele_status adele_model_audit(struct adele_model *model, const struct adele_audit_options *options,
                               struct adele_audit_summary *out) {
    struct audit_result result;
    memset(out, 0, sizeof *out);
    TRY(ranks_check_usable(model->ranks));
    TRY(ranks_agree(model->ranks, audit(model, options, &result)));
    fill_summary(&result, model->info.n_classes, out);
    return ADELE_OK;
}

// ---- folds --------------------------------------------------------------------------------------

static adele_status read_fold_options(const struct adele_audit_options *options,
                                      struct audit_options *out) {
    TRY(read_options(options, out));
    out->model.ranks = ranks_of(options->ranks);
    if (options->output == NULL || options->data != NULL || options->labels != NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Describe the data set in struct adele_data.",
                    options->output == NULL ? "no output is given"
                                            : "data and labels are of a model's audit");
    return ADELE_OK;
}

static adele_status resolve(const struct adele_data *data, struct config **config,
                            struct dataset_config *out) {
    TRY(data_options_resolve(data, config, out));
    if (*config != NULL && (*config)->data.noise.kind != NOISE_NONE)
        return FAIL(ADELE_CONFIG, "Write the noisy labels with `adele noise`, and name them.",
                    "%s: with data.noise the labels are in no file that could be audited",
                    data->config);
    out->split[SPLIT_VAL] = out->split[SPLIT_TEST] = "none";
    return ADELE_OK;
}

adele_status adele_audit_folds(const struct adele_data *data, int n_folds, const char *device,
                               const struct adele_audit_options *options,
                               struct adele_audit_summary *out) {
    struct ranks *ranks = ranks_of(options->ranks);
    char name[RANK_DEVICE_BYTES];
    struct audit_options wanted;
    OWNED_BY(config_destroy) struct config *config = NULL;
    struct dataset_config dataset;
    struct audit_result result;
    int n_classes = 0;
    memset(out, 0, sizeof *out);
    TRY(ranks_check_usable(ranks));
    adele_status status = rank_device_choose(ranks, device != NULL ? device : "auto", name);
    if (status == ADELE_OK)
        status = read_fold_options(options, &wanted);
    if (status == ADELE_OK)
        status = resolve(data, &config, &dataset);
    TRY(ranks_agree(ranks, status));
    TRY(audit_folds_run(&(struct audit_folds){.data = data,
                                              .config = config,
                                              .dataset = &dataset,
                                              .options = &wanted,
                                              .device = name,
                                              .n_folds = n_folds},
                        &result, &n_classes));
    fill_summary(&result, n_classes, out);
    return ADELE_OK;
}
