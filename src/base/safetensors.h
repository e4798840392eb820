// SPDX-License-Identifier: MIT
// Files of named arrays (the safetensors format): 8 bytes of header length, a JSON header, the
// data. The format has no checksum, so the writer stores the XXH3 of each tensor in __metadata__
// under "xxh3.NAME", and under "xxh3" that of the rest of the header (names, dtypes, shapes,
// metadata); the reader verifies the hashes that it finds.
#ifndef ADELE_BASE_SAFETENSORS_H
#define ADELE_BASE_SAFETENSORS_H

#include "adele/status.h"
#include "base/memory.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAFETENSORS_MAX_DIMENSIONS 8

enum safetensors_dtype {
    SAFETENSORS_U8,
    SAFETENSORS_I32,
    SAFETENSORS_I64,
    SAFETENSORS_F16,
    SAFETENSORS_BF16,
    SAFETENSORS_F32,
    SAFETENSORS_F64
};

struct safetensors_entry {
    const char *name;
    enum safetensors_dtype dtype;
    int n_dimensions;
    int64_t shape[SAFETENSORS_MAX_DIMENSIONS];
    const void *data; // C order, little endian; aligned to the element size when our writer wrote
                      // it, else use memcpy
    size_t bytes;
    int64_t n_elements;
};

// ---- reading ------------------------------------------------------------------------------------
struct safetensors; // owns the file's bytes; entries and strings are borrowed until close
// Checks everything: header length, JSON, dtypes, offsets in bounds and without overlap, sizes,
// hashes. ADELE_FORMAT names the file, the tensor and what is wrong.
ADELE_MUST_CHECK adele_status safetensors_open(const char *path, struct safetensors **out);
void safetensors_close(struct safetensors *file); // NULL is legal
OWNER(safetensors_close, struct safetensors)
int safetensors_count(const struct safetensors *file);
const struct safetensors_entry *safetensors_at(const struct safetensors *file, int i);
const struct safetensors_entry *safetensors_find(const struct safetensors *file, const char *name);
const char *safetensors_metadata(const struct safetensors *file, const char *key); // NULL: none
// True when the file has the writer's hashes (our own files); false for a file of another program.
bool safetensors_is_hashed(const struct safetensors *file);
// The entry `name` as f32 of exactly n elements copied to out (from F32, F16, BF16 or F64).
ADELE_MUST_CHECK adele_status safetensors_read_f32(const struct safetensors *file, const char *name,
                                                   int64_t n, float *out);

// ---- writing ------------------------------------------------------------------------------------
struct safetensors_writer;
ADELE_MUST_CHECK adele_status safetensors_writer_create(struct safetensors_writer **out);
void safetensors_writer_destroy(struct safetensors_writer *writer); // NULL is legal
OWNER(safetensors_writer_destroy, struct safetensors_writer)
// `data` is borrowed until safetensors_writer_save. Names are unique.
ADELE_MUST_CHECK adele_status safetensors_writer_add(struct safetensors_writer *writer,
                                                     const char *name, enum safetensors_dtype dtype,
                                                     int n_dimensions, const int64_t *shape,
                                                     const void *data);
ADELE_MUST_CHECK adele_status safetensors_writer_metadata(struct safetensors_writer *writer,
                                                          const char *key, const char *value);
// Writes atomically. Same content, same bytes.
ADELE_MUST_CHECK adele_status safetensors_writer_save(const struct safetensors_writer *writer,
                                                      const char *path);
// The same; the file that is replaced is kept under the name `keep` (file_writer_keep_old). NULL:
// it is deleted.
ADELE_MUST_CHECK adele_status safetensors_writer_save_keeping(
    const struct safetensors_writer *writer, const char *path, const char *keep);
#endif
