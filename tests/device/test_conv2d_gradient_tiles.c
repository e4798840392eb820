// SPDX-License-Identifier: MIT
#include "device/conv2d_gradient_tiles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_SEGMENTS = 2048, MOST_WORKERS = GRADIENT_BLOCKS, SHAPES = 12 };

static struct gradient_segment segments[MOST_SEGMENTS];
static struct gradient_run runs[MOST_SEGMENTS * ADELE_MAX_SCALES];
static int starts[MOST_WORKERS + 1], slots[MOST_SEGMENTS + 1], n_runs;

static int list(const struct gradient_tiles *tiles) {
    return gradient_tiles_list(tiles, segments, runs, &n_runs, starts, slots);
}

static int output_of(const int row[9], int in) {
    return (in + 2 * row[7] - row[8] * (row[5] - 1) - 1) / row[6] + 1;
}

static void add_scale(struct gradient_tiles *tiles, const int row[9], int h, int w) {
    tiles->scales[tiles->n_scales++] = (struct gradient_scale){
        .n = row[0], .h_in = h, .w_in = w, .h_out = output_of(row, h), .w_out = output_of(row, w)};
}

// n, c_in, h, w, c_out, kernel, stride, pad, dilation.
static struct gradient_tiles tiles_of(const int row[9]) {
    struct gradient_tiles tiles = {.c_in = row[1],
                                   .c_out = row[4],
                                   .kernel = row[5],
                                   .stride = row[6],
                                   .pad = row[7],
                                   .dilation = row[8]};
    add_scale(&tiles, row, row[2], row[3]);
    return tiles;
}

static const int shapes[SHAPES][9] = {
    {1, 64, 1, 1, 64, 1, 1, 0, 1},        {1, 64, 1, 1, 64, 3, 1, 1, 1},
    {2, 128, 23, 17, 192, 3, 1, 1, 1},    {5, 64, 14, 13, 320, 3, 1, 6, 6},
    {3, 192, 15, 17, 64, 3, 1, 12, 12},   {2, 64, 25, 3, 64, 3, 1, 24, 24},
    {2, 64, 17, 19, 64, 3, 2, 1, 1},      {1, 64, 21, 13, 64, 5, 3, 2, 1},
    {1, 64, 13, 9, 64, 2, 4, 1, 3},       {1, 64, 8, 9, 64, 3, 1, 0, 2},
    {10, 256, 40, 40, 256, 3, 1, 18, 18}, {1, 128, 65, 65, 64, 1, 1, 0, 1},
};

// Further scales of each shape, as far as they have outputs: one pixel, primes, around a box.
static const int more_scales[][2] = {{1, 1}, {13, 7}, {8, 8}, {9, 8}, {7, 9}, {1, 65}};
enum { MORE_SCALES = sizeof more_scales / sizeof more_scales[0] };

// The shape with up to n - 1 further scales, from the row `first` on.
static struct gradient_tiles scales_of(const int row[9], int n, int first) {
    struct gradient_tiles tiles = tiles_of(row);
    for (int i = 0; i < MORE_SCALES && tiles.n_scales < n; i++) {
        const int *size = more_scales[(first + i) % MORE_SCALES];
        if (output_of(row, size[0]) >= 1 && output_of(row, size[1]) >= 1)
            add_scale(&tiles, row, size[0], size[1]);
    }
    assert_int_equal(tiles.n_scales, n);
    return tiles;
}

// ---- pixels -------------------------------------------------------------------------------------

// Whether output (x, y) of the scale reads a source pixel through the tap, from its definition.
static bool is_live(const struct gradient_tiles *t, const struct gradient_scale *scale, int x,
                    int y, int tap) {
    int from_x = x * t->stride - t->pad + tap % t->kernel * t->dilation;
    int from_y = y * t->stride - t->pad + tap / t->kernel * t->dilation;
    return from_x >= 0 && from_x < scale->w_in && from_y >= 0 && from_y < scale->h_in;
}

static bool is_live_in_tile(const struct gradient_tiles *t, const struct gradient_scale *scale,
                            int tile, int x, int y) {
    int n_chunks = gradient_tile_chunks(t), of_tap = t->c_in / GRADIENT_CHANNELS;
    int chunk = tile % t->n_rows * n_chunks;
    for (int i = chunk; i < chunk + n_chunks && i < t->n_chunks; i++)
        if (is_live(t, scale, x, y, i / of_tap))
            return true;
    return false;
}

