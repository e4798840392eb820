// SPDX-License-Identifier: MIT
#include "device/conv2d_gradient_tiles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_SEGMENTS = 2048, MOST_WORKERS = GRADIENT_BLOCKS };

static struct gradient_segment segments[MOST_SEGMENTS];
static int starts[MOST_WORKERS + 1], slots[MOST_SEGMENTS + 1];

// n, c_in, h, w, c_out, kernel, stride, pad, dilation.
static struct gradient_tiles tiles_of(const int row[9]) {
    int reach = row[8] * (row[5] - 1);
    return (struct gradient_tiles){.n = row[0],
                                   .c_in = row[1],
                                   .h_in = row[2],
                                   .w_in = row[3],
                                   .h_out = (row[2] + 2 * row[7] - reach - 1) / row[6] + 1,
                                   .w_out = (row[3] + 2 * row[7] - reach - 1) / row[6] + 1,
                                   .c_out = row[4],
                                   .kernel = row[5],
                                   .stride = row[6],
                                   .pad = row[7],
                                   .dilation = row[8]};
}

static const int shapes[][9] = {
    {1, 64, 1, 1, 64, 1, 1, 0, 1},        {1, 64, 1, 1, 64, 3, 1, 1, 1},
    {2, 128, 23, 17, 192, 3, 1, 1, 1},    {5, 64, 14, 13, 320, 3, 1, 6, 6},
    {3, 192, 15, 17, 64, 3, 1, 12, 12},   {2, 64, 25, 3, 64, 3, 1, 24, 24},
    {2, 64, 17, 19, 64, 3, 2, 1, 1},      {1, 64, 21, 13, 64, 5, 3, 2, 1},
    {1, 64, 13, 9, 64, 2, 4, 1, 3},       {1, 64, 8, 9, 64, 3, 1, 0, 2},
    {10, 256, 40, 40, 256, 3, 1, 18, 18}, {1, 128, 65, 65, 64, 1, 1, 0, 1},
};

// ---- pixels -------------------------------------------------------------------------------------

// Whether output (x, y) reads a source pixel through the tap, from its definition.
static bool is_live(const struct gradient_tiles *t, int x, int y, int tap) {
    int from_x = x * t->stride - t->pad + tap % t->kernel * t->dilation;
    int from_y = y * t->stride - t->pad + tap / t->kernel * t->dilation;
    return from_x >= 0 && from_x < t->w_in && from_y >= 0 && from_y < t->h_in;
}

static bool is_live_in_tile(const struct gradient_tiles *t, int tile, int x, int y) {
    int n_chunks = gradient_tile_chunks(t), of_tap = t->c_in / GRADIENT_CHANNELS;
    int chunk = tile % t->n_rows * n_chunks;
    for (int i = chunk; i < chunk + n_chunks && i < t->n_chunks; i++)
        if (is_live(t, x, y, i / of_tap))
            return true;
    return false;
}

// Marks the outputs that a box of the segment has; those beyond the images are in no step.
static void mark_box(const struct gradient_tiles *t, const struct gradient_segment *of, int i_box,
                     unsigned char *seen) {
    int first_x = of->x + i_box % of->n_x * t->box_w;
    int first_y = of->y + i_box / of->n_x % of->n_y * t->box_h;
    int first_n = i_box / of->n_x / of->n_y * t->box_n;
    assert_true(first_n < t->n);
    for (int n = first_n; n < first_n + t->box_n && n < t->n; n++)
        for (int y = first_y; y < first_y + t->box_h && y < t->h_out; y++)
            for (int x = first_x; x < first_x + t->box_w && x < t->w_out; x++)
                seen[(n * t->h_out + y) * t->w_out + x]++;
}

