// SPDX-License-Identifier: MIT
#include "device/conv2d_boxes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_TILES = 4096 };

// Of each scale.
struct size {
    int h, w;
};

static struct conv2d_boxes scales_of(int n, const struct size *sizes, int n_scales, int kernel,
                                     int pad, int dilation) {
    const int more = 2 * pad - dilation * (kernel - 1);
    struct conv2d_boxes boxes = {.n_groups = 0};
    for (int i = 0; i < n_scales; i++) {
        const struct conv2d_box_extents extents = {n, sizes[i].h + more, sizes[i].w + more,
                                                   sizes[i].h, sizes[i].w};
        if (i == 0)
            conv2d_boxes_add(&boxes, extents,
                             (struct conv2d_box_kernel){kernel, kernel, -pad, -pad, dilation}, 0);
        else
            conv2d_boxes_add_scale(&boxes, extents);
    }
    conv2d_boxes_choose(&boxes);
    return boxes;
}

static struct conv2d_boxes boxes_of(int n, int h, int w, int kernel, int pad, int dilation) {
    const struct size size = {h, w};
    return scales_of(n, &size, 1, kernel, pad, dilation);
}

// Whether the group's pixel (x, y) meets a source pixel through the tap, from its definition.
static bool is_live(const struct conv2d_boxes *boxes, const struct conv2d_box_extents *of, int x,
                    int y, int tap) {
    int from_x = x + boxes->taps[tap].x, from_y = y + boxes->taps[tap].y;
    return from_x >= 0 && from_x < of->w_source && from_y >= 0 && from_y < of->h_source;
}

// Marks the tile's pixels, and requires that its taps are those of its group that any of them has,
// no fewer and no more.
static void mark_tile(const struct conv2d_boxes *boxes, const struct conv2d_box_tile *tile,
                      unsigned char *seen) {
    const struct conv2d_box_group *group = &boxes->groups[tile->group];
    const struct conv2d_box_extents *of = &group->extents;
    uint64_t taps = 0;
    for (int n = tile->n; n < tile->n + group->box_n && n < of->n; n++)
        for (int y = tile->y; y < tile->y + group->box_h && y < of->h; y++)
            for (int x = tile->x; x < tile->x + group->box_w && x < of->w; x++) {
                seen[(n * of->h + y) * of->w + x]++;
                for (int i = 0; i < group->n_taps; i++) {
                    int tap = group->tap_first + i;
                    taps |= (uint64_t)is_live(boxes, of, x, y, tap) << tap;
                }
            }
    assert_true(tile->taps == taps);
}

static void each_pixel_lies_in_one_tile(void **state) {
    (void)state;
    static const int shapes[][6] = {
        {1, 1, 1, 1, 0, 1},    {1, 9, 7, 3, 1, 1},  {5, 14, 13, 3, 6, 6},    {2, 15, 17, 3, 12, 12},
        {5, 25, 3, 3, 24, 24}, {1, 4, 4, 3, 12, 2}, {10, 40, 40, 3, 18, 18}, {3, 23, 130, 5, 4, 2}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const int *s = shapes[i];
        struct conv2d_boxes boxes = boxes_of(s[0], s[1], s[2], s[3], s[4], s[5]);
        struct conv2d_box_tile tiles[MOST_TILES + 1];
        int n_tiles = conv2d_boxes_count(&boxes);
        const struct conv2d_box_extents *of = &boxes.groups[0].extents;
        size_t n_pixels = (size_t)(of->n * of->h * of->w);
        unsigned char *seen = calloc(n_pixels, 1);
        assert_non_null(seen);
        assert_in_range(n_tiles, 1, MOST_TILES);
        assert_in_range(boxes.groups[0].box_n * boxes.groups[0].box_h * boxes.groups[0].box_w, 1,
                        CONV2D_BOX_PIXELS);
        conv2d_boxes_list(&boxes, tiles);
        for (int j = 0; j < n_tiles; j++) {
            mark_tile(&boxes, &tiles[j], seen);
            if (j > 0)
                assert_true(conv2d_box_count_taps(tiles[j].taps) <=
                            conv2d_box_count_taps(tiles[j - 1].taps));
        }
        for (size_t j = 0; j < n_pixels; j++)
            assert_int_equal(seen[j], 1);
        free(seen);
    }
}

