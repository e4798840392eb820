// SPDX-License-Identifier: MIT
// What the fuzzers share. Each feeds the bytes to the code that a person's file would reach, checks
// what the code promises about its answer, and aborts when a promise is broken.
#ifndef ADELE_TESTS_FUZZ_FUZZ_H
#define ADELE_TESTS_FUZZ_FUZZ_H

#include "adele/status.h"
#include "image/codec.h"

#include <stddef.h>
#include <stdint.h>

// Bytes that one decoded file may take: far below what the fuzzer's process may have.
#define FUZZ_MEMORY_LIMIT ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

// A file in memory with these bytes; the path is good until the next call. A slot (0..3) has one
// file, so that several are there at a time.
const char *fuzz_file(int i_slot, const void *data, size_t n_bytes);
// A folder of its own for this process; the same at each call.
const char *fuzz_folder(void);
// Writes FOLDER/NAME; makes the folders on the way.
void fuzz_store(const char *name, const void *data, size_t n_bytes);
// A picture format: its header alone (`probe`, `traits`) must say what the whole file says.
struct fuzz_codec {
    adele_status (*probe)(const char *path, int *width, int *height);
    bool (*traits)(const char *path, struct image_traits *out);
    adele_status (*load)(const char *path, bool keep_values, size_t memory_limit,
                         struct image *out);
};
// The bytes as an image and as a label map.
void fuzz_codec(const struct fuzz_codec *codec, const uint8_t *data, size_t n_bytes);
// The file by rows gives the pixels of `image`, what image_load has returned; `loaded` is its
// status.
void fuzz_rows(const char *path, adele_status loaded, const struct image *image);
// A failure has a message, in one line.
void fuzz_check_status(adele_status status);
// Reads every byte, so that a sanitizer sees those that were never written or lie outside.
void fuzz_touch(const void *data, size_t n_bytes);

#define FUZZ_REQUIRE(condition) fuzz_require((condition), #condition)
void fuzz_require(int is_true, const char *text);
#endif
