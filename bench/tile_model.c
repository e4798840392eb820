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

// Cycles of one step on one multiprocessor while this part of all is busy; n_rows: of weights, that
// there are for it.
static void step_costs(struct tile_costs *out, double busy, int n_rows) {
    double hertz = 1e9 * assumed(TILE_clock), n_sm = assumed(TILE_multiprocessors);
    double flops = 2.0 * TILE_ROWS * out->bn * STEP_CHANNELS;
    // Each of two warpgroups reads its 64 rows and all weights; the copies write all rows once.
    double reads = (TILE_ROWS + 2.0 * out->bn) * ROW_BYTES;
    double writes = (TILE_ROWS + (double)out->bn) * ROW_BYTES;
    double weights = out->is_paired ? 0.5 * n_rows : n_rows;
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

static struct conv2d_box_extents square_of(int n, int size) {
    return (struct conv2d_box_extents){n, size, size, size, size};
}

// Of n layers that differ in their sizes alone.
static struct conv2d_boxes boxes_of(const struct tile_layer *layer, int n) {
    int pad = layer->dilation * (layer->kernel / 2);
    struct conv2d_boxes boxes = {.n_groups = 0};
    conv2d_boxes_add(
        &boxes, square_of(layer->n, layer->size),
        (struct conv2d_box_kernel){layer->kernel, layer->kernel, -pad, -pad, layer->dilation}, 0);
    for (int i = 1; i < n; i++)
        conv2d_boxes_add_scale(&boxes, square_of(layer[i].n, layer[i].size));
    conv2d_boxes_choose(&boxes);
    return boxes;
}

// ---- the forward pass ---------------------------------------------------------------------------

// The plan of cuda/conv2d/conv2d_hopper_plan.cu.
static struct conv2d_box_work work_of(const struct tile_layer *layers,
                                      const struct conv2d_boxes *boxes,
                                      struct conv2d_box_tile *tiles) {
    struct conv2d_box_work work = {.tiles = tiles,
                                   .n_tiles = conv2d_boxes_count(boxes),
                                   .c_target = layers->c_out,
                                   .n_chunks = layers->c_in / STEP_CHANNELS,
                                   .gpu_blocks = (int)assumed(TILE_multiprocessors),
                                   .split_blocks = CONV2D_WORK_BLOCKS};
    work.is_paired = work.n_tiles > 1;
    conv2d_boxes_list(boxes, tiles);
    if (work.is_paired)
        work.n_tiles = conv2d_boxes_pair(boxes, tiles, work.n_tiles);
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

// The time of a plan that reads and writes so many bytes of memory once.
static void price(const struct conv2d_box_work *work, double bytes, struct tile_costs *out) {
    struct conv2d_box_segment *segments = calloc((size_t)work->n_segments, sizeof *segments);
    struct conv2d_box_sum *sums = calloc((size_t)work->n_sums + 1, sizeof *sums);
    int *starts = calloc((size_t)work->n_workers + 1, sizeof *starts);
    out->bn = work->bn;
    out->is_paired = work->is_paired;
    out->n_tiles = work->n_tiles;
    out->n_slots = work->n_slots;
    if (segments != NULL && sums != NULL && starts != NULL) {
        double tile = (work->is_paired ? 2.0 : 1.0) * TILE_ROWS * work->bn;
        double blocks = (work->is_paired ? 2.0 : 1.0) * work->n_workers;
        int n_rows = work->c_target < work->bn ? work->c_target : work->bn;
        conv2d_box_work_list(work, segments, starts, sums);
        step_costs(out, blocks / assumed(TILE_multiprocessors), n_rows);
        double cycles = longest_segments(work, out, segments, starts);
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
    *out = (struct tile_costs){.boxes = boxes_of(layers, n)};
    int n_tiles = conv2d_boxes_count(&out->boxes) + n;
    struct conv2d_box_tile *tiles = calloc((size_t)n_tiles, sizeof *tiles);
    if (tiles == NULL)
        return; // all zeros: no time
    struct conv2d_box_work work = work_of(layers, &out->boxes, tiles);
    double pixels = pixels_of(layers, n), weights = weights_of(layers);
    price(&work, 2.0 * (pixels * (layers->c_in + layers->c_out) + weights), out);
    out->flops = 2.0 * pixels * weights;
    free(tiles);
}

void tile_model(const struct tile_layer *layer, struct tile_costs *out) {
    tile_model_scales(layer, 1, out);
}

// ---- the atrous pyramid -------------------------------------------------------------------------

static int kernel_of(int rate) {
    return rate > 0 ? 3 : 1;
}

// Whether each branch has tiles of its own.
static bool has_groups(const struct tile_pyramid *pyramid) {
    return pyramid->is_concat && !pyramid->is_gradient;
}

// The taps of all rates; a pixel's own, which all branches of a sum have, once.
static void merge_taps(const struct tile_pyramid *pyramid, struct conv2d_boxes *boxes) {
    int n = 0;
    bool has_centre = false;
    for (int i = 0; i < boxes->n_taps; i++) {
        bool is_centre = boxes->taps[i].x == 0 && boxes->taps[i].y == 0;
        if (is_centre && has_centre && !pyramid->is_concat)
            continue;
        has_centre = has_centre || is_centre;
        boxes->taps[n++] = boxes->taps[i];
    }
    boxes->n_taps = n;
    boxes->n_groups = 1;
    boxes->groups[0].n_taps = n;
}

static struct conv2d_boxes pyramid_boxes(const struct tile_pyramid *pyramid) {
    struct conv2d_boxes boxes = {.n_groups = 0};
    for (int r = 0; r < pyramid->n_rates; r++) {
        int rate = pyramid->rates[r], kernel = kernel_of(rate);
        conv2d_boxes_add(&boxes, square_of(pyramid->n, pyramid->size),
                         (struct conv2d_box_kernel){kernel, kernel, -rate, -rate, rate},
                         r * pyramid->c_out);
    }
    if (!has_groups(pyramid))
        merge_taps(pyramid, &boxes);
    conv2d_boxes_choose(&boxes);
    return boxes;
}

static double pyramid_bytes(const struct tile_pyramid *pyramid, double weights) {
    double pixels = (double)pyramid->n * pyramid->size * pyramid->size;
    int n_concatenated = pyramid->is_concat ? pyramid->n_rates : 1;
    return 2.0 * (pixels * (pyramid->c_in + n_concatenated * pyramid->c_out) + weights);
}

// As cuda/aspp/aspp_hopper_plan.cu makes it, or aspp_mma.cu.
static void model_pyramid(const struct tile_pyramid *pyramid, bool is_mma, struct tile_costs *out) {
    const int c_source = pyramid->is_gradient ? pyramid->c_out : pyramid->c_in;
    double pixels = (double)pyramid->n * pyramid->size * pyramid->size, weights = 0.0;
    for (int r = 0; r < pyramid->n_rates; r++)
        weights += (double)kernel_of(pyramid->rates[r]) * kernel_of(pyramid->rates[r]) *
                   pyramid->c_in * pyramid->c_out;
    *out = (struct tile_costs){.boxes = pyramid_boxes(pyramid)};
    int n_tiles = conv2d_boxes_count(&out->boxes);
    struct conv2d_box_tile *tiles = calloc((size_t)(n_tiles + out->boxes.n_groups), sizeof *tiles);
    if (tiles == NULL)
        return; // all zeros: no time
    conv2d_boxes_list(&out->boxes, tiles);
    struct conv2d_box_work work = {
        .tiles = tiles,
        .n_tiles = is_mma ? n_tiles : conv2d_boxes_pair(&out->boxes, tiles, n_tiles),
        .is_paired = !is_mma,
        .c_target = pyramid->is_gradient ? pyramid->c_in : pyramid->c_out,
        .n_chunks = (c_source + STEP_CHANNELS - 1) / STEP_CHANNELS,
        .gpu_blocks = (int)assumed(TILE_multiprocessors),
        .split_blocks = CONV2D_WORK_BLOCKS};
    if (is_mma) {
        work.split = CONV2D_SPLIT_NEVER;
        work.bn = work.c_target > 64 ? 128 : 64;
    }
    conv2d_box_work_choose(&work);
    price(&work, pyramid_bytes(pyramid, weights), out);
    out->flops = 2.0 * pixels * weights;
    free(tiles);
}

void tile_model_pyramid(const struct tile_pyramid *pyramid, struct tile_costs *out) {
    model_pyramid(pyramid, false, out);
}

void tile_model_pyramid_mma(const struct tile_pyramid *pyramid, struct tile_costs *out) {
    model_pyramid(pyramid, true, out);
}

double tile_model_branches(const struct tile_pyramid *pyramid) {
    double seconds = 0.0, pixels = (double)pyramid->n * pyramid->size * pyramid->size;
    bool is_added = !has_groups(pyramid);
    int c_target = pyramid->is_gradient ? pyramid->c_in : pyramid->c_out;
    for (int r = 0; r < pyramid->n_rates; r++) {
        struct tile_pyramid one = *pyramid;
        struct tile_costs costs;
        one.n_rates = 1;
        one.rates[0] = pyramid->rates[r];
        tile_model_pyramid(&one, &costs);
        // The target once more, beside what is hidden behind the products.
        double more = is_added && r > 0 ? 2.0 * pixels * c_target : 0.0;
        seconds += costs.seconds + more / (1e9 * assumed(TILE_memory));
    }
    return seconds;
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

static struct gradient_tiles gradient_tiles_of(const struct tile_layer *layers, int n) {
    struct gradient_tiles tiles = {.n_scales = n,
                                   .c_in = layers->c_in,
                                   .c_out = layers->c_out,
                                   .kernel = layers->kernel,
                                   .stride = 1,
                                   .pad = layers->dilation * (layers->kernel / 2),
                                   .dilation = layers->dilation};
    for (int i = 0; i < n; i++)
        tiles.scales[i] = (struct gradient_scale){.n = layers[i].n,
                                                  .h_in = layers[i].size,
                                                  .w_in = layers[i].size,
                                                  .h_out = layers[i].size,
                                                  .w_out = layers[i].size};
    gradient_tiles_choose(&tiles);
    return tiles;
}

void tile_model_gradient(const struct tile_layer *layer, struct tile_costs *out) {
    tile_model_gradient_scales(layer, 1, out);
}

void tile_model_gradient_scales(const struct tile_layer *layers, int n, struct tile_costs *out) {
    struct gradient_tiles tiles = gradient_tiles_of(layers, n);
    const struct gradient_scale *scale = &tiles.scales[0];
    *out = (struct tile_costs){
        .boxes.groups[0] = {.box_n = scale->box_n, .box_h = scale->box_h, .box_w = scale->box_w},
        .bn = tiles.bn,
        .n_tiles = gradient_tile_count(&tiles),
        .is_paired = tiles.is_paired};
    int most = out->n_tiles + tiles.n_workers, most_runs = n * out->n_tiles + tiles.n_workers;
    struct gradient_segment *segments = calloc((size_t)most, sizeof *segments);
    struct gradient_run *runs = calloc((size_t)most_runs, sizeof *runs);
    int *starts = calloc((size_t)tiles.n_workers + 1, sizeof *starts);
    int *slots = calloc((size_t)out->n_tiles + 1, sizeof *slots);
    if (segments != NULL && runs != NULL && starts != NULL && slots != NULL) {
        double memory = 1e9 * assumed(TILE_memory);
        double hertz = 1e9 * assumed(TILE_clock), slot = 4.0 * TILE_ROWS * out->bn;
        double pixels = pixels_of(layers, n), weights = weights_of(layers);
        int n_runs;
        out->n_slots = gradient_tiles_list(&tiles, segments, runs, &n_runs, starts, slots);
        step_costs(out, 1.0, out->bn);
        out->store = slot_cycles(out);
        double cycles = longest_worker(&tiles, out, segments, starts);
        double bytes = 2.0 * pixels * (layers->c_in + layers->c_out);
        out->flops = 2.0 * pixels * weights;
        // The gradient is read and written.
        out->sum = sum_seconds(out->n_slots * (tiles.is_paired ? 2.0 : 1.0) * slot, 8.0 * weights);
        out->seconds = fmax(cycles / hertz, bytes / memory) + out->sum;
    }
    free(segments);
    free(runs);
    free(starts);
    free(slots);
}