// Rates in groups, and a pixel's tiles of each group; one group of all rates' taps.
static struct conv2d_boxes pyramid_of(int n, int h, int w, bool has_groups) {
    static const int rates[] = {0, 1, 3, 4, 6, 12, 18};
    struct conv2d_boxes boxes = {.n_groups = 0};
    for (int r = 0; r < 7; r++) {
        int kernel = rates[r] > 0 ? 3 : 1;
        conv2d_boxes_add(&boxes, (struct conv2d_box_extents){n, h, w, h, w},
                         (struct conv2d_box_kernel){kernel, kernel, -rates[r], -rates[r], rates[r]},
                         64 * r);
    }
    if (!has_groups) {
        boxes.n_groups = 1;
        boxes.groups[0].n_taps = boxes.n_taps;
    }
    conv2d_boxes_choose(&boxes);
    return boxes;
}

// Of a pyramid: each pixel lies in one tile of each group, pairs are of one group and have its taps
// alone, and those with most taps come first.
static void groups_have_their_own_tiles(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct conv2d_boxes boxes = pyramid_of(3, 13, 17, i == 0);
        struct conv2d_box_tile tiles[MOST_TILES + CONV2D_BOX_MAX_GROUPS];
        int n_tiles = conv2d_boxes_count(&boxes);
        unsigned char seen[CONV2D_BOX_MAX_GROUPS][3 * 13 * 17] = {{0}};
        assert_int_equal(boxes.n_taps, 55);
        conv2d_boxes_list(&boxes, tiles);
        for (int j = 0; j < n_tiles; j++)
            mark_tile(&boxes, &tiles[j], seen[tiles[j].group]);
        for (int g = 0; g < boxes.n_groups; g++)
            for (int j = 0; j < 3 * 13 * 17; j++)
                assert_int_equal(seen[g][j], 1);
        int n_pairs = conv2d_boxes_pair(&boxes, tiles, n_tiles), n_empty = 0;
        for (int j = 0; j < n_pairs; j += 2) {
            assert_int_equal(tiles[j].group, tiles[j + 1].group);
            assert_true(tiles[j].taps == tiles[j + 1].taps);
            assert_true(boxes.n_groups == 1 || j == 0 ||
                        conv2d_box_count_taps(tiles[j].taps) <=
                            conv2d_box_count_taps(tiles[j - 1].taps));
            n_empty += tiles[j + 1].n >= 3;
        }
        assert_int_equal(n_pairs - n_empty, n_tiles);
    }
}

// The tiles of several scales are those of each alone, whose sizes decide on its boxes: 3 x 3 with
// taps in the padding, and matrix products, each a row of pixels.
static void a_scale_has_the_tiles_that_it_has_alone(void **state) {
    (void)state;
    static const struct size sizes[] = {{9, 13}, {1, 1}, {17, 23}, {40, 3}};
    static const int kernels[][3] = {{3, 1, 1}, {3, 12, 12}, {1, 0, 1}, {1, 2, 1}};
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        const int *k = kernels[i];
        struct conv2d_boxes boxes = scales_of(3, sizes, 4, k[0], k[1], k[2]);
        struct conv2d_box_tile together[MOST_TILES + 4], alone[MOST_TILES + 1];
        int n = 0, n_tiles = conv2d_boxes_count(&boxes), n_empty = 0;
        conv2d_boxes_list(&boxes, together);
        assert_int_equal(boxes.n_taps, k[0] * k[0]);
        for (int g = 0; g < 4; g++) {
            struct conv2d_boxes one = scales_of(3, &sizes[g], 1, k[0], k[1], k[2]);
            int n_alone = conv2d_boxes_count(&one);
            conv2d_boxes_list(&one, alone);
            assert_memory_equal(&one.groups[0], &boxes.groups[g], sizeof one.groups[0]);
            for (int j = 0; j < n_alone; j++) {
                alone[j].group = g;
                assert_memory_equal(&together[n++], &alone[j], sizeof *alone);
            }
            n_empty += n_alone % 2;
        }
        assert_int_equal(n, n_tiles);
        assert_int_equal(boxes.groups[0].extents.h, i == 2 ? 1 : sizes[0].h + (i == 3 ? 4 : 0));
        assert_int_equal(conv2d_boxes_pair(&boxes, together, n_tiles), n_tiles + n_empty);
        for (int j = 0; j < n_tiles + n_empty; j += 2)
            assert_int_equal(together[j].group, together[j + 1].group);
    }
}

