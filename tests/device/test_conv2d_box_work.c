// SPDX-License-Identifier: MIT
#include "device/conv2d_box_work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_TILES = 4096, MOST_SEGMENTS = 4096 };

static struct conv2d_box_tile tiles[MOST_TILES + CONV2D_BOX_MAX_GROUPS];
static struct conv2d_box_segment segments[MOST_SEGMENTS];
static struct conv2d_box_sum sums[MOST_SEGMENTS];
static int starts[CONV2D_WORK_MOST_BLOCKS + 1];

// n, c_source, h, w, c_target, kernel, dilation; as much padding as keeps the size.
static const int shapes[][7] = {
    {1, 64, 1, 1, 64, 1, 1},     {1, 64, 9, 7, 64, 3, 1},        {2, 128, 23, 17, 192, 3, 1},
    {5, 64, 14, 13, 320, 3, 6},  {3, 192, 15, 17, 64, 3, 12},    {2, 64, 25, 3, 64, 3, 24},
    {5, 512, 48, 48, 512, 3, 1}, {10, 4096, 40, 40, 512, 3, 12}, {1, 64, 65, 65, 256, 5, 1},
};

static struct conv2d_box_work work_of(const int shape[7]) {
    int pad = shape[6] * (shape[5] / 2);
    struct conv2d_boxes boxes = {.n_groups = 0};
    conv2d_boxes_add(&boxes,
                     (struct conv2d_box_extents){shape[0], shape[2], shape[3], shape[2], shape[3]},
                     (struct conv2d_box_kernel){shape[5], shape[5], -pad, -pad, shape[6]}, 0);
    conv2d_boxes_choose(&boxes);
    assert_in_range(conv2d_boxes_count(&boxes), 1, MOST_TILES);
    conv2d_boxes_list(&boxes, tiles);
    struct conv2d_box_work work = {.tiles = tiles,
                                   .n_tiles = conv2d_boxes_count(&boxes),
                                   .c_target = shape[4],
                                   .n_chunks = shape[1] / 64,
                                   .gpu_blocks = 132,
                                   .split_blocks = CONV2D_WORK_BLOCKS};
    work.is_paired = work.n_tiles > 1;
    if (work.is_paired)
        work.n_tiles = conv2d_boxes_pair(&boxes, tiles, work.n_tiles);
    return work;
}

// ---- the list -----------------------------------------------------------------------------------

// How many steps of each item somebody has; each segment begins where the one before it ended.
static void check_segments(const struct conv2d_box_work *work) {
    const int of_pair = work->is_paired ? 2 : 1;
    static int done[MOST_SEGMENTS];
    int n_slots = 0;
    memset(done, 0, sizeof done);
    assert_int_equal(starts[0], 0);
    assert_int_equal(starts[work->n_workers], work->n_segments);
    for (int i = 0; i < work->n_segments; i++) {
        const struct conv2d_box_segment *of = &segments[i];
        int item = of->tile / of_pair * work->n_columns + of->column / work->bn;
        int steps = conv2d_box_count_taps(tiles[of->tile].taps) * work->n_chunks;
        assert_in_range(item, 0, work->n_items - 1);
        assert_int_equal(of->tile % of_pair + of->column % work->bn, 0);
        assert_int_equal(of->first, done[item]);
        assert_true(of->n_steps > 0 || steps == 0);
        assert_int_equal(of->slot, of->n_steps == steps ? -1 : n_slots);
        n_slots += of->slot >= 0;
        done[item] += of->n_steps;
    }
    assert_int_equal(n_slots, work->n_slots);
    for (int item = 0; item < work->n_items; item++)
        assert_int_equal(done[item],
                         conv2d_box_count_taps(tiles[item / work->n_columns * of_pair].taps) *
                             work->n_chunks);
}

// Every item has either one segment that finishes it, or a sum of all its slots in their order.
static void check_sums(const struct conv2d_box_work *work) {
    int n_finished = 0, slot = 0;
    for (int i = 0; i < work->n_segments; i++)
        n_finished += segments[i].slot < 0;
    for (int i = 0; i < work->n_sums; i++) {
        assert_int_equal(sums[i].slot, slot);
        assert_true(sums[i].n_slots > 1);
        for (int j = 0; j < work->n_segments; j++)
            if (segments[j].slot >= slot && segments[j].slot < slot + sums[i].n_slots) {
                assert_int_equal(segments[j].tile, sums[i].tile);
                assert_int_equal(segments[j].column, sums[i].column);
            }
        slot += sums[i].n_slots;
    }
    assert_int_equal(slot, work->n_slots);
    assert_int_equal(n_finished + work->n_sums, work->n_items);
}

