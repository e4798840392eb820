// SPDX-License-Identifier: MIT
#include "tile_model.h"

#include <math.h>
#include <stdlib.h>

enum { STEP_CHANNELS = 64, ROW_BYTES = 2 * STEP_CHANNELS, TILE_ROWS = CONV2D_BOX_PIXELS };

const struct tile_assumption_row tile_assumptions[TILE_ASSUMPTION_COUNT] = {
#define TILE_ROW(name, value, unit, meaning) {#name, value, unit, meaning},
    TILE_ASSUMPTIONS(TILE_ROW)
#undef TILE_ROW
};

static double assumed(enum tile_assumption name) {
    return tile_assumptions[name].value;
}

// Cycles of one step on one multiprocessor while this part of all is busy.
static void step_costs(struct tile_costs *out, double busy) {
    double hertz = 1e9 * assumed(TILE_clock), n_sm = assumed(TILE_multiprocessors);
    double flops = 2.0 * TILE_ROWS * out->bn * STEP_CHANNELS;
    // Each of two warpgroups reads its 64 rows and all weights; the copies write all rows once.
    double reads = (TILE_ROWS + 2.0 * out->bn) * ROW_BYTES;
    double writes = (TILE_ROWS + (double)out->bn) * ROW_BYTES;
    double weights = out->is_paired ? 0.5 * out->bn : out->bn;
    out->step[TILE_BY_TENSOR] = flops / (1e12 * assumed(TILE_matrix) / n_sm) * hertz;
    out->step[TILE_BY_SHARED] = (reads + writes) / assumed(TILE_shared);
    out->step[TILE_BY_L2] =
        busy * (TILE_ROWS + weights) * ROW_BYTES / (1e9 * assumed(TILE_l2) / n_sm) * hertz;
    out->step[TILE_BY_ISSUE] = 2.0 * assumed(TILE_step_instructions);
    out->slowest = TILE_BY_TENSOR;
    for (int i = 1; i < TILE_RESOURCES; i++)
        if (out->step[i] > out->step[out->slowest])
            out->slowest = (enum tile_resource)i;
    out->store = out->bn / (double)STEP_CHANNELS *
                 (2.0 * assumed(TILE_store_instructions) + assumed(TILE_store_latency));
}

// The second kernel, which adds up the slots of one pass: it reads each once, as far as it can from
// the second-level cache, and then has so many other bytes of memory.
static double sum_seconds(double slot_bytes, double others) {
    double cached = fmin(slot_bytes, 1e6 * assumed(TILE_l2_kept));
    return cached / (1e9 * assumed(TILE_l2)) +
           (slot_bytes - cached + others) / (1e9 * assumed(TILE_memory)) +
           assumed(TILE_fill_latency) / (1e9 * assumed(TILE_clock));
}

// Cycles of storing the sums of a segment.
static double slot_cycles(const struct tile_costs *costs) {
    return 4.0 * TILE_ROWS * costs->bn * assumed(TILE_multiprocessors) / (1e9 * assumed(TILE_l2)) *
           1e9 * assumed(TILE_clock);
}

// The cycles of the worker with the most.
static double longest_segments(const struct conv2d_box_work *work, struct tile_costs *out,
                               const struct conv2d_box_segment *segments, const int *starts) {
    double longest = 0.0;
    for (int worker = 0; worker < work->n_workers; worker++) {
        double steps = 0.0, stores = 0.0, rounds = starts[worker + 1] - starts[worker];
        for (int i = starts[worker]; i < starts[worker + 1]; i++) {
            steps += segments[i].n_steps;
            stores += segments[i].slot < 0 ? out->store : slot_cycles(out);
        }
        double cycles = steps * out->step[out->slowest] + stores;
        if (cycles > longest) {
            longest = cycles;
            out->steps = steps;
            out->rounds = rounds;
        }
    }
    return longest + assumed(TILE_fill_latency);
}

static struct conv2d_boxes boxes_of(const struct tile_layer *layer) {
    int pad = layer->dilation * (layer->kernel / 2);
    struct conv2d_boxes boxes = {.n = layer->n,
                                 .h = layer->size,
                                 .w = layer->size,
                                 .h_source = layer->size,
                                 .w_source = layer->size,
                                 .kernel_x = layer->kernel,
                                 .kernel_y = layer->kernel,
                                 .offset_x = -pad,
                                 .offset_y = -pad,
                                 .apart = layer->dilation};
    conv2d_boxes_choose(&boxes);
    return boxes;
}

