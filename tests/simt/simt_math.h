// SPDX-License-Identifier: MIT
// CUDA's arithmetic functions that C++ has not. The fast ones (__expf and so on) are as exact here
// as the slow ones.
#ifndef ADELE_SIMT_MATH_H
#define ADELE_SIMT_MATH_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// ---- bits ---------------------------------------------------------------------------------------

template <typename To, typename From> static inline To simt_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "a cast of bits keeps the size");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

static inline unsigned __float_as_uint(float value) {
    return simt_bits<unsigned>(value);
}
static inline int __float_as_int(float value) {
    return simt_bits<int>(value);
}
static inline float __uint_as_float(unsigned bits) {
    return simt_bits<float>(bits);
}
static inline float __int_as_float(int bits) {
    return simt_bits<float>(bits);
}
static inline long long __double_as_longlong(double value) {
    return simt_bits<long long>(value);
}
static inline double __longlong_as_double(long long bits) {
    return simt_bits<double>(bits);
}

static inline int __popc(unsigned bits) {
    return __builtin_popcount(bits);
}
static inline int __popcll(unsigned long long bits) {
    return __builtin_popcountll(bits);
}
static inline int __ffs(int bits) {
    return __builtin_ffs(bits);
}
static inline int __ffsll(long long bits) {
    return __builtin_ffsll(bits);
}
static inline int __clz(int bits) {
    return bits == 0 ? 32 : __builtin_clz((unsigned)bits);
}
static inline int __clzll(long long bits) {
    return bits == 0 ? 64 : __builtin_clzll((unsigned long long)bits);
}
static inline unsigned __brev(unsigned bits) {
    unsigned out = 0;
    for (int i = 0; i < 32; i++)
        out |= (bits >> i & 1u) << (31 - i);
    return out;
}
static inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
    uint64_t both = (uint64_t)high << 32 | low;
    unsigned out = 0;
    for (int i = 0; i < 4; i++)
        out |= (unsigned)(both >> (8 * (selector >> (4 * i) & 7u)) & 0xffu) << (8 * i);
    return out;
}
static inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
    return (unsigned)((((uint64_t)high << 32 | low) << (shift & 31u)) >> 32);
}
static inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return (unsigned)(((uint64_t)high << 32 | low) >> (shift & 31u));
}

// ---- fused multiply and add ---------------------------------------------------------------------

extern const int simt_has_fma; // of the processor (simt_run.cpp)

// The C library's function chooses among its versions through a pointer at each call, which takes a
// quarter of the emulator's time in convolutions. It uses this instruction, in the same form: NaNs
// are the same too.
static inline float simt_fmaf(float a, float b, float c) {
#if defined(__x86_64__)
    if (__builtin_expect(simt_has_fma, 1)) {
        __asm__("vfmadd213ss %2, %1, %0" : "+x"(a) : "x"(b), "x"(c));
        return a;
    }
#endif
    return fmaf(a, b, c);
}

// What kernels call by this name.
namespace adele_simt {
static inline float fmaf(float a, float b, float c) {
    return simt_fmaf(a, b, c);
}
} // namespace adele_simt

// ---- integers -----------------------------------------------------------------------------------

static inline unsigned __umulhi(unsigned a, unsigned b) {
    return (unsigned)((uint64_t)a * b >> 32);
}
static inline int __mulhi(int a, int b) {
    return (int)((int64_t)a * b >> 32);
}
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}
static inline int __mul24(int a, int b) {
    return (int)((int64_t)(int32_t)((uint32_t)a << 8) / 256 * ((int32_t)((uint32_t)b << 8) / 256));
}
static inline unsigned __umul24(unsigned a, unsigned b) {
    return (a & 0xffffffu) * (b & 0xffffffu);
}

#define SIMT_MIN_MAX(type)                                                                         \
    static inline type min(type a, type b) {                                                       \
        return b < a ? b : a;                                                                      \
    }                                                                                              \
    static inline type max(type a, type b) {                                                       \
        return a < b ? b : a;                                                                      \
    }
SIMT_MIN_MAX(int)
SIMT_MIN_MAX(unsigned)
SIMT_MIN_MAX(long)
SIMT_MIN_MAX(unsigned long)
SIMT_MIN_MAX(long long)
SIMT_MIN_MAX(unsigned long long)
#undef SIMT_MIN_MAX

static inline unsigned min(int a, unsigned b) {
    return min((unsigned)a, b);
}
static inline unsigned min(unsigned a, int b) {
    return min(a, (unsigned)b);
}
static inline unsigned max(int a, unsigned b) {
    return max((unsigned)a, b);
}
static inline unsigned max(unsigned a, int b) {
    return max(a, (unsigned)b);
}

