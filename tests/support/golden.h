// SPDX-License-Identifier: MIT
// Golden files: results of other programs for seeded inputs, in the folder that the environment
// variable ADELE_GOLDEN_DIR names, else in the one the build names. Each helper fails the running
// CMocka test when the file or the array is not as expected.
#ifndef ADELE_TESTS_GOLDEN_H
#define ADELE_TESTS_GOLDEN_H

#include "base/safetensors.h"
#include <stddef.h>
#include <stdint.h>

// The path of `file` under ADELE_GOLDEN_DIR or, if unset, under `default_folder`.
void golden_path_in(const char *default_folder, const char *file, char *out, size_t out_bytes);
// Opens the file; close with safetensors_close.
struct safetensors *golden_open_in(const char *default_folder, const char *file);

#ifdef ADELE_GOLDEN_DIR_DEFAULT
#define golden_path(file, out, out_bytes)                                                          \
    golden_path_in(ADELE_GOLDEN_DIR_DEFAULT, (file), (out), (out_bytes))
#define golden_open(file) golden_open_in(ADELE_GOLDEN_DIR_DEFAULT, (file))
#endif

// The entry of that name, which must be there.
const struct safetensors_entry *golden_entry(const struct safetensors *file, const char *name);
// Copies, in new storage that the caller frees with free(); *n_elements may be NULL.
float *golden_f32(const struct safetensors *file, const char *name, int64_t *n_elements);
uint8_t *golden_u8(const struct safetensors *file, const char *name, int64_t *n_elements);
// Scalars of the metadata; "True" and "False" are 1 and 0.
const char *golden_text(const struct safetensors *file, const char *key);
double golden_number(const struct safetensors *file, const char *key);
// A list such as "[1, 3]" or "1.0, 0.7": returns how many, at most `capacity`, went to out.
int golden_numbers(const struct safetensors *file, const char *key, int capacity, double *out);
#endif