static void each_step_is_dealt_out_once(void **state) {
    (void)state;
    static const int blocks[] = {1, 2, 4, 7, 40, 132};
    static const enum conv2d_split splits[] = {CONV2D_SPLIT_BY_COST, CONV2D_SPLIT_NEVER,
                                               CONV2D_SPLIT_ALWAYS};
    int n_split = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int j = 0; j < 6 * 3 * 4; j++) {
            struct conv2d_box_work work = work_of(shapes[i]);
            work.gpu_blocks = work.split_blocks = blocks[j % 6];
            work.split = splits[j / 6 % 3];
            work.bn = j / 18 == 0 ? 0 : 32 << (j / 18);
            conv2d_box_work_choose(&work);
            assert_in_range(work.n_segments, 1, MOST_SEGMENTS);
            assert_true(work.split != CONV2D_SPLIT_NEVER || work.n_slots == 0);
            conv2d_box_work_list(&work, segments, starts, sums);
            check_segments(&work);
            check_sums(&work);
            n_split += work.n_slots > 0;
        }
    assert_true(n_split > 100);
}

// ---- the choice ---------------------------------------------------------------------------------

// What the GPU has of multiprocessors changes neither whether tiles are split nor where.
static void splits_do_not_depend_on_the_gpu(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct conv2d_box_work work = work_of(shapes[i]), other = work_of(shapes[i]);
        other.gpu_blocks = 78;
        conv2d_box_work_choose(&work);
        conv2d_box_work_choose(&other);
        assert_int_equal(other.bn, work.bn);
        assert_int_equal(other.n_slots, work.n_slots);
        if (work.n_slots > 0)
            assert_int_equal(other.n_workers, work.n_workers);
        assert_true(other.level == work.level);
    }
}

static void literal_choices(void **state) {
    (void)state;
    static const struct {
        int shape[7], bn, n_whole, n_items;
        bool is_split;
    } rows[] = {
        // 90 pairs of tiles on 66 pairs of blocks: the last 24 are split.
        {{5, 512, 48, 48, 512, 3, 1}, 256, 66, 90, true},
        // 24 pairs for all.
        {{5, 512, 24, 24, 512, 3, 1}, 256, 0, 24, true},
        // 126 of 132, and a second kernel would cost more than the 6 that are idle.
        {{10, 512, 40, 40, 512, 3, 1}, 256, 126, 126, false},
        // One tile of one step, and of nine, which are soon done.
        {{1, 64, 1, 1, 64, 1, 1}, 64, 1, 1, false},
        {{1, 64, 9, 9, 64, 3, 1}, 64, 1, 1, false},
        // Two columns of 256 channels, one of them mostly empty, ask less of the cache than five of
        // 64.
        {{5, 512, 48, 48, 320, 3, 1}, 256, 66, 90, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct conv2d_box_work work = work_of(rows[i].shape);
        conv2d_box_work_choose(&work);
        if (work.bn != rows[i].bn || work.n_whole != rows[i].n_whole ||
            work.n_items != rows[i].n_items || (work.n_slots > 0) != rows[i].is_split)
            fail_msg("row %zu: bn %d, %d whole of %d, %d slots", i, work.bn, work.n_whole,
                     work.n_items, work.n_slots);
    }
}

// The branches of DeepLabv3 at VOC's three scales, whose tiles have one to nine taps: no worker has
// more than a hundredth above the mean of the steps.
static void branches_are_shared_evenly(void **state) {
    (void)state;
    static const int sizes[] = {40, 56, 84}, rates[] = {0, 6, 12, 18};
    for (int i = 0; i < 3; i++) {
        const int size = sizes[i];
        struct conv2d_boxes boxes = {.n_groups = 0};
        for (int r = 0; r < 4; r++) {
            int kernel = rates[r] > 0 ? 3 : 1;
            conv2d_boxes_add(
                &boxes, (struct conv2d_box_extents){10, size, size, size, size},
                (struct conv2d_box_kernel){kernel, kernel, -rates[r], -rates[r], rates[r]},
                256 * r);
        }
        conv2d_boxes_choose(&boxes);
        assert_in_range(conv2d_boxes_count(&boxes), 1, MOST_TILES);
        conv2d_boxes_list(&boxes, tiles);
        struct conv2d_box_work work = {.tiles = tiles,
                                       .n_tiles = conv2d_boxes_count(&boxes),
                                       .is_paired = true,
                                       .c_target = 256,
                                       .n_chunks = 64,
                                       .gpu_blocks = 132,
                                       .split_blocks = CONV2D_WORK_BLOCKS};
        work.n_tiles = conv2d_boxes_pair(&boxes, tiles, work.n_tiles);
        conv2d_box_work_choose(&work);
        assert_in_range(work.n_segments, 1, MOST_SEGMENTS);
        conv2d_box_work_list(&work, segments, starts, sums);
        check_segments(&work);
        check_sums(&work);
        double all = 0.0, most = 0.0;
        for (int j = 0; j < work.n_workers; j++) {
            double steps = 0.0;
            for (int k = starts[j]; k < starts[j + 1]; k++)
                steps += segments[k].n_steps;
            all += steps;
            most = steps > most ? steps : most;
        }
        if (most > 1.01 * all / work.n_workers)
            fail_msg("%d x %d: %g steps of %g", size, size, most, all / work.n_workers);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_is_dealt_out_once),
        cmocka_unit_test(splits_do_not_depend_on_the_gpu),
        cmocka_unit_test(literal_choices),
        cmocka_unit_test(branches_are_shared_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
