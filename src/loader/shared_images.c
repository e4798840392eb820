// SPDX-License-Identifier: MIT
#include "loader/shared_images.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"

#include <omp.h>
#include <string.h>

// What the first rank of a host sends to its other ranks.
struct offer {
    struct shared_memory_key pixels, details; // of 0 bytes: it shares nothing
    int32_t n, c, h, w;
    uint8_t is_f16, has_labels, has_truth;
};

static size_t pixel_bytes(const struct dataset_images *images) {
    return (size_t)images->n * (size_t)images->c * dataset_images_plane_size(images) *
           dataset_images_pixel_bytes(images);
}

// ---- details ------------------------------------------------------------------------------------

#define N_DETAILS 5

// All arrays but the pixels; NULL ones have no bytes.
struct detail {
    void *array;
    size_t bytes;
};
static void details_of(const struct dataset_images *images, struct detail out[N_DETAILS]) {
    size_t n = (size_t)images->n, planes = n * (size_t)images->c;
    size_t map = n * dataset_images_plane_size(images);
    out[0] = (struct detail){images->mean, planes * sizeof *images->mean};
    out[1] = (struct detail){images->inv_std, planes * sizeof *images->inv_std};
    out[2] = (struct detail){images->origin, n * sizeof *images->origin};
    out[3] = (struct detail){images->labels, images->labels != NULL ? map : 0};
    out[4] = (struct detail){images->truth, images->truth != NULL ? map : 0};
}

static size_t details_bytes(const struct dataset_images *images) {
    struct detail details[N_DETAILS];
    size_t sum = 0;
    details_of(images, details);
    for (int i = 0; i < N_DETAILS; i++)
        sum += details[i].bytes;
    return sum;
}

// The arrays lie one behind the other in `block`.
static void copy_details(const struct dataset_images *images, char *block, bool into_images) {
    struct detail details[N_DETAILS];
    details_of(images, details);
    for (int i = 0; i < N_DETAILS; i++) {
        if (details[i].bytes > 0)
            memcpy(into_images ? details[i].array : block, into_images ? block : details[i].array,
                   details[i].bytes);
        block += details[i].bytes;
    }
}

// ---- the first rank of a host -------------------------------------------------------------------

static adele_status make_blocks(const struct dataset_images *images, struct shared_memory *pixels,
                                struct shared_memory *details, struct offer *offer) {
    size_t bytes = pixel_bytes(images);
    TRY(shared_memory_create(bytes, pixels, &offer->pixels));
    memcpy(pixels->block, images->images, bytes);
    TRY(shared_memory_protect(pixels));
    TRY(shared_memory_create(details_bytes(images), details, &offer->details));
    copy_details(images, details->block, false);
    return ADELE_OK;
}

// With the threads of all ranks of the host, which wait for it.
static adele_status load_for_all(const struct dataset *dataset, enum dataset_split split,
                                 bool keep_empty_slices, const struct ranks *ranks,
                                 struct dataset_images *out) {
    int n_threads = omp_get_max_threads();
    omp_set_num_threads(n_threads * ranks_local_count(ranks));
    adele_status status = dataset_load(dataset, split, keep_empty_slices, out);
    omp_set_num_threads(n_threads);
    return status;
}

// Moves the pixels into memory that others can map, and puts a copy of the rest into `details`. It
// shares nothing where that fails: then each rank needs memory of its own, and may have it.
static void make_offer(struct dataset_images *images, struct shared_memory *details,
                       struct offer *offer) {
    struct shared_memory pixels = {0};
    *offer = (struct offer){.n = images->n,
                            .c = images->c,
                            .h = images->h,
                            .w = images->w,
                            .is_f16 = images->is_f16,
                            .has_labels = images->labels != NULL,
                            .has_truth = images->truth != NULL};
    if (images->n > 0 && make_blocks(images, &pixels, details, offer) == ADELE_OK) {
        memory_free(images->images);
        images->images = pixels.block;
        images->pixels = pixels;
        return;
    }
    if (images->n > 0)
        log_line(LOG_WARNING, "the images are not shared by the processes of this host: %s",
                 adele_error_message());
    shared_memory_release(&pixels);
    shared_memory_release(details);
    *offer = (struct offer){0};
}