// ---- the forward pass ---------------------------------------------------------------------------

// One behind the other: pairs, or with one tile in all that one. Returns their number.
static int list_tiles(const struct tile_layer *layers, int n, struct conv2d_box_tile *tiles) {
    int n_tiles = 0;
    for (int i = 0; i < n; i++) {
        const struct conv2d_boxes boxes = boxes_of(&layers[i]);
        int count = conv2d_boxes_count(&boxes);
        conv2d_boxes_list(&boxes, tiles + n_tiles);
        n_tiles += n == 1 && count == 1 ? 1 : conv2d_boxes_pair(&boxes, tiles + n_tiles, count);
    }
    return n_tiles;
}

static int compare_pairs(const void *a, const void *b) {
    const struct conv2d_box_tile *left = a, *right = b;
    return conv2d_box_count_taps(right->taps) - conv2d_box_count_taps(left->taps);
}

// The plan of cuda/conv2d/conv2d_hopper_plan.cu, which has one layer.
static struct conv2d_box_work work_of(const struct tile_layer *layers, int n,
                                      struct conv2d_box_tile *tiles) {
    struct conv2d_box_work work = {.tiles = tiles,
                                   .n_tiles = list_tiles(layers, n, tiles),
                                   .c_target = layers->c_out,
                                   .n_chunks = layers->c_in / STEP_CHANNELS,
                                   .gpu_blocks = (int)assumed(TILE_multiprocessors),
                                   .split_blocks = CONV2D_WORK_BLOCKS};
    work.is_paired = work.n_tiles > 1;
    if (n > 1) // those with most taps first
        qsort(tiles, (size_t)work.n_tiles / 2, 2 * sizeof *tiles, compare_pairs);
    conv2d_box_work_choose(&work);
    return work;
}

static double pixels_of(const struct tile_layer *layers, int n) {
    double pixels = 0.0;
    for (int i = 0; i < n; i++)
        pixels += (double)layers[i].n * layers[i].size * layers[i].size;
    return pixels;
}

static double weights_of(const struct tile_layer *layer) {
    return (double)layer->kernel * layer->kernel * layer->c_in * layer->c_out;
}

// The time of a plan.
static void price(const struct tile_layer *layers, int n, const struct conv2d_box_work *work,
                  struct tile_costs *out) {
    struct conv2d_box_segment *segments = calloc((size_t)work->n_segments, sizeof *segments);
    struct conv2d_box_sum *sums = calloc((size_t)work->n_sums + 1, sizeof *sums);
    int *starts = calloc((size_t)work->n_workers + 1, sizeof *starts);
    out->bn = work->bn;
    out->is_paired = work->is_paired;
    out->n_tiles = work->n_tiles;
    out->n_slots = work->n_slots;
    if (segments != NULL && sums != NULL && starts != NULL) {
        double pixels = pixels_of(layers, n), weights = weights_of(layers);
        double bytes = 2.0 * (pixels * (layers->c_in + layers->c_out) + weights);
        double tile = (work->is_paired ? 2.0 : 1.0) * TILE_ROWS * work->bn;
        double blocks = (work->is_paired ? 2.0 : 1.0) * work->n_workers;
        conv2d_box_work_list(work, segments, starts, sums);
        step_costs(out, blocks / assumed(TILE_multiprocessors));
        double cycles = longest_segments(work, out, segments, starts);
        out->flops = 2.0 * pixels * weights;
        out->seconds =
            fmax(cycles / (1e9 * assumed(TILE_clock)), bytes / (1e9 * assumed(TILE_memory)));
        if (work->n_slots > 0)
            out->seconds += sum_seconds(4.0 * tile * work->n_slots, 2.0 * tile * work->n_sums);
    }
    free(segments);
    free(sums);
    free(starts);
}

