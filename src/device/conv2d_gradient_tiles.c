// SPDX-License-Identifier: MIT
#include "device/conv2d_gradient_tiles.h"

#include "device/box_search.h"

// The slot of a worker's sums costs about what four steps do (bench/tile_model.h).
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
}

int gradient_tiles_list(const struct gradient_tiles *tiles, struct gradient_segment *segments,
                        int *starts, int *slots) {
    int n = 0, worker = 0, n_tiles = gradient_tile_count(tiles);
    int64_t at = 0; // steps so far
    starts[0] = 0;
    for (int tile = 0; tile < n_tiles; tile++) {
        struct gradient_segment whole = whole_tile(tiles, tile);
        slots[tile] = n;
        for (int done = 0; done < whole.n_steps;) {
            int64_t end = tiles->n_steps * (worker + 1) / tiles->n_workers; // of this worker
            int64_t left = whole.n_steps - done, share = end - at;
            segments[n] = whole;
            segments[n].first = done;
            segments[n].n_steps = (int)(left < share ? left : share);
            done += segments[n].n_steps;
            at += segments[n].n_steps;
            n++;
            if (at == end)
                starts[++worker] = n;
        }
    }
    slots[n_tiles] = n;
    starts[tiles->n_workers] = n; // also where there are no steps at all
    return n;
}
