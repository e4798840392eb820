// SPDX-License-Identifier: MIT
#include "run/examples.h"

#include "base/fail.h"
#include "base/half.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "infer/inference.h"
#include "infer/run_folder.h"

#include <string.h>

#define N_EXAMPLES 4

// Spread evenly over the set, and the same in every run on the same data, so that runs can be
// compared side by side.
static void choose_examples(const struct run_data *data, int n, int *out) {
    int n_images = data->images[SPLIT_TRAIN].n;
    for (int i = 0; i < n; i++)
        out[i] = (int)(((int64_t)i * 2 + 1) * n_images / (2 * n));
}

struct example_arrays {
    uint8_t *image;   // (N, C, H, W)
    uint8_t *maps[4]; // noisy, corrected, prediction, truth: (N, H, W)
    char *categories, *names;
};

// An image to look at: its own range of values is mapped to 0..255.
static void example_pixels(const struct dataset_images *images, int i, uint8_t *out) {
    size_t plane = (size_t)images->h * (size_t)images->w, n = plane * (size_t)images->c;
    if (!images->is_f16) {
        memcpy(out, (const uint8_t *)images->images + (size_t)i * n, n);
        return;
    }
    const uint16_t *half = (const uint16_t *)images->images + (size_t)i * n;
    float low = half_to_float(half[0]), high = low;
    for (size_t j = 0; j < n; j++) {
        float value = half_to_float(half[j]);
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    for (size_t j = 0; j < n; j++)
        out[j] = high > low ? (uint8_t)(255.0f * (half_to_float(half[j]) - low) / (high - low)) : 0;
}

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

static char *join_case_names(const struct run_data *data, int n, const int *chosen) {
    const char *names[N_EXAMPLES];
    for (int i = 0; i < n; i++) {
        int i_case = data->images[SPLIT_TRAIN].origin[chosen[i]].i_case;
        names[i] = data->dataset->cases[SPLIT_TRAIN][i_case].name;
    }
    return memory_join_lines(n, names);
}

static adele_status write_examples(const struct run_data *data, const char *run_folder, int n,
                                   const struct example_arrays *arrays) {
    static const char *const names[4] = {"noisy", "corrected", "prediction", "truth"};
    const struct adele_sample_set *set = &data->resident[SPLIT_TRAIN].set;
    int64_t image_shape[4] = {n, set->c, set->h, set->w}, map_shape[3] = {n, set->h, set->w};
    struct safetensors_writer *writer = NULL;
    char *path = NULL;
    adele_status status;
    TRY_GOTO(run_folder_path(run_folder, "examples.safetensors", &path), done);
    TRY_GOTO(safetensors_writer_create(&writer), done);
    TRY_GOTO(safetensors_writer_add(writer, "image", SAFETENSORS_U8, 4, image_shape, arrays->image),
             done);
    for (int m = 0; m < 4; m++)
        if (m < 3 || set->truth)
            TRY_GOTO(safetensors_writer_add(writer, names[m], SAFETENSORS_U8, 3, map_shape,
                                            arrays->maps[m]),
                     done);
    TRY_GOTO(safetensors_writer_metadata(writer, "categories", arrays->categories), done);
    TRY_GOTO(safetensors_writer_metadata(writer, "names", arrays->names), done);
    TRY_GOTO(safetensors_writer_save(writer, path), done);
done:
    safetensors_writer_destroy(writer);
    memory_free(path);
    return status;
}

// The network's own prediction of the training set, at scale 1 in eval mode.
static adele_status predict_examples(struct run_data *data, struct network *network,
                                     const int *chosen, int n, int batch,
                                     struct example_arrays *arrays) {
    const struct adele_device *device = data->device;
    struct resident *train = &data->resident[SPLIT_TRAIN];
    size_t map = (size_t)train->set.h * (size_t)train->set.w;
    const struct inference_config config = inference_config_single(batch, 1.0);
    struct inference *inference = NULL;
    uint8_t *prediction = NULL;
    adele_status status;
    TRY_GOTO(inference_create(device, network, &config, data->n_categories, train->set.c,
                              train->set.h, train->set.w, &inference),
             done);
    TRY_GOTO(network_allocate(network), done);
    TRY_GOTO(device->iface->alloc(device, resident_map_bytes(train), (void **)&prediction), done);
    const struct inference_output output = {.prediction = prediction};
    TRY_GOTO(inference_run(inference, train, &output), done);
    for (int i = 0; i < n; i++)
        TRY_GOTO(device->iface->download(device, arrays->maps[2] + (size_t)i * map,
                                         prediction + (size_t)chosen[i] * map, map),
                 done);
done:
    device->iface->release(device, prediction);
    inference_destroy(inference);
    return status;
}

adele_status examples_save(struct run_data *data, struct network *network, int batch,
                           const char *run_folder) {
    const struct dataset_images *images = &data->images[SPLIT_TRAIN];
    int n = images->n < N_EXAMPLES ? images->n : N_EXAMPLES;
    int chosen[N_EXAMPLES];
    choose_examples(data, n, chosen);
    size_t map = (size_t)images->h * (size_t)images->w, pixels = map * (size_t)images->c;
    struct example_arrays arrays = {0};
    adele_status status = ADELE_OK;
    arrays.image = memory_calloc((size_t)n, pixels);
    arrays.categories =
        memory_join_lines(data->n_categories, (const char *const *)data->dataset->category_names);
    arrays.names = join_case_names(data, n, chosen);
    bool has_all = arrays.image && arrays.categories && arrays.names;
    for (int m = 0; m < 4; m++) {
        arrays.maps[m] = memory_calloc((size_t)n, map);
        has_all = has_all && arrays.maps[m];
    }
    status = CHECK_MEMORY(has_all ? arrays.image : NULL);
    for (int i = 0; status == ADELE_OK && i < n; i++)
        example_pixels(images, chosen[i], arrays.image + (size_t)i * pixels);
    if (status == ADELE_OK)
        status = example_maps(data, n, chosen, &arrays);
    if (status == ADELE_OK)
        status = predict_examples(data, network, chosen, n, batch, &arrays);
    if (status == ADELE_OK)
        status = write_examples(data, run_folder, n, &arrays);
    memory_free(arrays.image);
    memory_free(arrays.categories);
    memory_free(arrays.names);
    for (int m = 0; m < 4; m++)
        memory_free(arrays.maps[m]);
    return status;
}
