// SPDX-License-Identifier: MIT
// Scores of a run's network and labels, and the examples that `adele report` shows.
#include "run/trainer_state.h"

#include "base/fail.h"
#include "base/half.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define N_EXAMPLES 4

adele_status trainer_count_maps(struct trainer *trainer, enum dataset_split split,
                                const uint8_t *prediction, const uint8_t *labels, int64_t *counts) {
    const struct adele_device *device = trainer->device;
    size_t bytes = (size_t)3 * 256 * sizeof *counts;
    struct adele_count_args args = {
        .prediction = prediction, .labels = labels, .counts = trainer->evaluation_counts};
    TRY(device->iface->fill(device, trainer->evaluation_counts, 0, bytes));
    TRY(device->iface->count_forward(trainer->count[split], &args));
    TRY(device->iface->synchronize(device));
    return device->iface->download(device, counts, trainer->evaluation_counts, bytes);
}

static adele_status count_maps(struct trainer *trainer, enum dataset_split split,
                               const uint8_t *prediction, const uint8_t *labels,
                               struct score *out) {
    int64_t counts[3 * 256];
    TRY(trainer_count_maps(trainer, split, prediction, labels, counts));
    score_compute(counts, trainer->n_categories, out);
    return ADELE_OK;
}

adele_status trainer_evaluate(struct trainer *trainer, enum dataset_split split,
                              struct score *out) {
    memset(out, 0, sizeof *out);
    out->miou = out->miou_foreground = out->dice_foreground = NAN;
    if (!trainer->evaluation[split])
        return ADELE_OK;
    struct resident *resident = &trainer->resident[split];
    struct inference_output output = {.prediction = trainer->evaluation_map};
    TRY(inference_run(trainer->evaluation[split], resident, &output, NULL, NULL));
    // Where a split has a ground truth of its own, that is what counts.
    const uint8_t *labels = resident->truth ? resident->truth : resident->labels;
    return count_maps(trainer, split, trainer->evaluation_map, labels, out);
}

adele_status trainer_score_labels(struct trainer *trainer, struct score *out) {
    memset(out, 0, sizeof *out);
    const struct resident *train = &trainer->resident[SPLIT_TRAIN];
    if (!train->truth)
        return ADELE_OK;
    return count_maps(trainer, SPLIT_TRAIN, train->labels, train->truth, out);
}

// ---- examples -----------------------------------------------------------------------------------

// Spread evenly over the set: the same images in every run on the same data, so that runs can be
// compared side by side.
static void choose_examples(const struct trainer *trainer, int n, int *out) {
    int n_images = trainer->images[SPLIT_TRAIN].n;
    for (int i = 0; i < n; i++)
        out[i] = (int)(((int64_t)i * 2 + 1) * n_images / (2 * n));
}

struct example_arrays {
    uint8_t *image;   // (N, C, H, W)
    uint8_t *maps[4]; // noisy, corrected, prediction, truth: (N, H, W)
    char *categories, *names;
};

// A normalized picture for the eye: the image's own range to 0..255.
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

static adele_status example_maps(struct trainer *trainer, int n, const int *chosen,
                                 struct example_arrays *arrays) {
    const struct adele_device *device = trainer->device;
    const struct resident *train = &trainer->resident[SPLIT_TRAIN];
    size_t map = (size_t)train->set.h * (size_t)train->set.w;
    // maps[2] is the network's own prediction: see predict_examples.
    const uint8_t *sources[4] = {train->noisy, train->labels, NULL, train->truth};
    for (int m = 0; m < 4; m++)
        for (int i = 0; sources[m] && i < n; i++)
            TRY(device->iface->download(device, arrays->maps[m] + (size_t)i * map,
                                        sources[m] + (size_t)chosen[i] * map, map));
    return ADELE_OK;
}

