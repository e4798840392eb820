// SPDX-License-Identifier: MIT
#include "predict/set_inference.h"

#include "base/fail.h"
#include "base/memory.h"
#include "predict/sliding.h"

#include <string.h>

struct set_inference {
    const struct adele_device *device; // borrowed
    struct inference *whole;           // of whole images; or
    struct sliding *sliding;           // of windows
    const struct dataset_origin *origin;
    int batch, n_categories, h, w; // of the set
    // Of windows, on the host:
    float *mean, *inv_std;                                // of all images
    uint8_t *classes;                                     // (h, w)
    float *confidence_foreground, *confidence_background; // (h, w)
    // Of the set that is being predicted:
    struct resident *resident;
    struct inference_output output;
    int i_next, end; // images
    // Of the image that is being predicted:
    int i_image, n_read, width;
};

static adele_status create(struct set_inference *self, struct network *network,
                           const struct inference_config *config, int c) {
    if (config->window_h == 0)
        return inference_create(self->device, network, config, self->n_categories, c, self->h,
                                self->w, &self->whole);
    size_t map = (size_t)self->h * (size_t)self->w;
    TRY(sliding_create(self->device, network, config, self->n_categories, c, &self->sliding));
    TRY(ALLOCATE(&self->classes, map));
    TRY(ALLOCATE(&self->confidence_foreground, map));
    return ALLOCATE(&self->confidence_background, map);
}

struct inference_config set_inference_config(const struct config *config, int batch, double scale) {
    struct inference_config out = inference_config_single(batch, scale);
    out.window_h = config->data.patch[0];
    out.window_w = config->data.patch[1];
    return out;
}

adele_status set_inference_create(const struct adele_device *device, struct network *network,
                                  const struct inference_config *config,
                                  const struct dataset_origin *origin, int n_categories, int c,
                                  int h, int w, struct set_inference **out) {
    OWNED_BY(set_inference_destroy) struct set_inference *self = NULL;
    TRY(ALLOCATE(&self, 1));
    *self = (struct set_inference){.device = device,
                                   .origin = origin,
                                   .batch = config->batch,
                                   .n_categories = n_categories,
                                   .h = h,
                                   .w = w};
    TRY(create(self, network, config, c));
    *out = self;
    self = NULL;
    return ADELE_OK;
}

void set_inference_destroy(struct set_inference *self) {
    if (!self)
        return;
    inference_destroy(self->whole);
    sliding_destroy(self->sliding);
    memory_free(self->mean);
    memory_free(self->inv_std);
    memory_free(self->classes);
    memory_free(self->confidence_foreground);
    memory_free(self->confidence_background);
    memory_free(self);
}

// ---- one image ----------------------------------------------------------------------------------

// Rows of the set, which lie on the device or on the host.
static adele_status read_rows(void *context, int n_rows, char *out, size_t plane_bytes) {
    struct set_inference *self = context;
    const struct adele_sample_set *set = &self->resident->set;
    size_t bytes = set->pixel == ADELE_PIXEL_F16 ? sizeof(uint16_t) : sizeof(uint8_t);
    size_t row = (size_t)set->w * bytes, wanted = (size_t)self->width * bytes;
    const char *images = set->images ? set->images : self->resident->images;
    for (int k = 0; k < set->c; k++)
        for (int r = 0; r < n_rows; r++) {
            size_t i_plane = (size_t)self->i_image * (size_t)set->c + (size_t)k;
            size_t i_row = i_plane * (size_t)set->h + (size_t)(self->n_read + r);
            char *to = out + (size_t)k * plane_bytes + (size_t)r * wanted;
            if (!set->images)
                memcpy(to, images + i_row * row, wanted);
            else
                TRY(self->device->iface->download(self->device, to, images + i_row * row, wanted));
        }
    self->n_read += n_rows;
    return ADELE_OK;
}

static adele_status keep_rows(void *context, const struct sliding_rows *rows) {
    struct set_inference *self = context;
    for (int r = 0; r < rows->n_rows; r++)
        for (int x = 0; x < rows->w; x++) {
            size_t from = (size_t)r * (size_t)rows->w + (size_t)x;
            size_t to = (size_t)(rows->y + r) * (size_t)self->w + (size_t)x;
            const float *p = rows->probabilities + from;
            float foreground = 0.0f;
            for (int k = 1; k < self->n_categories; k++)
                if (p[(size_t)k * rows->plane] > foreground)
                    foreground = p[(size_t)k * rows->plane];
            self->classes[to] = rows->classes[from];
            self->confidence_foreground[to] = foreground;
            self->confidence_background[to] = p[0];
        }
    return ADELE_OK;
}

