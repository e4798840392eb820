// SPDX-License-Identifier: MIT
#include "infer/case_files.h"

#include "base/fail.h"
#include "base/memory.h"
#include "image/image.h"
#include "infer/case_thread.h"

#include <string.h>

// A case that takes more than that is not read ahead, because two of them may not fit. Its network
// takes far longer than its files.
#define MAX_BYTES_AHEAD ((uint64_t)64 << 20)
#define NO_CASE         (-1)

struct case_reader {
    struct case_reader_config config;
    struct case_thread *thread;
    int i_ahead;             // the case that the thread reads or has read; NO_CASE: none
    bool is_read;            // it was not too large
    struct case_files ahead; // of that case
};

void case_files_deinit(struct case_files *files) {
    dataset_images_deinit(&files->images);
    dataset_images_deinit(&files->whole);
}

static size_t images_bytes(const struct dataset_images *images) {
    size_t n_maps = (size_t)(images->labels != NULL) + (size_t)(images->truth != NULL);
    size_t pixel = (size_t)images->c * dataset_images_pixel_bytes(images) + n_maps;
    return (size_t)images->n * dataset_images_plane_size(images) * pixel;
}

size_t case_files_bytes(const struct case_files *files) {
    return images_bytes(&files->images) + images_bytes(&files->whole);
}

// ---- reading ------------------------------------------------------------------------------------

static adele_status read_case(const struct case_reader_config *config, int i_case,
                              struct case_files *out) {
    const struct dataset *dataset = config->dataset;
    const struct dataset_config *size = &dataset->config;
    bool is_own = config->is_windows;
    memset(out, 0, sizeof *out);
    TRY(dataset_read_case(dataset, config->split, i_case, is_own ? 0 : size->height,
                          is_own ? 0 : size->width, &out->images));
    const struct dataset_images *images = &out->images;
    if (!config->wants_whole || images->n == 0 ||
        (images->origin[0].height == images->h && images->origin[0].width == images->w))
        return ADELE_OK;
    adele_status status = dataset_read_case(dataset, config->split, i_case, 0, 0, &out->whole);
    if (status != ADELE_OK)
        case_files_deinit(out);
    return status;
}

// What decoding takes: the bytes of the file's pixels, and floats of a channel or of a volume.
static uint64_t decoded_bytes(const struct dataset *dataset, const struct dataset_case *item) {
    uint64_t n = 0;
    int width, height;
    if (dataset->is_volume) {
        const int *extents = item->geometry.n;
        n = (uint64_t)extents[0] * (uint64_t)extents[1] * (uint64_t)extents[2];
    } else if (item->n_files > 0 && image_probe(item->image_path[0], &width, &height) == ADELE_OK) {
        n = (uint64_t)width * (uint64_t)height;
    }
    // A file that cannot be probed is read in its turn, which gives the error.
    return n == 0 ? UINT64_MAX : n * (uint64_t)dataset->n_channels * (4 + sizeof(float));
}

static adele_status read_ahead(void *context) {
    struct case_reader *self = context;
    const struct case_reader_config *config = &self->config;
    if (decoded_bytes(config->dataset, &config->dataset->cases[config->split][self->i_ahead]) >
        MAX_BYTES_AHEAD)
        return ADELE_OK;
    adele_status status = read_case(config, self->i_ahead, &self->ahead);
    self->is_read = status == ADELE_OK;
    return status;
}

// ---- reader -------------------------------------------------------------------------------------

adele_status case_reader_create(const struct case_reader_config *config, struct case_reader **out) {
    struct case_reader *self = NULL;
    TRY(ALLOCATE(&self, 1));
    self->config = *config;
    self->i_ahead = NO_CASE;
    adele_status status = case_thread_create(&self->thread);
    if (status != ADELE_OK)
        memory_free(self);
    else
        *out = self;
    return status;
}

void case_reader_destroy(struct case_reader *self) {
    if (!self)
        return;
    case_thread_destroy(self->thread);
    case_files_deinit(&self->ahead);
    memory_free(self);
}

static adele_status note_files(const struct case_reader_config *config, int i_case,
                               const struct case_files *files) {
    TRY(dataset_note_case(config->dataset, config->split, i_case, &files->images));
    if (files->whole.n == 0)
        return ADELE_OK;
    return dataset_note_case(config->dataset, config->split, i_case, &files->whole);
}

adele_status case_reader_take(struct case_reader *self, int i_case, int next,
                              struct case_files *out) {
    adele_status status = case_thread_wait(self->thread);
    bool is_ahead = self->i_ahead == i_case;
    *out = self->ahead;
    self->ahead = (struct case_files){0};
    if (!is_ahead || (status == ADELE_OK && !self->is_read)) {
        case_files_deinit(out); // of a case that is not wanted any more
        status = read_case(&self->config, i_case, out);
    }
    self->i_ahead = next;
    self->is_read = false;
    TRY(status);
    status = note_files(&self->config, i_case, out);
    if (status == ADELE_OK && next != NO_CASE)
        status = case_thread_begin(self->thread, read_ahead, self);
    if (status != ADELE_OK)
        case_files_deinit(out);
    return status;
}
