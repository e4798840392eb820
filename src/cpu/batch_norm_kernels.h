// SPDX-License-Identifier: MIT
// The loops of batch norm over pixels of WIDTH channels: 8, or the 16 of a block with AVX-512,
// which are one cache line and one vector. batch_norm.c includes this once for each width; without
// one, as where each header is compiled alone, it is empty.
//
// Tensors are (n_pixels, WIDTH). The values of a channel are added up in the order of its pixels,
// whatever the width.
#ifdef WIDTH

#define JOIN_NAMES(stem, width) stem##_##width
#define JOIN(stem, width)       JOIN_NAMES(stem, width)
#define NAME(stem)              JOIN(stem, WIDTH)
// CPU_KERNEL joins its name with others and would do so before NAME becomes the name.
#define KERNEL(name, parameters, arguments) CPU_KERNEL(static void, name, parameters, arguments)

typedef float NAME(pixel) __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t NAME(mask) __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
// Half of a pixel, as floats and as doubles.
typedef float NAME(half) __attribute__((vector_size(2 * WIDTH), aligned(4), may_alias));
typedef int32_t NAME(half_mask) __attribute__((vector_size(2 * WIDTH), aligned(4), may_alias));
typedef double NAME(doubles) __attribute__((vector_size(4 * WIDTH), aligned(8), may_alias));

#define PIXEL(pointer)        (*(const NAME(pixel) *)(pointer))
#define STORE(pointer, value) (*(NAME(pixel) *)(pointer) = (value))
#define KEEP(value, bits)     ((NAME(pixel))((NAME(mask))(value) & (bits)))
// Half h of the pixel at `pointer`, and of a row of doubles.
#define HALF(pointer, h)    (*(const NAME(half) *)((pointer) + (h) * (WIDTH / 2)))
#define DOUBLES(pointer, h) (*(NAME(doubles) *)((pointer) + (h) * (WIDTH / 2)))

// One instruction; GCC 12 makes five of __builtin_convertvector.
static inline __attribute__((always_inline)) void NAME(widen)(const NAME(half) * from,
                                                              NAME(doubles) * to) {
#pragma GCC unroll 8
    for (int i = 0; i < WIDTH / 2; i++)
        (*to)[i] = (*from)[i];
}

// first[0] = sum x, second[0] = sum x^2 of even pixels, [1] of odd ones, which hides the latency of
// an add.
KERNEL(NAME(sum_values), (const float *x, size_t n_pixels, struct lane_sums *sums),
       (x, n_pixels, sums)) {
    NAME(doubles) s[4] = {{0}}, q[4] = {{0}}, value = {0}; // of halves of two pixels
    size_t n_floats = n_pixels * WIDTH, at = 0;
    for (; at + 2 * WIDTH <= n_floats; at += 2 * WIDTH)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            NAME(widen)(&HALF(x + at, j), &value);
            s[j] += value;
            q[j] += value * value;
        }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        if (j < 2 && at < n_floats) {
            NAME(widen)(&HALF(x + at, j), &value);
            s[j] += value;
            q[j] += value * value;
        }
        DOUBLES(sums->first[j / 2], j % 2) = s[j];
        DOUBLES(sums->second[j / 2], j % 2) = q[j];
    }
}

// first[0] = sum g, second[0] = sum g x with g = d_dst where dst > 0 (everywhere when dst is NULL).
KERNEL(NAME(sum_gradients),
       (const float *x, const float *dst, const float *d_dst, size_t n_pixels,
        struct lane_sums *sums),
       (x, dst, d_dst, n_pixels, sums)) {
    NAME(doubles) s[2] = {{0}}, q[2] = {{0}}, value = {0}, factor = {0};
    for (size_t at = 0; at < n_pixels * WIDTH; at += WIDTH)
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            NAME(half) g = HALF(d_dst + at, h);
            if (dst != NULL)
                g = (NAME(half))((NAME(half_mask))g & (HALF(dst + at, h) > 0.0F));
            NAME(widen)(&g, &value);
            NAME(widen)(&HALF(x + at, h), &factor);
            s[h] += value;
            q[h] += value * factor;
        }
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        DOUBLES(sums->first[0], h) = s[h];
        DOUBLES(sums->second[0], h) = q[h];
    }
}

// A NaN passes through the ReLU, so that its source can be found.
KERNEL(NAME(apply_forward),
       (const float *x, const float *residual, float *dst, size_t n_pixels,
        const struct coefficients *coefficients, bool has_relu),
       (x, residual, dst, n_pixels, coefficients, has_relu)) {
    NAME(pixel) mean = PIXEL(coefficients->mean);
    NAME(pixel) a = PIXEL(coefficients->a), b = PIXEL(coefficients->b);
    NAME(mask) no_relu = (NAME(mask)){0} - (has_relu ? 0 : 1);
    for (size_t at = 0; at < n_pixels * WIDTH; at += WIDTH) {
        NAME(pixel) z = (PIXEL(x + at) - mean) * a + b;
        if (residual != NULL)
            z += PIXEL(residual + at);
        STORE(dst + at, KEEP(z, ~(z <= 0.0F) | no_relu));
    }
}

// d_src = a g + k (x - mean) + b; d_residual = g. d_src may be d_dst.
KERNEL(NAME(apply_backward),
       (const float *x, const float *dst, const float *d_dst, float *d_src, float *d_residual,
        size_t n_pixels, const struct coefficients *coefficients),
       (x, dst, d_dst, d_src, d_residual, n_pixels, coefficients)) {
    NAME(pixel)
    mean = PIXEL(coefficients->mean), a = PIXEL(coefficients->a), b = PIXEL(coefficients->b),
    k = PIXEL(coefficients->k);
    for (size_t at = 0; at < n_pixels * WIDTH; at += WIDTH) {
        NAME(pixel) g = PIXEL(d_dst + at);
        if (dst != NULL)
            g = KEEP(g, PIXEL(dst + at) > 0.0F);
        if (d_residual != NULL)
            STORE(d_residual + at, g);
        STORE(d_src + at, g * a + ((PIXEL(x + at) - mean) * k + b));
    }
}

static const struct kernels NAME(kernels) = {NAME(sum_values), NAME(sum_gradients),
                                             NAME(apply_forward), NAME(apply_backward)};

#undef JOIN_NAMES
#undef JOIN
#undef NAME
#undef KERNEL
#undef PIXEL
#undef STORE
#undef KEEP
#undef HALF
#undef DOUBLES
#undef WIDTH
#endif
