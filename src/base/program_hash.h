// SPDX-License-Identifier: MIT
// Identifies the build by a hash of its code.
#ifndef ADELE_BASE_PROGRAM_HASH_H
#define ADELE_BASE_PROGRAM_HASH_H

#include "base/hash.h"

// XXH3 of the read-only segments (code, constants, kernels) of the program, or of the shared
// library, that holds this function, as they lie in memory; 16 lower-case hexadecimal digits with a
// NUL. The same for each process that runs the same file.
void program_hash_hex(char out[HASH_HEX_BYTES]);
#endif
