// SPDX-License-Identifier: MIT
#include "device/conv2d_boxes.h"

#include <stdbool.h>
#include <stdlib.h>

int conv2d_box_count_taps(unsigned taps) {
    int n = 0;
    for (; taps != 0; taps &= taps - 1)
        n++;
    return n;
}

static int divide_up(int a, int b) {
    return (a + b - 1) / b;
}

// The taps of one axis that any of the `count` target pixels from `at` on meets inside.
static unsigned axis_taps(const struct conv2d_boxes *boxes, int at, int count, int extent) {
    unsigned taps = 0;
    for (int k = 0; k < boxes->kernel; k++) {
        int from = at + boxes->offset + k * boxes->apart;
        if (from < extent && from + count > 0)
            taps |= 1u << k;
    }
    return taps;
}

// Live taps, summed over the boxes of one axis.
static int64_t axis_cost(const struct conv2d_boxes *boxes, int extent, int extent_source, int box) {
    int64_t taps = 0;
    for (int at = 0; at < extent; at += box) {
        int count = extent - at < box ? extent - at : box;
        taps += conv2d_box_count_taps(axis_taps(boxes, at, count, extent_source));
    }
    return taps;
}

// A tile's live taps are those of its rows times those of its columns.
int64_t conv2d_boxes_taps(const struct conv2d_boxes *boxes) {
    return axis_cost(boxes, boxes->w, boxes->w_source, boxes->box_w) *
           axis_cost(boxes, boxes->h, boxes->h_source, boxes->box_h) *
           divide_up(boxes->n, boxes->box_n);
}

void conv2d_boxes_choose(struct conv2d_boxes *boxes) {
    if (boxes->kernel == 1 && boxes->offset == 0) {
        boxes->w = boxes->w_source = boxes->n * boxes->h * boxes->w;
        boxes->h = boxes->h_source = boxes->n = 1;
    }
    int64_t of_width[CONV2D_BOX_PIXELS + 1], of_height[CONV2D_BOX_PIXELS + 1], least = INT64_MAX;
    for (int i = 1; i <= CONV2D_BOX_PIXELS; i++) {
        of_width[i] = axis_cost(boxes, boxes->w, boxes->w_source, i);
        of_height[i] = axis_cost(boxes, boxes->h, boxes->h_source, i);
    }
    int widest = boxes->w < CONV2D_BOX_PIXELS ? boxes->w : CONV2D_BOX_PIXELS;
    for (int w = widest; w >= 1; w--)
        for (int h = 1; h <= boxes->h && h <= CONV2D_BOX_PIXELS / w; h++) {
            int n = CONV2D_BOX_PIXELS / (w * h);
            n = n < boxes->n ? n : boxes->n;
            int64_t cost = of_width[w] * of_height[h] * divide_up(boxes->n, n);
            if (cost < least) {
                least = cost;
                boxes->box_w = w;
                boxes->box_h = h;
                boxes->box_n = n;
            }
        }
}

int conv2d_boxes_count(const struct conv2d_boxes *boxes) {
    return divide_up(boxes->w, boxes->box_w) * divide_up(boxes->h, boxes->box_h) *
           divide_up(boxes->n, boxes->box_n);
}

int conv2d_box_channels(int c_target, int n_tiles) {
    const int full_grid = 132; // multiprocessors of an H100
    for (int bn = 256; bn > 64; bn /= 2) {
        int n_columns = divide_up(c_target, bn);
        bool is_full = (int64_t)n_tiles * n_columns >= full_grid;
        if (is_full && n_columns * bn <= divide_up(c_target, bn / 2) * (bn / 2))
            return bn;
    }
    return c_target % 128 == 0 ? 128 : 64;
}

static int compare_tiles(const void *a, const void *b) {
    const struct conv2d_box_tile *left = a, *right = b;
    int n_left = conv2d_box_count_taps(left->taps), n_right = conv2d_box_count_taps(right->taps);
    if (n_left != n_right)
        return n_right - n_left;
    if (left->taps != right->taps)
        return left->taps < right->taps ? -1 : 1;
    if (left->n != right->n)
        return left->n - right->n;
    return left->y != right->y ? left->y - right->y : left->x - right->x;
}

void conv2d_boxes_list(const struct conv2d_boxes *boxes, struct conv2d_box_tile *tiles) {
    int n_tiles = conv2d_boxes_count(boxes);
    int n_x = divide_up(boxes->w, boxes->box_w), n_y = divide_up(boxes->h, boxes->box_h);
    for (int i = 0; i < n_tiles; i++) {
        struct conv2d_box_tile *tile = &tiles[i];
        tile->x = i % n_x * boxes->box_w;
        tile->y = i / n_x % n_y * boxes->box_h;
        tile->n = i / n_x / n_y * boxes->box_n;
        tile->taps = 0;
        int w = boxes->w - tile->x < boxes->box_w ? boxes->w - tile->x : boxes->box_w;
        int h = boxes->h - tile->y < boxes->box_h ? boxes->h - tile->y : boxes->box_h;
        unsigned x = axis_taps(boxes, tile->x, w, boxes->w_source);
        unsigned y = axis_taps(boxes, tile->y, h, boxes->h_source);
        for (int ky = 0; ky < boxes->kernel; ky++)
            if ((y >> ky & 1u) != 0)
                tile->taps |= x << (ky * boxes->kernel);
    }
    qsort(tiles, (size_t)n_tiles, sizeof *tiles, compare_tiles);
}

int conv2d_boxes_pair(const struct conv2d_boxes *boxes, struct conv2d_box_tile *tiles,
                      int n_tiles) {
    if (n_tiles % 2 != 0) {
        tiles[n_tiles] = tiles[n_tiles - 1];
        tiles[n_tiles++].n = divide_up(boxes->n, boxes->box_n) * boxes->box_n;
    }
    for (int i = 0; i < n_tiles; i += 2)
        tiles[i].taps = tiles[i + 1].taps = tiles[i].taps | tiles[i + 1].taps;
    return n_tiles;
}
