// SPDX-License-Identifier: MIT
// Writes label maps as files of the input's layout and type. The source file is read again and
// keeps its values wherever the category did not change, so that resizing and a label_map lose
// nothing.
#include "output/label_store.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "data/label_lookup.h"
#include "data/label_values.h"
#include "data/orientation.h"
#include "output/label_project.h"

#include <string.h>

static adele_status make_parent(const char *path) {
    OWNED char *folder = path_folder(path);
    TRY(CHECK_MEMORY(folder));
    return file_make_directory(folder);
}

// ---- writing ------------------------------------------------------------------------------------

// Extends a palette by VOC's colours, so that every value has a colour.
static void complete_palette(struct image_palette *palette, int highest) {
    if (palette->n == 0 || highest < palette->n)
        return;
    struct image_palette voc;
    image_palette_voc(&voc);
    for (int i = palette->n; i <= highest; i++)
        memcpy(palette->rgb[i], voc.rgb[i], sizeof voc.rgb[i]);
    palette->n = highest + 1;
}

static adele_status save_picture(const char *path, const int32_t *values, int height, int width,
                                 int n_bits, const struct image_palette *palette) {
    CLEANUP(image_deinit) struct image picture = {0};
    int highest = 0, limit = n_bits == 16 ? UINT16_MAX : UINT8_MAX;
    TRY(image_init(&picture, width, height, 1, n_bits));
    uint8_t *pixels = picture.pixels;
    uint16_t *wide = picture.pixels;
    size_t n = (size_t)height * (size_t)width;
    for (size_t i = 0; i < n; i++) {
        if (values[i] < 0 || values[i] > limit)
            return FAIL(ADELE_DATA,
                        "Name values in data.label_map that the files can represent, or save the "
                        "files with 16 bits.",
                        "%s: value %d does not fit into a PNG mask of %d bits", path,
                        (int)values[i], n_bits);
        if (n_bits == 16)
            wide[i] = (uint16_t)values[i];
        else
            pixels[i] = (uint8_t)values[i];
        if (values[i] > highest)
            highest = (int)values[i];
    }
    if (palette != NULL)
        picture.palette = *palette;
    complete_palette(&picture.palette, highest);
    return image_save_png(path, &picture);
}

// Saves as uint8, or as int32 when values do not fit: atlases have regions beyond 255.
static adele_status save_volume(const char *path, const int32_t *values,
                                const struct nifti_volume *like) {
    size_t n = (size_t)like->nx * (size_t)like->ny * (size_t)like->nz;
    bool fits = true;
    for (size_t i = 0; i < n && fits; i++)
        fits = values[i] >= 0 && values[i] <= 255;
    if (!fits)
        return nifti_save_integers(path, like, values);
    OWNED uint8_t *labels = NULL;
    TRY(ALLOCATE(&labels, n));
    for (size_t i = 0; i < n; i++)
        labels[i] = (uint8_t)values[i];
    return nifti_save_labels(path, like, labels);
}

// ---- export -------------------------------------------------------------------------------------

struct export_job {
    const struct dataset *dataset;
    enum dataset_split split;
    const struct dataset_images *images;
    const uint8_t *labels, *before; // (N, h, w); before may be NULL
    struct changes *changes;
};

// Buffers of one slice at the file's size.
struct slice_maps {
    uint8_t *source;         // categories in the file
    uint8_t *label;          // the new categories
    uint8_t *before, *after; // maps in memory
};

static void maps_deinit(struct slice_maps *maps) {
    memory_free(maps->source);
    memory_free(maps->label);
    memory_free(maps->before);
    memory_free(maps->after);
}

static adele_status maps_init(struct slice_maps *maps, size_t n_file, size_t n_resident) {
    *maps = (struct slice_maps){0};
    TRY(ALLOCATE(&maps->source, n_file));
    TRY(ALLOCATE(&maps->label, n_file));
    TRY(ALLOCATE(&maps->before, n_resident));
    return ALLOCATE(&maps->after, n_resident);
}

