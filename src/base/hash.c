// SPDX-License-Identifier: MIT
#include "base/hash.h"

#include <xxhash.h>

uint64_t hash_xxh3(const void *data, size_t bytes) {
    return XXH3_64bits(data, bytes);
}

void hash_xxh3_hex(const void *data, size_t bytes, char out[17]) {
    uint64_t hash = hash_xxh3(data, bytes);
    for (int i = 0; i < 16; i++)
        out[i] = "0123456789abcdef"[(hash >> (60 - 4 * i)) & 15u];
    out[16] = '\0';
}
