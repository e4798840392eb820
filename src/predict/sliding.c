// SPDX-License-Identifier: MIT
#include "predict/sliding.h"

#include "base/fail.h"
#include "base/half.h"
#include "base/memory.h"
#include "predict/windows.h"

#include <math.h>
#include <string.h>

struct sliding {
    const struct adele_device *device; // borrowed
    struct inference *inference;
    int batch, n_categories, c, h, w; // of a window
    struct resident resident;         // a batch of windows
    uint8_t *prediction;              // device (batch, h, w), which nothing reads
    char *pixels;                     // host: what `resident` is filled with
    float *mean, *inv_std;            // host (batch, c)
    float *probabilities;             // host (batch, n_categories, h, w)
};

// One image. Row r of `band` and `sum` is row y + r of the image, for the row of windows that
// begins at y.
struct pass {
    struct sliding *sliding;
    const struct sliding_image *image;
    const struct sliding_output *output;
    struct window_axis rows, columns;
    size_t pixel_bytes;
    char *band;       // (c, h, image's w) pixels
    float *sum;       // (n_categories, h, image's w): weighted probabilities
    uint8_t *classes; // (h, image's w)
    int n_read;       // rows of the image
};

static void pass_deinit(struct pass *pass) {
    window_axis_deinit(&pass->rows);
    window_axis_deinit(&pass->columns);
    memory_free(pass->band);
    memory_free(pass->sum);
    memory_free(pass->classes);
}

void sliding_destroy(struct sliding *sliding) {
    if (!sliding)
        return;
    inference_destroy(sliding->inference);
    resident_deinit(&sliding->resident);
    sliding->device->iface->release(sliding->device, sliding->prediction);
    memory_free(sliding->pixels);
    memory_free(sliding->mean);
    memory_free(sliding->inv_std);
    memory_free(sliding->probabilities);
    memory_free(sliding);
}

static adele_status allocate(struct sliding *self) {
    size_t batch = (size_t)self->batch, c = (size_t)self->c;
    size_t map = (size_t)self->h * (size_t)self->w;
    TRY(ALLOCATE(&self->pixels, batch * c * map * sizeof(uint16_t)));
    TRY(ALLOCATE(&self->mean, batch * c));
    TRY(ALLOCATE(&self->inv_std, batch * c));
    TRY(ALLOCATE(&self->probabilities, batch * (size_t)self->n_categories * map));
    return self->device->iface->alloc(self->device, batch * map, (void **)&self->prediction);
}

adele_status sliding_create(const struct adele_device *device, struct network *network,
                            const struct inference_config *config, int n_categories, int c,
                            struct sliding **out) {
    OWNED_BY(sliding_destroy) struct sliding *self = NULL;
    TRY(ALLOCATE(&self, 1));
    *self = (struct sliding){.device = device,
                             .batch = config->batch,
                             .n_categories = n_categories,
                             .c = c,
                             .h = config->window_h,
                             .w = config->window_w};
    adele_status status = inference_create(device, network, config, n_categories, c, self->h,
                                           self->w, &self->inference);
    if (status == ADELE_CONFIG || status == ADELE_INVALID_ARGUMENT)
        status =
            fail_context(status, "windows of %d x %d pixels (height x width)", self->h, self->w);
    TRY(status);
    TRY(allocate(self));
    *out = self;
    self = NULL;
    return ADELE_OK;
}

adele_status sliding_check_memory(const struct sliding *sliding, struct network *network,
                                  int n_processes) {
    return inference_check_memory(sliding->inference, network, n_processes);
}

// ---- the rows under a row of windows ------------------------------------------------------------

// n pixels that are 0 for the network, but for the rounding of 8-bit ones.
static void fill_mean(const struct sliding_image *image, int channel, char *out, size_t n) {
    float mean = image->mean[channel];
    uint16_t half = half_from_float(mean);
    if (!image->is_f16)
        memset(out, (int)lrintf(fminf(fmaxf(mean, 0.0f), 255.0f)), n);
    for (size_t i = 0; image->is_f16 && i < n; i++)
        memcpy(out + i * sizeof half, &half, sizeof half);
}

// Reads rows of the image into the band whose first row is y, up to its last one.
static adele_status read_band(struct pass *pass, int y) {
    const struct sliding_image *image = pass->image;
    size_t row_bytes = (size_t)image->w * pass->pixel_bytes;
    int n_wanted = y + pass->sliding->h < image->h ? y + pass->sliding->h : image->h;
    int r = pass->n_read - y, n_rows = n_wanted - pass->n_read;
    size_t plane_bytes = (size_t)pass->sliding->h * row_bytes;
    TRY(image->read(image->context, n_rows, pass->band + (size_t)r * row_bytes, plane_bytes));
    pass->n_read = n_wanted;
    return ADELE_OK;
}