void tile_model_scales(const struct tile_layer *layers, int n, struct tile_costs *out) {
    *out = (struct tile_costs){.boxes = boxes_of(layers)};
    int n_tiles = 0;
    for (int i = 0; i < n; i++) {
        const struct conv2d_boxes boxes = boxes_of(&layers[i]);
        n_tiles += conv2d_boxes_count(&boxes) + 1;
    }
    struct conv2d_box_tile *tiles = calloc((size_t)n_tiles, sizeof *tiles);
    if (tiles == NULL)
        return; // all zeros: no time
    struct conv2d_box_work work = work_of(layers, n, tiles);
    price(layers, n, &work, out);
    free(tiles);
}

void tile_model(const struct tile_layer *layer, struct tile_costs *out) {
    tile_model_scales(layer, 1, out);
}

// ---- the weight gradient ------------------------------------------------------------------------

// The cycles of the worker with the most.
static double longest_worker(const struct gradient_tiles *tiles, struct tile_costs *out,
                             const struct gradient_segment *segments, const int *starts) {
    double longest = 0.0;
    for (int worker = 0; worker < tiles->n_workers; worker++) {
        double steps = 0.0, slots = starts[worker + 1] - starts[worker];
        for (int i = starts[worker]; i < starts[worker + 1]; i++)
            steps += segments[i].n_steps;
        double cycles = steps * out->step[out->slowest] + slots * out->store;
        if (cycles > longest) {
            longest = cycles;
            out->steps = steps;
            out->rounds = slots;
        }
    }
    return longest + assumed(TILE_fill_latency);
}

static struct gradient_tiles gradient_tiles_of(const struct tile_layer *layer) {
    struct gradient_tiles tiles = {.n = layer->n,
                                   .h_in = layer->size,
                                   .w_in = layer->size,
                                   .h_out = layer->size,
                                   .w_out = layer->size,
                                   .c_in = layer->c_in,
                                   .c_out = layer->c_out,
                                   .kernel = layer->kernel,
                                   .stride = 1,
                                   .pad = layer->dilation * (layer->kernel / 2),
                                   .dilation = layer->dilation};
    gradient_tiles_choose(&tiles);
    return tiles;
}

void tile_model_gradient(const struct tile_layer *layer, struct tile_costs *out) {
    struct gradient_tiles tiles = gradient_tiles_of(layer);
    *out = (struct tile_costs){
        .boxes = {.box_n = tiles.box_n, .box_h = tiles.box_h, .box_w = tiles.box_w},
        .bn = tiles.bn,
        .n_tiles = gradient_tile_count(&tiles),
        .is_paired = tiles.is_paired};
    int most = out->n_tiles + tiles.n_workers;
    struct gradient_segment *segments = calloc((size_t)most, sizeof *segments);
    int *starts = calloc((size_t)tiles.n_workers + 1, sizeof *starts);
    int *slots = calloc((size_t)out->n_tiles + 1, sizeof *slots);
    if (segments != NULL && starts != NULL && slots != NULL) {
        double memory = 1e9 * assumed(TILE_memory);
        double hertz = 1e9 * assumed(TILE_clock), slot = 4.0 * TILE_ROWS * out->bn;
        double pixels = pixels_of(layer, 1), weights = weights_of(layer);
        int n = gradient_tiles_list(&tiles, segments, starts, slots);
        step_costs(out, 1.0);
        out->store = slot_cycles(out);
        double cycles = longest_worker(&tiles, out, segments, starts);
        double bytes = 2.0 * pixels * (layer->c_in + layer->c_out);
        out->n_slots = n;
        out->flops = 2.0 * pixels * weights;
        // The gradient is read and written.
        out->sum = sum_seconds(n * (tiles.is_paired ? 2.0 : 1.0) * slot, 8.0 * weights);
        out->seconds = fmax(cycles / hertz, bytes / memory) + out->sum;
    }
    free(segments);
    free(starts);
    free(slots);
}

void tile_model_gradient_scales(const struct tile_layer *layers, int n, struct tile_costs *out) {
    double steps = 0.0, rounds = 0.0, sum = 0.0, flops = 0.0;
    for (int i = 0; i < n; i++) {
        tile_model_gradient(&layers[i], out);
        steps += out->steps;
        flops += out->flops;
        rounds = fmax(rounds, out->rounds);
        sum = fmax(sum, out->sum);
    }
    double cycles =
        steps * out->step[out->slowest] + rounds * out->store + assumed(TILE_fill_latency);
    out->flops = flops;
    out->seconds = cycles / (1e9 * assumed(TILE_clock)) + sum;
}
