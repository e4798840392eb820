// SPDX-License-Identifier: MIT
#include "data/orientation.h"

#include "base/fail.h"
#include "base/log.h"
#include "image/nifti.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// ---- one file -----------------------------------------------------------------------------------

// A volume of one slice whose slice is not the last axis (some programs save pictures with the
// slice axis first): the slice spans the other two axes.
static struct nifti_order natural_order(const struct nifti_geometry *image) {
    struct nifti_order order = nifti_order_identity();
    int n_flat = 0, flat = 2;
    for (int i = 0; i < 3; i++)
        if (image->n[i] == 1) {
            n_flat++;
            flat = i;
        }
    if (n_flat == 1) {
        order.axis[flat] = 2;
        order.axis[2] = flat;
    }
    return order;
}

static struct nifti_codes natural_codes(const struct nifti_geometry *image) {
    struct nifti_order order = natural_order(image);
    return nifti_order_codes(&order, nifti_geometry_codes(image));
}

struct nifti_order orientation_of_image(const struct dataset *dataset,
                                        const struct nifti_geometry *image) {
    struct nifti_order natural = natural_order(image);
    struct nifti_order turn = nifti_order_between(natural_codes(image), dataset->orientation);
    turn = nifti_order_compose(&natural, &turn);
    for (int i = 0; i < 3; i++) // one slice has no direction to reverse
        turn.is_reversed[i] = turn.is_reversed[i] && image->n[turn.axis[i]] > 1;
    return turn;
}

adele_status orientation_match(enum orientation_role role, const char *path,
                               const struct nifti_geometry *geometry, const char *image_path,
                               const struct nifti_geometry *image, enum check_kind *kind,
                               struct nifti_order *out) {
    char text[256];
    const int *a = geometry->n, *b = image->n;
    bool is_label = role == ORIENTATION_LABEL;
    switch (nifti_geometry_match(image, geometry, out, text, sizeof text)) {
    case NIFTI_SAME_PLACE:
        return ADELE_OK;
    case NIFTI_OTHER_EXTENTS:
        *kind = CHECK_SIZE_MISMATCH;
        return FAIL(ADELE_DATA,
                    is_label ? "Bring the mask to the size of its image."
                             : "All channels of a case need one size.",
                    "%s: %d x %d x %d, but %s%s is %d x %d x %d (height x width x slices)", path,
                    a[1], a[0], a[2], is_label ? "its image " : "", image_path, b[1], b[0], b[2]);
    case NIFTI_OTHER_PLACE:
        break;
    }
    *kind = CHECK_GEOMETRY;
    return FAIL(ADELE_DATA,
                "Check that both belong together; then resample one onto the other, or, where only "
                "the header is wrong, copy the image's sform and qform.",
                "%s: has another position than %s%s: %s", path, is_label ? "its image " : "",
                image_path, text);
}

// ---- the set ------------------------------------------------------------------------------------

// Codes that occur, in the order of their first case.
struct tally {
    int n;
    struct nifti_codes codes[48];
    int counts[48];
};

static void count_codes(const struct dataset *dataset, enum dataset_split split,
                        struct tally *tally) {
    for (int i = 0; i < dataset->n_cases[split]; i++) {
        struct nifti_codes codes = natural_codes(&dataset->cases[split][i].geometry);
        if (codes.letters[0] == '\0')
            continue;
        int k = 0;
        while (k < tally->n && memcmp(&tally->codes[k], &codes, sizeof codes) != 0)
            k++;
        if (k == tally->n)
            tally->codes[tally->n++] = codes;
        tally->counts[k]++;
    }
}

// The training images decide; a folder for prediction has only test cases.
static void choose_orientation(struct dataset *dataset) {
    struct tally tally = {0};
    dataset->orientation = dataset->config.orientation;
    if (dataset->orientation.letters[0] != '\0')
        return;
    for (int split = 0; split < SPLIT_COUNT && tally.n == 0; split++)
        count_codes(dataset, split, &tally);
    for (int k = 0, best = 0; k < tally.n; k++)
        if (k == 0 || tally.counts[k] > tally.counts[best]) {
            best = k;
            dataset->orientation = tally.codes[k];
        }
}

// Files that are stored in another order: how many, and the first of them.
struct finding {
    int n;
    const char *path;
    char text[256];
};

struct survey {
    struct finding turned, flat, unknown, unlike;
    int n_images;
};

static void record(struct finding *finding, const char *path, const char *text) {
    if (finding->n++ > 0)
        return;
    finding->path = path;
    (void)snprintf(finding->text, sizeof finding->text, "%s", text);
}

