// SPDX-License-Identifier: MIT
// Safetensors: the file itself, or, behind a first byte '{', its header alone with the length put
// before it and the bytes behind the last '}' as data.
#include "base/safetensors.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static size_t add_length(const uint8_t *data, size_t n_bytes, uint8_t *out) {
    size_t n_header = n_bytes;
    while (n_header > 0 && data[n_header - 1] != '}')
        n_header--;
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)((uint64_t)n_header >> (8 * i));
    memcpy(out + 8, data, n_bytes);
    return n_bytes + 8;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    struct safetensors *file = NULL;
    uint8_t *whole = malloc(n_bytes + 8);
    FUZZ_REQUIRE(whole != NULL);
    size_t n = n_bytes;
    if (n_bytes > 0 && data[0] == '{')
        n = add_length(data, n_bytes, whole);
    else if (n_bytes > 0)
        memcpy(whole, data, n_bytes);
    adele_status status = safetensors_open(fuzz_file(0, whole, n), &file);
    fuzz_check_status(status);
    if (status != ADELE_OK) {
        FUZZ_REQUIRE(file == NULL);
        free(whole);
        return 0;
    }
    size_t n_data = 0;
    for (int i = 0; i < safetensors_count(file); i++) {
        const struct safetensors_entry *entry = safetensors_at(file, i);
        fuzz_touch(entry->data, entry->bytes);
        n_data += entry->bytes;
        FUZZ_REQUIRE(safetensors_find(file, entry->name) == entry);
    }
    FUZZ_REQUIRE(n_data < n);
    safetensors_close(file);
    free(whole);
    return 0;
}
