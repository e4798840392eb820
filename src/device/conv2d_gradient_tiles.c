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

// Of a scale's axes, cut into pieces of i = 1 .. GRADIENT_PIXELS.
struct axis_costs {
    int64_t of_width[GRADIENT_PIXELS + 1], of_height[GRADIENT_PIXELS + 1];
};

static void axis_costs_fill(const struct gradient_tiles *tiles, const struct gradient_scale *scale,
                            struct axis_costs *out) {
    for (int i = 1; i <= GRADIENT_PIXELS; i++) {
        out->of_width[i] = axis_cost(tiles, scale->w_in, scale->w_out, i);
        out->of_height[i] = axis_cost(tiles, scale->h_in, scale->h_out, i);
    }
}

static void set_box(struct gradient_scale *scale, struct box_size box) {
    scale->box_n = box.n;
    scale->box_h = box.h;
    scale->box_w = box.w;
}

// As box_search, of the boxes of exactly so many pixels; INT64_MAX: there is none.
static int64_t search_exact_box(const struct axis_costs *costs, const struct gradient_scale *scale,
                                int n_pixels, struct box_size *best) {
    int64_t least = INT64_MAX;
    for (int w = n_pixels < scale->w_out ? n_pixels : scale->w_out; w >= 1; w--)
        for (int h = 1; n_pixels % w == 0 && h <= n_pixels / w && h <= scale->h_out; h++) {
            int n = n_pixels / w / h;
            if (n_pixels % (w * h) != 0 || n > scale->n)
                continue;
            int64_t cost = costs->of_width[w] * costs->of_height[h] * divide_up(scale->n, n);
            if (cost < least) {
                least = cost;
                *best = (struct box_size){n, h, w};
            }
        }
    return least;
}

// The number of pixels, the same for all scales, with the fewest steps of all scales together, and
// of equal ones the largest.
static void choose_equal_boxes(struct gradient_tiles *tiles, const struct axis_costs *costs) {
    int64_t least = INT64_MAX;
    for (int n_pixels = GRADIENT_PIXELS; n_pixels >= 1; n_pixels--) {
        struct box_size boxes[ADELE_MAX_SCALES] = {0};
        int64_t cost = 0;
        for (int i = 0; i < tiles->n_scales && cost < least; i++) {
            int64_t of_scale = search_exact_box(&costs[i], &tiles->scales[i], n_pixels, &boxes[i]);
            cost = of_scale < least ? cost + of_scale : least;
        }
        if (cost >= least) // one pixel is a box of each scale
            continue;
        least = cost;
        for (int i = 0; i < tiles->n_scales; i++)
            set_box(&tiles->scales[i], boxes[i]);
    }
}

