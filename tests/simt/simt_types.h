// SPDX-License-Identifier: MIT
// CUDA's words and vector types for the host compiler.
#ifndef ADELE_SIMT_TYPES_H
#define ADELE_SIMT_TYPES_H

#define __global__
#define __device__
#define __host__
#define __constant__
// As many nops before the kernel's first instruction as threads are declared: simt_launch_bound
// counts them. Clang's attribute takes no argument that depends on a template: a launch is not held
// to its bound there.
#if defined(__GNUC__) && !defined(__clang__)
#define __launch_bounds__(n, ...) __attribute__((patchable_function_entry((n), (n))))
#else
#define __launch_bounds__(...)
#endif
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n)    __attribute__((aligned(n)))

// name, element type, alignment of the vectors of 1, 2, 3 and 4
#define SIMT_VECTORS(V)                                                                            \
    V(char, signed char, 1, 2, 1, 4)                                                               \
    V(uchar, unsigned char, 1, 2, 1, 4)                                                            \
    V(short, short, 2, 4, 2, 8)                                                                    \
    V(ushort, unsigned short, 2, 4, 2, 8)                                                          \
    V(int, int, 4, 8, 4, 16)                                                                       \
    V(uint, unsigned, 4, 8, 4, 16)                                                                 \
    V(longlong, long long, 8, 16, 8, 16)                                                           \
    V(ulonglong, unsigned long long, 8, 16, 8, 16)                                                 \
    V(float, float, 4, 8, 4, 16)                                                                   \
    V(double, double, 8, 16, 8, 16)

#define SIMT_VECTOR(name, type, align1, align2, align3, align4)                                    \
    struct alignas(align1) name##1 {                                                               \
        type x;                                                                                    \
    };                                                                                             \
    struct alignas(align2) name##2 {                                                               \
        type x, y;                                                                                 \
    };                                                                                             \
    struct alignas(align3) name##3 {                                                               \
        type x, y, z;                                                                              \
    };                                                                                             \
    struct alignas(align4) name##4 {                                                               \
        type x, y, z, w;                                                                           \
    };                                                                                             \
    static inline name##1 make_##name##1(type x) {                                                 \
        return {x};                                                                                \
    }                                                                                              \
    static inline name##2 make_##name##2(type x, type y) {                                         \
        return {x, y};                                                                             \
    }                                                                                              \
    static inline name##3 make_##name##3(type x, type y, type z) {                                 \
        return {x, y, z};                                                                          \
    }                                                                                              \
    static inline name##4 make_##name##4(type x, type y, type z, type w) {                         \
        return {x, y, z, w};                                                                       \
    }
SIMT_VECTORS(SIMT_VECTOR)
#undef SIMT_VECTOR
#undef SIMT_VECTORS

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_extent = 1, unsigned y_extent = 1, unsigned z_extent = 1)
        : x(x_extent), y(y_extent), z(z_extent) {
    }
};

#endif
