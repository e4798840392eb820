// SPDX-License-Identifier: MIT
#include "predict/prediction.h"

#include "base/fail.h"
#include "base/memory.h"
#include "ranks/image_owner.h"

// Pixels of the images that are gathered at a time, of 9 bytes each.
#define ROUND_PIXELS ((size_t)1 << 22)

// The three arrays, each of so many bytes a pixel.
#define N_ARRAYS 3
struct array {
    char *block; // device
    size_t pixel_bytes;
    int cleared; // the byte of a pixel without prediction: 255 is no class, 0 no confidence
};

static void arrays_of(const struct prediction *prediction, struct array out[N_ARRAYS]) {
    out[0] = (struct array){(char *)prediction->category, 1, ADELE_IGNORE};
    out[1] = (struct array){(char *)prediction->confidence_foreground, sizeof(float), 0};
    out[2] = (struct array){(char *)prediction->confidence_background, sizeof(float), 0};
}

static size_t image_pixels(const struct run_data *data) {
    const struct adele_sample_set *set = &data->resident[SPLIT_TRAIN].set;
    return (size_t)set->h * (size_t)set->w;
}

adele_status prediction_clear_others(const struct run_data *data,
                                     const struct prediction *prediction, const int *owners) {
    struct array arrays[N_ARRAYS];
    struct image_share others = {0, 0};
    arrays_of(prediction, arrays);
    while (image_owners_next_others(owners, prediction->n, ranks_index(data->ranks), &others))
        for (int a = 0; a < N_ARRAYS; a++) {
            size_t bytes = image_pixels(data) * arrays[a].pixel_bytes;
            TRY(data->device->iface->fill(
                data->device, arrays[a].block + (size_t)others.first * bytes, arrays[a].cleared,
                (size_t)(others.end - others.first) * bytes));
        }
    return ADELE_OK;
}

// ---- all predictions on every rank --------------------------------------------------------------

// Images first .. end - 1, of which `block` has those of one rank, behind each other.
struct round {
    const struct run_data *data;
    const int *owners;
    struct array arrays[N_ARRAYS];
    struct image_share images;
    size_t image_bytes; // of all arrays
};

static size_t bytes_of_rank(const struct round *round, int rank) {
    size_t n = 0;
    for (int i = round->images.first; i < round->images.end; i++)
        n += round->owners[i] == rank;
    return n * round->image_bytes;
}

// From the device into `block`, or, with is_upload, from there to the device.
static adele_status move_images(const struct round *round, int rank, char *block, bool is_upload) {
    const struct adele_device *device = round->data->device;
    for (int i = round->images.first; i < round->images.end; i++)
        for (int a = 0; a < N_ARRAYS && round->owners[i] == rank; a++) {
            size_t bytes = image_pixels(round->data) * round->arrays[a].pixel_bytes;
            char *image = round->arrays[a].block + (size_t)i * bytes;
            TRY(is_upload ? device->iface->upload(device, image, block, bytes)
                          : device->iface->download(device, block, image, bytes));
            block += bytes;
        }
    return ADELE_OK;
}

static adele_status take_over(const struct round *round, char *all, const size_t *starts) {
    struct ranks *ranks = round->data->ranks;
    for (int r = 0; r < ranks_count(ranks); r++) {
        size_t bytes = starts[r + 1] - starts[r];
        if (bytes != bytes_of_rank(round, r))
            return FAIL(ADELE_FORMAT, "Start all ranks with the same program.",
                        "rank %d has sent %zu bytes of predictions instead of %zu", r, bytes,
                        bytes_of_rank(round, r));
        if (r != ranks_index(ranks))
            TRY(move_images(round, r, all + starts[r], true));
    }
    return ADELE_OK;
}

static adele_status gather_round(const struct round *round, size_t *starts) {
    struct ranks *ranks = round->data->ranks;
    int rank = ranks_index(ranks);
    size_t bytes = bytes_of_rank(round, rank);
    OWNED char *mine = memory_aligned(bytes > 0 ? bytes : 1);
    OWNED void *all = NULL;
    TRY(CHECK_MEMORY(mine));
    TRY(move_images(round, rank, mine, false));
    TRY(ranks_gather_sized(ranks, mine, bytes, &all, starts));
    return take_over(round, all, starts);
}

adele_status prediction_gather(const struct run_data *data, const struct prediction *prediction,
                               const int *owners) {
    struct round round = {.data = data, .owners = owners};
    OWNED size_t *starts = NULL;
    size_t n_pixels = image_pixels(data);
    int per_round = n_pixels < ROUND_PIXELS ? (int)(ROUND_PIXELS / n_pixels) : 1;
    if (ranks_count(data->ranks) == 1)
        return ADELE_OK;
    arrays_of(prediction, round.arrays);
    for (int a = 0; a < N_ARRAYS; a++)
        round.image_bytes += n_pixels * round.arrays[a].pixel_bytes;
    TRY(ALLOCATE(&starts, ranks_count(data->ranks) + 1));
    for (int i = 0; i < prediction->n; i += per_round) {
        int left = prediction->n - i;
        round.images = (struct image_share){i, i + (left < per_round ? left : per_round)};
        TRY(gather_round(&round, starts));
    }
    return ADELE_OK;
}
