// SPDX-License-Identifier: MIT
// The generations of labels in the folder of a run: labels/epoch_NNNN.safetensors, one for each
// correction, and labels/manifest.json, which lists them. The manifest has the hash of each file,
// and each file has hashes of its own, so that a changed bit in either is detected.
#ifndef ADELE_RUN_FOLDER_GENERATIONS_H
#define ADELE_RUN_FOLDER_GENERATIONS_H

#include "base/hash.h"
#include "base/safetensors.h"

struct generation {
    int epoch;                 // of the correction that made it
    char xxh3[HASH_HEX_BYTES]; // of the labels
    long long n_changed;       // pixels against the generation before; -1: not known
};

struct generation_list {
    struct generation *items; // by epoch, ascending
    int n;
};
void generation_list_deinit(struct generation_list *list); // also zeroes it
ADELE_MUST_CHECK adele_status generation_list_add(struct generation_list *list,
                                                  const struct generation *generation);
// NULL: none of that epoch.
const struct generation *generation_list_find(const struct generation_list *list, int epoch);

// RUN/labels/epoch_NNNN.safetensors; NULL when memory is out.
char *generation_path(const char *run_folder, int epoch);

// RUN/labels/manifest.json; empty when there is none. ADELE_FORMAT when some byte of it is
// not as manifest_write writes it.
ADELE_MUST_CHECK adele_status manifest_read(const char *run_folder, struct generation_list *out);
ADELE_MUST_CHECK adele_status manifest_write(const char *run_folder,
                                             const struct generation_list *list);

ADELE_MUST_CHECK adele_status generation_write(const char *path, const int64_t shape[3],
                                               const void *labels, struct generation *generation);
// Opens a generation's file; ADELE_FORMAT when it is damaged or of another epoch. *out is what the
// file says; n_changed is taken from `listed` (NULL: -1) for early files, which lack it. Close
// *file (NULL before), also after an error.
ADELE_MUST_CHECK adele_status generation_open(const char *path, int epoch,
                                              const struct generation *listed,
                                              struct safetensors **file, struct generation *out);
bool generation_same(const struct generation *a, const struct generation *b);
#endif
