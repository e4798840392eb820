// SPDX-License-Identifier: MIT
#include "run/examples.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "correction/label_flow.h"
#include "data/display.h"
#include "predict/set_inference.h"
#include "run_folder/run_folder.h"

#include <stdio.h>

#define N_SPREAD   4  // spread over the set
#define N_CHANGED  12 // those whose labels were changed most
#define N_EXAMPLES (N_SPREAD + N_CHANGED)

static bool is_among(int image, int n, const int *chosen) {
    for (int i = 0; i < n; i++)
        if (chosen[i] == image)
            return true;
    return false;
}

// The image with the most changed pixels that is not chosen yet; -1 when no other one was changed.
static int most_changed(int n_images, const int64_t *n_changed, int n, const int *chosen) {
    int found = -1;
    for (int i = 0; i < n_images; i++)
        if (n_changed[i] > (found >= 0 ? n_changed[found] : 0) && !is_among(i, n, chosen))
            found = i;
    return found;
}

// First images that are spread evenly over the set, and are the same in every run on the same data,
// so that runs can be compared side by side; then those whose labels were changed most.
static adele_status choose_examples(const struct run_data *data, int chosen[N_EXAMPLES],
                                    int *n_spread, int *out_n) {
    int n_images = data->images[SPLIT_TRAIN].n;
    OWNED int64_t *n_changed = NULL;
    int n = n_images < N_SPREAD ? n_images : N_SPREAD;
    *n_spread = n;
    for (int i = 0; i < n; i++)
        chosen[i] = (int)(((int64_t)i * 2 + 1) * n_images / (2 * n));
    TRY(label_flow_count_changed(data, &n_changed));
    for (int next = 0; n < N_EXAMPLES && next >= 0;) {
        next = most_changed(n_images, n_changed, n, chosen);
        if (next >= 0)
            chosen[n++] = next;
    }
    *out_n = n;
    return ADELE_OK;
}

struct example_arrays {
    const struct adele_device *device;
    uint8_t *prediction; // on the device: a map for each image of the set
    uint8_t *image;      // (N, C, H, W)
    uint8_t *maps[4];    // noisy, corrected, prediction, truth: (N, H, W)
    char *categories, *names;
    int n, n_spread;
};

static adele_status example_maps(struct run_data *data, int n, const int *chosen,
                                 struct example_arrays *arrays) {
    const struct adele_device *device = data->device;
    const struct resident *train = &data->resident[SPLIT_TRAIN];
    size_t map = (size_t)train->set.h * (size_t)train->set.w;
    // maps[2] is the network's own prediction: see predict_examples.
    const uint8_t *sources[4] = {train->noisy, train->labels, NULL, train->truth};
    for (int m = 0; m < 4; m++)
        for (int i = 0; sources[m] && i < n; i++)
            TRY(device->iface->download(device, arrays->maps[m] + (size_t)i * map,
                                        sources[m] + (size_t)chosen[i] * map, map));
    return ADELE_OK;
}

// Slices of volumes by case and slice: two of them may be of one case.
static adele_status join_names(const struct run_data *data, int n, const int *chosen, char **out) {
    const struct dataset *dataset = data->dataset;
    CLEANUP(buffer_deinit) struct buffer names = {0};
    for (int i = 0; i < n; i++) {
        const struct dataset_origin *origin = &data->images[SPLIT_TRAIN].origin[chosen[i]];
        const char *name = dataset->cases[SPLIT_TRAIN][origin->i_case].name;
        TRY(buffer_printf(&names, "%s%s", i > 0 ? "\n" : "", name));
        if (dataset->is_volume)
            TRY(buffer_printf(&names, ", slice %d", origin->slice));
    }
    *out = names.data;
    names = (struct buffer){0};
    return ADELE_OK;
}

static adele_status write_examples(const struct run_data *data, const char *run_folder,
                                   const struct example_arrays *arrays) {
    static const char *const names[4] = {"noisy", "corrected", "prediction", "truth"};
    const struct adele_sample_set *set = &data->resident[SPLIT_TRAIN].set;
    int64_t image_shape[4] = {arrays->n, set->c, set->h, set->w};
    int64_t map_shape[3] = {arrays->n, set->h, set->w};
    char n_spread[16];
    (void)snprintf(n_spread, sizeof n_spread, "%d", arrays->n_spread);
    OWNED char *path = NULL;
    OWNED_BY(safetensors_writer_destroy) struct safetensors_writer *writer = NULL;
    TRY(run_folder_path(run_folder, "examples.safetensors", &path));
    TRY(safetensors_writer_create(&writer));
    TRY(safetensors_writer_add(writer, "image", SAFETENSORS_U8, 4, image_shape, arrays->image));
    for (int m = 0; m < 4; m++)
        if (m < 3 || set->truth)
            TRY(safetensors_writer_add(writer, names[m], SAFETENSORS_U8, 3, map_shape,
                                       arrays->maps[m]));
    TRY(safetensors_writer_metadata(writer, "categories", arrays->categories));
    TRY(safetensors_writer_metadata(writer, "names", arrays->names));
    TRY(safetensors_writer_metadata(writer, "spread", n_spread));
    return safetensors_writer_save(writer, path);
}

