// SPDX-License-Identifier: MIT
#include "init/init_choices.h"

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

// Whole images that are reduced by more than REDUCTION, and are longer than LARGE, lose what a
// person sees in them: patches at the files' own size are the usual way then.
#define REDUCTION 2.0
#define LARGE     512.0

static bool is_large(const struct adele_fingerprint *fingerprint, int longest) {
    double side = fmax(fingerprint->extents[0].median, fingerprint->extents[1].median);
    return side > LARGE && side > REDUCTION * longest;
}

// A patch is no longer than the usual file, because it would be padded.
static int patch_side(double side, int longest) {
    int inside = (int)(side / SIZE_STEP) * SIZE_STEP;
    return inside > longest ? longest : inside < SIZE_MIN ? SIZE_MIN : inside;
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

// All images have the size of the largest one where they keep their own.
static double plane_pixels(const struct adele_fingerprint *fingerprint,
                           const struct init_fit *fit) {
    const struct adele_range *extents = fingerprint->extents;
    return fit->is_patch
               ? fmax(extents[0].median, extents[0].high) * fmax(extents[1].median, extents[1].high)
               : (double)fit->height * fit->width;
}

// Images and labels of all splits. A volume counts with all of its slices. Patches of the training
// images are copies, on the host and on the device.
static size_t data_bytes(const struct adele_fingerprint *fingerprint, const struct init_fit *fit) {
    double n_pixels = 0.0,
           n_bytes = fingerprint->is_volume || fingerprint->n_bits == 16 ? 2.0 : 1.0;
    double plane = plane_pixels(fingerprint, fit), n_slices = fingerprint->extents[2].median;
    for (int split = 0; split < SPLIT_COUNT; split++)
        n_pixels += fingerprint->n_cases[split] * n_slices * plane;
    if (fit->is_patch)
        n_pixels +=
            2.0 * fingerprint->n_cases[SPLIT_TRAIN] * n_slices * (double)fit->height * fit->width;
    return (size_t)(n_pixels * (fingerprint->n_channels * n_bytes + 2.0));
}

// Averages of predictions in two bytes for each class (correction/ensemble_maps.c).
static size_t map_bytes(const struct dataset *dataset, const struct adele_fingerprint *fingerprint,
                        const struct init_fit *fit) {
    double n_images = fingerprint->n_cases[SPLIT_TRAIN] * fingerprint->extents[2].median;
    return fit->is_ensemble
               ? (size_t)(2.0 * dataset->n_categories * n_images * fit->height * fit->width)
               : 0;
}

static adele_status measure(const struct adele_device *device, const struct dataset *dataset,
                            const struct init_fit *fit, size_t *out) {
    static const double scales[] = {1.0, 0.7, 1.5}; // loss.scales
    const struct network_config config = {.name = "unet",
                                          .n_channels = dataset->n_channels,
                                          .n_categories = dataset->n_categories,
                                          .width = fit->channels,
                                          .precision = ADELE_PRECISION_FP32};
    enum { MAX_SCALES = sizeof scales / sizeof scales[0] };
    const int n_scales = fit->is_ensemble ? 1 : MAX_SCALES;
    struct plan_extent sizes[MAX_SCALES];
    struct plan_memory memory = {0, 0};
    struct network *network = NULL;
    for (int k = 0; k < n_scales; k++)
        sizes[k] = (struct plan_extent){(int)floor(fit->height * scales[k]),
                                        (int)floor(fit->width * scales[k])};
    adele_status status = network_create(device, &config, &network);
    if (status == ADELE_OK)
        status = network_measure(network, fit->batch, n_scales, sizes, true, &memory);
    // The smaller batch at the end of an epoch has plans of its own, and so has the evaluation.
    *out = memory.activation_bytes + memory.activation_bytes / 2 + memory.shared_bytes;
    if (status == ADELE_OK)
        *out += network_parameter_bytes(network) * (fit->is_ensemble ? 2 : 1); // and their average
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
    // Windows add up the probabilities of a whole image.
    double window_bytes =
        fit->is_patch ? plane_pixels(fingerprint, fit) * (dataset->n_categories + 1.0) * 4.0 : 0.0;
    fit->needed_bytes = bytes + data_bytes(fingerprint, fit) + (size_t)window_bytes +
                        map_bytes(dataset, fingerprint, fit);
    *fits = fit->needed_bytes <= room;
    return ADELE_OK;
}

// Of whole images, or of patches where out->is_patch is true.
static adele_status search(const struct adele_device *device, const struct dataset *dataset,
                           const struct adele_fingerprint *fingerprint, size_t room,
                           const struct preset *preset, struct init_fit *out, bool *fits) {
    int n_train = dataset->n_cases[SPLIT_TRAIN];
    int largest = fingerprint->is_volume || n_train > preset->batch ? preset->batch : n_train;
    for (int side = preset->longest_side; side >= 2 * SIZE_MIN; side /= 2) {
        choose_size(fingerprint, side, out);
        if (out->is_patch) {
            out->height = patch_side(fingerprint->extents[1].median, side);
            out->width = patch_side(fingerprint->extents[0].median, side);
        }
        for (out->channels = preset->channels; out->channels >= 8; out->channels /= 2)
            for (out->batch = largest; out->batch >= 1; out->batch /= 2) {
                if (out->batch < 2 && largest > 1) // one value a channel gives no statistics
                    continue;
                TRY(try_fit(device, dataset, fingerprint, room, out, fits));
                if (*fits)
                    return ADELE_OK;
            }
    }
    return ADELE_OK;
}

adele_status init_fit(const struct adele_device *device, const struct dataset *dataset,
                      const struct adele_fingerprint *fingerprint, bool is_ensemble,
                      struct init_fit *out) {
    memset(out, 0, sizeof *out);
    out->is_ensemble = is_ensemble;
    out->is_gpu = strcmp(device->iface->name, "cpu") != 0;
    const struct preset *preset = out->is_gpu ? &gpu_preset : &cpu_preset;
    bool fits = false;
    out->free_bytes = device->iface->free_bytes(device);
    out->epochs = preset->epochs;
    size_t room = out->free_bytes == SIZE_MAX
                      ? SIZE_MAX
                      : (size_t)(preset->memory_share * (double)out->free_bytes);
    choose_size(fingerprint, preset->longest_side, out);
    out->whole_height = out->height;
    out->whole_width = out->width;
    out->is_patch = !is_ensemble && is_large(fingerprint, preset->longest_side);
    if (out->is_patch)
        TRY(search(device, dataset, fingerprint, room, preset, out, &fits));
    out->is_patch = fits;
    if (!fits)
        TRY(search(device, dataset, fingerprint, room, preset, out, &fits));
    if (fits)
        return ADELE_OK;
    return FAIL(ADELE_NO_MEMORY, "Close other programs, or train on another device (--device).",
                "%s: %zu MB are free on %s, too little for a small network on images of %d x %d "
                "(height x width)",
                dataset->root, out->free_bytes / 1000000, device->description, out->height,
                out->width);
}
