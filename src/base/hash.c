// SPDX-License-Identifier: MIT
#include "base/hash.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#define BLOCK_BYTES ((size_t)1 << 20)

static void to_hex(uint64_t hash, char out[HASH_HEX_BYTES]) {
    for (int i = 0; i < HASH_HEX_BYTES - 1; i++)
        out[i] = "0123456789abcdef"[(hash >> (60 - 4 * i)) & 15u];
    out[HASH_HEX_BYTES - 1] = '\0';
}

uint64_t hash_xxh3(const void *data, size_t bytes) {
    return XXH3_64bits(data, bytes);
}

void hash_xxh3_hex(const void *data, size_t bytes, char out[HASH_HEX_BYTES]) {
    to_hex(hash_xxh3(data, bytes), out);
}

static adele_status hash_all(int fd, const char *path, XXH3_state_t *state, int64_t *out_bytes) {
    OWNED char *block = NULL;
    TRY(ALLOCATE(&block, BLOCK_BYTES));
    *out_bytes = 0;
    for (;;) {
        ssize_t n = read(fd, block, BLOCK_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return FAIL_ERRNO("read", path, errno);
        if (n <= 0)
            break;
        *out_bytes += n;
        (void)XXH3_64bits_update(state, block, (size_t)n); // fails for NULL only
    }
    return ADELE_OK;
}

adele_status hash_file_hex(const char *path, char out[HASH_HEX_BYTES], int64_t *out_bytes) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return FAIL_ERRNO("open", path, errno);
    XXH3_state_t *state = XXH3_createState();
    adele_status status = CHECK_MEMORY(state);
    if (status == ADELE_OK) {
        (void)XXH3_64bits_reset(state); // fails for NULL only
        status = hash_all(fd, path, state, out_bytes);
    }
    if (status == ADELE_OK)
        to_hex(XXH3_64bits_digest(state), out);
    (void)XXH3_freeState(state);
    (void)close(fd);
    return status;
}
