// SPDX-License-Identifier: MIT
// `adele check`: reads every file of a data set and lists what is wrong with it.
#include "data/check_report.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/check_cases.h"
#include "data/dataset.h"
#include "data/fingerprint.h"
#include "data/foreground.h"
#include "data/label_values.h"
#include "data/notes.h"
#include "data/palette_check.h"

#include <stdio.h>
#include <string.h>

// ---- files --------------------------------------------------------------------------------------

// Turns a failure into a problem of the report; only ADELE_NO_MEMORY remains a failure.
static adele_status report_failure(struct check_report *report, enum check_kind kind,
                                   adele_status status) {
    if (status == ADELE_OK || status == ADELE_NO_MEMORY)
        return status;
    // Copies, because adding to the report may fail and overwrite the record.
    char text[2048], hint[512];
    (void)snprintf(text, sizeof text, "%s", adele_error_message());
    (void)snprintf(hint, sizeof hint, "%s", adele_error_hint());
    if (kind == CHECK_UNREADABLE && hint[0] == '\0')
        (void)snprintf(hint, sizeof hint, "Replace the file.");
    return check_report_add(report, kind, true, hint, "%s", text);
}

struct check_job {
    const struct dataset *dataset;
    struct check_report *report;
    enum dataset_split split;
    struct foreground_counts counts; // of the split's label maps
    struct notes notes;              // of its pictures
    struct fingerprint_builder *fingerprint;
};

// At most one problem per file. Label maps with valid values are counted when `is_counted`.
static adele_status check_values(struct check_job *job, const char *path,
                                 const struct case_labels *labels, bool is_counted) {
    adele_status status = case_labels_check_values(job->dataset, path, labels);
    bool has_foreground = false, has_ignored = false;
    if (status != ADELE_OK || !is_counted)
        return report_failure(job->report, CHECK_LABEL_OUT_OF_RANGE, status);
    TRY(foreground_scan(job->dataset, path, labels, &has_foreground, &has_ignored));
    if (!labels->is_volume) {
        foreground_count(&job->counts, path, has_foreground, has_ignored);
        return ADELE_OK;
    }
    if (!has_foreground) {
        struct foreground_finding finding;
        foreground_check_volume(job->dataset, path, has_ignored, &finding);
        return check_report_add(job->report, CHECK_NO_FOREGROUND, true, finding.hint, "%s",
                                finding.text);
    }
    return ADELE_OK;
}

// `image` is NULL when it could not be read.
static adele_status check_label(struct check_job *job, const char *path,
                                const struct dataset_case *item, const struct case_image *image,
                                bool needs_foreground) {
    enum check_kind kind = CHECK_SIZE_MISMATCH;
    CLEANUP(case_labels_deinit) struct case_labels labels = {0};
    OWNED struct palette_use *use = NULL;
    if (path == NULL)
        return ADELE_OK;
    job->report->n_files++;
    bool is_source = path == dataset_label_source(item, job->split);
    adele_status status = case_labels_load(job->dataset, path, &labels);
    if (status != ADELE_OK) {
        if (is_source)
            fingerprint_builder_add_unreadable(job->fingerprint, path);
        return report_failure(job->report, CHECK_UNREADABLE, status);
    }
    if (is_source)
        TRY(fingerprint_builder_add_mask(job->fingerprint, path, &labels));
    status = case_labels_place(job->dataset, item, path, &labels, &kind);
    if (status == ADELE_OK && image != NULL)
        status = case_labels_check_size(path, &labels, item->image_path[0], image);
    TRY(report_failure(job->report, kind, status));
    TRY(palette_use_of(&labels, &use));
    TRY(report_failure(job->report, CHECK_PALETTE, palette_check_add(job->dataset, path, use)));
    return check_values(job, path, &labels, needs_foreground);
}

static adele_status check_case(struct check_job *job, const struct dataset_case *item) {
    const struct dataset *dataset = job->dataset;
    const char *image_path = item->image_path[0];
    CLEANUP(case_image_deinit) struct case_image image = {0};
    const struct case_image *loaded = NULL;
    enum check_kind kind = CHECK_UNREADABLE;
    // A wrong number of channel files has been reported already.
    bool is_complete = item->n_files == 1 || item->n_files == dataset->n_channels;
    if (image_path != NULL && is_complete) {
        adele_status status = case_image_load(dataset, item, &kind, &image);
        if (status == ADELE_OK)
            loaded = &image;
        else
            fingerprint_builder_add_unreadable(job->fingerprint, image_path);
        TRY(report_failure(job->report, kind, status));
    }
    job->report->n_files += item->n_files;
    const char *source = dataset_label_source(item, job->split);
    if (loaded != NULL) {
        notes_add(&job->notes, image.notes, image_path);
        TRY(fingerprint_builder_add_image(job->fingerprint, &image));
        TRY(report_failure(job->report, CHECK_NOT_FINITE, case_image_check_finite(&image, item)));
    }
    TRY(check_label(job, item->label_path, item, loaded, true));
    if (source != item->label_path)
        TRY(check_label(job, source, item, loaded, item->label_path == NULL));
    if (item->truth_path != NULL &&
        (item->label_path == NULL || strcmp(item->truth_path, item->label_path) != 0))
        return check_label(job, item->truth_path, item, loaded, false);
    return ADELE_OK;
}

