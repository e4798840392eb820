// SPDX-License-Identifier: MIT
#include "predict/case_result.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "output/label_store.h"
#include "predict/case_thread.h"
#include "scores/score_case.h"

#include <string.h>

// Of cases that take more than that nothing waits while the next ones are predicted.
#define MAX_BYTES_BESIDE ((size_t)64 << 20)

struct case_writer {
    struct case_thread *thread;
    struct case_result current[CASES_AT_ONCE];
    int n;
};

void case_result_deinit(struct case_result *result) {
    case_files_deinit(&result->files);
    memory_free(result->prediction);
    memory_free(result->probabilities);
    memset(result, 0, sizeof *result);
}

const struct dataset_images *case_result_images(const struct case_result *result) {
    const struct case_files *files = &result->files;
    return files->whole.n > 0 ? &files->whole : &files->images;
}

static size_t result_bytes(const struct case_result *result) {
    size_t map = (size_t)result->files.images.n * (size_t)result->h * (size_t)result->w;
    size_t of_maps = result->probabilities ? (size_t)result->n_categories * sizeof(float) : 0;
    return case_files_bytes(&result->files) + map * (of_maps + 1);
}

// ---- one case -----------------------------------------------------------------------------------

static adele_status score(const struct case_result *result) {
    struct case_scores *scores = result->options->case_scores;
    struct class_score *classes = NULL;
    if (!scores || !result->labels)
        return ADELE_OK;
    const int extents[] = {result->files.images.n, result->h, result->w};
    struct grid grid = case_scores_grid(result->dataset, result->item, extents);
    TRY(case_scores_add(scores, result->item->name, &classes));
    return score_case_compute(&grid, result->prediction, result->labels, result->n_categories,
                              classes);
}

static adele_status save_probabilities(struct case_result *result) {
    int extents[3] = {result->w, result->h, result->files.images.n};
    TRY(label_store_turn_back(result->dataset, result->item, result->n_categories, extents,
                              &result->probabilities));
    int64_t shape[4] = {extents[2], result->n_categories, extents[1], extents[0]};
    OWNED_BY(safetensors_writer_destroy) struct safetensors_writer *writer = NULL;
    OWNED char *file =
        memory_printf("%s/%s.safetensors", result->options->masks_folder, result->item->name);
    TRY(CHECK_MEMORY(file));
    TRY(safetensors_writer_create(&writer));
    TRY(safetensors_writer_add(writer, "probabilities", SAFETENSORS_F32, 4, shape,
                               result->probabilities));
    return safetensors_writer_save(writer, file);
}

static adele_status save(struct case_result *result) {
    const struct model_options *options = result->options;
    if (!options->masks_folder)
        return ADELE_OK;
    TRY(label_store_save_prediction(result->dataset, result->item, result->files.images.n,
                                    result->h, result->w, result->prediction,
                                    options->masks_folder));
    return options->probabilities ? save_probabilities(result) : ADELE_OK;
}

// ---- writer -------------------------------------------------------------------------------------

adele_status case_writer_create(struct case_writer **out) {
    OWNED struct case_writer *self = NULL;
    TRY(ALLOCATE(&self, 1));
    TRY(case_thread_create(&self->thread));
    *out = self;
    self = NULL;
    return ADELE_OK;
}

static void drop_results(struct case_writer *self) {
    for (int i = 0; i < self->n; i++)
        case_result_deinit(&self->current[i]);
    self->n = 0;
}

void case_writer_destroy(struct case_writer *self) {
    if (!self)
        return;
    case_thread_destroy(self->thread);
    drop_results(self);
    memory_free(self);
}

// The masks are synced together (output_sync_at_end).
static adele_status score_and_save(void *context) {
    struct case_writer *self = context;
    file_delay_sync(true);
    adele_status status = ADELE_OK;
    for (int i = 0; i < self->n && status == ADELE_OK; i++) {
        status = score(&self->current[i]);
        if (status == ADELE_OK)
            status = save(&self->current[i]);
    }
    file_delay_sync(false);
    drop_results(self);
    return status;
}

adele_status case_writer_add(struct case_writer *self, struct case_result *results, int n) {
    TRY(case_thread_wait(self->thread));
    size_t bytes = 0;
    for (int i = 0; i < n; i++) {
        bytes += result_bytes(&results[i]);
        self->current[i] = results[i];
        results[i] = (struct case_result){0};
    }
    self->n = n;
    TRY(case_thread_begin(self->thread, score_and_save, self));
    return bytes > MAX_BYTES_BESIDE ? case_thread_wait(self->thread) : ADELE_OK;
}

adele_status case_writer_finish(struct case_writer *self, adele_status status) {
    if (!self)
        return status;
    adele_status of_writing = case_thread_wait(self->thread); // records nothing without an error
    return of_writing != ADELE_OK ? of_writing : status;
}
