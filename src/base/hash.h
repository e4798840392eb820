// SPDX-License-Identifier: MIT
// Hashes of blocks and files: XXH3, 64 bits. They detect accidents, not attacks.
#ifndef ADELE_BASE_HASH_H
#define ADELE_BASE_HASH_H
#include "adele/status.h"
#include <stddef.h>
#include <stdint.h>

#define HASH_HEX_BYTES 17 // 16 digits and the NUL

// XXH3, 64 bits, of a block; and as 16 lower-case hexadecimal digits with a NUL.
uint64_t hash_xxh3(const void *data, size_t bytes);
void hash_xxh3_hex(const void *data, size_t bytes, char out[HASH_HEX_BYTES]);
// The same of a file's content, read in pieces; *out_bytes is its size.
ADELE_MUST_CHECK adele_status hash_file_hex(const char *path, char out[HASH_HEX_BYTES],
                                            int64_t *out_bytes);
#endif