static adele_status no_value(const struct dataset *dataset, const char *path, int category) {
    return FAIL(
        ADELE_DATA,
        "Name one in data.label_map that the files do not hold, such as {from: 254, to: 255}.",
        "%s: %s pixels are to be written, but no value of the files means that", path,
        category == LABEL_IGNORE ? "ignored" : dataset->category_names[category]);
}

// Where images keep their files' size, a map in memory has the size of the largest one, and the
// file's map is its upper left part.
static bool is_own_size(const struct dataset *dataset) {
    return dataset->config.height == 0;
}

static void crop(const uint8_t *from, int w, const struct case_labels *file, uint8_t *to) {
    for (size_t y = 0; y < (size_t)file->height; y++)
        memcpy(to + y * (size_t)file->width, from + y * (size_t)w, (size_t)file->width);
}

// Without `before`, the labels as this file was loaded are those before the correction.
static struct label_change find_change(const struct export_job *job, int i,
                                       const struct case_labels *file, struct slice_maps *maps) {
    int h = job->images->h, w = job->images->w;
    size_t n = (size_t)h * (size_t)w, n_file = (size_t)file->height * (size_t)file->width;
    const uint8_t *before = job->before != NULL ? job->before + (size_t)i * n : NULL;
    const uint8_t *after = job->labels + (size_t)i * n;
    if (is_own_size(job->dataset)) {
        crop(after, w, file, maps->after);
        if (before != NULL)
            crop(before, w, file, maps->before);
        else
            memcpy(maps->before, maps->source, n_file);
        return (struct label_change){maps->before, maps->after, file->height, file->width};
    }
    if (before == NULL)
        resize_nearest_u8(maps->source, file->height, file->width, maps->before, h, w);
    return (struct label_change){before != NULL ? before : maps->before, after, h, w};
}

// Writes the image i's changes into the values of its slice.
static adele_status apply_slice(struct export_job *job, int i, const char *path,
                                struct case_labels *file, struct slice_maps *maps) {
    const struct dataset *dataset = job->dataset;
    const struct dataset_origin *origin = &job->images->origin[i];
    int h = job->images->h, w = job->images->w;
    size_t n_file = (size_t)file->height * (size_t)file->width;
    if (origin->slice < 0 || origin->slice >= file->n_slices)
        return FAIL(ADELE_DATA, "Export with the files that were loaded.",
                    "%s: slice %d of a file of %d", path, origin->slice, file->n_slices);
    if (is_own_size(dataset) && (file->height > h || file->width > w))
        return FAIL(ADELE_DATA, "Export with the files that were loaded.",
                    "%s: %d x %d pixels, more than the %d x %d (height x width) that were loaded",
                    path, file->height, file->width, h, w);
    TRY(case_labels_map(dataset, path, file, origin->slice, maps->source));
    const struct label_change change = find_change(job, i, file, maps);
    label_project(&change, maps->source, file->height, file->width, maps->label);
    int32_t *values = file->values + (size_t)origin->slice * n_file;
    for (size_t k = 0; k < n_file; k++) {
        if (maps->label[k] == maps->source[k])
            continue;
        values[k] = dataset->lookup->value[maps->label[k]];
        if (values[k] == LABEL_NOT_A_VALUE)
            return no_value(dataset, path, maps->label[k]);
    }
    return changes_add(job->changes, dataset->cases[job->split][origin->i_case].name, origin->slice,
                       maps->source, maps->label, n_file);
}

// The images of a case are adjacent; *i advances past them.
static adele_status apply_case(struct export_job *job, int i_case, int *i, const char *path,
                               struct case_labels *file) {
    CLEANUP(maps_deinit) struct slice_maps maps = {0};
    TRY(maps_init(&maps, (size_t)file->height * (size_t)file->width,
                  (size_t)job->images->h * (size_t)job->images->w));
    while (*i < job->images->n && job->images->origin[*i].i_case == i_case) {
        TRY(apply_slice(job, *i, path, file, &maps));
        (*i)++;
    }
    return ADELE_OK;
}

char *label_store_name(const struct dataset *dataset, enum dataset_split split,
                       const struct dataset_case *item) {
    return memory_printf("%s/%s%s%s", dataset_label_folder(dataset, split, item), item->name,
                         dataset_mask_suffix(dataset), dataset->file_ending);
}