// Drops the first n rows of `rows` = (n_planes, h, row_bytes); the last n rows become 0.
static void drop_rows(char *rows, int n_planes, int h, size_t row_bytes, int n) {
    size_t kept = (size_t)(h - n) * row_bytes, dropped = (size_t)n * row_bytes;
    for (int k = 0; k < n_planes; k++) {
        char *plane = rows + (size_t)k * (size_t)h * row_bytes;
        memmove(plane, plane + dropped, kept);
        memset(plane + kept, 0, dropped);
    }
}

// ---- windows ------------------------------------------------------------------------------------

// Pixels of the image that a window from `start` on covers: window positions *from .. *to - 1.
static void clip(const struct window_axis *axis, int i, int *from, int *to) {
    int start = axis->start[i], left = axis->extent - start;
    *from = start < 0 ? -start : 0;
    *to = left < axis->window ? left : axis->window;
}

// The window of column i out of the band, as image b of the batch.
static void cut_window(const struct pass *pass, int i, int b) {
    const struct sliding *self = pass->sliding;
    int from, to;
    clip(&pass->columns, i, &from, &to);
    size_t bytes = pass->pixel_bytes, row = (size_t)self->w * bytes;
    size_t band_row = (size_t)pass->image->w * bytes;
    for (int k = 0; k < self->c; k++)
        for (int y = 0; y < self->h; y++) {
            size_t i_row = (size_t)k * (size_t)self->h + (size_t)y;
            size_t i_batch_row = (size_t)b * (size_t)self->c * (size_t)self->h + i_row;
            char *out = self->pixels + i_batch_row * row;
            if (to - from < self->w)
                fill_mean(pass->image, k, out, (size_t)self->w);
            memcpy(out + (size_t)from * bytes,
                   pass->band + i_row * band_row + (size_t)(pass->columns.start[i] + from) * bytes,
                   (size_t)(to - from) * bytes);
        }
}

static adele_status predict_batch(struct pass *pass, int first, int n) {
    struct sliding *self = pass->sliding;
    const struct adele_device *device = self->device;
    const struct sliding_output *output = pass->output;
    if (output->should_stop && output->should_stop(output->stop_context))
        return FAIL(ADELE_INTERRUPTED, "", "interrupted");
    for (int b = 0; b < n; b++)
        cut_window(pass, first + b, b);
    size_t map = (size_t)self->h * (size_t)self->w;
    size_t bytes = (size_t)n * (size_t)self->c * map * pass->pixel_bytes;
    TRY(device->iface->upload(device, self->resident.images, self->pixels, bytes));
    self->resident.set.n_images = n;
    const struct inference_output into = {.prediction = self->prediction,
                                          .is_by_batch = true,
                                          .with_probabilities = true,
                                          .without_crf = output->without_crf};
    int i_first, n_done;
    TRY(inference_begin(self->inference, &self->resident, &into));
    TRY(inference_next(self->inference, &i_first, &n_done));
    return device->iface->download(device, self->probabilities,
                                   inference_probabilities(self->inference),
                                   (size_t)n * (size_t)self->n_categories * map * sizeof(float));
}

// Every pixel's sum is of one thread, in the order of the windows.
static void add_window(struct pass *pass, int i, int b) {
    const struct sliding *self = pass->sliding;
    int from, to;
    clip(&pass->columns, i, &from, &to);
    size_t w = (size_t)pass->image->w, n_rows = (size_t)self->n_categories * (size_t)self->h;
    const float *probabilities = self->probabilities + (size_t)b * n_rows * (size_t)self->w;
#pragma omp parallel for schedule(static)
    for (size_t i_row = 0; i_row < n_rows; i_row++) {
        float weight = pass->rows.weight[i_row % (size_t)self->h];
        const float *row = probabilities + i_row * (size_t)self->w;
        float *sum = pass->sum + i_row * w;
        int start = pass->columns.start[i];
        for (int x = from; x < to; x++)
            sum[start + x] += weight * pass->columns.weight[x] * row[x];
    }
}

static adele_status predict_row(struct pass *pass) {
    int n_windows = pass->columns.n, batch = pass->sliding->batch;
    for (int first = 0; first < n_windows; first += batch) {
        int n = n_windows - first < batch ? n_windows - first : batch;
        TRY(predict_batch(pass, first, n));
        for (int b = 0; b < n; b++)
            add_window(pass, first + b, b);
    }
    return ADELE_OK;
}

// ---- finished rows ------------------------------------------------------------------------------

