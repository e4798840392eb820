// SPDX-License-Identifier: MIT
#include "support/plain_noise.h"

#include "image/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// A stream keyed by the next two numbers.
static struct random_stream next_stream(struct random_stream *parent) {
    struct random_stream own = {.key = {random_u32(parent), 0}, .n_used = 4};
    own.key[1] = random_u32(parent);
    own.counter[3] = RANDOM_TEST;
    return own;
}

static int at(const uint8_t *map, int height, int width, int y, int x) {
    return y < 0 || x < 0 || y >= height || x >= width ? -1 : map[y * width + x];
}

// ---- boundary -----------------------------------------------------------------------------------

static double plain_bias(double grid[6][6], double outward, double y, double x) {
    int i = (int)(y * 5), j = (int)(x * 5);
    double v = y * 5 - i, u = x * 5 - j;
    double value = (1 - v) * ((1 - u) * grid[i][j] + u * grid[i][j + 1]) +
                   v * ((1 - u) * grid[i + 1][j] + u * grid[i + 1][j + 1]);
    double bias = 0.5 + 4 * (value - (1.125 - 1.25 * outward));
    return bias < 0 ? 0 : bias > 1 ? 1 : bias;
}

static void plain_steps(uint8_t *mask, int h, int w, double n_steps, double outward,
                        struct random_stream stream) {
    double grid[6][6];
    uint8_t *before = malloc((size_t)(h * w));
    for (int i = 0; i < 36; i++)
        grid[i / 6][i % 6] = random_uniform(&stream);
    for (double left = n_steps; left > 0; left -= 1) {
        memcpy(before, mask, (size_t)(h * w));
        for (int y = 0; y < h; y++) {
            for (int x = 0; x < w; x++) {
                int here = at(before, h, w, y, x);
                int around[] = {at(before, h, w, y - 1, x), at(before, h, w, y + 1, x),
                                at(before, h, w, y, x - 1), at(before, h, w, y, x + 1)};
                bool is_contour = false;
                for (int k = 0; k < 4; k++)
                    is_contour |= around[k] == 1 - here;
                if (!is_contour)
                    continue;
                double bias = plain_bias(grid, outward, (y + 0.5) * PLAIN_SIZE / h / PLAIN_SIZE,
                                         (x + 0.5) * PLAIN_SIZE / w / PLAIN_SIZE);
                double chance = (here == 1 ? 1 - bias : bias) * 0.5 * (left < 1 ? left : 1);
                if (random_uniform(&stream) < chance)
                    mask[y * w + x] = (uint8_t)(1 - here);
            }
        }
    }
    free(before);
}

static void resize_mask(const uint8_t *mask, int h, int w, uint8_t *out, int out_h, int out_w) {
    float *from = malloc(sizeof(float) * (size_t)(h * w));
    float *to = malloc(sizeof(float) * (size_t)(out_h * out_w));
    for (int i = 0; i < h * w; i++)
        from[i] = mask[i];
    assert_int_equal(resize_cubic_f32(from, h, w, to, out_h, out_w), ADELE_OK);
    for (int i = 0; i < out_h * out_w; i++)
        out[i] = to[i] > 0.5F;
    free(from);
    free(to);
}

void plain_boundary(const uint8_t *clean, double n_steps, double outward,
                    struct random_stream stream, uint8_t *out) {
    static const int order[] = {1, 3, 2};
    memcpy(out, clean, PLAIN_PIXELS);
    for (int k = 0; k < 3; k++) {
        uint8_t mask[PLAIN_PIXELS], was[PLAIN_PIXELS], is[PLAIN_PIXELS];
        int area = 0;
        for (int i = 0; i < PLAIN_PIXELS; i++)
            area += mask[i] = clean[i] == order[k];
        int n = (int)lrint(PLAIN_SIZE * sqrt(1000.0 / area));
        uint8_t *small = malloc((size_t)(n * n));
        resize_mask(mask, PLAIN_SIZE, PLAIN_SIZE, small, n, n);
        resize_mask(small, n, n, was, PLAIN_SIZE, PLAIN_SIZE);
        plain_steps(small, n, n, n_steps, outward, next_stream(&stream));
        resize_mask(small, n, n, is, PLAIN_SIZE, PLAIN_SIZE);
        for (int i = 0; i < PLAIN_PIXELS; i++) {
            if (was[i] && !is[i] && out[i] == order[k])
                out[i] = 0;
            else if (!was[i] && is[i] && out[i] == 0)
                out[i] = (uint8_t)order[k];
        }
        free(small);
    }
}

