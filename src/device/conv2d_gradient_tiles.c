// SPDX-License-Identifier: MIT
#include "device/conv2d_gradient_tiles.h"

#include "device/box_search.h"

#include <stddef.h>

// The slot of a worker's sums costs what four steps do where tiles are largest.
static const int usual_least_steps = 4;

static int divide_up(int a, int b) {
    return (a + b - 1) / b;
}

// ---- pixels -------------------------------------------------------------------------------------

struct range {
    int begin, end; // empty: both 0
};

// Outputs of an axis whose tap k lies inside: output i reads i stride - pad + k dilation.
static struct range live_outputs(const struct gradient_tiles *tiles, int k, int in, int out) {
    int shift = tiles->pad - k * tiles->dilation, last = in - 1 + shift;
    struct range live = {shift > 0 ? divide_up(shift, tiles->stride) : 0,
                         last < 0 ? 0 : last / tiles->stride + 1};
    live.end = live.end < out ? live.end : out;
    if (live.begin >= live.end)
        live.begin = live.end = 0;
    return live;
}

static struct range join(struct range a, struct range b) {
    if (a.end == 0 || b.end == 0)
        return a.end == 0 ? b : a;
    return (struct range){a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end};
}

// Boxes of an axis, summed over its taps.
static int64_t axis_cost(const struct gradient_tiles *tiles, int in, int out, int box) {
    int64_t boxes = 0;
    for (int k = 0; k < tiles->kernel; k++) {
        struct range live = live_outputs(tiles, k, in, out);
        boxes += divide_up(live.end - live.begin, box);
    }
    return boxes;
}

// The box with the fewest steps over all taps, and of equal ones the widest, whose rows are the
// longest runs of memory.
static void choose_box(struct gradient_tiles *tiles) {
    int64_t of_width[GRADIENT_PIXELS + 1], of_height[GRADIENT_PIXELS + 1];
    for (int i = 1; i <= GRADIENT_PIXELS; i++) {
        of_width[i] = axis_cost(tiles, tiles->w_in, tiles->w_out, i);
        of_height[i] = axis_cost(tiles, tiles->h_in, tiles->h_out, i);
    }
    const struct box_size best =
        box_search(of_width, of_height, GRADIENT_PIXELS, tiles->n, tiles->h_out, tiles->w_out);
    tiles->box_n = best.n;
    tiles->box_h = best.h;
    tiles->box_w = best.w;
}

// ---- tiles --------------------------------------------------------------------------------------

// The columns that ask least of the second-level cache: a block reads its rows, and of its columns
// its share of a pair.
static int choose_columns(int c_out) {
    int best = 0;
    int64_t least = INT64_MAX;
    for (int bn = 256; bn >= 64; bn /= 2) {
        int64_t cost = (int64_t)divide_up(c_out, bn) * (GRADIENT_ROWS * GRADIENT_CHANNELS + bn / 2);
        if (cost < least)
            least = cost, best = bn;
    }
    return best;
}

int gradient_tile_chunks(const struct gradient_tiles *tiles) {
    return tiles->is_paired ? 2 * GRADIENT_ROWS : GRADIENT_ROWS;
}

int gradient_tile_count(const struct gradient_tiles *tiles) {
    return tiles->n_rows * tiles->n_columns;
}

// All steps of the tile, as one segment.
static struct gradient_segment whole_tile(const struct gradient_tiles *tiles, int tile) {
    int n_chunks = gradient_tile_chunks(tiles), of_tap = tiles->c_in / GRADIENT_CHANNELS;
    int chunk = tile % tiles->n_rows * n_chunks;
    int end = chunk + n_chunks < tiles->n_chunks ? chunk + n_chunks : tiles->n_chunks;
    struct range x = {0, 0}, y = {0, 0};
    for (int tap = chunk / of_tap; tap <= (end - 1) / of_tap; tap++) {
        struct range live_x = live_outputs(tiles, tap % tiles->kernel, tiles->w_in, tiles->w_out);
        struct range live_y = live_outputs(tiles, tap / tiles->kernel, tiles->h_in, tiles->h_out);
        if (live_x.end == 0 || live_y.end == 0)
            continue;
        x = join(x, live_x);
        y = join(y, live_y);
    }
    struct gradient_segment whole = {.chunk = chunk,
                                     .column = tile / tiles->n_rows * tiles->bn,
                                     .x = x.begin,
                                     .y = y.begin,
                                     .n_x = divide_up(x.end - x.begin, tiles->box_w),
                                     .n_y = divide_up(y.end - y.begin, tiles->box_h)};
    whole.n_steps = whole.n_x * whole.n_y * divide_up(tiles->n, tiles->box_n);
    return whole;
}

