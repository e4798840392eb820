// SPDX-License-Identifier: MIT
// Layouts of wgmma's operands in shared memory, written down once more from the PTX ISA, and wgmma
// as functions; the mistakes that are planted.
#ifndef ADELE_PTX_HOPPER_WGMMA_CUH
#define ADELE_PTX_HOPPER_WGMMA_CUH

#include "hopper_test.cuh"

enum fault {
    FAULT_NONE,
    FAULT_NO_PROXY_FENCE, // behind the stores of the operands
    FAULT_EARLY_READ,     // of an accumulator
    FAULT_EARLY_WRITE,    // to an operand in shared memory
    FAULT_NO_FENCE,       // no wgmma.fence
    FAULT_TOUCHED,        // an accumulator changed without one
    FAULT_SWIZZLE,        // another mode in the descriptor
    FAULT_LEADING,        // another leading offset
    FAULT_STRIDE,         // another stride
    FAULT_NO_WAIT,        // ends without wgmma.wait_group
    FAULT_WARPS,          // with different descriptors
    FAULT_REGISTERS,      // fewer than the accumulators
    FAULT_INCREASE        // waits for registers that nobody gives back
};

#define ROWS  64
#define DEPTH 64 // of K

// ---- layouts -----------------------------------------------------------------------------------

// Of a matrix of `rows` times DEPTH elements. swizzle: the descriptor's mode, 1 is 128 bytes.
struct layout {
    int rows, swizzle, is_mn_major;
};

static __host__ __device__ int span_of(int swizzle) {
    return swizzle == 0 ? 16 : 256 >> swizzle;
}

// Bytes from the first element to that of row r and depth k.
static __device__ int place_of(const struct layout &l, int r, int k) {
    const int span = span_of(l.swizzle), width = span / 2;
    if (l.swizzle == 0 && !l.is_mn_major)
        return (k / 8 * (l.rows / 8) + r / 8) * 128 + r % 8 * 16 + k % 8 * 2;
    if (l.swizzle == 0)
        return (k / 8 * (l.rows / 8) + r / 8) * 128 + k % 8 * 16 + r % 8 * 2;
    int at = l.is_mn_major ? r / width * DEPTH * span + k * span + r % width * 2
                           : k / width * l.rows * span + r * span + k % width * 2;
    return at ^ (at / 128 % (span / 16) * 16);
}

static __device__ uint64_t descriptor_of(const struct layout &l, uint32_t address, int step,
                                         int fault) {
    const int span = span_of(l.swizzle), k = step * 16, width = span / 2;
    int leading = 16, stride = 8 * span, start = 0;
    if (l.swizzle == 0) {
        leading = l.rows / 8 * 128;
        stride = 128;
        start = 2 * step * leading;
    } else if (l.is_mn_major) {
        leading = DEPTH * span;
        start = k * span;
    } else {
        start = k / width * l.rows * span + k % width * 2;
    }
    uint64_t mode = fault == FAULT_SWIZZLE ? (l.swizzle + 1) % 4 : l.swizzle;
    leading += fault == FAULT_LEADING ? 128 : 0;
    stride += fault == FAULT_STRIDE ? 128 : 0;
    return (uint64_t)((address + (uint32_t)start) & 0x3ffff) >> 4 | (uint64_t)(leading >> 4) << 16 |
           (uint64_t)(stride >> 4) << 32 | mode << 62;
}

// ---- the instruction ---------------------------------------------------------------------------

#define TEN(t)     "%" t "0,%" t "1,%" t "2,%" t "3,%" t "4,%" t "5,%" t "6,%" t "7,%" t "8,%" t "9,"
#define FOUR(i)    "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define SIXTEEN(i) FOUR(i), FOUR(i + 4), FOUR(i + 8), FOUR(i + 12)

template <int transposed_a, int transposed_b>
static __device__ __forceinline__ void multiply(float (&d)[32], uint64_t a, uint64_t b, int scale) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" TEN("") TEN("1")
                     TEN("2") "%30,%31}, %32, %33, p, 1, 1, %35, %36;\n}"
                 : SIXTEEN(0), SIXTEEN(16)
                 : "l"(a), "l"(b), "r"(scale), "n"(transposed_a), "n"(transposed_b));
}
template <int transposed_a, int transposed_b>
static __device__ __forceinline__ void multiply(float (&d)[128], uint64_t a, uint64_t b,
                                                int scale) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %130, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {" TEN("") TEN("1") TEN("2")
                     TEN("3") TEN("4") TEN("5") TEN("6") TEN("7") TEN("8") TEN("9") TEN("10")
                         TEN("11") "%120,%121,%122,%123,%124,%125,%126,%127}, %128, %129, p, 1, 1, "
                                   "%131, %132;\n}"
                 : SIXTEEN(0), SIXTEEN(16), SIXTEEN(32), SIXTEEN(48), SIXTEEN(64), SIXTEEN(80),
                   SIXTEEN(96), SIXTEEN(112)
                 : "l"(a), "l"(b), "r"(scale), "n"(transposed_a), "n"(transposed_b));
}
// A in registers, negative.
static __device__ __forceinline__ void multiply_registers(float (&d)[32], const uint32_t *a,
                                                          uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" TEN("") TEN("1")
                     TEN("2") "%30,%31}, {%32,%33,%34,%35}, %36, 1, -1, 1, 0;"
                 : SIXTEEN(0), SIXTEEN(16)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
static __device__ __forceinline__ void wgmma_fence() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
// What sets the accumulators stays in front of a fence that follows: nvcc puts it behind otherwise.
template <int n> static __device__ __forceinline__ void keep_here(float (&d)[n]) {
#pragma unroll
    for (int e = 0; e < n; e++)
        asm volatile("" : "+f"(d[e])::"memory");
}
static __device__ __forceinline__ void wgmma_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
static __device__ __forceinline__ void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
}

#endif
