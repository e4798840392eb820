// SPDX-License-Identifier: MIT
#include "predict/window_case.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/case_rows.h"
#include "output/prediction_writer.h"

#include <string.h>

// ---- images in memory ---------------------------------------------------------------------------

// One image of a set: what is read next, and where its maps are written.
struct whole_image {
    const struct dataset_images *images;
    int n_categories;
    const char *pixels;
    int n_read;
    uint8_t *classes;     // (h, w)
    float *probabilities; // (n_categories, h, w) or NULL
};

static adele_status read_whole(void *context, int n_rows, char *out, size_t plane_bytes) {
    struct whole_image *self = context;
    const struct dataset_images *images = self->images;
    size_t row_bytes = (size_t)images->w * dataset_images_pixel_bytes(images);
    for (int k = 0; k < images->c; k++) {
        size_t i_row = (size_t)k * (size_t)images->h + (size_t)self->n_read;
        memcpy(out + (size_t)k * plane_bytes, self->pixels + i_row * row_bytes,
               (size_t)n_rows * row_bytes);
    }
    self->n_read += n_rows;
    return ADELE_OK;
}

static adele_status write_whole(void *context, const struct sliding_rows *rows) {
    struct whole_image *self = context;
    size_t at = (size_t)rows->y * (size_t)rows->w, n = (size_t)rows->n_rows * (size_t)rows->w;
    memcpy(self->classes + at, rows->classes, n);
    for (int k = 0; self->probabilities && k < self->n_categories; k++)
        memcpy(self->probabilities + (size_t)k * dataset_images_plane_size(self->images) + at,
               rows->probabilities + (size_t)k * rows->plane, n * sizeof(float));
    return ADELE_OK;
}

adele_status window_predict_images(struct sliding *sliding, const struct dataset_images *images,
                                   int n_categories, const struct window_watch *watch,
                                   uint8_t *classes, float *probabilities) {
    size_t map = dataset_images_plane_size(images), c = (size_t)images->c;
    size_t image_bytes = c * map * dataset_images_pixel_bytes(images);
    for (size_t i = 0; i < (size_t)images->n; i++) {
        struct whole_image self = {
            .images = images,
            .n_categories = n_categories,
            .pixels = (const char *)images->images + i * image_bytes,
            .classes = classes + i * map,
            .probabilities = probabilities ? probabilities + i * (size_t)n_categories * map : NULL};
        const struct sliding_image image = {.h = images->h,
                                            .w = images->w,
                                            .is_f16 = images->is_f16,
                                            .mean = images->mean + i * c,
                                            .inv_std = images->inv_std + i * c,
                                            .read = read_whole,
                                            .context = &self};
        const struct sliding_output output = {.write = write_whole,
                                              .context = &self,
                                              .with_probabilities = probabilities != NULL,
                                              .should_stop = watch->should_stop,
                                              .stop_context = watch->context};
        TRY(sliding_run(sliding, &image, &output));
    }
    return ADELE_OK;
}

// ---- pictures by rows ---------------------------------------------------------------------------

static adele_status read_picture(void *context, int n_rows, char *out, size_t plane_bytes) {
    return case_rows_read(context, n_rows, out, plane_bytes);
}

static adele_status write_mask(void *context, const struct sliding_rows *rows) {
    return prediction_writer_rows(context, rows->n_rows, rows->classes);
}

static adele_status predict_rows(struct sliding *sliding, struct case_rows *rows,
                                 struct prediction_writer *writer,
                                 const struct window_watch *watch) {
    const struct sliding_image image = {.h = rows->h,
                                        .w = rows->w,
                                        .is_f16 = rows->is_f16,
                                        .mean = rows->mean,
                                        .inv_std = rows->inv_std,
                                        .read = read_picture,
                                        .context = rows};
    const struct sliding_output output = {.write = write_mask,
                                          .context = writer,
                                          .should_stop = watch->should_stop,
                                          .stop_context = watch->context};
    return sliding_run(sliding, &image, &output);
}

adele_status window_predict_picture(struct sliding *sliding, const struct dataset *dataset,
                                    enum dataset_split split, int i_case, const char *folder,
                                    const struct window_watch *watch, bool *is_done) {
    CLEANUP(case_rows_close) struct case_rows rows = {0};
    struct prediction_writer *writer = NULL;
    TRY(case_rows_open(dataset, split, i_case, &rows, is_done));
    if (!*is_done)
        return ADELE_OK;
    adele_status status = prediction_writer_begin(dataset, &dataset->cases[split][i_case], rows.h,
                                                  rows.w, folder, &writer);
    if (status == ADELE_OK)
        status = predict_rows(sliding, &rows, writer, watch);
    if (status == ADELE_OK)
        status = prediction_writer_commit(writer);
    else
        prediction_writer_abandon(writer);
    return status;
}