static char *join_case_names(const struct trainer *trainer, int n, const int *chosen) {
    const char *names[N_EXAMPLES];
    for (int i = 0; i < n; i++) {
        int i_case = trainer->images[SPLIT_TRAIN].origin[chosen[i]].i_case;
        names[i] = trainer->dataset->cases[SPLIT_TRAIN][i_case].name;
    }
    return memory_join_lines(n, names);
}

static adele_status write_examples(const struct trainer *trainer, int n,
                                   const struct example_arrays *arrays) {
    static const char *const names[4] = {"noisy", "corrected", "prediction", "truth"};
    const struct adele_sample_set *set = &trainer->resident[SPLIT_TRAIN].set;
    int64_t image_shape[4] = {n, set->c, set->h, set->w}, map_shape[3] = {n, set->h, set->w};
    struct safetensors_writer *writer = NULL;
    char *path = NULL;
    adele_status status;
    TRY_GOTO(trainer_path(trainer, "examples.safetensors", &path), done);
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
static adele_status predict_examples(struct trainer *trainer, const int *chosen, int n,
                                     struct example_arrays *arrays) {
    const struct adele_device *device = trainer->device;
    struct resident *train = &trainer->resident[SPLIT_TRAIN];
    size_t map = (size_t)train->set.h * (size_t)train->set.w;
    struct inference_config config = {.batch = trainer->full.n,
                                      .n_scales = 1,
                                      .scales = {1.0},
                                      .average = ADELE_ENSEMBLE_PROBABILITIES,
                                      .temperature = 1.0};
    struct inference *inference = NULL;
    uint8_t *prediction = NULL;
    adele_status status;
    TRY_GOTO(inference_create(device, trainer->network, &config, trainer->n_categories,
                              train->set.c, train->set.h, train->set.w, &inference),
             done);
    TRY_GOTO(network_allocate(trainer->network), done);
    TRY_GOTO(device->iface->alloc(device, resident_map_bytes(train), (void **)&prediction), done);
    struct inference_output output = {.prediction = prediction};
    TRY_GOTO(inference_run(inference, train, &output, NULL, NULL), done);
    for (int i = 0; i < n; i++)
        TRY_GOTO(device->iface->download(device, arrays->maps[2] + (size_t)i * map,
                                         prediction + (size_t)chosen[i] * map, map),
                 done);
done:
    device->iface->release(device, prediction);
    inference_destroy(inference);
    return status;
}

adele_status trainer_save_examples(struct trainer *trainer) {
    const struct dataset_images *images = &trainer->images[SPLIT_TRAIN];
    int n = images->n < N_EXAMPLES ? images->n : N_EXAMPLES;
    int chosen[N_EXAMPLES];
    choose_examples(trainer, n, chosen);
    size_t map = (size_t)images->h * (size_t)images->w, pixels = map * (size_t)images->c;
    struct example_arrays arrays = {0};
    adele_status status = ADELE_OK;
    arrays.image = memory_calloc((size_t)n, pixels);
    arrays.categories = memory_join_lines(trainer->n_categories,
                                          (const char *const *)trainer->dataset->category_names);
    arrays.names = join_case_names(trainer, n, chosen);
    bool has_all = arrays.image && arrays.categories && arrays.names;
    for (int m = 0; m < 4; m++) {
        arrays.maps[m] = memory_calloc((size_t)n, map);
        has_all = has_all && arrays.maps[m];
    }
    if (!has_all)
        status = FAIL_NO_MEMORY((size_t)n * pixels);
    for (int i = 0; status == ADELE_OK && i < n; i++)
        example_pixels(images, chosen[i], arrays.image + (size_t)i * pixels);
    if (status == ADELE_OK)
        status = example_maps(trainer, n, chosen, &arrays);
    if (status == ADELE_OK)
        status = predict_examples(trainer, chosen, n, &arrays);
    if (status == ADELE_OK)
        status = write_examples(trainer, n, &arrays);
    memory_free(arrays.image);
    memory_free(arrays.categories);
    memory_free(arrays.names);
    for (int m = 0; m < 4; m++)
        memory_free(arrays.maps[m]);
    return status;
}