// The sums of a tile are those of all pixels that any of its taps meets, each once. Others, which a
// box may reach, are zeros to all taps of the tile.
static void each_live_pixel_lies_in_one_step(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct gradient_tiles t = tiles_of(shapes[i]);
        gradient_tiles_choose(&t);
        assert_in_range(t.box_n * t.box_h * t.box_w, 1, GRADIENT_PIXELS);
        assert_in_range(gradient_tile_count(&t) + t.n_workers, 1, MOST_SEGMENTS);
        size_t n_pixels = (size_t)t.n * (size_t)t.h_out * (size_t)t.w_out;
        unsigned char *seen = malloc(n_pixels);
        assert_non_null(seen);
        (void)gradient_tiles_list(&t, segments, starts, slots);
        for (int tile = 0; tile < gradient_tile_count(&t); tile++) {
            memset(seen, 0, n_pixels);
            for (int slot = slots[tile]; slot < slots[tile + 1]; slot++)
                for (int step = 0; step < segments[slot].n_steps; step++)
                    mark_box(&t, &segments[slot], segments[slot].first + step, seen);
            for (size_t j = 0; j < n_pixels; j++) {
                int x = (int)j % t.w_out, y = (int)j / t.w_out % t.h_out;
                assert_in_range(seen[j], is_live_in_tile(&t, tile, x, y) ? 1 : 0, 1);
            }
        }
        free(seen);
    }
}

// ---- shares -------------------------------------------------------------------------------------

// No worker costs more than the level, and that is no higher than an even distribution of all steps
// and of the most slots that there can be, but for what a worker cannot begin. Tiles are in their
// order, and no segment is empty.
static void check_shares(const struct gradient_tiles *t) {
    int n = gradient_tiles_list(t, segments, starts, slots), tile = 0;
    const int64_t step = gradient_step_cost(t), slot = gradient_slot_cost(t);
    int64_t n_steps = 0;
    assert_int_equal(starts[0], 0);
    assert_int_equal(starts[t->n_workers], n);
    assert_int_equal(slots[gradient_tile_count(t)], n);
    for (int worker = 0; worker < t->n_workers; worker++) {
        int64_t share = 0, n_slots = starts[worker + 1] - starts[worker];
        for (int i = starts[worker]; i < starts[worker + 1]; i++) {
            while (slots[tile + 1] <= i)
                tile++;
            bool is_first = slots[tile] == i;
            assert_int_equal(segments[i].chunk, tile % t->n_rows * gradient_tile_chunks(t));
            assert_int_equal(segments[i].column, tile / t->n_rows * t->bn);
            assert_int_equal(segments[i].first,
                             is_first ? 0 : segments[i - 1].first + segments[i - 1].n_steps);
            assert_true(segments[i].n_steps > 0);
            share += segments[i].n_steps;
        }
        assert_true(share * step + n_slots * slot <= t->level);
        n_steps += share;
    }
    assert_true(n_steps == t->n_steps);
    int64_t most = t->n_steps * step + (gradient_tile_count(t) + t->n_workers) * slot;
    assert_true(t->level <= most / t->n_workers + slot + step + 1);
}

static void shares_cost_the_same(void **state) {
    (void)state;
    static const int blocks[] = {0, 1, 2, 7, 40, 132};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (size_t j = 0; j < sizeof blocks / sizeof blocks[0]; j++) {
            struct gradient_tiles t = tiles_of(shapes[i]);
            t.most_blocks = blocks[j];
            t.least_steps = blocks[j] != 0 ? 1 : 0;
            gradient_tiles_choose(&t);
            check_shares(&t);
        }
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
        assert_int_equal(t.box_n, rows[i].box[0]);
        assert_int_equal(t.box_h, rows[i].box[1]);
        assert_int_equal(t.box_w, rows[i].box[2]);
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
    assert_int_equal(gradient_tiles_list(&t, segments, starts, slots), 0);
    assert_int_equal(starts[1], 0);
    assert_int_equal(slots[gradient_tile_count(&t)], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_live_pixel_lies_in_one_step),
        cmocka_unit_test(shares_cost_the_same),
        cmocka_unit_test(boxes_fit_the_maps),
        cmocka_unit_test(columns_waste_least),
        cmocka_unit_test(small_layers_have_few_workers),
        cmocka_unit_test(a_layer_of_zeros_has_no_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
