// SPDX-License-Identifier: MIT
#include "reference/reference.h"

#include "base/random.h"

#include <math.h>

// Word i of the stream, by the block that it is in.
static uint32_t word_of(uint64_t seed, uint32_t stream, int64_t i) {
    uint32_t counter[4] = {(uint32_t)(i / 4), stream, 0, RANDOM_INIT};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t out[4];
    random_philox(counter, key, out);
    return out[i % 4];
}

void reference_initialize_forward(const struct adele_initialize_desc *desc,
                                  const struct adele_initialize_args *args) {
    for (int k = 0; k < desc->n_items; k++) {
        const struct adele_initialize_item *item = &desc->items[k];
        for (int64_t i = 0; i < item->count; i++) {
            double value = item->spread;
            if (item->kind == ADELE_INITIAL_UNIFORM)
                value = item->spread * (2.0 * word_of(desc->seed, item->stream, i) / 0x1p32 - 1.0);
            if (item->kind == ADELE_INITIAL_NORMAL)
                value *=
                    sqrt(-2.0 * log((word_of(desc->seed, item->stream, 2 * i) + 1.0) / 0x1p32)) *
                    cos(2.0 * 3.14159265358979323846 *
                        (word_of(desc->seed, item->stream, 2 * i + 1) / 0x1p32));
            args->values[item->offset + i] = (float)value;
        }
    }
}