// ---- splits -------------------------------------------------------------------------------------

// Neither split is required: most data sets of one's own have no test split.
static adele_status report_empty(const struct dataset *dataset, enum dataset_split split,
                                 struct check_report *report) {
    const char *hint = "Without validation cases the last checkpoint is the best.";
    if (split == SPLIT_TEST && dataset->n_cases[SPLIT_VAL] > 0)
        hint = "Training does not need one. `adele evaluate RUN --split val` takes the validation "
               "cases instead.";
    else if (split == SPLIT_TEST)
        hint = "Without validation and test cases nothing can be evaluated; name some in "
               "data.split.";
    return check_report_add(report, CHECK_EMPTY_SPLIT, false, hint, "%s: the %s split has no cases",
                            dataset->root, dataset_split_name(split));
}

// A test split without labels is for prediction; one with some labels should have all.
static adele_status check_test_labels(const struct dataset *dataset, struct check_report *report) {
    int n_labelled = 0;
    for (int i = 0; i < dataset->n_cases[SPLIT_TEST]; i++)
        n_labelled += dataset->cases[SPLIT_TEST][i].label_path != NULL;
    for (int i = 0; n_labelled > 0 && i < dataset->n_cases[SPLIT_TEST]; i++) {
        const struct dataset_case *item = &dataset->cases[SPLIT_TEST][i];
        if (item->label_path == NULL && item->image_path[0] != NULL)
            TRY(check_report_add(report, CHECK_MISSING_PARTNER, true,
                                 "Add the mask, or take the case out of the test split.",
                                 "%s: no mask, while %d cases of the test split have one",
                                 item->image_path[0], n_labelled));
    }
    return ADELE_OK;
}

static adele_status check_truth(const struct dataset *dataset, struct check_report *report) {
    for (int i = 0; dataset->config.true_labels != NULL && i < dataset->n_cases[SPLIT_TRAIN]; i++)
        if (dataset->cases[SPLIT_TRAIN][i].truth_path == NULL)
            TRY(check_report_add(report, CHECK_MISSING_PARTNER, false,
                                 "Its pixels will not count in the diagnostics.",
                                 "%s: no true labels for case %s", dataset->config.true_labels,
                                 dataset->cases[SPLIT_TRAIN][i].name));
    return ADELE_OK;
}

static adele_status check_split(const struct dataset *dataset, enum dataset_split split,
                                struct fingerprint_builder *fingerprint,
                                struct check_report *report) {
    struct check_job job = {
        .dataset = dataset, .report = report, .split = split, .fingerprint = fingerprint};
    int n_cases = dataset->n_cases[split];
    if (n_cases == 0 && split != SPLIT_TRAIN)
        return report_empty(dataset, split, report);
    for (int i = 0; i < n_cases; i++) {
        fingerprint_builder_begin_case(fingerprint, split, i);
        TRY(check_case(&job, &dataset->cases[split][i]));
    }
    char text[4096], where[32];
    bool is_warning;
    (void)snprintf(where, sizeof where, " of the %s split", dataset_split_name(split));
    for (int kind = 0; kind < NOTE_KINDS; kind++)
        if (notes_text(&job.notes, kind, where, text, sizeof text, &is_warning) && is_warning)
            TRY(check_report_add(
                report, CHECK_READING, false,
                "They are used as described; save them again if that is not intended.", "%s",
                text));
    struct foreground_finding finding;
    foreground_check(dataset, split, &job.counts, &finding);
    if (!finding.is_problem)
        return ADELE_OK;
    return check_report_add(report, CHECK_NO_FOREGROUND, finding.is_error, finding.hint, "%s",
                            finding.text);
}

static adele_status check_all(const struct dataset_config *config, struct check_report *out) {
    OWNED_BY(dataset_close) struct dataset *dataset = NULL;
    OWNED_BY(fingerprint_builder_destroy) struct fingerprint_builder *fingerprint = NULL;
    TRY(dataset_open_reported(config, out, &dataset));
    TRY(fingerprint_builder_create(dataset, &fingerprint));
    for (int split = 0; split < SPLIT_COUNT; split++)
        TRY(check_split(dataset, split, fingerprint, out));
    TRY(fingerprint_builder_finish(fingerprint, &out->fingerprint));
    TRY(check_test_labels(dataset, out));
    TRY(check_truth(dataset, out));
    return check_contents(dataset, out);
}

adele_status check_run(const struct dataset_config *config, struct check_report *out) {
    memset(out, 0, sizeof *out);
    adele_status status = check_all(config, out);
    if (status != ADELE_OK)
        check_report_deinit(out);
    return status;
}
