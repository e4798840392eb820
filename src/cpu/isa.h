// SPDX-License-Identifier: MIT
// The instruction set that the CPU device uses: one choice, made once when the first CPU device is
// opened, for our own kernels and for oneDNN together. It is the best set that the processor has,
// or a lower one where the environment variable ADELE_CPU_ISA names it. Results are the same bytes
// for the same set on the same kind of processor. Between sets, convolutions add up in another
// order; all other ops give the same bits. With one set, two kinds of processors may still differ
// in the last digits: oneDNN cuts its sums by the sizes of the caches too, and glibc's exp, log and
// cos use FMA where the processor has it, with any set.
#ifndef ADELE_CPU_ISA_H
#define ADELE_CPU_ISA_H

#include "adele/status.h"

#include <stdbool.h>
#include <stdint.h>

enum cpu_isa {
    CPU_ISA_SSE41,       // every processor since 2008 has it
    CPU_ISA_AVX2,        // with FMA
    CPU_ISA_AVX512,      // F, BW, DQ and VL
    CPU_ISA_AVX512_BF16, // products of bf16 pairs
    CPU_ISA_COUNT
};

// Chooses the set on the first successful call; later calls do nothing. Errors: a value of
// ADELE_CPU_ISA that is not a name below, a set that this processor lacks, a processor without
// SSE4.1.
ADELE_MUST_CHECK adele_status cpu_isa_open(void);

// The set in use; CPU_ISA_SSE41 until cpu_isa_open has chosen.
enum cpu_isa cpu_isa(void);

// The best set that this processor has.
enum cpu_isa cpu_isa_best(void);

// "sse41", "avx2", "avx512", "avx512_bf16".
const char *cpu_isa_name(enum cpu_isa isa);

// The set of that name; CPU_ISA_COUNT when there is none.
enum cpu_isa cpu_isa_parse(const char *name);

// Whether this processor, under this operating system, has the set.
bool cpu_isa_is_there(enum cpu_isa isa);

#if defined(__x86_64__)
// What the answer comes from: registers of the instruction CPUID, 0 where the processor has no such
// leaf, and the lower half of XCR0, 0 where the system does not say what it saves. Tests ask for
// processors that they make up.
struct cpu_registers {
    uint32_t leaf1_ecx, leaf7_ebx, leaf7_1_eax, xcr0;
};
bool cpu_isa_is_in(const struct cpu_registers *has, enum cpu_isa isa);
#endif

// A kernel: a function without a result that is compiled for SSE4.1 and below, for AVX2 and for
// AVX-512 from the one body that follows, and that runs as the variant of the set in use.
//
//     CPU_KERNEL(static void, add_row, (float *to, const float *from, size_t n), (to, from, n)) {
//         for (size_t i = 0; i < n; i++)
//             to[i] += from[i];
//     }
//
// The body is inlined into each variant and becomes vector code there. It contains no OpenMP
// directive. Every variant computes the same bits: no multiply-add is contracted and no sum is
// reordered.
#if defined(__x86_64__) && defined(__GNUC__)
#define CPU_KERNEL(type, name, parameters, arguments)                                              \
    static inline __attribute__((always_inline)) void name##_body parameters;                      \
    __attribute__((target("avx512f"))) static void name##_avx512 parameters {                      \
        name##_body arguments;                                                                     \
    }                                                                                              \
    __attribute__((target("avx2"))) static void name##_avx2 parameters {                           \
        name##_body arguments;                                                                     \
    }                                                                                              \
    static void name##_sse41 parameters {                                                          \
        name##_body arguments;                                                                     \
    }                                                                                              \
    type name parameters {                                                                         \
        if (cpu_isa() >= CPU_ISA_AVX512)                                                           \
            name##_avx512 arguments;                                                               \
        else if (cpu_isa() == CPU_ISA_AVX2)                                                        \
            name##_avx2 arguments;                                                                 \
        else                                                                                       \
            name##_sse41 arguments;                                                                \
    }                                                                                              \
    static inline __attribute__((always_inline)) void name##_body parameters
#else
#define CPU_KERNEL(type, name, parameters, arguments) type name parameters
#endif

#endif