// The boxes with the fewest steps over all taps, and of equal ones the widest, whose rows are the
// longest runs of memory.
static void choose_boxes(struct gradient_tiles *tiles) {
    struct gradient_scale *scales = tiles->scales;
    struct axis_costs costs[ADELE_MAX_SCALES];
    for (int i = 0; i < tiles->n_scales; i++)
        axis_costs_fill(tiles, &scales[i], &costs[i]);
    if (tiles->n_scales == 1)
        set_box(&scales[0], box_search(costs[0].of_width, costs[0].of_height, GRADIENT_PIXELS,
                                       scales[0].n, scales[0].h_out, scales[0].w_out));
    else
        choose_equal_boxes(tiles, costs);
    tiles->box_pixels = scales[0].box_n * scales[0].box_h * scales[0].box_w;
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

// All of the scale's steps of a tile that has chunks [chunk, end).
static struct gradient_run whole_run(const struct gradient_tiles *tiles, int i_scale, int chunk,
                                     int end) {
    const struct gradient_scale *scale = &tiles->scales[i_scale];
    int of_tap = tiles->c_in / GRADIENT_CHANNELS;
    struct range x = {0, 0}, y = {0, 0};
    for (int tap = chunk / of_tap; tap <= (end - 1) / of_tap; tap++) {
        struct range live_x = live_outputs(tiles, tap % tiles->kernel, scale->w_in, scale->w_out);
        struct range live_y = live_outputs(tiles, tap / tiles->kernel, scale->h_in, scale->h_out);
        if (live_x.end == 0 || live_y.end == 0)
            continue;
        x = join(x, live_x);
        y = join(y, live_y);
    }
    struct gradient_run whole = {.scale = i_scale,
                                 .x = x.begin,
                                 .y = y.begin,
                                 .n_x = divide_up(x.end - x.begin, scale->box_w),
                                 .n_y = divide_up(y.end - y.begin, scale->box_h)};
    whole.n_steps = whole.n_x * whole.n_y * divide_up(scale->n, scale->box_n);
    return whole;
}

// All steps of a tile, as one segment.
struct whole_tile {
    struct gradient_segment segment;
    struct gradient_run runs[ADELE_MAX_SCALES];
};

static void whole_tile_fill(const struct gradient_tiles *tiles, int tile, struct whole_tile *out) {
    int n_chunks = gradient_tile_chunks(tiles), chunk = tile % tiles->n_rows * n_chunks;
    int end = chunk + n_chunks < tiles->n_chunks ? chunk + n_chunks : tiles->n_chunks;
    out->segment = (struct gradient_segment){
        .chunk = chunk, .column = tile / tiles->n_rows * tiles->bn, .n_runs = tiles->n_scales};
    for (int i = 0; i < tiles->n_scales; i++) {
        out->runs[i] = whole_run(tiles, i, chunk, end);
        out->segment.n_steps += out->runs[i].n_steps;
    }
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
    struct gradient_run *runs;
    int *starts, *slots;
    int n_runs; // so far
};

// Steps [done, done + share) of a tile.
static void list_segment(struct listing *list, int i, const struct whole_tile *whole, int done,
                         int share) {
    struct gradient_segment *segment = &list->segments[i];
    *segment = whole->segment;
    segment->n_steps = share;
    segment->run = list->n_runs;
    for (int scale = 0; scale < whole->segment.n_runs && share > 0; scale++) {
        struct gradient_run run = whole->runs[scale];
        if (done >= run.n_steps) {
            done -= run.n_steps;
            continue;
        }
        int left = run.n_steps - done;
        run.segment = i;
        run.first = done;
        run.n_steps = share < left ? share : left;
        share -= run.n_steps;
        done = 0;
        list->runs[list->n_runs++] = run;
    }
    segment->n_runs = list->n_runs - segment->run;
}

// The number of segments where no worker costs more than `level`; -1: steps are left over.
static int deal_out(const struct gradient_tiles *tiles, int64_t level, struct listing *list) {
    const int64_t step = gradient_step_cost(tiles), slot = gradient_slot_cost(tiles);
    int n = 0, worker = 0, n_tiles = gradient_tile_count(tiles);
    int64_t used = 0; // by this worker
    for (int tile = 0; tile < n_tiles; tile++) {
        struct whole_tile whole;
        whole_tile_fill(tiles, tile, &whole);
        if (list != NULL)
            list->slots[tile] = n;
        for (int done = 0; done < whole.segment.n_steps;) {
            int64_t left = whole.segment.n_steps - done, fitting = (level - used - slot) / step;
            int share = (int)(left < fitting ? left : fitting);
            if (share <= 0) {
                if (++worker == tiles->n_workers)
                    return -1;
                used = 0;
                if (list != NULL)
                    list->starts[worker] = n;
                continue;
            }
            if (list != NULL)
                list_segment(list, n, &whole, done, share);
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

// Of a plain matrix product, the images become one row of pixels, so that only the last box is not
// full.
static void flatten(struct gradient_tiles *tiles) {
    for (int i = 0; i < tiles->n_scales; i++) {
        struct gradient_scale *scale = &tiles->scales[i];
        scale->w_in = scale->w_out = scale->n * scale->h_out * scale->w_out;
        scale->h_in = scale->h_out = scale->n = 1;
    }
}

void gradient_tiles_choose(struct gradient_tiles *tiles) {
    if (tiles->kernel == 1 && tiles->pad == 0 && tiles->stride == 1)
        flatten(tiles);
    choose_boxes(tiles);
    tiles->bn = tiles->bn != 0 ? tiles->bn : choose_columns(tiles->c_out);
    tiles->most_blocks = tiles->most_blocks != 0 ? tiles->most_blocks : GRADIENT_BLOCKS;
    tiles->least_steps = tiles->least_steps != 0 ? tiles->least_steps : usual_least_steps;
    tiles->n_chunks = tiles->kernel * tiles->kernel * (tiles->c_in / GRADIENT_CHANNELS);
    tiles->is_paired = tiles->n_chunks > GRADIENT_ROWS;
    tiles->n_rows = divide_up(tiles->n_chunks, gradient_tile_chunks(tiles));
    tiles->n_columns = divide_up(tiles->c_out, tiles->bn);
    tiles->n_steps = 0;
    for (int tile = 0; tile < gradient_tile_count(tiles); tile++) {
        struct whole_tile whole;
        whole_tile_fill(tiles, tile, &whole);
        tiles->n_steps += whole.segment.n_steps;
    }
    int64_t most = tiles->is_paired ? tiles->most_blocks / 2 : tiles->most_blocks;
    int64_t filled = tiles->n_steps / tiles->least_steps;
    most = most < filled ? most : filled;
    tiles->n_workers = most < 1 ? 1 : (int)most;
    tiles->level = lowest_level(tiles);
}

int64_t gradient_tiles_cost(const struct gradient_tiles *tiles) {
    const int64_t weights = (int64_t)tiles->n_chunks * GRADIENT_CHANNELS * tiles->c_out;
    const int64_t of_segment = gradient_slot_cost(tiles) * (tiles->is_paired ? 2 : 1);
    const int64_t sums = deal_out(tiles, tiles->level, NULL) * of_segment;
    return tiles->level + (sums + 2 * weights * (int64_t)sizeof(float)) / GRADIENT_BLOCKS;
}

int gradient_tiles_list(const struct gradient_tiles *tiles, struct gradient_segment *segments,
                        struct gradient_run *runs, int *n_runs, int *starts, int *slots) {
    struct listing list = {segments, runs, starts, slots, 0};
    starts[0] = 0;
    int n = deal_out(tiles, tiles->level, &list);
    slots[gradient_tile_count(tiles)] = n;
    *n_runs = list.n_runs;
    return n;
}
