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

// Cycles of one step on one multiprocessor while all are busy.
static void step_costs(struct tile_costs *out) {
    double hertz = 1e9 * assumed(TILE_clock), n_sm = assumed(TILE_multiprocessors);
    double flops = 2.0 * TILE_ROWS * out->bn * STEP_CHANNELS;
    // Each of two warpgroups reads its 64 rows and all weights; the copies write all rows once.
    double reads = (TILE_ROWS + 2.0 * out->bn) * ROW_BYTES;
    double writes = (TILE_ROWS + (double)out->bn) * ROW_BYTES;
    double weights = out->is_paired ? 0.5 * out->bn : out->bn;
    out->step[TILE_BY_TENSOR] = flops / (1e12 * assumed(TILE_matrix) / n_sm) * hertz;
    out->step[TILE_BY_SHARED] = (reads + writes) / assumed(TILE_shared);
    out->step[TILE_BY_L2] =
        (TILE_ROWS + weights) * ROW_BYTES / (1e9 * assumed(TILE_l2) / n_sm) * hertz;
    out->step[TILE_BY_ISSUE] = 2.0 * assumed(TILE_step_instructions);
    out->slowest = TILE_BY_TENSOR;
    for (int i = 1; i < TILE_RESOURCES; i++)
        if (out->step[i] > out->step[out->slowest])
            out->slowest = (enum tile_resource)i;
    out->store = out->bn / (double)STEP_CHANNELS *
                 (2.0 * assumed(TILE_store_instructions) + assumed(TILE_store_latency));
}

// The cycles of the block with the most: blocks take the items of the list in turn.
static double longest_block(const struct tile_layer *layer, struct tile_costs *out,
                            const struct conv2d_box_tile *tiles) {
    int n_columns = (layer->c_out + out->bn - 1) / out->bn, n_shares = out->is_paired ? 2 : 1;
    int n_items = out->n_tiles / n_shares * n_columns;
    int n_blocks = (int)assumed(TILE_multiprocessors) / n_shares;
    double longest = 0.0;
    for (int block = 0; block < n_blocks && block < n_items; block++) {
        double steps = 0.0, rounds = 0.0;
        for (int item = block; item < n_items; item += n_blocks, rounds++)
            steps += conv2d_box_count_taps(tiles[item / n_columns * n_shares].taps) * layer->c_in /
                     (double)STEP_CHANNELS;
        double cycles = steps * out->step[out->slowest] + rounds * out->store;
        if (cycles > longest) {
            longest = cycles;
            out->steps = steps;
            out->rounds = rounds;
        }
    }
    return longest + assumed(TILE_fill_latency);
}

void tile_model(const struct tile_layer *layer, struct tile_costs *out) {
    int pad = layer->dilation * (layer->kernel / 2), taps = layer->kernel * layer->kernel;
    *out = (struct tile_costs){.boxes = {.n = layer->n,
                                         .h = layer->size,
                                         .w = layer->size,
                                         .h_source = layer->size,
                                         .w_source = layer->size,
                                         .kernel_x = layer->kernel,
                                         .kernel_y = layer->kernel,
                                         .offset_x = -pad,
                                         .offset_y = -pad,
                                         .apart = layer->dilation}};
    conv2d_boxes_choose(&out->boxes);
    out->n_tiles = conv2d_boxes_count(&out->boxes);
    out->bn = conv2d_box_channels(layer->c_out, out->n_tiles);
    out->is_paired = out->n_tiles > 1;
    struct conv2d_box_tile *tiles = calloc((size_t)out->n_tiles + 1, sizeof *tiles);
    if (tiles == NULL)
        return; // all zeros: no time
    conv2d_boxes_list(&out->boxes, tiles);
    if (out->is_paired)
        out->n_tiles = conv2d_boxes_pair(&out->boxes, tiles, out->n_tiles);
    step_costs(out);
    double cycles = longest_block(layer, out, tiles);
    free(tiles);
    double pixels = (double)layer->n * layer->size * layer->size;
    double bytes =
        2.0 * (pixels * (layer->c_in + layer->c_out) + (double)taps * layer->c_in * layer->c_out);
    out->flops = 2.0 * pixels * taps * layer->c_in * layer->c_out;
    out->seconds = fmax(cycles / (1e9 * assumed(TILE_clock)), bytes / (1e9 * assumed(TILE_memory)));
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
        double l2 = 1e9 * assumed(TILE_l2), memory = 1e9 * assumed(TILE_memory);
        double hertz = 1e9 * assumed(TILE_clock), slot = 4.0 * TILE_ROWS * out->bn;
        double taps = (double)layer->kernel * layer->kernel;
        double pixels = (double)layer->n * layer->size * layer->size;
        double weights = taps * layer->c_in * layer->c_out;
        int n = gradient_tiles_list(&tiles, segments, starts, slots);
        step_costs(out);
        out->store = slot * assumed(TILE_multiprocessors) / l2 * hertz;
        double cycles = longest_worker(&tiles, out, segments, starts);
        double bytes = 2.0 * pixels * (layer->c_in + layer->c_out);
        // Slots are read once, the gradient is read and written.
        double sum = (n * (tiles.is_paired ? 2.0 : 1.0) * slot + 8.0 * weights) / memory;
        out->flops = 2.0 * pixels * weights;
        out->seconds =
            fmax(cycles / hertz, bytes / memory) + sum + assumed(TILE_fill_latency) / hertz;
    }
    free(segments);
    free(starts);
    free(slots);
}