// The class of each pixel of band row r, the first of those with the highest sum, to row `to` of
// the classes; the sums become probabilities where these are wanted.
static void finish_row(struct pass *pass, int y, int r, int to) {
    const struct sliding *self = pass->sliding;
    size_t w = (size_t)pass->image->w, plane = (size_t)self->h * w;
    float *sum = pass->sum + (size_t)r * w;
    uint8_t *classes = pass->classes + (size_t)to * w;
    for (size_t x = 0; x < w; x++) {
        int best = 0;
        for (int k = 1; k < self->n_categories; k++)
            if (sum[(size_t)k * plane + x] > sum[(size_t)best * plane + x])
                best = k;
        classes[x] = (uint8_t)best;
        float weights = pass->rows.sum[y] * pass->columns.sum[x];
        for (int k = 0; pass->output->with_probabilities && k < self->n_categories; k++)
            sum[(size_t)k * plane + x] /= weights;
    }
}

// Rows from .. to - 1 of the image, with the band at row y.
static adele_status write_rows(struct pass *pass, int y, int from, int to) {
    size_t w = (size_t)pass->image->w;
#pragma omp parallel for schedule(static)
    for (int row = from; row < to; row++)
        finish_row(pass, row, row - y, row - from);
    bool has_probabilities = pass->output->with_probabilities;
    const struct sliding_rows rows = {
        .y = from,
        .n_rows = to - from,
        .w = pass->image->w,
        .classes = pass->classes,
        .probabilities = has_probabilities ? pass->sum + (size_t)(from - y) * w : NULL,
        .plane = (size_t)pass->sliding->h * w};
    return pass->output->write(pass->output->context, &rows);
}

static adele_status run_pass(struct pass *pass) {
    const struct sliding *self = pass->sliding;
    size_t row = (size_t)pass->image->w;
    int n_written = 0;
    for (int i = 0; i < pass->rows.n; i++) {
        int y = pass->rows.start[i];
        if (i > 0) {
            int n = y - pass->rows.start[i - 1];
            drop_rows(pass->band, self->c, self->h, row * pass->pixel_bytes, n);
            drop_rows((char *)pass->sum, self->n_categories, self->h, row * sizeof(float), n);
        }
        size_t plane = (size_t)self->h * row;
        for (int k = 0; i == 0 && k < self->c; k++) // where no row of the image is read to
            fill_mean(pass->image, k, pass->band + (size_t)k * plane * pass->pixel_bytes, plane);
        TRY(read_band(pass, y));
        TRY(predict_row(pass));
        int end = i + 1 < pass->rows.n ? pass->rows.start[i + 1] : pass->image->h;
        TRY(write_rows(pass, y, n_written, end));
        n_written = end;
    }
    return ADELE_OK;
}

// ---- one image ----------------------------------------------------------------------------------

// The resident batch, for pixels of the image's kind, with its mean and deviation.
static adele_status prepare_batch(struct sliding *self, const struct sliding_image *image) {
    const struct adele_device *device = self->device;
    enum adele_pixel pixel = image->is_f16 ? ADELE_PIXEL_F16 : ADELE_PIXEL_U8;
    size_t n = (size_t)self->batch * (size_t)self->c;
    for (size_t i = 0; i < n; i++) {
        self->mean[i] = image->mean[i % (size_t)self->c];
        self->inv_std[i] = image->inv_std[i % (size_t)self->c];
    }
    if (self->resident.device == NULL || self->resident.set.pixel != pixel) {
        const struct dataset_images images = {.n = self->batch,
                                              .c = self->c,
                                              .h = self->h,
                                              .w = self->w,
                                              .is_f16 = image->is_f16,
                                              .images = self->pixels,
                                              .mean = self->mean,
                                              .inv_std = self->inv_std};
        const struct resident_options options = {.residency = RESIDENCY_DEVICE,
                                                 .batch = self->batch};
        resident_deinit(&self->resident);
        return resident_init(&self->resident, device, &images, &options);
    }
    TRY(device->iface->upload(device, self->resident.mean, self->mean, n * sizeof(float)));
    return device->iface->upload(device, self->resident.inv_std, self->inv_std, n * sizeof(float));
}

static adele_status begin_pass(struct pass *pass) {
    const struct sliding *self = pass->sliding;
    size_t rows = (size_t)self->h * (size_t)pass->image->w;
    TRY(window_axis_init(&pass->rows, pass->image->h, self->h));
    TRY(window_axis_init(&pass->columns, pass->image->w, self->w));
    TRY(ALLOCATE(&pass->band, rows * (size_t)self->c * pass->pixel_bytes));
    TRY(ALLOCATE(&pass->sum, rows * (size_t)self->n_categories));
    return ALLOCATE(&pass->classes, rows);
}

adele_status sliding_run(struct sliding *sliding, const struct sliding_image *image,
                         const struct sliding_output *output) {
    CLEANUP(pass_deinit)
    struct pass pass = {.sliding = sliding,
                        .image = image,
                        .output = output,
                        .pixel_bytes = image->is_f16 ? sizeof(uint16_t) : sizeof(uint8_t)};
    TRY(prepare_batch(sliding, image));
    TRY(begin_pass(&pass));
    return run_pass(&pass);
}