// Whether the batch of an image holds one of the n chosen ones.
static bool is_batch_among(int image, int batch, int n, const int *chosen) {
    for (int i = 0; i < n; i++)
        if (chosen[i] / batch == image / batch)
            return true;
    return false;
}

// Predicts the batch of an image, which is the one that it would have in a prediction of the whole
// set, so that its map has the same bytes.
static adele_status predict_batch_of(struct resident *train, int image, int batch,
                                     struct set_inference *inference, uint8_t *prediction) {
    int first = image - image % batch, left = train->set.n_images - first;
    const struct inference_output output = {
        .prediction = prediction, .first = first, .end = first + (left < batch ? left : batch)};
    return set_inference_run(inference, train, &output);
}

// The network's own prediction of the examples, at scale 1 in eval mode.
static adele_status predict_examples(struct run_data *data, struct network *network,
                                     const int *chosen, int n, int batch,
                                     struct example_arrays *arrays) {
    const struct adele_device *device = data->device;
    struct resident *train = &data->resident[SPLIT_TRAIN];
    size_t map = (size_t)train->set.h * (size_t)train->set.w;
    const struct inference_config config = set_inference_config(data->config, batch, 1.0);
    OWNED_BY(set_inference_destroy) struct set_inference *inference = NULL;
    TRY(set_inference_create(device, network, &config, data->images[SPLIT_TRAIN].origin,
                             data->n_categories, train->set.c, train->set.h, train->set.w,
                             &inference));
    TRY(network_allocate(network));
    TRY(device->iface->alloc(device, resident_map_bytes(train), (void **)&arrays->prediction));
    for (int i = 0; i < n; i++) {
        if (!is_batch_among(chosen[i], batch, i, chosen))
            TRY(predict_batch_of(train, chosen[i], batch, inference, arrays->prediction));
        TRY(device->iface->download(device, arrays->maps[2] + (size_t)i * map,
                                    arrays->prediction + (size_t)chosen[i] * map, map));
    }
    return ADELE_OK;
}

static void arrays_deinit(struct example_arrays *arrays) {
    arrays->device->iface->release(arrays->device, arrays->prediction);
    memory_free(arrays->image);
    memory_free(arrays->categories);
    memory_free(arrays->names);
    for (int m = 0; m < 4; m++)
        memory_free(arrays->maps[m]);
}

static adele_status arrays_init(const struct run_data *data, const int *chosen,
                                struct example_arrays *arrays) {
    const struct dataset_images *images = &data->images[SPLIT_TRAIN];
    size_t map = dataset_images_plane_size(images), pixels = map * (size_t)images->c;
    arrays->image = memory_calloc((size_t)arrays->n, pixels);
    TRY(CHECK_MEMORY(arrays->image));
    arrays->categories =
        memory_join_lines(data->n_categories, (const char *const *)data->dataset->category_names);
    TRY(CHECK_MEMORY(arrays->categories));
    TRY(join_names(data, arrays->n, chosen, &arrays->names));
    for (int m = 0; m < 4; m++) {
        arrays->maps[m] = memory_calloc((size_t)arrays->n, map);
        TRY(CHECK_MEMORY(arrays->maps[m]));
    }
    for (int i = 0; i < arrays->n; i++)
        TRY(display_image(images, chosen[i], arrays->image + (size_t)i * pixels));
    return ADELE_OK;
}

adele_status examples_save(struct run_data *data, struct network *network, int batch,
                           const char *run_folder) {
    int chosen[N_EXAMPLES];
    CLEANUP(arrays_deinit) struct example_arrays arrays = {.device = data->device};
    TRY(choose_examples(data, chosen, &arrays.n_spread, &arrays.n));
    TRY(arrays_init(data, chosen, &arrays));
    TRY(example_maps(data, arrays.n, chosen, &arrays));
    TRY(predict_examples(data, network, chosen, arrays.n, batch, &arrays));
    return write_examples(data, run_folder, &arrays);
}