// ---- objects ------------------------------------------------------------------------------------

// 1 + the first pixel of each pixel's object: the smallest number spreads until nothing changes.
static void plain_objects(const uint8_t *map, int first[PLAIN_PIXELS]) {
    bool has_changed = true;
    for (int i = 0; i < PLAIN_PIXELS; i++)
        first[i] = map[i] == 0 || map[i] == 255 ? 0 : i + 1;
    while (has_changed) {
        has_changed = false;
        for (int i = 0; i < PLAIN_PIXELS; i++) {
            for (int k = 0; k < 9 && first[i] != 0; k++) {
                int y = i / PLAIN_SIZE + k / 3 - 1, x = i % PLAIN_SIZE + k % 3 - 1;
                if (at(map, PLAIN_SIZE, PLAIN_SIZE, y, x) != map[i] ||
                    first[y * PLAIN_SIZE + x] >= first[i])
                    continue;
                first[i] = first[y * PLAIN_SIZE + x];
                has_changed = true;
            }
        }
    }
}

static void plain_copy(const int *first, int id, uint8_t category, struct random_stream *stream,
                       uint8_t *out) {
    int top = PLAIN_SIZE, left = PLAIN_SIZE, bottom = 0, right = 0;
    for (int i = 0; i < PLAIN_PIXELS; i++) {
        if (first[i] != id)
            continue;
        top = i / PLAIN_SIZE < top ? i / PLAIN_SIZE : top;
        bottom = i / PLAIN_SIZE > bottom ? i / PLAIN_SIZE : bottom;
        left = i % PLAIN_SIZE < left ? i % PLAIN_SIZE : left;
        right = i % PLAIN_SIZE > right ? i % PLAIN_SIZE : right;
    }
    int down = (int)random_below(stream, (uint32_t)(PLAIN_SIZE - (bottom - top))) - top;
    int across = (int)random_below(stream, (uint32_t)(PLAIN_SIZE - (right - left))) - left;
    for (int i = 0; i < PLAIN_PIXELS; i++) {
        int to = (i / PLAIN_SIZE + down) * PLAIN_SIZE + i % PLAIN_SIZE + across;
        if (first[i] == id && out[to] == 0)
            out[to] = category;
    }
}

void plain_whole(enum plain_whole kind, const uint8_t *clean, double share,
                 struct random_stream stream, uint8_t *out) {
    int first[PLAIN_PIXELS];
    plain_objects(clean, first);
    memcpy(out, clean, PLAIN_PIXELS);
    for (int i = 0; i < PLAIN_PIXELS; i++) {
        if (first[i] != i + 1)
            continue;
        struct random_stream own = next_stream(&stream);
        double draw = random_uniform(&own);
        uint8_t category = clean[i];
        if (kind == PLAIN_EXTRA) {
            for (double rest = share; rest > draw; rest -= 1)
                plain_copy(first, i + 1, category, &own, out);
            continue;
        }
        static const uint8_t others[4][2] = {{0, 0}, {2, 3}, {1, 3}, {1, 2}};
        uint8_t other = kind == PLAIN_MISSING ? 0 : others[category][random_below(&own, 2)];
        for (int k = 0; k < PLAIN_PIXELS && draw < share; k++)
            if (first[k] == i + 1)
                out[k] = other;
    }
}

// ---- coarse -------------------------------------------------------------------------------------

struct point {
    double y, x;
};
// One side of a pixel, with the object on its right-hand side.
struct side {
    int y, x, down, right;
    bool is_used;
};

// All sides of the object's pixels, first the upper ones in the order of the pixels.
static int plain_sides(const int *first, int id, struct side *sides) {
    static const int from[4][2] = {{0, 0}, {0, 1}, {1, 1}, {1, 0}};
    static const int way[4][2] = {{0, 1}, {1, 0}, {0, -1}, {-1, 0}};
    static const int beside[4][2] = {{-1, 0}, {0, 1}, {1, 0}, {0, -1}};
    int n = 0;
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < PLAIN_PIXELS; i++) {
            int y = i / PLAIN_SIZE + beside[k][0], x = i % PLAIN_SIZE + beside[k][1];
            bool is_inside = y >= 0 && x >= 0 && y < PLAIN_SIZE && x < PLAIN_SIZE &&
                             first[y * PLAIN_SIZE + x] == id;
            if (first[i] == id && !is_inside)
                sides[n++] = (struct side){i / PLAIN_SIZE + from[k][0], i % PLAIN_SIZE + from[k][1],
                                           way[k][0], way[k][1], false};
        }
    }
    return n;
}