int64_t gradient_step_cost(const struct gradient_tiles *tiles) {
    const int row_bytes = 2 * GRADIENT_CHANNELS;
    int columns = tiles->is_paired ? tiles->bn / 2 : tiles->bn;
    return (int64_t)(GRADIENT_ROWS * GRADIENT_CHANNELS + columns) * row_bytes;
}

int64_t gradient_slot_cost(const struct gradient_tiles *tiles) {
    return (int64_t)GRADIENT_ROWS * GRADIENT_CHANNELS * tiles->bn * (int64_t)sizeof(float);
}

// ---- shares -------------------------------------------------------------------------------------

// NULL: only counted.
struct listing {
    struct gradient_segment *segments;
    int *starts, *slots;
};

// The number of segments where no worker costs more than `level`; -1: steps are left over.
static int deal_out(const struct gradient_tiles *tiles, int64_t level, const struct listing *list) {
    const int64_t step = gradient_step_cost(tiles), slot = gradient_slot_cost(tiles);
    int n = 0, worker = 0, n_tiles = gradient_tile_count(tiles);
    int64_t used = 0; // by this worker
    for (int tile = 0; tile < n_tiles; tile++) {
        struct gradient_segment whole = whole_tile(tiles, tile);
        if (list != NULL)
            list->slots[tile] = n;
        for (int done = 0; done < whole.n_steps;) {
            int64_t left = whole.n_steps - done, fitting = (level - used - slot) / step;
            int share = (int)(left < fitting ? left : fitting);
            if (share <= 0) {
                if (++worker == tiles->n_workers)
                    return -1;
                used = 0;
                if (list != NULL)
                    list->starts[worker] = n;
                continue;
            }
            if (list != NULL) {
                list->segments[n] = whole;
                list->segments[n].first = done;
                list->segments[n].n_steps = share;
            }
            n++;
            done += share;
            used += slot + share * step;
        }
    }
    for (; list != NULL && worker < tiles->n_workers; worker++)
        list->starts[worker + 1] = n;
    return n;
}

static int64_t lowest_level(const struct gradient_tiles *tiles) {
    const int64_t step = gradient_step_cost(tiles), slot = gradient_slot_cost(tiles);
    int64_t low = (tiles->n_steps * step + slot) / tiles->n_workers, high = low + slot + step;
    while (deal_out(tiles, high, NULL) < 0)
        high += low + slot;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (deal_out(tiles, middle, NULL) >= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void gradient_tiles_choose(struct gradient_tiles *tiles) {
    if (tiles->kernel == 1 && tiles->pad == 0 && tiles->stride == 1) {
        // A plain matrix product: the images become one row of pixels, so that only the last box
        // is not full.
        tiles->w_in = tiles->w_out = tiles->n * tiles->h_out * tiles->w_out;
        tiles->h_in = tiles->h_out = tiles->n = 1;
    }
    choose_box(tiles);
    tiles->bn = tiles->bn != 0 ? tiles->bn : choose_columns(tiles->c_out);
    tiles->most_blocks = tiles->most_blocks != 0 ? tiles->most_blocks : GRADIENT_BLOCKS;
    tiles->least_steps = tiles->least_steps != 0 ? tiles->least_steps : usual_least_steps;
    tiles->n_chunks = tiles->kernel * tiles->kernel * (tiles->c_in / GRADIENT_CHANNELS);
    tiles->is_paired = tiles->n_chunks > GRADIENT_ROWS;
    tiles->n_rows = divide_up(tiles->n_chunks, gradient_tile_chunks(tiles));
    tiles->n_columns = divide_up(tiles->c_out, tiles->bn);
    tiles->n_steps = 0;
    for (int tile = 0; tile < gradient_tile_count(tiles); tile++)
        tiles->n_steps += whole_tile(tiles, tile).n_steps;
    int64_t most = tiles->is_paired ? tiles->most_blocks / 2 : tiles->most_blocks;
    int64_t filled = tiles->n_steps / tiles->least_steps;
    most = most < filled ? most : filled;
    tiles->n_workers = most < 1 ? 1 : (int)most;
    tiles->level = lowest_level(tiles);
}

int gradient_tiles_list(const struct gradient_tiles *tiles, struct gradient_segment *segments,
                        int *starts, int *slots) {
    const struct listing list = {segments, starts, slots};
    starts[0] = 0;
    int n = deal_out(tiles, tiles->level, &list);
    slots[gradient_tile_count(tiles)] = n;
    return n;
}
