// SPDX-License-Identifier: MIT
#include "predict/case_batch.h"

#include "base/fail.h"
#include "base/memory.h"

#include <string.h>

// Pixels of a batch, as the network sees them: one picture of 512 x 512. Layers of that size fill
// all threads, and their weights are little beside their pixels.
#define MOST_PIXELS (1 << 18)
// Of the maps, at the files' own size: with 21 classes, probabilities of some 90 MB.
#define MOST_MAP_PIXELS (1 << 20)
// So that up to that many processes have pictures to predict.
#define LEAST_BATCHES 8

int case_batch_size(int n_cases, int most, int h, int w) {
    int64_t size = (int64_t)MOST_PIXELS / ((int64_t)h * w);
    size = size < n_cases / LEAST_BATCHES ? size : n_cases / LEAST_BATCHES;
    size = size < most ? size : most;
    size = size < CASES_AT_ONCE ? size : CASES_AT_ONCE;
    return size > 1 ? (int)size : 1;
}

static bool is_alike(const struct dataset_images *a, const struct dataset_images *b) {
    return a->n == b->n && a->c == b->c && a->h == b->h && a->w == b->w && a->is_f16 == b->is_f16;
}

bool case_batch_is_possible(const struct case_files *files, int n) {
    const struct dataset_images *first = &files[0].images;
    if (first->n != 1)
        return false;
    int64_t pixels = (int64_t)first->origin[0].height * first->origin[0].width;
    bool is_possible = n * pixels <= MOST_MAP_PIXELS;
    for (int i = 1; i < n; i++) {
        const struct dataset_images *images = &files[i].images;
        is_possible = is_possible && is_alike(images, first) &&
                      is_alike(&files[i].whole, &files[0].whole) &&
                      images->origin[0].height == first->origin[0].height &&
                      images->origin[0].width == first->origin[0].width;
    }
    return is_possible;
}

adele_status case_batch_join(const struct case_files *files, int n, struct case_files *out) {
    const struct dataset_images *images[CASES_AT_ONCE], *whole[CASES_AT_ONCE];
    *out = (struct case_files){0};
    for (int i = 0; i < n; i++) {
        images[i] = &files[i].images;
        whole[i] = &files[i].whole;
    }
    TRY(dataset_images_stack(images, n, &out->images));
    return files[0].whole.n > 0 ? dataset_images_stack(whole, n, &out->whole) : ADELE_OK;
}

adele_status case_batch_part(const struct case_result *batch, int i,
                             const struct dataset_case *item, struct case_files *files,
                             struct case_result *out) {
    size_t plane = (size_t)batch->h * (size_t)batch->w;
    uint8_t *prediction = NULL;
    TRY(ALLOCATE(&prediction, plane));
    memcpy(prediction, batch->prediction + (size_t)i * plane, plane);
    *out = *batch;
    out->item = item;
    out->files = *files;
    *files = (struct case_files){0};
    const struct dataset_images *images = case_result_images(out);
    if (batch->labels != NULL)
        out->labels = images->truth != NULL ? images->truth : images->labels;
    out->prediction = prediction;
    return ADELE_OK;
}