// The side that goes on from the end of a side; of two, the one that turns to the left.
static struct side *plain_next(struct side *sides, int n, const struct side *side) {
    struct side *next = NULL;
    for (int i = 0; i < n; i++) {
        struct side *other = &sides[i];
        if (other->y != side->y + side->down || other->x != side->x + side->right)
            continue;
        bool is_left = other->down == -side->right && other->right == side->down;
        if (next == NULL || is_left)
            next = other;
    }
    return next;
}

// The corners of the contour that begins with `start`, whose sides become used.
static int plain_corners(struct side *sides, int n_sides, struct side *start, double n_wanted,
                         double phase, struct point *corners) {
    struct side *contour[4 * PLAIN_PIXELS];
    int n = 0;
    for (struct side *side = start; n == 0 || side != start;
         side = plain_next(sides, n_sides, side)) {
        side->is_used = true;
        contour[n++] = side;
    }
    int n_corners = n_wanted < 4 * n ? (int)n_wanted : 4 * n;
    for (int k = 0; k < n_corners; k++) {
        double way = (k + phase) * n / n_corners;
        const struct side *side = contour[(int)way];
        way -= (int)way;
        corners[k] = (struct point){side->y + way * side->down, side->x + way * side->right};
    }
    return n_corners;
}

// Every line whose row it is, and that crosses it behind the centre, turns inside to outside.
static void plain_polygon(const struct point *corners, int n, bool is_inside[PLAIN_PIXELS]) {
    for (int k = 0; k < n; k++) {
        struct point a = corners[k], b = corners[(k + 1) % n];
        for (int i = 0; i < PLAIN_PIXELS; i++) {
            double y = i / PLAIN_SIZE + 0.5, x = i % PLAIN_SIZE + 0.5;
            if ((a.y > y) != (b.y > y))
                is_inside[i] ^= x < a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x);
        }
    }
}

void plain_coarse(const uint8_t *clean, int low, int high, double strength,
                  struct random_stream stream, uint8_t *out) {
    static struct side sides[4 * PLAIN_PIXELS];
    static struct point corners[16 * PLAIN_PIXELS];
    int first[PLAIN_PIXELS];
    plain_objects(clean, first);
    memcpy(out, clean, PLAIN_PIXELS);
    for (int i = 0; i < PLAIN_PIXELS; i++) {
        if (first[i] != i + 1)
            continue;
        bool is_inside[PLAIN_PIXELS] = {false};
        struct random_stream own = next_stream(&stream);
        double n = floor((low + (high + 1 - low) * random_uniform(&own)) / strength);
        int n_sides = plain_sides(first, i + 1, sides);
        for (int k = 0; k < n_sides; k++) {
            if (sides[k].is_used || sides[k].right != 1)
                continue;
            double phase = random_uniform(&own);
            int n_corners = plain_corners(sides, n_sides, &sides[k], n < 3 ? 3 : n, phase, corners);
            plain_polygon(corners, n_corners, is_inside);
        }
        for (int k = 0; k < PLAIN_PIXELS; k++) {
            if (first[k] == i + 1 && !is_inside[k])
                out[k] = 0;
            else if (first[k] != i + 1 && is_inside[k] && out[k] == 0)
                out[k] = clean[i];
        }
    }
}

// ---- shift --------------------------------------------------------------------------------------

void plain_shift(const uint8_t *clean, int down, int right, uint8_t *out) {
    for (int i = 0; i < PLAIN_PIXELS; i++) {
        int y = i / PLAIN_SIZE - down, x = i % PLAIN_SIZE - right;
        while (y < 0)
            y++;
        while (y >= PLAIN_SIZE)
            y--;
        while (x < 0)
            x++;
        while (x >= PLAIN_SIZE)
            x--;
        out[i] = clean[y * PLAIN_SIZE + x];
        if (out[i] == 255 || clean[i] == 255)
            out[i] = clean[i];
    }
}
