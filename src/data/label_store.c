// SPDX-License-Identifier: MIT
// Label maps back into files of the input's own layout and type. The source file is read again: its
// values stay wherever the category did not change, so that nothing is lost by the trip through the
// resident size or through a label_map.
#include "data/dataset.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/case_files.h"
#include "data/changes.h"
#include "data/label_lookup.h"

#include <string.h>

static adele_status make_parent(const char *path) {
    char *folder = memory_strdup(path);
    if (folder == NULL)
        return FAIL_NO_MEMORY(strlen(path) + 1);
    char *slash = strrchr(folder, '/');
    adele_status status = ADELE_OK;
    if (slash != NULL && slash != folder) {
        *slash = '\0';
        status = file_make_directory(folder);
    }
    memory_free(folder);
    return status;
}

// ---- writing ------------------------------------------------------------------------------------

// A palette that has a colour for every value: a short one is continued by VOC's colours.
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
                                 const struct image_palette *palette) {
    struct image picture = {0};
    int highest = 0;
    TRY(image_init(&picture, width, height, 1, 8));
    uint8_t *pixels = picture.pixels;
    size_t n = (size_t)height * (size_t)width;
    adele_status status = ADELE_OK;
    for (size_t i = 0; i < n && status == ADELE_OK; i++) {
        if (values[i] < 0 || values[i] > 255)
            status = FAIL(ADELE_DATA, "Name values below 256 in data.label_map.",
                          "%s: value %d does not fit into a PNG label map", path, (int)values[i]);
        pixels[i] = (uint8_t)values[i];
        if (values[i] > highest)
            highest = (int)values[i];
    }
    if (palette != NULL)
        picture.palette = *palette;
    complete_palette(&picture.palette, highest);
    if (status == ADELE_OK)
        status = image_save_png(path, &picture);
    image_deinit(&picture);
    return status;
}

// As uint8, or as float where the values do not fit: atlases number their regions beyond 255.
static adele_status save_volume(const char *path, const int32_t *values,
                                const struct nifti_volume *like) {
    size_t n = (size_t)like->nx * (size_t)like->ny * (size_t)like->nz;
    bool fits = true;
    for (size_t i = 0; i < n && fits; i++)
        fits = values[i] >= 0 && values[i] <= 255;
    void *buffer = memory_calloc(n, fits ? 1 : sizeof(float));
    if (buffer == NULL)
        return FAIL_NO_MEMORY(n * (fits ? 1 : sizeof(float)));
    for (size_t i = 0; i < n; i++) {
        if (fits)
            ((uint8_t *)buffer)[i] = (uint8_t)values[i];
        else
            ((float *)buffer)[i] = (float)values[i];
    }
    adele_status status =
        fits ? nifti_save_labels(path, like, buffer) : nifti_save_floats(path, like, buffer);
    memory_free(buffer);
    return status;
}

// ---- export -------------------------------------------------------------------------------------

struct export_job {
    const struct dataset *dataset;
    enum dataset_split split;
    const struct dataset_images *images;
    const uint8_t *labels, *before; // (N, h, w); before may be NULL
    struct changes changes;
};

// Buffers of one slice at the file's size.
struct slice_maps {
    uint8_t *source;  // categories in the file
    uint8_t *label;   // the new categories
    uint8_t *changed; // 1 where the resident map changed
    uint8_t *resident;
};

static void maps_deinit(struct slice_maps *maps) {
    memory_free(maps->source);
    memory_free(maps->label);
    memory_free(maps->changed);
    memory_free(maps->resident);
}

static adele_status maps_init(struct slice_maps *maps, size_t n_file, size_t n_resident) {
    *maps = (struct slice_maps){.source = memory_calloc(n_file, 1),
                                .label = memory_calloc(n_file, 1),
                                .changed = memory_calloc(n_file, 1),
                                .resident = memory_calloc(n_resident, 1)};
    if (maps->source != NULL && maps->label != NULL && maps->changed != NULL &&
        maps->resident != NULL)
        return ADELE_OK;
    maps_deinit(maps);
    return FAIL_NO_MEMORY(n_file * 3 + n_resident);
}

