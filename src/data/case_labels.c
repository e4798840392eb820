// SPDX-License-Identifier: MIT
#include "data/case_labels.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/label_lookup.h"
#include "data/orientation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void case_labels_deinit(struct case_labels *labels) {
    memory_free(labels->values);
    nifti_deinit(&labels->volume);
    memset(labels, 0, sizeof *labels);
}

static int32_t whole_value(double value) {
    double rounded = rint(value);
    if (!nifti_is_whole(value, rounded)) // NaN too
        return LABEL_NOT_A_VALUE;
    if (rounded <= -LABEL_LARGEST)
        return -LABEL_LARGEST;
    return rounded >= LABEL_LARGEST ? LABEL_LARGEST : (int32_t)rounded;
}

int32_t case_labels_stored_value(const struct case_labels *labels, size_t i) {
    return whole_value(nifti_raw_value(&labels->volume, i));
}

static adele_status copy_values(struct case_labels *labels, const struct image *picture) {
    size_t n = (size_t)labels->n_slices * (size_t)labels->height * (size_t)labels->width;
    TRY(ALLOCATE(&labels->values, n));
    for (size_t i = 0; picture == NULL && i < n; i++)
        labels->values[i] = case_labels_stored_value(labels, i);
    for (size_t i = 0; picture != NULL && i < n; i++)
        labels->values[i] = picture->n_bits == 16 ? ((const uint16_t *)picture->pixels)[i]
                                                  : ((const uint8_t *)picture->pixels)[i];
    return ADELE_OK;
}

adele_status case_labels_load(const struct dataset *dataset, const char *path,
                              struct case_labels *out) {
    size_t limit = dataset_memory_limit(dataset);
    adele_status status;
    memset(out, 0, sizeof *out);
    out->is_volume = dataset->is_volume;
    out->order = nifti_order_identity();
    if (out->is_volume) {
        struct nifti_volume *volume = &out->volume;
        TRY(nifti_load_raw(path, limit, volume));
        out->n_slices = volume->nz;
        out->height = volume->ny;
        out->width = volume->nx;
        status = copy_values(out, NULL);
    } else {
        struct image picture = {0};
        TRY(case_image_check_extents(path, limit));
        TRY(image_load_label(path, limit, &picture));
        out->orientation = picture.orientation;
        out->n_slices = 1;
        out->height = picture.height;
        out->width = picture.width;
        out->n_bits = picture.n_bits;
        out->palette = picture.palette;
        status = copy_values(out, &picture);
        image_deinit(&picture);
    }
    if (status != ADELE_OK)
        case_labels_deinit(out);
    return status;
}

// The label map fits the picture only after turning one of them.
static adele_status fail_turned(const char *label_path, const struct case_labels *labels,
                                const char *image_path, const struct case_image *image) {
    int orientation = image->pictures[0].orientation;
    if (orientation >= 5)
        return FAIL(ADELE_DATA,
                    "Turn the mask as the picture is seen; or, if all masks were drawn on the "
                    "pictures as they are stored, remove the orientation: exiftool -Orientation= "
                    "FILE.",
                    "%s: %d x %d, but its image %s is %d x %d (height x width): its orientation "
                    "(Exif, %d) turns "
                    "it, and the mask fits the picture as it is stored",
                    label_path, labels->height, labels->width, image_path, image->height,
                    image->width, orientation);
    return FAIL(ADELE_DATA,
                "Turn the one that lies on its side; the files do not contain its orientation.",
                "%s: %d x %d, but its image %s is %d x %d (height x width): they fit only when one "
                "of them is "
                "turned by 90 degrees",
                label_path, labels->height, labels->width, image_path, image->height, image->width);
}

adele_status case_labels_check_size(const char *label_path, const struct case_labels *labels,
                                    const char *image_path, const struct case_image *image) {
    if (labels->n_slices == image->n_slices && labels->height == image->height &&
        labels->width == image->width)
        return ADELE_OK;
    if (!image->is_volume && labels->height == image->width && labels->width == image->height)
        return fail_turned(label_path, labels, image_path, image);
    char slices[2][32] = {"", ""};
    if (image->is_volume) {
        (void)snprintf(slices[0], sizeof slices[0], " x %d", labels->n_slices);
        (void)snprintf(slices[1], sizeof slices[1], " x %d", image->n_slices);
    }
    return FAIL(ADELE_DATA, "Bring the mask to the size of its image.",
                "%s: %d x %d%s, but its image %s is %d x %d%s (height x width%s)", label_path,
                labels->height, labels->width, slices[0], image_path, image->height, image->width,
                slices[1], image->is_volume ? " x slices" : "");
}

// ---- position -----------------------------------------------------------------------------------

adele_status case_labels_place(const struct dataset *dataset, const struct dataset_case *item,
                               const char *path, struct case_labels *labels,
                               enum check_kind *kind) {
    enum check_kind unused;
    struct nifti_order order, image;
    if (!labels->is_volume || item->geometry.n[0] == 0)
        return ADELE_OK;
    const struct nifti_geometry *own = &labels->volume.geometry;
    TRY(orientation_match(ORIENTATION_LABEL, path, own, item->image_path[0], &item->geometry,
                          kind != NULL ? kind : &unused, &order));
    image = orientation_of_image(dataset, &item->geometry);
    order = nifti_order_compose(&order, &image);
    if (nifti_order_is_identity(&order))
        return ADELE_OK;
    int extents[3];
    nifti_order_extents(&order, own->n, extents);
    size_t n = (size_t)extents[0] * (size_t)extents[1] * (size_t)extents[2];
    int32_t *turned = NULL;
    TRY(ALLOCATE(&turned, n));
    nifti_order_apply(&order, own->n, sizeof *turned, labels->values, turned);
    memory_free(labels->values);
    labels->values = turned;
    labels->width = extents[0];
    labels->height = extents[1];
    labels->n_slices = extents[2];
    labels->order = order;
    return ADELE_OK;
}

// ---- back into the file -------------------------------------------------------------------------

adele_status case_labels_save_volume(const char *path, struct case_labels *labels) {
    struct nifti_volume *volume = &labels->volume;
    size_t n = (size_t)labels->n_slices * (size_t)labels->height * (size_t)labels->width;
    for (size_t i = 0; i < n; i++) {
        size_t at = nifti_order_stored_index(&labels->order, volume->geometry.n, i);
        if (labels->values[i] == case_labels_stored_value(labels, at) ||
            nifti_raw_set(volume, at, labels->values[i]))
            continue;
        char slope[64] = "";
        if (volume->slope != 0.0 && volume->slope != 1.0)
            (void)snprintf(slope, sizeof slope, " with the slope %.6g", volume->slope);
        return FAIL(ADELE_DATA,
                    "Save the masks in a data type that can represent all classes, without a slope "
                    "(int16, say), and start again.",
                    "%s: value %d does not fit into the file's data type (%s%s)", path,
                    (int)labels->values[i], nifti_datatype_name(volume->datatype), slope);
    }
    return nifti_save_raw(path, volume);
}