// Marks the outputs that a box of the run has; those beyond the images are in no step.
static void mark_box(const struct gradient_scale *scale, const struct gradient_run *of, int i_box,
                     unsigned char *seen) {
    int first_x = of->x + i_box % of->n_x * scale->box_w;
    int first_y = of->y + i_box / of->n_x % of->n_y * scale->box_h;
    int first_n = i_box / of->n_x / of->n_y * scale->box_n;
    assert_true(first_n < scale->n);
    for (int n = first_n; n < first_n + scale->box_n && n < scale->n; n++)
        for (int y = first_y; y < first_y + scale->box_h && y < scale->h_out; y++)
            for (int x = first_x; x < first_x + scale->box_w && x < scale->w_out; x++)
                seen[(n * scale->h_out + y) * scale->w_out + x]++;
}

// The sums of a tile are those of all pixels that any of its taps meets, each once. Others, which a
// box may reach, are zeros to all taps of the tile.
static void check_scale(const struct gradient_tiles *t, int i_scale) {
    const struct gradient_scale *scale = &t->scales[i_scale];
    size_t n_pixels = (size_t)scale->n * (size_t)scale->h_out * (size_t)scale->w_out;
    unsigned char *seen = malloc(n_pixels);
    assert_non_null(seen);
    assert_int_equal(scale->box_n * scale->box_h * scale->box_w, t->box_pixels);
    assert_true(scale->box_n <= scale->n && scale->box_h <= scale->h_out &&
                scale->box_w <= scale->w_out);
    for (int tile = 0; tile < gradient_tile_count(t); tile++) {
        memset(seen, 0, n_pixels);
        for (int slot = slots[tile]; slot < slots[tile + 1]; slot++)
            for (int i = 0; i < segments[slot].n_runs; i++) {
                const struct gradient_run *run = &runs[segments[slot].run + i];
                for (int step = 0; run->scale == i_scale && step < run->n_steps; step++)
                    mark_box(scale, run, run->first + step, seen);
            }
        for (size_t j = 0; j < n_pixels; j++) {
            int x = (int)j % scale->w_out, y = (int)j / scale->w_out % scale->h_out;
            assert_in_range(seen[j], is_live_in_tile(t, scale, tile, x, y) ? 1 : 0, 1);
        }
    }
    free(seen);
}

static void each_live_pixel_lies_in_one_step(void **state) {
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        for (int n = 1; n <= ADELE_MAX_SCALES; n++) {
            struct gradient_tiles t = scales_of(shapes[i], n, i);
            gradient_tiles_choose(&t);
            assert_in_range(t.box_pixels, 1, GRADIENT_PIXELS);
            assert_in_range(gradient_tile_count(&t) + t.n_workers, 1, MOST_SEGMENTS);
            (void)list(&t);
            for (int scale = 0; scale < n; scale++)
                check_scale(&t, scale);
        }
}

// ---- shares -------------------------------------------------------------------------------------

static int rectangle_steps(const struct gradient_tiles *t, const struct gradient_run *run) {
    const struct gradient_scale *scale = &t->scales[run->scale];
    return run->n_x * run->n_y * ((scale->n + scale->box_n - 1) / scale->box_n);
}

// The runs of a tile, one segment behind the other, are those of whole rectangles, scale by scale;
// none is empty, and those of one segment are of different scales. Returns the steps.
static int64_t check_runs(const struct gradient_tiles *t, int tile) {
    const struct gradient_run *before = NULL;
    int64_t n_steps = 0;
    for (int i = slots[tile]; i < slots[tile + 1]; i++) {
        int of_segment = 0;
        assert_int_equal(segments[i].chunk, tile % t->n_rows * gradient_tile_chunks(t));
        assert_int_equal(segments[i].column, tile / t->n_rows * t->bn);
        assert_int_equal(segments[i].run,
                         i == 0 ? 0 : segments[i - 1].run + segments[i - 1].n_runs);
        for (int j = 0; j < segments[i].n_runs; j++) {
            const struct gradient_run *run = &runs[segments[i].run + j];
            bool goes_on = before != NULL && before->scale == run->scale;
            int end = before == NULL ? 0 : before->first + before->n_steps;
            assert_int_equal(run->segment, i);
            assert_true(run->n_steps > 0);
            assert_int_equal(run->first, goes_on ? end : 0);
            assert_true(goes_on ? j == 0 : before == NULL || end == rectangle_steps(t, before));
            assert_true(before == NULL || before->scale <= run->scale);
            of_segment += run->n_steps;
            before = run;
        }
        assert_int_equal(segments[i].n_steps, of_segment);
        n_steps += of_segment;
    }
    if (before != NULL)
        assert_int_equal(before->first + before->n_steps, rectangle_steps(t, before));
    return n_steps;
}

