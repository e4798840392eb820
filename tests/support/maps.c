// SPDX-License-Identifier: MIT
#include "support/maps.h"

#include "base/random.h"
#include "support/outputs.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

uint8_t *maps_empty(struct arena *arena, size_t count) {
    return (uint8_t *)arena_floats(arena, count / sizeof(float) + 1);
}

uint8_t *maps_random(struct arena *arena, uint64_t seed, size_t count, int n_categories,
                     double ignore_share) {
    uint8_t *out = maps_empty(arena, count);
    struct random_stream stream;
    random_stream_init(&stream, seed, RANDOM_TEST, 1, 0);
    for (size_t i = 0; i < count; i++) {
        uint32_t category = random_below(&stream, (uint32_t)n_categories);
        out[i] = random_uniform(&stream) < ignore_share ? ADELE_IGNORE : (uint8_t)category;
    }
    return out;
}

uint8_t *maps_download(struct arena *arena, const void *from, size_t count) {
    uint8_t *out = maps_empty(arena, count);
    assert_int_equal(arena->device->iface->download(arena->device, out, from, count), ADELE_OK);
    outputs_add(out, count);
    return out;
}