// Files that cannot be read or do not match are reported when they are loaded.
static adele_status survey_partner(const struct dataset_case *item, const char *path,
                                   struct survey *survey) {
    struct nifti_geometry geometry;
    struct nifti_order order;
    char text[256];
    if (path == NULL || item->geometry.n[0] == 0)
        return ADELE_OK;
    adele_status status = nifti_probe_geometry(path, &geometry);
    if (status != ADELE_OK)
        return status == ADELE_NO_MEMORY ? status : ADELE_OK;
    if (nifti_geometry_match(&item->geometry, &geometry, &order, text, sizeof text) !=
            NIFTI_SAME_PLACE ||
        nifti_order_is_identity(&order))
        return ADELE_OK;
    nifti_order_describe(&order, text, sizeof text);
    record(&survey->unlike, path, text);
    return ADELE_OK;
}

static adele_status survey_case(const struct dataset *dataset, struct dataset_case *item,
                                struct survey *survey, struct check_report *report) {
    const struct nifti_geometry *image = &item->geometry;
    if (image->n[0] == 0) // unreadable files are reported elsewhere
        return ADELE_OK;
    struct nifti_order natural = natural_order(image), order = orientation_of_image(dataset, image);
    int n[3];
    nifti_order_extents(&order, image->n, n);
    item->n_slices = n[2];
    survey->n_images++;
    bool is_flat = !nifti_order_is_identity(&natural);
    if (is_flat && n[2] > 1) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       "one slice along %c, but the set's slices lie across it: they would be "
                       "%d x %d pixels (height x width)",
                       "xyz"[natural.axis[2]], n[1], n[0]);
        const char *hint = "Take the case out, or correct the orientation in its header.";
        if (report == NULL)
            return FAIL(ADELE_DATA, hint, "%s: %s", item->image_path[0], text);
        return check_report_add(report, CHECK_GEOMETRY, true, hint, "%s: %s", item->image_path[0],
                                text);
    }
    if (!image->has_affine && dataset->orientation.letters[0] != '\0')
        record(&survey->unknown, item->image_path[0], "");
    if (is_flat)
        record(&survey->flat, item->image_path[0], "");
    else if (!nifti_order_is_identity(&order))
        record(&survey->turned, item->image_path[0], nifti_geometry_codes(image).letters);
    for (int channel = 1; channel < item->n_files; channel++)
        TRY(survey_partner(item, item->image_path[channel], survey));
    TRY(survey_partner(item, item->label_path, survey));
    TRY(survey_partner(item, item->noisy_path, survey));
    if (item->truth_path != NULL && item->label_path != NULL &&
        strcmp(item->truth_path, item->label_path) == 0)
        return ADELE_OK;
    return survey_partner(item, item->truth_path, survey);
}

ADELE_PRINTF(2, 3)
static adele_status report_line(struct check_report *report, const char *format, ...) {
    static const char hint[] =
        "Nothing has to be done: files that are written have their source's own order.";
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (report != NULL)
        return check_report_add(report, CHECK_GEOMETRY, false, hint, "%s", text);
    log_line(LOG_INFO, "%s", text);
    return ADELE_OK;
}

static adele_status report_survey(const struct dataset *dataset, const struct survey *survey,
                                  struct check_report *report) {
    const char *codes = dataset->orientation.letters;
    if (survey->turned.n > 0)
        TRY(report_line(report,
                        "%d of %d volumes are not stored in the orientation %s (first: %s, %s); "
                        "they are brought to it",
                        survey->turned.n, survey->n_images, codes, survey->turned.path,
                        survey->turned.text));
    if (survey->flat.n > 0)
        TRY(report_line(report,
                        "%d of %d volumes have one slice, which is not along the last axis (first: "
                        "%s); it is used as stored",
                        survey->flat.n, survey->n_images, survey->flat.path));
    if (survey->unknown.n > 0)
        TRY(report_line(report,
                        "%d of %d volumes have no orientation in their header (first: %s); %s is "
                        "assumed, as for the others",
                        survey->unknown.n, survey->n_images, survey->unknown.path, codes));
    if (survey->unlike.n > 0)
        TRY(report_line(report,
                        "%d masks or channels are stored in another order than their images, "
                        "at the same position (first: %s: %s); they are brought to the image's",
                        survey->unlike.n, survey->unlike.path, survey->unlike.text));
    return ADELE_OK;
}

adele_status orientation_find(struct dataset *dataset, struct check_report *report) {
    struct survey survey = {0};
    if (!dataset->is_volume)
        return ADELE_OK;
    choose_orientation(dataset);
    for (int split = 0; split < SPLIT_COUNT; split++)
        for (int i = 0; i < dataset->n_cases[split]; i++)
            TRY(survey_case(dataset, &dataset->cases[split][i], &survey, report));
    return report_survey(dataset, &survey, report);
}
