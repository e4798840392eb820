// SPDX-License-Identifier: MIT
#include "noise/noise_kinds.h"

#include "base/fail.h"
#include "base/memory.h"
#include "noise/noise_objects.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

// More corners than four for each edge of a pixel change nothing.
#define CORNERS_PER_EDGE 4.0

struct coarse {
    struct noise_objects objects;
    uint8_t *is_visited; // (H, W): the upper edge of the pixel is part of a contour that is drawn
    uint8_t
        *crossings; // (H, W + 1): odd numbers of lines that cross the row just before the centre
    int i_object;
};

// ---- contours -----------------------------------------------------------------------------------

// A place on a contour: a corner of pixels and the direction of the next edge, with the object on
// the right-hand side. Directions: right, down, left, up; y points down.
struct place {
    int y, x, direction;
};
static const int step_y[] = {0, 1, 0, -1}, step_x[] = {1, 0, -1, 0};

static bool is_in(const struct coarse *self, int y, int x) {
    const struct noise_objects *objects = &self->objects;
    return y >= 0 && x >= 0 && y < objects->height && x < objects->width &&
           objects->ids[(size_t)y * (size_t)objects->width + (size_t)x] ==
               (uint32_t)self->i_object + 1;
}

// To the end of the edge, and around the corner there. Pixels that only touch at this corner are of
// one object, so the contour turns to the left, along the other pixel.
static void advance(const struct coarse *self, struct place *place) {
    static const int left_y[] = {-1, 0, 0, -1}, left_x[] = {0, 0, -1, -1};
    static const int right_y[] = {0, 0, -1, -1}, right_x[] = {0, -1, -1, 0};
    int d = place->direction;
    place->y += step_y[d];
    place->x += step_x[d];
    if (is_in(self, place->y + left_y[d], place->x + left_x[d]))
        place->direction = (d + 3) % 4;
    else if (!is_in(self, place->y + right_y[d], place->x + right_x[d]))
        place->direction = (d + 1) % 4;
}

// The number of edges of the contour, whose upper edges are marked.
static int measure(struct coarse *self, struct place start) {
    struct place place = start;
    int n = 0;
    do {
        if (place.direction == 0)
            self->is_visited[(size_t)place.y * (size_t)self->objects.width + (size_t)place.x] = 1;
        advance(self, &place);
        n++;
    } while (place.y != start.y || place.x != start.x || place.direction != start.direction);
    return n;
}

// ---- polygons -----------------------------------------------------------------------------------

struct point {
    double y, x;
};

// Marks, in each row whose centre the line crosses, the first pixel whose centre is not before it.
static void draw_line(struct coarse *self, struct point a, struct point b) {
    int width = self->objects.width;
    int first = (int)floor(fmin(a.y, b.y)), last = (int)ceil(fmax(a.y, b.y));
    for (int y = first; y < last; y++) {
        double centre = y + 0.5;
        if ((a.y <= centre) == (b.y <= centre))
            continue;
        double x = a.x + (centre - a.y) / (b.y - a.y) * (b.x - a.x);
        self->crossings[(size_t)y * ((size_t)width + 1) + (size_t)ceil(x - 0.5)] ^= 1;
    }
}

static void draw_contour(struct coarse *self, struct place start, double n_corners, double phase) {
    int n_edges = measure(self, start), k = 0;
    int n = (int)fmin(n_corners, CORNERS_PER_EDGE * n_edges);
    struct place place = start;
    struct point first = {0, 0}, previous = {0, 0};
    for (int i = 0; i < n_edges; i++) {
        for (; k < n; k++) {
            double way = (k + phase) * n_edges / n - i;
            if (way >= 1)
                break;
            struct point corner = {place.y + way * step_y[place.direction],
                                   place.x + way * step_x[place.direction]};
            if (k == 0)
                first = corner;
            else
                draw_line(self, previous, corner);
            previous = corner;
        }
        advance(self, &place);
    }
    draw_line(self, previous, first);
}

// ---- objects ------------------------------------------------------------------------------------

static void fill_shape(struct coarse *self, const struct noise_object *object, uint8_t *out) {
    size_t width = (size_t)self->objects.width;
    for (int y = object->top; y < object->top + object->height; y++) {
        uint8_t *crossings = self->crossings + (size_t)y * (width + 1);
        uint8_t *row = out + (size_t)y * width;
        bool is_inside = false;
        for (int x = object->left + object->width - 1; x >= object->left; x--) {
            is_inside ^= crossings[x + 1] != 0;
            crossings[x + 1] = 0;
            bool was_inside = is_in(self, y, x);
            if (was_inside && !is_inside)
                row[x] = 0;
            else if (!was_inside && is_inside && row[x] == 0)
                row[x] = object->category;
        }
        crossings[object->left] = 0;
    }
}

static void draw_object(struct coarse *self, int i, double n_corners, struct random_stream *stream,
                        uint8_t *out) {
    const struct noise_object *object = &self->objects.list[i];
    self->i_object = i;
    for (int y = object->top; y < object->top + object->height; y++)
        for (int x = object->left; x < object->left + object->width; x++)
            if (is_in(self, y, x) && !is_in(self, y - 1, x) &&
                !self->is_visited[(size_t)y * (size_t)self->objects.width + (size_t)x])
                draw_contour(self, (struct place){y, x, 0}, n_corners, random_uniform(stream));
    fill_shape(self, object, out);
}

static void coarse_deinit(struct coarse *self) {
    noise_objects_deinit(&self->objects);
    memory_free(self->is_visited);
    memory_free(self->crossings);
}

adele_status noise_coarse(const uint8_t *clean, int height, int width, int low, int high,
                          double strength, struct random_stream stream, uint8_t *out) {
    CLEANUP(coarse_deinit) struct coarse self = {.i_object = 0};
    size_t n_pixels = (size_t)height * (size_t)width;
    if (low < 3 || high < low || !(strength > 0))
        return FAIL(ADELE_INVALID_ARGUMENT, "Give a range from 3 on, the lower number first.",
                    "polygons of %d to %d corners at strength %g", low, high, strength);
    memcpy(out, clean, n_pixels);
    TRY(noise_objects_find(clean, height, width, &self.objects));
    TRY(ALLOCATE(&self.is_visited, n_pixels));
    TRY(ALLOCATE(&self.crossings, n_pixels + (size_t)height));
    for (int i = 0; i < self.objects.n; i++) {
        struct random_stream own;
        random_stream_split(&stream, &own);
        double n = floor(random_range(&own, low, high + 1) / strength);
        draw_object(&self, i, fmax(3, n), &own, out);
    }
    return ADELE_OK;
}