static adele_status save_case(const struct export_job *job, const struct dataset_case *item,
                              struct case_labels *file, const char *folder) {
    OWNED char *name = label_store_name(job->dataset, job->split, item);
    OWNED char *path = name != NULL ? file_join(folder, name) : NULL;
    TRY(CHECK_MEMORY(path));
    TRY(make_parent(path));
    return file->is_volume ? case_labels_save_volume(path, file)
                           : save_picture(path, file->values, file->height, file->width,
                                          file->n_bits, &file->palette);
}

static adele_status export_case(struct export_job *job, int i_case, int *i, const char *folder) {
    const struct dataset_case *item = &job->dataset->cases[job->split][i_case];
    const char *source = dataset_label_source(item, job->split);
    CLEANUP(case_labels_deinit) struct case_labels file = {0};
    if (source == NULL)
        return FAIL(ADELE_DATA, "Export the labels of a split that has label files.",
                    "%s: case %s of the %s split has no mask to correct", job->dataset->root,
                    item->name, dataset_split_name(job->split));
    TRY(case_labels_load(job->dataset, source, &file));
    TRY(case_labels_place(job->dataset, item, source, &file, NULL));
    TRY(apply_case(job, i_case, i, source, &file));
    return save_case(job, item, &file, folder);
}

adele_status label_store_export(const struct dataset *dataset, enum dataset_split split,
                                const struct dataset_images *images, const uint8_t *labels,
                                const uint8_t *before, const char *folder,
                                struct changes_sum *out) {
    CLEANUP(changes_deinit) struct changes changes = {0};
    struct export_job job = {.dataset = dataset,
                             .split = split,
                             .images = images,
                             .labels = labels,
                             .before = before,
                             .changes = &changes};
    TRY(file_make_directory(folder));
    TRY(changes_init(&changes));
    int i = 0;
    for (int i_case = 0; i_case < dataset->n_cases[split]; i_case++)
        TRY(export_case(&job, i_case, &i, folder));
    if (i != images->n)
        return FAIL(ADELE_INVALID_ARGUMENT, "Pass the images as dataset_load returned them.",
                    "image %d of %d belongs to no case of the %s split", i, images->n,
                    dataset_split_name(split));
    if (out != NULL)
        *out = changes_sum(&changes);
    return changes_save(&changes, dataset->n_categories, dataset->category_names, folder);
}

adele_status label_store_export_case(const struct dataset *dataset, enum dataset_split split,
                                     int i_case, const struct dataset_images *images,
                                     const uint8_t *labels, const uint8_t *before,
                                     const char *folder, struct changes *changes) {
    struct export_job job = {.dataset = dataset,
                             .split = split,
                             .images = images,
                             .labels = labels,
                             .before = before,
                             .changes = changes};
    int i = 0;
    return export_case(&job, i_case, &i, folder);
}

// ---- predictions --------------------------------------------------------------------------------

// 8 when the values of all categories fit, otherwise 16, so that all files of a set have the same
// type.
int label_store_prediction_bits(const struct dataset *dataset) {
    for (int c = 0; c < dataset->n_categories; c++)
        if (dataset->lookup->value[c] > UINT8_MAX)
            return 16;
    return 8;
}

// A map (n_slices, h, w) -> values of the files at the image's size, (n_slices, height, width).
static adele_status prediction_values(const struct dataset *dataset, const uint8_t *prediction,
                                      int n_slices, int h, int w, int height, int width,
                                      int32_t **out) {
    size_t n = (size_t)height * (size_t)width, n_resident = (size_t)h * (size_t)w;
    OWNED uint8_t *plane = NULL;
    TRY(ALLOCATE(&plane, n));
    TRY(ALLOCATE(out, n * (size_t)n_slices));
    int32_t *values = *out;
    for (int slice = 0; slice < n_slices; slice++) {
        resize_nearest_u8(prediction + (size_t)slice * n_resident, h, w, plane, height, width);
        for (size_t i = 0; i < n; i++)
            values[(size_t)slice * n + i] = dataset->lookup->value[plane[i]];
    }
    return ADELE_OK;
}

