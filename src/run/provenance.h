// SPDX-License-Identifier: MIT
// What made a result: the build, and what its device computes with. Results are the same bytes when
// all rows are the same, so checkpoints and config.resolved.yaml contain them, and a run that is
// resumed elsewhere logs which ones differ. The number of threads is not a row, because a run's
// files do not depend on it.
#ifndef ADELE_RUN_PROVENANCE_H
#define ADELE_RUN_PROVENANCE_H

#include "base/safetensors.h"
#include "device/device.h"

#include <stdbool.h>

enum provenance_row {
    PROVENANCE_VERSION,         // of adele: "0.1.0"
    PROVENANCE_COMPILER,        // "gcc 12.2.0"
    PROVENANCE_DEVICE,          // its kind: "cpu", "cuda"
    PROVENANCE_ENGINE,          // "auto", "direct"
    PROVENANCE_INSTRUCTION_SET, // "avx2", "sm_90"
    PROVENANCE_LIBRARIES,       // "oneDNN 2.6.3, glibc 2.36"
    PROVENANCE_COUNT
};

#define PROVENANCE_BYTES 128
struct provenance {
    char rows[PROVENANCE_COUNT][PROVENANCE_BYTES]; // "" = not known
};

void provenance_of(const struct adele_device *device, struct provenance *out);
const char *provenance_row_name(enum provenance_row row); // in messages: "instruction set"
const char *provenance_compiler(void);

// As metadata of a checkpoint: "adele.version", "made.compiler", "made.device", "made.engine",
// "made.instruction_set" and "made.libraries".
ADELE_MUST_CHECK adele_status provenance_add(const struct provenance *self,
                                             struct safetensors_writer *writer);
// From a checkpoint that was written before there were such rows, all are "".
void provenance_read(const struct safetensors *file, struct provenance *out);

// A row that is "" on one side does not count as a difference.
bool provenance_is_same(const struct provenance *a, const struct provenance *b);

#define PROVENANCE_LINE_BYTES (PROVENANCE_COUNT * (PROVENANCE_BYTES + 24)) // is always enough
// "adele 0.1.0 / compiler gcc 12.2.0 / device cpu / engine auto / instruction set avx2 / ...".
void provenance_print(const struct provenance *self, char *out, size_t bytes);
// The rows of `self` that differ from those of `other`: "device cpu / instruction set avx2".
void provenance_print_differences(const struct provenance *self, const struct provenance *other,
                                  char *out, size_t bytes);
#endif
