// SPDX-License-Identifier: MIT
#include "noise/noise_objects.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/label_lookup.h"

#include <string.h>

void noise_objects_deinit(struct noise_objects *objects) {
    memory_free(objects->list);
    memory_free(objects->ids);
    *objects = (struct noise_objects){0};
}

// Gives the neighbours of pixel (y, x) that belong to the same object its number, and puts them
// onto the stack.
static void visit_neighbours(const uint8_t *labels, struct noise_objects *self, uint32_t at,
                             uint32_t *stack, size_t *n_stack) {
    int y = (int)(at / (uint32_t)self->width), x = (int)(at % (uint32_t)self->width);
    for (int i = y - 1; i <= y + 1; i++) {
        for (int j = x - 1; j <= x + 1; j++) {
            if (i < 0 || j < 0 || i >= self->height || j >= self->width)
                continue;
            size_t next = (size_t)i * (size_t)self->width + (size_t)j;
            if (self->ids[next] != 0 || labels[next] != labels[at])
                continue;
            self->ids[next] = self->ids[at];
            stack[(*n_stack)++] = (uint32_t)next;
        }
    }
}

// The object of pixel `first`, whose number is already there. Each pixel is put onto the stack
// once, so the stack needs room for all pixels.
static void fill(const uint8_t *labels, struct noise_objects *self, uint32_t first,
                 uint32_t *stack) {
    int top = self->height, left = self->width, bottom = 0, right = 0;
    size_t n_stack = 0;
    stack[n_stack++] = first;
    while (n_stack > 0) {
        uint32_t at = stack[--n_stack];
        int y = (int)(at / (uint32_t)self->width), x = (int)(at % (uint32_t)self->width);
        top = y < top ? y : top;
        left = x < left ? x : left;
        bottom = y > bottom ? y : bottom;
        right = x > right ? x : right;
        visit_neighbours(labels, self, at, stack, &n_stack);
    }
    self->list[self->n - 1] =
        (struct noise_object){labels[first], top, left, bottom - top + 1, right - left + 1};
}

adele_status noise_objects_find(const uint8_t *labels, int height, int width,
                                struct noise_objects *out) {
    size_t n_pixels = (size_t)height * (size_t)width;
    OWNED uint32_t *stack = NULL;
    *out = (struct noise_objects){.height = height, .width = width};
    TRY(ALLOCATE(&out->ids, n_pixels));
    TRY(ALLOCATE(&stack, n_pixels));
    for (size_t i = 0; i < n_pixels; i++) {
        if (labels[i] == 0 || labels[i] == LABEL_IGNORE || out->ids[i] != 0)
            continue;
        TRY(GROW(&out->list, out->n));
        out->ids[i] = (uint32_t)++out->n;
        fill(labels, out, (uint32_t)i, stack);
    }
    return ADELE_OK;
}

// The pixels of object i get another category.
static void paint(const struct noise_objects *objects, int i, uint8_t category, uint8_t *out) {
    const struct noise_object *object = &objects->list[i];
    for (int y = object->top; y < object->top + object->height; y++) {
        for (int x = object->left; x < object->left + object->width; x++) {
            size_t at = (size_t)y * (size_t)objects->width + (size_t)x;
            if (objects->ids[at] == (uint32_t)i + 1)
                out[at] = category;
        }
    }
}

adele_status noise_missing(const uint8_t *clean, int height, int width, double share,
                           struct random_stream stream, uint8_t *out) {
    CLEANUP(noise_objects_deinit) struct noise_objects objects = {0};
    memcpy(out, clean, (size_t)height * (size_t)width);
    TRY(noise_objects_find(clean, height, width, &objects));
    for (int i = 0; i < objects.n; i++) {
        struct random_stream own;
        random_stream_split(&stream, &own);
        if (random_uniform(&own) < share)
            paint(&objects, i, 0, out);
    }
    return ADELE_OK;
}

static void copy_object(const struct noise_objects *objects, int i, struct random_stream *stream,
                        uint8_t *out) {
    const struct noise_object *object = &objects->list[i];
    int top = (int)random_below(stream, (uint32_t)(objects->height - object->height + 1));
    int left = (int)random_below(stream, (uint32_t)(objects->width - object->width + 1));
    for (int y = 0; y < object->height; y++) {
        const uint32_t *ids =
            objects->ids + (size_t)(object->top + y) * (size_t)objects->width + object->left;
        uint8_t *row = out + (size_t)(top + y) * (size_t)objects->width + left;
        for (int x = 0; x < object->width; x++)
            if (ids[x] == (uint32_t)i + 1 && row[x] == 0)
                row[x] = object->category;
    }
}

adele_status noise_extra(const uint8_t *clean, int height, int width, double n_copies,
                         struct random_stream stream, uint8_t *out) {
    CLEANUP(noise_objects_deinit) struct noise_objects objects = {0};
    int whole = (int)n_copies;
    memcpy(out, clean, (size_t)height * (size_t)width);
    TRY(noise_objects_find(clean, height, width, &objects));
    for (int i = 0; i < objects.n; i++) {
        struct random_stream own;
        random_stream_split(&stream, &own);
        int n = whole + (random_uniform(&own) < n_copies - whole);
        for (int k = 0; k < n; k++)
            copy_object(&objects, i, &own, out);
    }
    return ADELE_OK;
}

adele_status noise_confuse(const uint8_t *clean, int height, int width, int n_categories,
                           double share, struct random_stream stream, uint8_t *out) {
    CLEANUP(noise_objects_deinit) struct noise_objects objects = {0};
    if (n_categories < 3)
        return FAIL(ADELE_INVALID_ARGUMENT,
                    "Use another kind, such as boundary, or labels of two classes or more beside "
                    "the background.",
                    "noise that confuses the classes of %d class", n_categories - 1);
    memcpy(out, clean, (size_t)height * (size_t)width);
    TRY(noise_objects_find(clean, height, width, &objects));
    for (int i = 0; i < objects.n; i++) {
        struct random_stream own;
        random_stream_split(&stream, &own);
        double draw = random_uniform(&own);
        int other = 1 + (int)random_below(&own, (uint32_t)n_categories - 2);
        if (draw < share)
            paint(&objects, i, (uint8_t)(other + (other >= objects.list[i].category)), out);
    }
    return ADELE_OK;
}
