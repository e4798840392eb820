// SPDX-License-Identifier: MIT
// Images in memory become a small resident set, as the pictures of a file do.
#include "predict/segment.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/planes.h"
#include "image/image.h"
#include "predict/window_case.h"

#include <math.h>
#include <string.h>

static size_t count_pixels(const struct adele_images *images) { // of one image
    return (size_t)images->height * (size_t)images->width;
}

// Where the element of a pixel lies; `stride` is the distance to that of the next pixel.
static size_t find_plane(const struct adele_images *images, int i, int channel, size_t *stride) {
    size_t pixels = count_pixels(images), n_channels = (size_t)images->n_channels;
    size_t image = (size_t)i * pixels * n_channels;
    *stride = images->order == ADELE_NHWC ? n_channels : 1;
    return image + (size_t)channel * (images->order == ADELE_NHWC ? 1 : pixels);
}

static void read_plane(const void *context, int i, int channel, float *out) {
    const struct adele_images *images = context;
    size_t stride, at = find_plane(images, i, channel, &stride);
    for (size_t p = 0; p < count_pixels(images); p++, at += stride)
        out[p] = images->element == ADELE_FLOAT32 ? ((const float *)images->pixels)[at]
                                                  : (float)((const uint8_t *)images->pixels)[at];
}

// ---- checks -------------------------------------------------------------------------------------

static adele_status check_finite(const struct adele_images *images) {
    const float *values = images->pixels;
    for (int i = 0; images->element == ADELE_FLOAT32 && i < images->n; i++) {
        for (int channel = 0; channel < images->n_channels; channel++) {
            size_t stride, at = find_plane(images, i, channel, &stride);
            for (size_t p = 0; p < count_pixels(images); p++, at += stride)
                if (!isfinite(values[at]))
                    return FAIL(ADELE_DATA, "Replace such values before.",
                                "image %d, channel %d, row %zu, column %zu: the value is %g", i,
                                channel, p / (size_t)images->width, p % (size_t)images->width,
                                (double)values[at]);
        }
    }
    return ADELE_OK;
}

adele_status segment_check_images(const struct model *model, const struct adele_images *images,
                                  const uint8_t *classes) {
    if ((images->element != ADELE_UINT8 && images->element != ADELE_FLOAT32) ||
        (images->order != ADELE_NHWC && images->order != ADELE_NCHW))
        return FAIL(ADELE_INVALID_ARGUMENT, "", "element %d, order %d: not values of their enums",
                    (int)images->element, (int)images->order);
    if (classes == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give memory for a map of each image.",
                    "classes is NULL");
    if (images->pixels == NULL || images->n < 1 || images->height < 1 || images->width < 1 ||
        images->height > IMAGE_MAX_EXTENT || images->width > IMAGE_MAX_EXTENT)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "%d images of %d x %d pixels, not 1 .. %d%s",
                    images->n, images->height, images->width, IMAGE_MAX_EXTENT,
                    images->pixels == NULL ? ", at NULL" : "");
    if (images->n_channels != model->n_channels)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use images of the kind that it was trained on.",
                    "images of %d channels, the model %s takes %d", images->n_channels, model->path,
                    model->n_channels);
    return check_finite(images);
}

// ---- the plan -----------------------------------------------------------------------------------

static bool is_same_inference(const struct inference_config *a, const struct inference_config *b) {
    return a->batch == b->batch && a->flip == b->flip && a->crf_iterations == b->crf_iterations &&
           a->n_scales == b->n_scales &&
           memcmp(a->scales, b->scales, (size_t)a->n_scales * sizeof *a->scales) == 0;
}

adele_status segmenter_drop_plans(struct segmenter *self) {
    inference_destroy(self->inference);
    self->inference = NULL;
    return network_drop_plans(self->model->network);
}

// A plan takes longer than the prediction of an image, so that of the last call is kept.
static adele_status plan_inference(struct segmenter *self, const struct inference_config *config) {
    struct model *model = self->model;
    if (self->inference != NULL && is_same_inference(config, &self->config))
        return ADELE_OK;
    TRY(segmenter_drop_plans(self));
    OWNED_BY(inference_destroy) struct inference *inference = NULL;
    TRY(inference_create(model->device, model->network, config, model->n_categories,
                         model->n_channels, model->height, model->width, &inference));
    TRY(inference_check_memory(inference, model->network, 1));
    TRY(network_allocate(model->network));
    self->inference = inference;
    inference = NULL;
    self->config = *config;
    return ADELE_OK;
}

// ---- one call -----------------------------------------------------------------------------------

