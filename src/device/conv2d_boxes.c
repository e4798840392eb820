// SPDX-License-Identifier: MIT
#include "device/conv2d_boxes.h"

#include <stdlib.h>
#include <string.h>

int conv2d_box_count_taps(uint64_t taps) {
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

void conv2d_boxes_add(struct conv2d_boxes *boxes, struct conv2d_box_extents extents,
                      struct conv2d_box_kernel kernel, int channel_first) {
    struct conv2d_box_group *group = &boxes->groups[boxes->n_groups++];
    group->extents = extents;
    group->tap_first = boxes->n_taps;
    group->n_taps = kernel.kernel_x * kernel.kernel_y;
    group->channel_first = channel_first;
    for (int i = 0; i < kernel.kernel_x * kernel.kernel_y; i++)
        boxes->taps[boxes->n_taps++] =
            (struct conv2d_box_tap){.x = kernel.offset_x + i % kernel.kernel_x * kernel.apart,
                                    .y = kernel.offset_y + i / kernel.kernel_x * kernel.apart,
                                    .weights = i};
}

void conv2d_boxes_add_scale(struct conv2d_boxes *boxes, struct conv2d_box_extents extents) {
    struct conv2d_box_group *group = &boxes->groups[boxes->n_groups++];
    *group = boxes->groups[0];
    group->extents = extents;
}

// ---- live taps ----------------------------------------------------------------------------------

// Whether the pixels [from, from + count) of an axis, shifted, meet any source pixel.
static bool meets(int from, int count, int extent_source) {
    return from < extent_source && from + count > 0;
}

static int least(int a, int b) {
    return a < b ? a : b;
}

enum axis { COLUMNS, ROWS };

static int extent_of(const struct conv2d_box_group *group, enum axis axis) {
    return axis == COLUMNS ? group->extents.w : group->extents.h;
}

// The group's taps whose columns (or rows) any of the target pixels of the box at `at` meets
// inside.
static uint64_t live_taps(const struct conv2d_boxes *boxes, const struct conv2d_box_group *group,
                          enum axis axis, int at, int box) {
    const int count = least(extent_of(group, axis) - at, box);
    const int extent_source = axis == COLUMNS ? group->extents.w_source : group->extents.h_source;
    uint64_t taps = 0;
    for (int i = group->tap_first; i < group->tap_first + group->n_taps; i++) {
        const struct conv2d_box_tap *tap = &boxes->taps[i];
        const int from = at + (axis == COLUMNS ? tap->x : tap->y);
        taps |= (uint64_t)meets(from, count, extent_source) << i;
    }
    return taps;
}

// Boxes of an axis one behind the other that have the same taps. Along an axis each tap begins and
// ceases to be live once.
struct run {
    uint64_t taps;
    int64_t n_boxes;
};
enum { MOST_RUNS = 2 * CONV2D_BOX_MAX_TAPS + 1 };

static void add_box(struct run *runs, int *n_runs, uint64_t taps) {
    if (*n_runs == 0 || runs[*n_runs - 1].taps != taps)
        runs[(*n_runs)++] = (struct run){taps, 0};
    runs[*n_runs - 1].n_boxes++;
}

static int list_runs(const struct conv2d_boxes *boxes, const struct conv2d_box_group *group,
                     enum axis axis, int box, struct run *runs) {
    int n_runs = 0;
    for (int at = 0; at < extent_of(group, axis); at += box)
        add_box(runs, &n_runs, live_taps(boxes, group, axis, at, box));
    return n_runs;
}

// Live taps, summed over the boxes of one image.
static int64_t count_live(const struct run *columns, int n_columns, const struct run *rows,
                          int n_rows) {
    int64_t taps = 0;
    for (int i = 0; i < n_rows; i++)
        for (int j = 0; j < n_columns; j++)
            taps += rows[i].n_boxes * columns[j].n_boxes *
                    conv2d_box_count_taps(rows[i].taps & columns[j].taps);
    return taps;
}

// ---- the box ------------------------------------------------------------------------------------

static bool is_matrix_product(const struct conv2d_boxes *boxes,
                              const struct conv2d_box_extents *of) {
    return boxes->n_taps == 1 && boxes->taps[0].x == 0 && boxes->taps[0].y == 0 &&
           of->w == of->w_source && of->h == of->h_source && !boxes->is_spread;
}

static void choose_box(const struct conv2d_boxes *boxes, struct conv2d_box_group *group) {
    const struct conv2d_box_extents *of = &group->extents;
    struct run columns[MOST_RUNS], rows[MOST_RUNS];
    int64_t fewest = INT64_MAX;
    for (int width = least(of->w, CONV2D_BOX_PIXELS); width >= 1; width--) {
        int n_columns = list_runs(boxes, group, COLUMNS, width, columns);
        for (int height = 1; height <= least(of->h, CONV2D_BOX_PIXELS / width); height++) {
            int images = least(CONV2D_BOX_PIXELS / (width * height), of->n);
            int n_rows = list_runs(boxes, group, ROWS, height, rows);
            int64_t taps = count_live(columns, n_columns, rows, n_rows) * divide_up(of->n, images);
            if (taps < fewest) {
                fewest = taps;
                group->box_n = images;
                group->box_h = height;
                group->box_w = width;
            }
        }
    }
}

void conv2d_boxes_choose(struct conv2d_boxes *boxes) {
    for (int g = 0; g < boxes->n_groups; g++) {
        struct conv2d_box_extents *of = &boxes->groups[g].extents;
        if (is_matrix_product(boxes, of)) {
            of->w = of->w_source = of->n * of->h * of->w;
            of->h = of->h_source = of->n = 1;
        }
        choose_box(boxes, &boxes->groups[g]);
    }
}

// ---- tiles --------------------------------------------------------------------------------------

static int count_of_group(const struct conv2d_box_group *group) {
    return divide_up(group->extents.w, group->box_w) * divide_up(group->extents.h, group->box_h) *
           divide_up(group->extents.n, group->box_n);
}

int conv2d_boxes_count(const struct conv2d_boxes *boxes) {
    int n_tiles = 0;
    for (int g = 0; g < boxes->n_groups; g++)
        n_tiles += count_of_group(&boxes->groups[g]);
    return n_tiles;
}

static int compare_tiles(const void *a, const void *b) {
    const struct conv2d_box_tile *left = a, *right = b;
    int n_left = conv2d_box_count_taps(left->taps), n_right = conv2d_box_count_taps(right->taps);
    if (n_left != n_right)
        return n_right - n_left;
    if (left->taps != right->taps)
        return left->taps < right->taps ? -1 : 1;
    if (left->group != right->group)
        return left->group - right->group;
    if (left->n != right->n)
        return left->n - right->n;
    return left->y != right->y ? left->y - right->y : left->x - right->x;
}

void conv2d_boxes_list(const struct conv2d_boxes *boxes, struct conv2d_box_tile *tiles) {
    for (int g = 0; g < boxes->n_groups; g++) {
        const struct conv2d_box_group *group = &boxes->groups[g];
        int n_x = divide_up(group->extents.w, group->box_w);
        int n_y = divide_up(group->extents.h, group->box_h);
        int n_tiles = count_of_group(group);
        for (int i = 0; i < n_tiles; i++) {
            struct conv2d_box_tile *tile = &tiles[i];
            tile->x = i % n_x * group->box_w;
            tile->y = i / n_x % n_y * group->box_h;
            tile->n = i / n_x / n_y * group->box_n;
            tile->group = g;
            tile->taps = live_taps(boxes, group, COLUMNS, tile->x, group->box_w) &
                         live_taps(boxes, group, ROWS, tile->y, group->box_h);
        }
        qsort(tiles, (size_t)n_tiles, sizeof *tiles, compare_tiles);
        tiles += n_tiles;
    }
}

int conv2d_boxes_pair(const struct conv2d_boxes *boxes, struct conv2d_box_tile *tiles,
                      int n_tiles) {
    int at = 0; // a group's first tile
    for (int g = 0; g < boxes->n_groups; g++) {
        const struct conv2d_box_group *group = &boxes->groups[g];
        int end = least(at + count_of_group(group), n_tiles);
        if ((end - at) % 2 != 0) {
            memmove(&tiles[end + 1], &tiles[end], (size_t)(n_tiles - end) * sizeof *tiles);
            tiles[end] = tiles[end - 1];
            tiles[end++].n = divide_up(group->extents.n, group->box_n) * group->box_n;
            n_tiles++;
        }
        at = end;
    }
    for (int i = 0; i < n_tiles; i += 2)
        tiles[i].taps = tiles[i + 1].taps = tiles[i].taps | tiles[i + 1].taps;
    if (boxes->n_groups > 1)
        qsort(tiles, (size_t)n_tiles / 2, 2 * sizeof *tiles, compare_tiles);
    return n_tiles;
}
