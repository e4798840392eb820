// SPDX-License-Identifier: MIT
#include "loader/patches.h"

#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"

#include <string.h>

// ---- places -------------------------------------------------------------------------------------

static bool is_foreground(uint8_t label) {
    return label != 0 && label != ADELE_IGNORE;
}

// Foreground pixels in the image, or, with `limit` >= 0, those before pixel *y, *x, the one of that
// number.
static uint32_t count_foreground(const struct dataset_images *images, const uint8_t *labels,
                                 int i_image, int64_t limit, int *y, int *x) {
    const struct dataset_origin *origin = &images->origin[i_image];
    uint32_t n = 0;
    for (*y = 0; *y < origin->height; ++*y) {
        const uint8_t *row = labels + (size_t)*y * (size_t)images->w;
        for (*x = 0; *x < origin->width; ++*x)
            if (is_foreground(row[*x]) && n++ == limit)
                return n;
    }
    return n;
}

static int place_axis(struct random_stream *stream, int extent, int patch, int middle) {
    if (extent <= patch)
        return -((patch - extent) / 2);
    if (middle < 0)
        return (int)random_below(stream, (uint32_t)(extent - patch + 1));
    int start = middle - patch / 2, last = extent - patch;
    return start < 0 ? 0 : start > last ? last : start;
}

struct patch_place patch_find_place(const struct run_data *data, const uint8_t *labels, int i_image,
                                    int epoch) {
    const struct config *config = data->config;
    const struct dataset_images *images = &data->images[SPLIT_TRAIN];
    struct random_stream stream;
    struct patch_place place = {0};
    int y = -1, x = -1;
    random_stream_init(&stream, config->train.seed, RANDOM_PATCH, (uint32_t)epoch,
                       (uint32_t)i_image);
    if (random_uniform(&stream) < config->data.patch_foreground) {
        uint32_t n = count_foreground(images, labels, i_image, -1, &y, &x);
        place.is_on_foreground = n > 0;
        if (n > 0)
            (void)count_foreground(images, labels, i_image, random_below(&stream, n), &y, &x);
    }
    if (!place.is_on_foreground)
        y = x = -1;
    const struct dataset_origin *origin = &images->origin[i_image];
    place.y = place_axis(&stream, origin->height, config->data.patch[0], y);
    place.x = place_axis(&stream, origin->width, config->data.patch[1], x);
    return place;
}

// ---- cutting ------------------------------------------------------------------------------------

// What is cut: planes of the set's size, one after another.
struct source {
    const char *planes;
    size_t pixel_bytes;
    int h, w;          // of a plane
    int height, width; // of the image, its upper left part
};

// A patch of a plane; pixels outside of the image are left as they are.
static void cut(const struct source *source, size_t i_plane, const struct patch_place *place, int h,
                int w, char *out) {
    int from_x = place->x < 0 ? -place->x : 0;
    int to_x = source->width - place->x < w ? source->width - place->x : w;
    for (int r = 0; r < h; r++) {
        int y = place->y + r;
        if (y < 0 || y >= source->height)
            continue;
        size_t i_row = i_plane * (size_t)source->h + (size_t)y;
        size_t at = i_row * (size_t)source->w + (size_t)(place->x + from_x);
        memcpy(out + ((size_t)r * (size_t)w + (size_t)from_x) * source->pixel_bytes,
               source->planes + at * source->pixel_bytes,
               (size_t)(to_x - from_x) * source->pixel_bytes);
    }
}

// Host buffers of all patches.
struct cuttings {
    struct dataset_images out; // images, labels and truth
    uint8_t *noisy, *current;  // patches of the original labels; labels of the images now
};