static int count_taps(const struct conv2d_boxes *boxes) {
    struct conv2d_box_tile tiles[MOST_TILES + 1];
    int n_tiles = conv2d_boxes_count(boxes), taps = 0;
    assert_in_range(n_tiles, 1, MOST_TILES);
    conv2d_boxes_list(boxes, tiles);
    for (int i = 0; i < n_tiles; i++)
        taps += conv2d_box_count_taps(tiles[i].taps);
    return taps;
}

// Ten images of VOC at the three scales of the paper: what boxes over several images save, the
// pixels that do not fill a tile included, beside nine taps for each full tile.
static void taps_in_the_padding_are_skipped(void **state) {
    (void)state;
    static const struct {
        int dilation;
        double saving;
    } rows[] = {{1, 1.0}, {12, 1.2}, {18, 1.4}, {24, 1.68}};
    static const int sizes[] = {40, 56, 84};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double taps = 0.0, all = 0.0;
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            struct conv2d_boxes boxes =
                boxes_of(10, sizes[j], sizes[j], 3, rows[i].dilation, rows[i].dilation);
            taps += count_taps(&boxes);
            all += 9.0 * 10.0 * sizes[j] * sizes[j] / CONV2D_BOX_PIXELS;
        }
        if (!(all / taps >= 0.985 * rows[i].saving))
            fail_msg("dilation %d: %.3f", rows[i].dilation, all / taps);
    }
}

static void a_pair_shares_its_taps(void **state) {
    (void)state;
    struct conv2d_boxes boxes = boxes_of(3, 13, 15, 3, 6, 6);
    struct conv2d_box_tile alone[MOST_TILES + 1], pairs[MOST_TILES + 1];
    int n_alone = conv2d_boxes_count(&boxes);
    conv2d_boxes_list(&boxes, alone);
    memcpy(pairs, alone, sizeof alone);
    for (int n = n_alone; n >= n_alone - 1; n--) { // an even number and an odd one
        memcpy(pairs, alone, sizeof alone);
        int n_pairs = conv2d_boxes_pair(&boxes, pairs, n);
        assert_int_equal(n_pairs, (n + 1) / 2 * 2);
        for (int i = 0; i < n_pairs; i += 2)
            assert_int_equal(pairs[i].taps, pairs[i + 1].taps);
        for (int i = 0; i < n; i++) {
            assert_int_equal(pairs[i].taps & alone[i].taps, alone[i].taps);
            assert_int_equal(pairs[i].n, alone[i].n);
        }
        if (n % 2 != 0)
            assert_true(pairs[n].n >= 3); // no pixel
    }
}

// Of every stride, padding and dilation: the source rows and taps that a target row meets are those
// of its definition, the transposed convolution's.
static void parities_have_all_taps(void **state) {
    (void)state;
    for (int i = 0; i < 5 * 4 * 6 * 7; i++) {
        int kernel = 1 + i % 5, stride = 1 + i / 5 % 4, pad = i / 20 % 6, dilation = 1 + i / 120;
        for (int y = 0; y < 20; y++) {
            struct conv2d_parity of = conv2d_parity_of(y % stride, kernel, stride, pad, dilation);
            int n = 0;
            for (int k = 0; k < kernel; k++) {
                int row = y + pad - k * dilation;
                if (row % stride != 0)
                    continue;
                assert_int_equal(of.tap_first + n * of.tap_step, k);
                assert_int_equal(y / stride + of.offset + n * of.apart, row / stride);
                n++;
            }
            assert_int_equal(of.n_taps, n);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_pixel_lies_in_one_tile),
        cmocka_unit_test(groups_have_their_own_tiles),
        cmocka_unit_test(a_scale_has_the_tiles_that_it_has_alone),
        cmocka_unit_test(taps_in_the_padding_are_skipped),
        cmocka_unit_test(parities_have_all_taps),
        cmocka_unit_test(a_pair_shares_its_taps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