// The maps on the host to row `i_map` of the output.
static adele_status store_maps(struct set_inference *self, int i_map) {
    const struct adele_device *device = self->device;
    const struct inference_output *output = &self->output;
    size_t map = (size_t)self->h * (size_t)self->w, at = (size_t)i_map * map;
    TRY(device->iface->upload(device, output->prediction + at, self->classes, map));
    if (output->confidence_foreground)
        TRY(device->iface->upload(device, output->confidence_foreground + at,
                                  self->confidence_foreground, map * sizeof(float)));
    if (output->confidence_background)
        TRY(device->iface->upload(device, output->confidence_background + at,
                                  self->confidence_background, map * sizeof(float)));
    return ADELE_OK;
}

static adele_status predict_image(struct set_inference *self, int i, int i_map) {
    const struct adele_sample_set *set = &self->resident->set;
    size_t map = (size_t)self->h * (size_t)self->w, first = (size_t)i * (size_t)set->c;
    self->i_image = i;
    self->n_read = 0;
    self->width = self->origin ? self->origin[i].width : set->w;
    memset(self->classes, ADELE_IGNORE, map);
    memset(self->confidence_foreground, 0, map * sizeof(float));
    memset(self->confidence_background, 0, map * sizeof(float));
    const struct sliding_image image = {.h = self->origin ? self->origin[i].height : set->h,
                                        .w = self->width,
                                        .is_f16 = set->pixel == ADELE_PIXEL_F16,
                                        .mean = self->mean + first,
                                        .inv_std = self->inv_std + first,
                                        .read = read_rows,
                                        .context = self};
    const struct sliding_output output = {.write = keep_rows,
                                          .context = self,
                                          .with_probabilities = true,
                                          .without_crf = self->output.without_crf};
    TRY(sliding_run(self->sliding, &image, &output));
    return store_maps(self, i_map);
}

// ---- a set --------------------------------------------------------------------------------------

static adele_status download_numbers(struct set_inference *self) {
    const struct adele_device *device = self->device;
    const struct adele_sample_set *set = &self->resident->set;
    size_t n = (size_t)set->n_images * (size_t)set->c;
    memory_free(self->mean);
    memory_free(self->inv_std);
    self->mean = self->inv_std = NULL;
    TRY(ALLOCATE(&self->mean, n));
    TRY(ALLOCATE(&self->inv_std, n));
    TRY(device->iface->download(device, self->mean, set->mean, n * sizeof(float)));
    return device->iface->download(device, self->inv_std, set->inv_std, n * sizeof(float));
}

adele_status set_inference_begin(struct set_inference *self, struct resident *resident,
                                 const struct inference_output *output) {
    if (self->whole)
        return inference_begin(self->whole, resident, output);
    if (resident->set.h != self->h || resident->set.w != self->w)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "images of %d x %d given to a plan for %d x %d",
                    resident->set.h, resident->set.w, self->h, self->w);
    if (output->h != 0 || output->w != 0 || output->with_probabilities)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "maps of %d x %d%s by windows, which have the images' size", output->h,
                    output->w, output->with_probabilities ? " and probabilities" : "");
    TRY(inference_output_end(output, self->batch, resident->set.n_images, &self->end));
    self->resident = resident;
    self->output = *output;
    self->i_next = output->first;
    return download_numbers(self);
}

adele_status set_inference_next(struct set_inference *self, int *out_first, int *out_n) {
    if (self->whole)
        return inference_next(self->whole, out_first, out_n);
    int left = self->end - self->i_next;
    *out_first = self->i_next;
    *out_n = left < self->batch ? left : self->batch;
    for (int b = 0; b < *out_n; b++, self->i_next++)
        TRY(predict_image(self, self->i_next, self->output.is_by_batch ? b : self->i_next));
    return ADELE_OK;
}

adele_status set_inference_run(struct set_inference *self, struct resident *resident,
                               const struct inference_output *output) {
    int first, n;
    TRY(set_inference_begin(self, resident, output));
    do
        TRY(set_inference_next(self, &first, &n));
    while (n > 0);
    return ADELE_OK;
}

adele_status set_inference_run_share(struct set_inference *self, struct image_share share,
                                     struct resident *resident,
                                     const struct inference_output *output) {
    struct inference_output mine = *output;
    mine.first = share.first;
    mine.end = share.end;
    return share.first < share.end ? set_inference_run(self, resident, &mine) : ADELE_OK;
}