static adele_status fail_slices(const struct dataset_case *item, int n_slices, int want) {
    return FAIL(ADELE_INVALID_ARGUMENT, "Predict every slice of the case.",
                "%s: %d predicted slices of %d", item->image_path[0], n_slices, want);
}

// In the image's own storage order.
static adele_status save_predicted_volume(const struct dataset *dataset,
                                          const struct dataset_case *item, const char *path,
                                          int n_slices, int h, int w, const uint8_t *prediction) {
    CLEANUP(nifti_deinit) struct nifti_volume volume = {0};
    OWNED int32_t *values = NULL, *stored = NULL;
    int n[3];
    TRY(nifti_load_raw(item->image_path[0], dataset_memory_limit(dataset), &volume));
    struct nifti_order order = orientation_of_image(dataset, &volume.geometry);
    nifti_order_extents(&order, volume.geometry.n, n);
    if (n_slices != n[2])
        return fail_slices(item, n_slices, n[2]);
    TRY(prediction_values(dataset, prediction, n_slices, h, w, n[1], n[0], &values));
    size_t n_voxels = (size_t)n[0] * (size_t)n[1] * (size_t)n[2];
    TRY(ALLOCATE(&stored, n_voxels));
    struct nifti_order back = nifti_order_inverse(&order);
    nifti_order_apply(&back, n, sizeof *stored, values, stored);
    return save_volume(path, stored, &volume);
}

static adele_status save_predicted_picture(const struct dataset *dataset,
                                           const struct dataset_case *item, const char *path,
                                           int n_slices, int h, int w, const uint8_t *prediction) {
    struct image_palette palette = {0};
    OWNED int32_t *values = NULL;
    int height = 0, width = 0, n_bits = label_store_prediction_bits(dataset);
    TRY(image_probe(item->image_path[0], &width, &height));
    if (n_slices != 1)
        return fail_slices(item, n_slices, 1);
    TRY(prediction_values(dataset, prediction, 1, h, w, height, width, &values));
    if (dataset->has_palette && n_bits == 8)
        image_palette_voc(&palette);
    return save_picture(path, values, height, width, n_bits, &palette);
}

adele_status label_store_save_prediction(const struct dataset *dataset,
                                         const struct dataset_case *item, int n_slices, int h,
                                         int w, const uint8_t *prediction, const char *folder) {
    TRY(file_make_directory(folder));
    OWNED char *path = memory_printf("%s/%s%s", folder, item->name, dataset->file_ending);
    TRY(CHECK_MEMORY(path));
    return dataset->is_volume
               ? save_predicted_volume(dataset, item, path, n_slices, h, w, prediction)
               : save_predicted_picture(dataset, item, path, n_slices, h, w, prediction);
}

adele_status label_store_turn_back(const struct dataset *dataset, const struct dataset_case *item,
                                   int n_planes, int extents[3], float **values) {
    struct nifti_order order = orientation_of_image(dataset, &item->geometry);
    if (!dataset->is_volume || nifti_order_is_identity(&order))
        return ADELE_OK;
    struct nifti_order back = nifti_order_inverse(&order);
    int stored[3];
    nifti_order_extents(&back, extents, stored);
    size_t plane = (size_t)extents[0] * (size_t)extents[1], n = plane * (size_t)extents[2];
    size_t stored_plane = (size_t)stored[0] * (size_t)stored[1], c = (size_t)n_planes;
    float *turned = NULL;
    TRY(ALLOCATE(&turned, n * c));
    for (size_t i = 0; i < n; i++) { // voxel i of the file
        size_t from = nifti_order_stored_index(&back, extents, i);
        for (size_t k = 0; k < c; k++)
            turned[(i / stored_plane * c + k) * stored_plane + i % stored_plane] =
                (*values)[(from / plane * c + k) * plane + from % plane];
    }
    memory_free(*values);
    *values = turned;
    memcpy(extents, stored, sizeof stored);
    return ADELE_OK;
}