// No worker costs more than the level, and that is no higher than an even distribution of all steps
// and of the most slots that there can be, but for what a worker cannot begin. Tiles are in their
// order.
static void check_shares(const struct gradient_tiles *t) {
    int n = list(t);
    const int64_t step = gradient_step_cost(t), slot = gradient_slot_cost(t);
    int64_t n_steps = 0;
    assert_int_equal(starts[0], 0);
    assert_int_equal(starts[t->n_workers], n);
    assert_int_equal(slots[gradient_tile_count(t)], n);
    assert_int_equal(n_runs, n == 0 ? 0 : segments[n - 1].run + segments[n - 1].n_runs);
    assert_in_range(n_runs, 0, t->n_scales * gradient_tile_count(t) + t->n_workers);
    for (int tile = 0; tile < gradient_tile_count(t); tile++)
        n_steps += check_runs(t, tile);
    assert_true(n_steps == t->n_steps);
    for (int worker = 0; worker < t->n_workers; worker++) {
        int64_t share = 0, n_slots = starts[worker + 1] - starts[worker];
        for (int i = starts[worker]; i < starts[worker + 1]; i++)
            share += segments[i].n_steps;
        assert_true(share * step + n_slots * slot <= t->level);
    }
    int64_t most = t->n_steps * step + (gradient_tile_count(t) + t->n_workers) * slot;
    assert_true(t->level <= most / t->n_workers + slot + step + 1);
}

static void shares_cost_the_same(void **state) {
    (void)state;
    static const int blocks[] = {0, 1, 2, 7, 40, 132};
    for (int i = 0; i < SHAPES; i++)
        for (int j = 0; j < 6 * ADELE_MAX_SCALES; j++) {
            struct gradient_tiles t = scales_of(shapes[i], 1 + j / 6, i + 1);
            t.most_blocks = blocks[j % 6];
            t.least_steps = blocks[j % 6] != 0 ? 1 : 0;
            gradient_tiles_choose(&t);
            check_shares(&t);
        }
}

// ---- scales -------------------------------------------------------------------------------------