struct segmentation {
    const struct adele_device *device;
    struct dataset_images small; // at the network's size
    struct dataset_images whole; // at their own, for a CRF or windows
    struct resident resident;    // of `small`
    uint8_t *crf_images;         // device: of `whole`; NULL without a CRF
    uint8_t *prediction;         // device: (n, H, W)
    float *probabilities;        // host: (n, K, H, W); NULL: not wanted
    size_t row;                  // K H W
};

static void segmentation_deinit(struct segmentation *self) {
    self->device->iface->release(self->device, self->crf_images);
    self->device->iface->release(self->device, self->prediction);
    resident_deinit(&self->resident);
    dataset_images_deinit(&self->small);
    dataset_images_deinit(&self->whole);
}

static struct dataset_planes planes_of(const struct model *model,
                                       const struct adele_images *images) {
    return (struct dataset_planes){.n = images->n,
                                   .n_channels = images->n_channels,
                                   .height = images->height,
                                   .width = images->width,
                                   .is_f16 = images->element == ADELE_FLOAT32,
                                   .normalize = model->normalize,
                                   .read = read_plane,
                                   .context = images};
}

static adele_status load_images(const struct model *model, const struct adele_images *images,
                                const struct inference_config *config, struct segmentation *self) {
    const struct adele_device_iface *iface = self->device->iface;
    struct dataset_planes planes = planes_of(model, images);
    TRY(dataset_images_from_planes(&planes, model->height, model->width, &self->small));
    struct resident_options resident = {.batch = config->batch};
    TRY(resident_init(&self->resident, self->device, &self->small, &resident));
    size_t pixels = (size_t)images->n * count_pixels(images);
    TRY(iface->alloc(self->device, pixels, (void **)&self->prediction));
    if (config->crf_iterations == 0 || planes.is_f16) // inference_begin refuses a CRF on floats
        return ADELE_OK;
    TRY(dataset_images_from_planes(&planes, images->height, images->width, &self->whole));
    size_t bytes = pixels * (size_t)images->n_channels;
    TRY(iface->alloc(self->device, bytes, (void **)&self->crf_images));
    return iface->upload(self->device, self->crf_images, self->whole.images, bytes);
}

static adele_status segment(struct segmenter *segmenter, const struct adele_images *images,
                            const struct inference_config *config, struct segmentation *self,
                            uint8_t *classes) {
    TRY(plan_inference(segmenter, config));
    TRY(load_images(segmenter->model, images, config, self));
    const struct adele_device_iface *iface = self->device->iface;
    struct inference_output output = {.h = images->height,
                                      .w = images->width,
                                      .crf_images = self->crf_images,
                                      .prediction = self->prediction,
                                      .with_probabilities = self->probabilities != NULL};
    TRY(inference_begin(segmenter->inference, &self->resident, &output));
    int first, n = 1;
    while (n > 0) {
        TRY(inference_next(segmenter->inference, &first, &n));
        if (n > 0 && self->probabilities != NULL)
            TRY(iface->download(self->device, self->probabilities + (size_t)first * self->row,
                                inference_probabilities(segmenter->inference),
                                (size_t)n * self->row * sizeof(float)));
    }
    return iface->download(self->device, classes, self->prediction,
                           (size_t)images->n * count_pixels(images));
}

// Its plan is not kept.
static adele_status segment_windows(struct segmenter *segmenter, const struct adele_images *images,
                                    const struct inference_config *config,
                                    struct segmentation *self, uint8_t *classes) {
    const struct model *model = segmenter->model;
    struct network *network = model->network;
    OWNED_BY(sliding_destroy) struct sliding *sliding = NULL;
    const struct dataset_planes planes = planes_of(model, images);
    const struct window_watch watch = {NULL, NULL};
    TRY(segmenter_drop_plans(segmenter));
    TRY(dataset_images_from_planes(&planes, images->height, images->width, &self->whole));
    TRY(sliding_create(self->device, network, config, model->n_categories, images->n_channels,
                       &sliding));
    TRY(sliding_check_memory(sliding, network, 1));
    TRY(network_allocate(network));
    return window_predict_images(sliding, &self->whole, model->n_categories, &watch, classes,
                                 self->probabilities);
}

adele_status segment_images(struct segmenter *segmenter, const struct adele_images *images,
                            const struct inference_config *wanted, uint8_t *classes,
                            float *probabilities) {
    const struct model *model = segmenter->model;
    struct inference_config config = *wanted;
    if (config.window_h == 0) {
        config.window_h = model->window_h;
        config.window_w = model->window_w;
    }
    bool has_windows = config.window_h > 0;
    if (!has_windows && images->n < config.batch)
        config.batch = images->n; // other rows would be computed for nothing
    CLEANUP(segmentation_deinit)
    struct segmentation self = {.device = model->device,
                                .probabilities = probabilities,
                                .row = (size_t)model->n_categories * count_pixels(images)};
    return (has_windows ? segment_windows : segment)(segmenter, images, &config, &self, classes);
}
