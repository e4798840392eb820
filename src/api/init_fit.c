// SPDX-License-Identifier: MIT
#include "api/init_fit.h"

#include "base/fail.h"
#include "nn/network.h"

#include <math.h>
#include <string.h>

// The U-Net halves its images four times.
#define SIZE_STEP 16
#define SIZE_MIN  32

// What a training starts with. A CPU is slow rather than short of memory: with these numbers an
// epoch of 100 images takes about half a minute on two cores.
struct preset {
    int longest_side, channels, batch, epochs;
    double memory_share; // of what is free; the rest is for buffers and for other programs
};
static const struct preset cpu_preset = {128, 16, 5, 40, 0.5};
static const struct preset gpu_preset = {512, 64, 16, 100, 0.8};

// ---- the size of images -------------------------------------------------------------------------

static int round_side(double side) {
    int rounded = (int)(side / SIZE_STEP + 0.5) * SIZE_STEP;
    return rounded < SIZE_MIN ? SIZE_MIN : rounded;
}

// The usual shape of the files, at most as long as `longest`.
static void choose_size(const struct adele_fingerprint *fingerprint, int longest,
                        struct init_fit *out) {
    double width = fingerprint->extents[0].median, height = fingerprint->extents[1].median;
    double side = fmax(width, height);
    double scale = side > longest ? longest / side : 1.0;
    out->height = round_side(scale * height);
    out->width = round_side(scale * width);
}

// ---- memory -------------------------------------------------------------------------------------

// Images and labels of all splits. A volume counts with all of its slices.
static size_t data_bytes(const struct adele_fingerprint *fingerprint, const struct init_fit *fit) {
    double n_images = 0.0,
           n_bytes = fingerprint->is_volume || fingerprint->n_bits == 16 ? 2.0 : 1.0;
    for (int split = 0; split < SPLIT_COUNT; split++)
        n_images += fingerprint->n_cases[split] * fingerprint->extents[2].median;
    double plane = (double)fit->height * fit->width;
    return (size_t)(n_images * plane * (fingerprint->n_channels * n_bytes + 2.0));
}

static adele_status measure(const struct adele_device *device, const struct dataset *dataset,
                            const struct init_fit *fit, size_t *out) {
    static const double scales[] = {1.0, 0.7, 1.5}; // loss.scales
    const struct network_config config = {.name = "unet",
                                          .n_channels = dataset->n_channels,
                                          .n_categories = dataset->n_categories,
                                          .width = fit->channels,
                                          .precision = ADELE_PRECISION_FP32};
    struct network *network = NULL;
    size_t shared = 0;
    adele_status status = network_create(device, &config, &network);
    *out = 0;
    for (size_t k = 0; k < sizeof scales / sizeof scales[0] && status == ADELE_OK; k++) {
        struct plan_memory memory = {0, 0};
        status = network_measure(network, fit->batch, (int)floor(fit->height * scales[k]),
                                 (int)floor(fit->width * scales[k]), true, &memory);
        *out += memory.activation_bytes;
        shared = memory.shared_bytes > shared ? memory.shared_bytes : shared;
    }
    // The smaller batch at the end of an epoch has plans of its own, and so has the evaluation.
    if (status == ADELE_OK)
        *out += *out / 2 + shared + network_parameter_bytes(network);
    network_destroy(network);
    return status;
}

// Whether the training fits; then needed_bytes is set.
static adele_status try_fit(const struct adele_device *device, const struct dataset *dataset,
                            const struct adele_fingerprint *fingerprint, size_t room,
                            struct init_fit *fit, bool *fits) {
    size_t bytes = 0;
    adele_status status = measure(device, dataset, fit, &bytes);
    *fits = false;
    if (status == ADELE_NO_MEMORY) // for the weights alone
        return ADELE_OK;
    TRY(status);
    fit->needed_bytes = bytes + data_bytes(fingerprint, fit);
    *fits = fit->needed_bytes <= room;
    return ADELE_OK;
}

adele_status init_fit(const struct adele_device *device, const struct dataset *dataset,
                      const struct adele_fingerprint *fingerprint, struct init_fit *out) {
    memset(out, 0, sizeof *out);
    out->is_gpu = strcmp(device->iface->name, "cpu") != 0;
    const struct preset *preset = out->is_gpu ? &gpu_preset : &cpu_preset;
    out->free_bytes = device->iface->free_bytes(device);
    out->epochs = preset->epochs;
    size_t room = out->free_bytes == SIZE_MAX
                      ? SIZE_MAX
                      : (size_t)(preset->memory_share * (double)out->free_bytes);
    int n_train = dataset->n_cases[SPLIT_TRAIN];
    int largest = fingerprint->is_volume || n_train > preset->batch ? preset->batch : n_train;
    for (int side = preset->longest_side; side >= 2 * SIZE_MIN; side /= 2) {
        choose_size(fingerprint, side, out);
        for (out->channels = preset->channels; out->channels >= 8; out->channels /= 2)
            for (out->batch = largest; out->batch >= 1; out->batch /= 2) {
                bool fits = false;
                if (out->batch < 2 && largest > 1) // one value a channel gives no statistics
                    continue;
                TRY(try_fit(device, dataset, fingerprint, room, out, &fits));
                if (fits)
                    return ADELE_OK;
            }
    }
    return FAIL(ADELE_NO_MEMORY, "Close other programs, or train on another device (--device).",
                "%s: %zu MB are free on %s, too little for a small network on images of %d x %d",
                dataset->root, out->free_bytes / 1000000, device->description, out->width,
                out->height);
}