static void cut_image(const struct run_data *data, struct cuttings *to, int i, int epoch) {
    const struct dataset_images *images = &data->images[SPLIT_TRAIN];
    size_t map = dataset_images_plane_size(images), n_pixels = dataset_images_plane_size(&to->out);
    struct patch_place place = patch_find_place(data, to->current + (size_t)i * map, i, epoch);
    struct source source = {.planes = images->images,
                            .pixel_bytes = dataset_images_pixel_bytes(images),
                            .h = images->h,
                            .w = images->w,
                            .height = images->origin[i].height,
                            .width = images->origin[i].width};
    for (int k = 0; k < images->c; k++) {
        size_t i_plane = (size_t)i * (size_t)images->c + (size_t)k;
        char *out = (char *)to->out.images + i_plane * n_pixels * source.pixel_bytes;
        // Half floats have the mean 0.
        memset(out, images->is_f16 ? 0 : (int)(images->mean[i_plane] + 0.5f),
               n_pixels * source.pixel_bytes);
        cut(&source, i_plane, &place, to->out.h, to->out.w, out);
    }
    const struct {
        const uint8_t *from;
        uint8_t *to;
    } maps[] = {
        {to->current, to->out.labels}, {images->labels, to->noisy}, {images->truth, to->out.truth}};
    source.pixel_bytes = 1;
    for (size_t m = 0; m < sizeof maps / sizeof *maps; m++) {
        if (maps[m].from == NULL)
            continue;
        uint8_t *out = maps[m].to + (size_t)i * n_pixels;
        source.planes = (const char *)maps[m].from;
        memset(out, ADELE_IGNORE, n_pixels);
        cut(&source, (size_t)i, &place, to->out.h, to->out.w, (char *)out);
    }
}

static adele_status cuttings_init(const struct run_data *data, struct cuttings *out) {
    const struct dataset_images *images = &data->images[SPLIT_TRAIN];
    *out = (struct cuttings){.out = {.n = images->n,
                                     .c = images->c,
                                     .h = data->config->data.patch[0],
                                     .w = data->config->data.patch[1],
                                     .is_f16 = images->is_f16}};
    size_t planes = (size_t)images->n * (size_t)images->c;
    TRY(dataset_images_allocate(&out->out, true, images->truth != NULL));
    memcpy(out->out.mean, images->mean, planes * sizeof *images->mean);
    memcpy(out->out.inv_std, images->inv_std, planes * sizeof *images->inv_std);
    TRY(ALLOCATE(&out->noisy, (size_t)images->n * dataset_images_plane_size(&out->out)));
    return ALLOCATE(&out->current, (size_t)images->n * dataset_images_plane_size(images));
}

static void cuttings_deinit(struct cuttings *cuttings) {
    dataset_images_deinit(&cuttings->out);
    memory_free(cuttings->noisy);
    memory_free(cuttings->current);
}

adele_status patches_init(struct run_data *data, const struct resident_options *options) {
    CLEANUP(cuttings_deinit) struct cuttings cuttings = {0};
    TRY(cuttings_init(data, &cuttings));
    return resident_init(&data->patches, data->device, &cuttings.out, options);
}

static adele_status store(struct run_data *data, const struct cuttings *cuttings) {
    const struct adele_device *device = data->device;
    struct resident *patches = &data->patches;
    size_t n = (size_t)patches->set.n_images * patches->image_bytes;
    size_t map = resident_map_bytes(patches);
    if (patches->set.images)
        TRY(device->iface->upload(device, patches->images, cuttings->out.images, n));
    else
        memcpy(patches->images, cuttings->out.images, n);
    TRY(device->iface->upload(device, patches->labels, cuttings->out.labels, map));
    TRY(device->iface->upload(device, patches->noisy, cuttings->noisy, map));
    return patches->truth ? device->iface->upload(device, patches->truth, cuttings->out.truth, map)
                          : ADELE_OK;
}

adele_status patches_cut(struct run_data *data, int epoch) {
    const struct adele_device *device = data->device;
    const struct resident *train = &data->resident[SPLIT_TRAIN];
    CLEANUP(cuttings_deinit) struct cuttings cuttings = {0};
    if (data->patches.set.n_images == 0)
        return ADELE_OK;
    TRY(device->iface->synchronize(device)); // a copy of patches on the host may be under way
    TRY(cuttings_init(data, &cuttings));
    TRY(device->iface->download(device, cuttings.current, train->labels,
                                resident_map_bytes(train)));
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < train->set.n_images; i++)
        cut_image(data, &cuttings, i, epoch);
    return store(data, &cuttings);
}
