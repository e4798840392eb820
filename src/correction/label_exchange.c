// SPDX-License-Identifier: MIT
// In rounds, so that the memory on the host does not grow with the data set. In each, every rank
// sends what it changed in the next few of its images.
#include "correction/label_exchange.h"

#include "base/fail.h"
#include "base/memory.h"
#include "correction/label_runs.h"

// Pixels of a rank in a round. A run takes 16 bytes, so that a round is 64 MB of each rank where
// every pixel is a run of its own; usually it is a hundredth of that.
#define ROUND_PIXELS ((size_t)1 << 22)

struct label_exchange {
    struct run_data *data;
    const uint8_t *before;
    const int *owners;
    size_t n_pixels;        // of an image
    int per_round, i_next;  // images of a rank in a round; where the next round begins
    uint8_t *maps[2];       // host: labels of one image, before and after
    struct label_runs mine; // of this round
    size_t *starts;         // (ranks + 1)
};

static adele_status download(const struct label_exchange *exchange, const uint8_t *maps, int i,
                             uint8_t *out) {
    const struct adele_device *device = exchange->data->device;
    return device->iface->download(device, out, maps + (size_t)i * exchange->n_pixels,
                                   exchange->n_pixels);
}

static adele_status find_changes(struct label_exchange *exchange) {
    const struct resident *train = &exchange->data->resident[SPLIT_TRAIN];
    int rank = ranks_index(exchange->data->ranks), i = exchange->i_next;
    exchange->mine.n = 0;
    for (int n = 0; i < train->set.n_images && n < exchange->per_round; i++) {
        if (exchange->owners[i] != rank)
            continue;
        TRY(download(exchange, exchange->before, i, exchange->maps[0]));
        TRY(download(exchange, train->labels, i, exchange->maps[1]));
        TRY(label_runs_add(&exchange->mine, i, exchange->maps[0], exchange->maps[1],
                           exchange->n_pixels));
        n++;
    }
    exchange->i_next = i;
    return ADELE_OK;
}

static adele_status take_over(struct label_exchange *exchange, int rank, const void *block,
                              size_t bytes) {
    const struct run_data *data = exchange->data;
    const struct resident *train = &data->resident[SPLIT_TRAIN];
    const struct label_runs_limits limits = {.n_images = train->set.n_images,
                                             .n_pixels = exchange->n_pixels,
                                             .n_categories = data->n_categories,
                                             .owners = exchange->owners,
                                             .rank = rank};
    TRY(label_runs_check(block, bytes, &limits));
    const struct label_run *runs = block;
    size_t n = bytes / sizeof *runs;
    for (size_t i = 0; i < n;) {
        size_t n_of_image = label_runs_of_image(runs + i, n - i);
        int image = (int)runs[i].image;
        TRY(download(exchange, train->labels, image, exchange->maps[0]));
        label_runs_apply(runs + i, n_of_image, exchange->maps[0]);
        TRY(data->device->iface->upload(data->device,
                                        train->labels + (size_t)image * exchange->n_pixels,
                                        exchange->maps[0], exchange->n_pixels));
        i += n_of_image;
    }
    return ADELE_OK;
}

static adele_status exchange_round(struct label_exchange *exchange) {
    struct ranks *ranks = exchange->data->ranks;
    OWNED void *all = NULL;
    TRY(find_changes(exchange));
    TRY(ranks_gather_sized(ranks, exchange->mine.runs,
                           exchange->mine.n * sizeof *exchange->mine.runs, &all, exchange->starts));
    for (int r = 0; r < ranks_count(ranks); r++)
        if (r != ranks_index(ranks))
            TRY(take_over(exchange, r, (const char *)all + exchange->starts[r],
                          exchange->starts[r + 1] - exchange->starts[r]));
    return ADELE_OK;
}

// Rounds of the rank with the most images, the same number on every rank.
static adele_status count_rounds(const struct label_exchange *exchange, int *out) {
    OWNED int *n_of_rank = NULL;
    int most = 0;
    TRY(ALLOCATE(&n_of_rank, ranks_count(exchange->data->ranks)));
    for (int i = 0; i < exchange->data->resident[SPLIT_TRAIN].set.n_images; i++) {
        int n = ++n_of_rank[exchange->owners[i]];
        most = n > most ? n : most;
    }
    *out = (most + exchange->per_round - 1) / exchange->per_round;
    return ADELE_OK;
}

static adele_status exchange_all(struct label_exchange *exchange) {
    int n_rounds = 0;
    for (int m = 0; m < 2; m++)
        TRY(ALLOCATE(&exchange->maps[m], exchange->n_pixels));
    TRY(ALLOCATE(&exchange->starts, ranks_count(exchange->data->ranks) + 1));
    TRY(count_rounds(exchange, &n_rounds));
    for (int i = 0; i < n_rounds; i++)
        TRY(exchange_round(exchange));
    return ADELE_OK;
}

adele_status label_exchange_changes(struct run_data *data, const uint8_t *before,
                                    const int *owners) {
    const struct adele_sample_set *set = &data->resident[SPLIT_TRAIN].set;
    if (ranks_count(data->ranks) == 1)
        return ADELE_OK;
    struct label_exchange exchange = {.data = data,
                                      .before = before,
                                      .owners = owners,
                                      .n_pixels = (size_t)set->h * (size_t)set->w};
    size_t per_round = ROUND_PIXELS / exchange.n_pixels;
    exchange.per_round = per_round > 0 ? (int)per_round : 1;
    adele_status status = exchange_all(&exchange);
    memory_free(exchange.maps[0]);
    memory_free(exchange.maps[1]);
    memory_free(exchange.mine.runs);
    memory_free(exchange.starts);
    return status;
}
