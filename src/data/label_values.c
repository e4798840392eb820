// SPDX-License-Identifier: MIT
#include "data/label_values.h"

#include "base/fail.h"
#include "data/label_lookup.h"

#include <stdio.h>

// The invalid values of a file, in the order of the file.
struct bad_values {
    size_t n, first;
    int n_slices; // with such values
};

static int32_t value_in_file(const struct case_labels *labels, size_t i) {
    return labels->is_volume ? case_labels_stored_value(labels, i) : labels->values[i];
}

static struct bad_values count_bad(const struct dataset *dataset,
                                   const struct case_labels *labels) {
    struct bad_values bad = {0};
    size_t n = (size_t)labels->n_slices * (size_t)labels->height * (size_t)labels->width;
    size_t plane = labels->is_volume ? (size_t)labels->volume.nx * (size_t)labels->volume.ny : n;
    for (size_t start = 0; start < n; start += plane) {
        size_t before = bad.n;
        for (size_t i = start; i < start + plane; i++)
            if (label_lookup_category(dataset->lookup, value_in_file(labels, i)) < 0 &&
                bad.n++ == 0)
                bad.first = i;
        bad.n_slices += bad.n > before;
    }
    return bad;
}

static const char *value_hint(const struct dataset *dataset, const struct case_labels *labels,
                              size_t first) {
    if (value_in_file(labels, first) == LABEL_NOT_A_VALUE && labels->volume.slope != 0.0 &&
        labels->volume.slope != 1.0)
        return "Save the mask as whole numbers without a slope (scl_slope 1, scl_inter 0).";
    if (value_in_file(labels, first) == LABEL_NOT_A_VALUE)
        return "Masks contain whole numbers: resample them with nearest neighbour, never "
               "linearly.";
    if (dataset->map.n > 0)
        return "Name the value in data.label_map, or set data.label_map_other.";
    return "Correct the mask, add the class to the data set's list of names, or merge "
           "values with data.label_map.";
}

static adele_status fail_values(const struct dataset *dataset, const char *path,
                                const struct case_labels *labels) {
    struct bad_values bad = count_bad(dataset, labels);
    char place[96], value[128], slices[64] = "", what[96];
    size_t width = (size_t)labels->width, height = (size_t)labels->height;
    if (labels->is_volume) {
        width = (size_t)labels->volume.nx;
        height = (size_t)labels->volume.ny;
        nifti_raw_text(&labels->volume, bad.first, value, sizeof value);
        (void)snprintf(slices, sizeof slices, ", in %d of %d slices", bad.n_slices,
                       labels->volume.nz);
    } else {
        (void)snprintf(value, sizeof value, "%d", (int)labels->values[bad.first]);
    }
    size_t x = bad.first % width, y = bad.first / width % height, z = bad.first / (width * height);
    if (labels->is_volume)
        (void)snprintf(place, sizeof place, "voxel (x %zu, y %zu, z %zu)", x, y, z);
    else
        (void)snprintf(place, sizeof place, "pixel (x %zu, y %zu)", x, y);
    if (value_in_file(labels, bad.first) == LABEL_NOT_A_VALUE)
        (void)snprintf(what, sizeof what, "which is not a whole number");
    else if (dataset->map.n > 0)
        (void)snprintf(what, sizeof what, "which data.label_map does not name");
    else
        (void)snprintf(what, sizeof what, "but classes are 0 to %d (%d = ignored)",
                       dataset->n_categories - 1, dataset->ignore_value);
    return FAIL(ADELE_DATA, value_hint(dataset, labels, bad.first),
                "%s: %s is %s, %s; %zu such in the file%s", path, place, value, what, bad.n,
                slices);
}

adele_status case_labels_check_values(const struct dataset *dataset, const char *path,
                                      const struct case_labels *labels) {
    size_t n = (size_t)labels->n_slices * (size_t)labels->height * (size_t)labels->width;
    for (size_t i = 0; i < n; i++)
        if (label_lookup_category(dataset->lookup, labels->values[i]) < 0)
            return fail_values(dataset, path, labels);
    return ADELE_OK;
}

adele_status case_labels_load_checked(const struct dataset *dataset,
                                      const struct dataset_case *item, const char *path,
                                      const struct case_image *image, struct case_labels *out) {
    TRY(case_labels_load(dataset, path, out));
    adele_status status = case_labels_place(dataset, item, path, out, NULL);
    if (status == ADELE_OK && image != NULL)
        status = case_labels_check_size(path, out, item->image_path[0], image);
    if (status == ADELE_OK)
        status = case_labels_check_values(dataset, path, out);
    if (status != ADELE_OK)
        case_labels_deinit(out);
    return status;
}

adele_status case_labels_map(const struct dataset *dataset, const char *path,
                             const struct case_labels *labels, int slice, uint8_t *out) {
    size_t n = (size_t)labels->height * (size_t)labels->width;
    const int32_t *values = labels->values + (size_t)slice * n;
    for (size_t i = 0; i < n; i++) {
        int category = label_lookup_category(dataset->lookup, values[i]);
        if (category < 0)
            return case_labels_check_values(dataset, path, labels);
        out[i] = (uint8_t)category;
    }
    return ADELE_OK;
}

bool case_labels_has_foreground(const struct dataset *dataset, const struct case_labels *labels,
                                int slice) {
    size_t n = (size_t)labels->height * (size_t)labels->width;
    const int32_t *values = labels->values + (size_t)slice * n;
    for (size_t i = 0; i < n; i++) {
        int category = label_lookup_category(dataset->lookup, values[i]);
        if (category > 0 && category != LABEL_IGNORE)
            return true;
    }
    return false;
}
