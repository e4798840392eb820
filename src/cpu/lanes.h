// SPDX-License-Identifier: MIT
// Vectors of eight floats, the unit in which the CPU loops process a pixel's channel block (one
// vector for a block of 8, two for 16). They are the compiler's own vectors, so the same source
// becomes SSE, AVX2 or AVX-512 code, see CPU_KERNEL.
#ifndef ADELE_CPU_LANES_H
#define ADELE_CPU_LANES_H

#include "cpu/isa.h"

#include <stdint.h>

#define LANES 8

typedef float lanes __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t lanes_mask __attribute__((vector_size(32), aligned(4), may_alias));
typedef float half_lanes __attribute__((vector_size(16), aligned(4), may_alias));
typedef double half_lanes_double __attribute__((vector_size(32), aligned(8), may_alias));

#define LANES_AT(pointer)       (*(const lanes *)(pointer))
#define LANES_STORE(pointer, v) (*(lanes *)(pointer) = (v))
// Where a bit of the mask is clear the value becomes +0.
#define LANES_KEEP(v, mask) ((lanes)((lanes_mask)(v) & (mask)))

#endif