// ---- the others ---------------------------------------------------------------------------------

static adele_status take(const struct offer *offer, struct dataset_images *out) {
    CLEANUP(shared_memory_release) struct shared_memory details = {0};
    CLEANUP(dataset_images_deinit)
    struct dataset_images images = {.n = offer->n,
                                    .c = offer->c,
                                    .h = offer->h,
                                    .w = offer->w,
                                    .is_f16 = offer->is_f16,
                                    .is_counted_elsewhere = true};
    TRY(dataset_images_allocate_maps(&images, offer->has_labels, offer->has_truth));
    TRY(shared_memory_open(&offer->pixels, &images.pixels));
    images.images = images.pixels.block;
    TRY(shared_memory_open(&offer->details, &details));
    if (images.pixels.bytes != pixel_bytes(&images) || details.bytes != details_bytes(&images))
        return FAIL(ADELE_UNSUPPORTED, "", "shared memory of another size than its images");
    copy_details(&images, details.block, true);
    *out = images;
    images = (struct dataset_images){0};
    return ADELE_OK;
}

// From a rank of this host that offers its images. Several hosts may have one name, so all ranks
// of this name are tried.
static adele_status take_any(struct ranks *ranks, const struct offer *offers,
                             struct dataset_images *out) {
    const char *host = ranks_host(ranks, ranks_index(ranks));
    adele_status status = FAIL(ADELE_UNSUPPORTED, "", "no rank of this host offers them");
    for (int r = 0; r < ranks_count(ranks); r++)
        if (offers[r].pixels.bytes > 0 && strcmp(ranks_host(ranks, r), host) == 0) {
            status = take(&offers[r], out);
            if (status == ADELE_OK)
                return status;
        }
    return status;
}

static adele_status take_or_load(const struct dataset *dataset, enum dataset_split split,
                                 bool keep_empty_slices, struct ranks *ranks,
                                 const struct offer *offers, struct dataset_images *out) {
    if (take_any(ranks, offers, out) == ADELE_OK) {
        log_line(LOG_DETAIL, "data: %.1f MB of images of the %s split are those of another process",
                 1e-6 * (double)out->pixels.bytes, dataset_split_name(split));
        return ADELE_OK;
    }
    log_line(LOG_WARNING, "data: a copy of the %s split for this process alone: %s",
             dataset_split_name(split), adele_error_message());
    return dataset_load(dataset, split, keep_empty_slices, out);
}

// ---- all ----------------------------------------------------------------------------------------

static adele_status share(const struct dataset *dataset, enum dataset_split split,
                          bool keep_empty_slices, struct ranks *ranks, struct dataset_images *out) {
    bool is_first = ranks_local_index(ranks) == 0;
    struct offer mine = {0};
    OWNED struct offer *offers = NULL;
    CLEANUP(shared_memory_release) struct shared_memory details = {0};
    adele_status status =
        is_first ? load_for_all(dataset, split, keep_empty_slices, ranks, out) : ADELE_OK;
    if (status == ADELE_OK && is_first && ranks_local_count(ranks) > 1)
        make_offer(out, &details, &mine);
    TRY(ranks_agree(ranks, status));
    TRY(ALLOCATE(&offers, ranks_count(ranks)));
    TRY(ranks_gather(ranks, &mine, sizeof mine, offers));
    if (!is_first)
        status = take_or_load(dataset, split, keep_empty_slices, ranks, offers, out);
    // Until all have come to this point, the first rank keeps the blocks open.
    return ranks_agree(ranks, status);
}

adele_status shared_images_load(const struct dataset *dataset, enum dataset_split split,
                                bool keep_empty_slices, struct ranks *ranks,
                                struct dataset_images *out) {
    if (ranks_count(ranks) == 1)
        return dataset_load(dataset, split, keep_empty_slices, out);
    *out = (struct dataset_images){0};
    adele_status status = share(dataset, split, keep_empty_slices, ranks, out);
    shared_memory_close_file(&out->pixels);
    if (status != ADELE_OK)
        dataset_images_deinit(out);
    return status;
}
