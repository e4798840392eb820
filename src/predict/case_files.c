// SPDX-License-Identifier: MIT
#include "predict/case_files.h"

#include "base/fail.h"
#include "base/memory.h"
#include "image/image.h"
#include "predict/case_thread.h"

#include <string.h>

// Cases that take more than that together are not read ahead, because they may not fit beside the
// one that is predicted. The network takes far longer than such files.
#define MAX_BYTES_AHEAD ((uint64_t)64 << 20)

struct case_reader {
    struct case_reader_config config;
    struct case_thread *thread;
    int first, n_wanted; // the cases that the thread reads or has read
    int n_read;          // the first ones of them, until one was too large or had an error
    struct case_files ahead[CASES_AT_ONCE]; // empty where they were taken
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

// An error of the first case is returned in its turn. Later ones are read once more then, which
// gives the error.
static adele_status read_ahead(void *context) {
    struct case_reader *self = context;
    const struct case_reader_config *config = &self->config;
    const struct dataset_case *cases = config->dataset->cases[config->split];
    uint64_t n_bytes = 0;
    for (int i = 0; i < self->n_wanted; i++) {
        uint64_t bytes = decoded_bytes(config->dataset, &cases[self->first + i]);
        if (bytes > MAX_BYTES_AHEAD - n_bytes)
            break;
        n_bytes += bytes;
        adele_status status = read_case(config, self->first + i, &self->ahead[i]);
        if (status != ADELE_OK)
            return i == 0 ? status : ADELE_OK;
        self->n_read++;
    }
    return ADELE_OK;
}

// ---- reader -------------------------------------------------------------------------------------

adele_status case_reader_create(const struct case_reader_config *config, struct case_reader **out) {
    OWNED struct case_reader *self = NULL;
    TRY(ALLOCATE(&self, 1));
    self->config = *config;
    TRY(case_thread_create(&self->thread));
    *out = self;
    self = NULL;
    return ADELE_OK;
}

static void drop_ahead(struct case_reader *self) {
    for (int i = 0; i < self->n_read; i++)
        case_files_deinit(&self->ahead[i]);
    self->n_wanted = self->n_read = 0;
}

void case_reader_destroy(struct case_reader *self) {
    if (!self)
        return;
    case_thread_destroy(self->thread);
    drop_ahead(self);
    memory_free(self);
}

static adele_status note_files(const struct case_reader_config *config, int i_case,
                               const struct case_files *files) {
    TRY(dataset_note_case(config->dataset, config->split, i_case, &files->images));
    if (files->whole.n == 0)
        return ADELE_OK;
    return dataset_note_case(config->dataset, config->split, i_case, &files->whole);
}

// Before the thread begins another job: the case itself, unless it was read ahead.
static adele_status take_files(struct case_reader *self, int i_case, struct case_files *out) {
    adele_status status = case_thread_wait(self->thread);
    int at = i_case - self->first;
    if (at >= 0 && at < self->n_read) {
        *out = self->ahead[at];
        self->ahead[at] = (struct case_files){0};
        return ADELE_OK;
    }
    if (status != ADELE_OK && at == 0 && self->n_wanted > 0) {
        self->n_wanted = 0;
        return status;
    }
    return read_case(&self->config, i_case, out);
}

static adele_status begin_ahead(struct case_reader *self, int i_case, int next, int n_next) {
    int at = i_case - self->first;
    if (at >= 0 && at + 1 < self->n_read)
        return ADELE_OK;
    drop_ahead(self); // of cases that are not wanted any more
    self->first = next;
    self->n_wanted = n_next < CASES_AT_ONCE ? n_next : CASES_AT_ONCE;
    return n_next > 0 ? case_thread_begin(self->thread, read_ahead, self) : ADELE_OK;
}

adele_status case_reader_take(struct case_reader *self, int i_case, int next, int n_next,
                              struct case_files *out) {
    *out = (struct case_files){0};
    TRY(take_files(self, i_case, out));
    adele_status status = note_files(&self->config, i_case, out);
    if (status == ADELE_OK)
        status = begin_ahead(self, i_case, next, n_next);
    if (status != ADELE_OK)
        case_files_deinit(out);
    return status;
}