// Writes the image i's changes into the values of its slice.
static adele_status apply_slice(struct export_job *job, int i, const char *path,
                                struct case_labels *file, struct slice_maps *maps) {
    const struct dataset *dataset = job->dataset;
    const struct dataset_origin *origin = &job->images->origin[i];
    int h = job->images->h, w = job->images->w;
    size_t n_resident = (size_t)h * (size_t)w;
    size_t n_file = (size_t)file->height * (size_t)file->width;
    const uint8_t *labels = job->labels + (size_t)i * n_resident;
    if (origin->slice < 0 || origin->slice >= file->n_slices)
        return FAIL(ADELE_DATA, "Export with the files that were loaded.",
                    "%s: slice %d of a file of %d", path, origin->slice, file->n_slices);
    TRY(case_labels_map(dataset, path, file, origin->slice, maps->source));
    // Without `before`, what loading this file gave.
    if (job->before != NULL)
        memcpy(maps->resident, job->before + (size_t)i * n_resident, n_resident);
    else
        resize_nearest_u8(maps->source, file->height, file->width, maps->resident, h, w);
    for (size_t k = 0; k < n_resident; k++)
        maps->resident[k] = labels[k] != maps->resident[k];
    resize_nearest_u8(maps->resident, h, w, maps->changed, file->height, file->width);
    resize_nearest_u8(labels, h, w, maps->label, file->height, file->width);
    int32_t *values = file->values + (size_t)origin->slice * n_file;
    for (size_t k = 0; k < n_file; k++) {
        // The file may hold the new category here already, between the resident pixels.
        if (maps->changed[k] == 0 || maps->label[k] == maps->source[k])
            maps->label[k] = maps->source[k];
        else
            values[k] = dataset->lookup->value[maps->label[k]];
    }
    return changes_add(&job->changes, dataset->cases[job->split][origin->i_case].name,
                       origin->slice, maps->source, maps->label, n_file);
}

// The images of a case follow each other; *i moves behind them.
static adele_status apply_case(struct export_job *job, int i_case, int *i, const char *path,
                               struct case_labels *file) {
    struct slice_maps maps;
    TRY(maps_init(&maps, (size_t)file->height * (size_t)file->width,
                  (size_t)job->images->h * (size_t)job->images->w));
    adele_status status = ADELE_OK;
    while (status == ADELE_OK && *i < job->images->n && job->images->origin[*i].i_case == i_case) {
        status = apply_slice(job, *i, path, file, &maps);
        (*i)++;
    }
    maps_deinit(&maps);
    return status;
}

static adele_status save_case(const struct export_job *job, const struct dataset_case *item,
                              const struct case_labels *file, const char *folder) {
    const struct dataset *dataset = job->dataset;
    char *path =
        memory_printf("%s/%s/%s%s", folder, dataset_label_folder(dataset, job->split, item),
                      item->name, dataset->file_ending);
    if (path == NULL)
        return FAIL_NO_MEMORY(strlen(folder) + strlen(item->name) + 64);
    adele_status status = make_parent(path);
    if (status == ADELE_OK)
        status = file->is_volume
                     ? save_volume(path, file->values, &file->volume)
                     : save_picture(path, file->values, file->height, file->width, &file->palette);
    memory_free(path);
    return status;
}

static adele_status export_case(struct export_job *job, int i_case, int *i, const char *folder) {
    const struct dataset_case *item = &job->dataset->cases[job->split][i_case];
    const char *source = dataset_label_source(item, job->split);
    struct case_labels file;
    if (source == NULL)
        return FAIL(ADELE_DATA, "Export the labels of a split that has label files.",
                    "%s: case %s of the %s split has no label map to correct", job->dataset->root,
                    item->name, dataset_split_name(job->split));
    TRY(case_labels_load(job->dataset, source, &file));
    adele_status status = apply_case(job, i_case, i, source, &file);
    if (status == ADELE_OK)
        status = save_case(job, item, &file, folder);
    case_labels_deinit(&file);
    return status;
}