// The three scales of a step: where each alone leaves most of a GPU without work, all cost much
// less than one by one. The common number of pixels is one that boxes of all sizes can have. Large
// maps need more steps for that, which fewer slots make up for or do not.
static void scales_fill_the_gpu_together(void **state) {
    (void)state;
    static const struct {
        int shape[9], sizes[3], box_pixels;
        int per_cent; // of the levels of the scales, one by one
        bool gains;
    } rows[] = {
        {{1, 512, 16, 16, 512, 3, 1, 2, 2}, {12, 16, 20}, 60, 50, true},
        {{5, 256, 28, 28, 256, 3, 1, 1, 1}, {20, 28, 37}, 60, 80, true},
        {{5, 1024, 28, 28, 512, 1, 1, 0, 1}, {20, 28, 37}, 64, 80, true},
        {{10, 512, 56, 56, 512, 3, 1, 1, 1}, {40, 56, 84}, 64, 101, true},
        {{9, 2048, 56, 56, 64, 3, 1, 24, 24}, {40, 56, 73}, 63, 104, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gradient_tiles all = tiles_of(rows[i].shape);
        int64_t apart = 0, cost_apart = 0;
        all.n_scales = 0;
        for (int j = 0; j < 3; j++) {
            struct gradient_tiles one = tiles_of(rows[i].shape);
            one.n_scales = 0;
            add_scale(&one, rows[i].shape, rows[i].sizes[j], rows[i].sizes[j]);
            add_scale(&all, rows[i].shape, rows[i].sizes[j], rows[i].sizes[j]);
            gradient_tiles_choose(&one);
            apart += one.level;
            cost_apart += gradient_tiles_cost(&one);
        }
        gradient_tiles_choose(&all);
        assert_int_equal(all.box_pixels, rows[i].box_pixels);
        assert_true(100 * all.level <= rows[i].per_cent * apart);
        assert_true(gradient_tiles_cost(&all) > all.level);
        assert_int_equal(gradient_tiles_cost(&all) <= cost_apart, rows[i].gains);
    }
}

// With a dilation of 24, 4 x 4 pixels have the middle one of 9 taps, and 60 x 60 all: in the first
// and last tiles of 4 taps the small scale has no run.
static void a_scale_in_the_padding_has_no_run(void **state) {
    (void)state;
    static const int shape[9] = {1, 64, 4, 4, 64, 3, 1, 24, 24};
    struct gradient_tiles t = tiles_of(shape);
    add_scale(&t, shape, 60, 60);
    t.most_blocks = 2; // one pair
    gradient_tiles_choose(&t);
    assert_int_equal(list(&t), 3);
    assert_int_equal(n_runs, 4);
    const int scale_of_run[] = {1, 0, 1, 1};
    for (int i = 0; i < 4; i++)
        assert_int_equal(runs[i].scale, scale_of_run[i]);
    assert_int_equal(segments[1].run, 1);
    assert_int_equal(segments[1].n_runs, 2);
}

// ---- literal cases ------------------------------------------------------------------------------

static void boxes_fit_the_maps(void **state) {
    (void)state;
    static const struct {
        int shape[9], box[3]; // n, h, w
        int64_t n_steps;
    } rows[] = {
        // 24 = 3 x 8 in both axes, where rows of 24 pixels would leave a quarter of each box empty.
        // 9 x 8 chunks in 18 pairs of tiles of 256 columns, twice.
        {{5, 512, 24, 24, 512, 3, 1, 1, 1}, {1, 8, 8}, 36 * 5 * 9},
        // A matrix product: one row of 64 x 33 pixels. 4 chunks: one tile.
        {{1, 256, 64, 33, 256, 1, 1, 0, 1}, {1, 1, 64}, 33},
        // Only the middle one of 9 taps is inside. 9 chunks in 3 pairs of tiles: that of the middle
        // one has all pixels of its row of chunks, the others none.
        {{1, 64, 4, 4, 64, 3, 1, 24, 24}, {1, 4, 4}, 1},
        // 3 x 3 taps of 2 chunks: 9 tiles of one pair for two taps each; a row of taps is outside.
        {{64, 128, 1, 1, 128, 3, 1, 1, 1}, {64, 1, 1}, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gradient_tiles t = tiles_of(rows[i].shape);
        gradient_tiles_choose(&t);
        assert_int_equal(t.scales[0].box_n, rows[i].box[0]);
        assert_int_equal(t.scales[0].box_h, rows[i].box[1]);
        assert_int_equal(t.scales[0].box_w, rows[i].box[2]);
        assert_true(t.n_steps == rows[i].n_steps);
    }
}

static void columns_waste_least(void **state) {
    (void)state;
    static const int rows[][2] = {{64, 64},   {128, 128}, {192, 256}, {256, 256},
                                  {320, 256}, {512, 256}, {640, 256}, {2048, 256}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const int shape[9] = {1, 64, 8, 8, rows[i][0], 1, 1, 0, 1};
        struct gradient_tiles t = tiles_of(shape);
        gradient_tiles_choose(&t);
        assert_int_equal(t.bn, rows[i][1]);
    }
}

// A worker has 4 steps and more, unless there are fewer; there are no more than an H100 has blocks,
// or pairs of them.
static void small_layers_have_few_workers(void **state) {
    (void)state;
    static const struct {
        int shape[9], n_workers;
        bool is_paired;
    } rows[] = {
        {{1, 64, 1, 64 * 3, 64, 1, 1, 0, 1}, 1, false},
        {{1, 64, 1, 64 * 11, 64, 1, 1, 0, 1}, 2, false},
        {{1, 128, 64, 4096, 64, 1, 1, 0, 1}, 132, false},
        {{1, 192, 64, 4096, 64, 1, 1, 0, 1}, 66, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gradient_tiles t = tiles_of(rows[i].shape);
        gradient_tiles_choose(&t);
        assert_int_equal(t.n_workers, rows[i].n_workers);
        assert_int_equal(t.is_paired, rows[i].is_paired);
    }
}

// Of a layer whose taps are all in the padding: nothing to do, and nothing added.
static void a_layer_of_zeros_has_no_steps(void **state) {
    (void)state;
    static const int shape[9] = {1, 64, 1, 1, 64, 2, 1, 2, 3};
    struct gradient_tiles t = tiles_of(shape);
    gradient_tiles_choose(&t);
    assert_true(t.n_steps == 0);
    assert_int_equal(list(&t), 0);
    assert_int_equal(starts[1], 0);
    assert_int_equal(slots[gradient_tile_count(&t)], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_live_pixel_lies_in_one_step),
        cmocka_unit_test(shares_cost_the_same),
        cmocka_unit_test(scales_fill_the_gpu_together),
        cmocka_unit_test(a_scale_in_the_padding_has_no_run),
        cmocka_unit_test(boxes_fit_the_maps),
        cmocka_unit_test(columns_waste_least),
        cmocka_unit_test(small_layers_have_few_workers),
        cmocka_unit_test(a_layer_of_zeros_has_no_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