// As CUDA has them: of a number and a NaN, the number.
static inline float min(float a, float b) {
    return fminf(a, b);
}
static inline float max(float a, float b) {
    return fmaxf(a, b);
}
static inline double min(double a, double b) {
    return fmin(a, b);
}
static inline double max(double a, double b) {
    return fmax(a, b);
}
static inline double min(float a, double b) {
    return fmin((double)a, b);
}
static inline double min(double a, float b) {
    return fmin(a, (double)b);
}
static inline double max(float a, double b) {
    return fmax((double)a, b);
}
static inline double max(double a, float b) {
    return fmax(a, (double)b);
}

// The C library has functions of these names, so only macros can replace them.
#define __expf    expf
#define __logf    logf
#define __log2f   log2f
#define __log10f  log10f
#define __sinf    sinf
#define __cosf    cosf
#define __powf    powf
#define __sincosf sincosf

// ---- floats -------------------------------------------------------------------------------------

#define SIMT_FLOAT(name, expression)                                                               \
    static inline float name(float x) {                                                            \
        return expression;                                                                         \
    }
SIMT_FLOAT(rsqrtf, 1.0f / sqrtf(x))
SIMT_FLOAT(__frsqrt_rn, 1.0f / sqrtf(x))
SIMT_FLOAT(__fsqrt_rn, sqrtf(x))
SIMT_FLOAT(__frcp_rn, 1.0f / x)
SIMT_FLOAT(__saturatef, x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f)
#undef SIMT_FLOAT

static inline double rsqrt(double x) {
    return 1.0 / sqrt(x);
}
static inline float __fdividef(float a, float b) {
    return a / b;
}
static inline float fdividef(float a, float b) {
    return a / b;
}
static inline float __fdiv_rn(float a, float b) {
    return a / b;
}
static inline float __fadd_rn(float a, float b) {
    return a + b;
}
static inline float __fsub_rn(float a, float b) {
    return a - b;
}
static inline float __fmul_rn(float a, float b) {
    return a * b;
}
static inline float __fmaf_rn(float a, float b, float c) {
    return simt_fmaf(a, b, c);
}
static inline double __dadd_rn(double a, double b) {
    return a + b;
}
static inline double __dmul_rn(double a, double b) {
    return a * b;
}
static inline double __fma_rn(double a, double b, double c) {
    return fma(a, b, c);
}
static inline void sincospif(float x, float *sine, float *cosine) {
    *sine = (float)sin(3.14159265358979323846 * (double)x);
    *cosine = (float)cos(3.14159265358979323846 * (double)x);
}

// Conversions clamp to the target's range and turn NaN into 0, as the instructions do.
template <typename To> static inline To simt_convert(double rounded, double low, double high) {
    if (!(rounded == rounded))
        return 0;
    return rounded <= low ? (To)low : rounded >= high ? (To)high : (To)rounded;
}
#define SIMT_CONVERSIONS(name, from, to, low, high)                                                \
    static inline to __##name##_rn(from x) {                                                       \
        return simt_convert<to>(rint((double)x), low, high);                                       \
    }                                                                                              \
    static inline to __##name##_rz(from x) {                                                       \
        return simt_convert<to>(trunc((double)x), low, high);                                      \
    }                                                                                              \
    static inline to __##name##_rd(from x) {                                                       \
        return simt_convert<to>(floor((double)x), low, high);                                      \
    }                                                                                              \
    static inline to __##name##_ru(from x) {                                                       \
        return simt_convert<to>(ceil((double)x), low, high);                                       \
    }
SIMT_CONVERSIONS(float2int, float, int, -2147483648.0, 2147483647.0)
SIMT_CONVERSIONS(float2uint, float, unsigned, 0.0, 4294967295.0)
SIMT_CONVERSIONS(double2int, double, int, -2147483648.0, 2147483647.0)
SIMT_CONVERSIONS(double2uint, double, unsigned, 0.0, 4294967295.0)
#undef SIMT_CONVERSIONS

static inline long long __double2ll_rn(double x) {
    return llrint(x);
}
static inline long long __float2ll_rn(float x) {
    return llrintf(x);
}
static inline float __int2float_rn(int x) {
    return (float)x;
}
static inline float __uint2float_rn(unsigned x) {
    return (float)x;
}
static inline float __double2float_rn(double x) {
    return (float)x;
}

#endif
