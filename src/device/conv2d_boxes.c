// SPDX-License-Identifier: MIT
#include "device/conv2d_boxes.h"

#include "device/box_search.h"

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

// Target row y meets source row (y' + pad - k dilation) / stride, y' = first + y stride, if that is
// whole: of a tap, or of none, and then of every tap_step-th further.
struct conv2d_parity conv2d_parity_of(int first, int kernel, int stride, int pad, int dilation) {
    struct conv2d_parity parity = {0};
    parity.tap_step = 1;
    while (parity.tap_step * dilation % stride != 0)
        parity.tap_step++;
    parity.apart = -(parity.tap_step * dilation / stride);
    for (int k = 0; k < kernel && parity.n_taps == 0; k++)
        if ((first + pad - k * dilation) % stride == 0) {
            parity.tap_first = k;
            parity.offset = (first + pad - k * dilation) / stride;
            parity.n_taps = divide_up(kernel - k, parity.tap_step);
        }
    return parity;
}

// Rows or columns of target and source.
struct axis {
    int extent, extent_source, kernel, offset, apart;
};
static struct axis x_of(const struct conv2d_boxes *boxes) {
    return (struct axis){boxes->w, boxes->w_source, boxes->kernel_x, boxes->offset_x, boxes->apart};
}
static struct axis y_of(const struct conv2d_boxes *boxes) {
    return (struct axis){boxes->h, boxes->h_source, boxes->kernel_y, boxes->offset_y, boxes->apart};
}

// The taps of an axis that any of the target pixels of the box at `at` meets inside.
static unsigned axis_taps(struct axis axis, int at, int box) {
    int count = axis.extent - at < box ? axis.extent - at : box;
    unsigned taps = 0;
    for (int k = 0; k < axis.kernel; k++) {
        int from = at + axis.offset + k * axis.apart;
        if (from < axis.extent_source && from + count > 0)
            taps |= 1u << k;
    }
    return taps;
}

// Live taps, summed over the boxes of one axis.
static int64_t axis_cost(struct axis axis, int box) {
    int64_t taps = 0;
    for (int at = 0; at < axis.extent; at += box)
        taps += conv2d_box_count_taps(axis_taps(axis, at, box));
    return taps;
}

void conv2d_boxes_choose(struct conv2d_boxes *boxes) {
    if (boxes->kernel_x == 1 && boxes->kernel_y == 1 && boxes->offset_x == 0 &&
        boxes->offset_y == 0 && !boxes->is_spread) {
        boxes->w = boxes->w_source = boxes->n * boxes->h * boxes->w;
        boxes->h = boxes->h_source = boxes->n = 1;
    }
    int64_t of_width[CONV2D_BOX_PIXELS + 1], of_height[CONV2D_BOX_PIXELS + 1];
    for (int i = 1; i <= CONV2D_BOX_PIXELS; i++) {
        of_width[i] = axis_cost(x_of(boxes), i);
        of_height[i] = axis_cost(y_of(boxes), i);
    }
    const struct box_size best =
        box_search(of_width, of_height, CONV2D_BOX_PIXELS, boxes->n, boxes->h, boxes->w);
    boxes->box_n = best.n;
    boxes->box_h = best.h;
    boxes->box_w = best.w;
}

int conv2d_boxes_count(const struct conv2d_boxes *boxes) {
    return divide_up(boxes->w, boxes->box_w) * divide_up(boxes->h, boxes->box_h) *
           divide_up(boxes->n, boxes->box_n);
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
        unsigned x = axis_taps(x_of(boxes), tile->x, boxes->box_w);
        unsigned y = axis_taps(y_of(boxes), tile->y, boxes->box_h);
        for (int ky = 0; ky < boxes->kernel_y; ky++)
            if ((y >> ky & 1u) != 0)
                tile->taps |= x << (ky * boxes->kernel_x);
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