adele_status label_store_export(const struct dataset *dataset, enum dataset_split split,
                                const struct dataset_images *images, const uint8_t *labels,
                                const uint8_t *before, const char *folder) {
    struct export_job job = {
        .dataset = dataset, .split = split, .images = images, .labels = labels, .before = before};
    char *path = NULL;
    adele_status status;
    TRY(file_make_directory(folder));
    TRY_GOTO(changes_init(&job.changes), done);
    int i = 0;
    for (int i_case = 0; i_case < dataset->n_cases[split]; i_case++)
        TRY_GOTO(export_case(&job, i_case, &i, folder), done);
    if (i != images->n) {
        status = FAIL(ADELE_INVALID_ARGUMENT, "Hand over the images as dataset_load gave them.",
                      "image %d of %d belongs to no case of the %s split", i, images->n,
                      dataset_split_name(split));
        goto done;
    }
    path = file_join(folder, "changes.csv");
    if (path == NULL)
        status = FAIL_NO_MEMORY(strlen(folder) + 16);
    else
        status = changes_save(&job.changes, dataset->n_categories, dataset->category_names, path);
done:
    memory_free(path);
    changes_deinit(&job.changes);
    return status;
}

// ---- predictions --------------------------------------------------------------------------------

static adele_status save_prediction(const struct dataset *dataset, const struct dataset_case *item,
                                    const char *path, int n_slices, int h, int w,
                                    const uint8_t *prediction) {
    struct nifti_volume volume = {0};
    int height = 0, width = 0, nz = 1;
    uint8_t *plane = NULL;
    int32_t *values = NULL;
    adele_status status;
    if (dataset->is_volume) {
        TRY_GOTO(nifti_load(item->image_path[0], dataset_memory_limit(dataset), &volume), done);
        height = volume.ny;
        width = volume.nx;
        nz = volume.nz;
    } else {
        TRY_GOTO(image_probe(item->image_path[0], &width, &height), done);
    }
    if (n_slices != nz) {
        status = FAIL(ADELE_INVALID_ARGUMENT, "Predict every slice of the case.",
                      "%s: %d predicted slices of %d", item->image_path[0], n_slices, nz);
        goto done;
    }
    size_t n = (size_t)height * (size_t)width, n_resident = (size_t)h * (size_t)w;
    plane = memory_calloc(n, 1);
    values = memory_calloc(n * (size_t)nz, sizeof *values);
    if (plane == NULL || values == NULL) {
        status = FAIL_NO_MEMORY(n * (size_t)nz * sizeof *values);
        goto done;
    }
    for (int slice = 0; slice < nz; slice++) {
        resize_nearest_u8(prediction + (size_t)slice * n_resident, h, w, plane, height, width);
        for (size_t i = 0; i < n; i++)
            values[(size_t)slice * n + i] = dataset->lookup->value[plane[i]];
    }
    struct image_palette palette = {0};
    if (dataset->has_palette)
        image_palette_voc(&palette);
    status = dataset->is_volume ? save_volume(path, values, &volume)
                                : save_picture(path, values, height, width, &palette);
done:
    memory_free(plane);
    memory_free(values);
    nifti_deinit(&volume);
    return status;
}

adele_status label_store_save_prediction(const struct dataset *dataset,
                                         const struct dataset_case *item, int n_slices, int h,
                                         int w, const uint8_t *prediction, const char *folder) {
    TRY(file_make_directory(folder));
    char *path = memory_printf("%s/%s%s", folder, item->name, dataset->file_ending);
    if (path == NULL)
        return FAIL_NO_MEMORY(strlen(folder) + strlen(item->name) + 16);
    adele_status status = save_prediction(dataset, item, path, n_slices, h, w, prediction);
    memory_free(path);
    return status;
}
