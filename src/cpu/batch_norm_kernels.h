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
// CPU_VALUE_KERNEL joins its name with others and would do so before NAME becomes the name.
#define KERNEL(name, parameters, arguments)                                                        \
    CPU_VALUE_KERNEL(static void, name, parameters, arguments)

typedef float NAME(pixel) __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t NAME(mask) __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef uint32_t NAME(bits) __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef uint16_t NAME(bf16) __attribute__((vector_size(2 * WIDTH), aligned(2), may_alias));
// Half of a pixel, as floats and as doubles.
typedef float NAME(half) __attribute__((vector_size(2 * WIDTH), aligned(4), may_alias));
typedef int32_t NAME(half_mask) __attribute__((vector_size(2 * WIDTH), aligned(4), may_alias));
typedef uint32_t NAME(half_bits) __attribute__((vector_size(2 * WIDTH), aligned(4), may_alias));
typedef double NAME(doubles) __attribute__((vector_size(4 * WIDTH), aligned(8), may_alias));

#define PIXEL(pointer)    (*(const NAME(pixel) *)(pointer))
#define KEEP(value, bits) ((NAME(pixel))((NAME(mask))(value) & (bits)))
// Half h of a row of doubles.
#define DOUBLES(pointer, h) (*(NAME(doubles) *)((pointer) + (h) * (WIDTH / 2)))

// The pixel at `at`. Values are widened lane by lane, of which GCC 12 makes fewer instructions than
// of __builtin_convertvector.
VALUE_INLINE NAME(pixel) NAME(load)(const void *tensor, size_t at, const bool is_bf16) {
    const void *address = value_address(tensor, at, is_bf16);
    const uint16_t *from = address;
    NAME(bits) bits = {0};
    if (!is_bf16)
        return PIXEL(address);
#pragma GCC unroll 16
    for (int i = 0; i < WIDTH; i++)
        bits[i] = (uint32_t)from[i] << 16;
    return (NAME(pixel))bits;
}

VALUE_INLINE void NAME(store)(void *tensor, size_t at, NAME(pixel) value, const bool is_bf16) {
    void *to = value_address(tensor, at, is_bf16);
    NAME(bits) bits = (NAME(bits))value, is_nan = (NAME(bits))(value != value);
    if (is_bf16)
        *(NAME(bf16) *)to = __builtin_convertvector(VALUE_NARROWED(bits, is_nan), NAME(bf16));
    else
        *(NAME(pixel) *)to = value;
}

// Half h of the pixel at `at`.
VALUE_INLINE void NAME(load_half)(const void *tensor, size_t at, int h, const bool is_bf16,
                                  NAME(half) * to) {
    const void *address = value_address(tensor, at + (size_t)h * (WIDTH / 2), is_bf16);
    const uint16_t *from = address;
    NAME(half_bits) bits = {0};
    if (!is_bf16) {
        *to = *(const NAME(half) *)address;
        return;
    }
#pragma GCC unroll 8
    for (int i = 0; i < WIDTH / 2; i++)
        bits[i] = (uint32_t)from[i] << 16;
    *to = (NAME(half))bits;
}

// One instruction; GCC 12 makes five of __builtin_convertvector.
VALUE_INLINE void NAME(widen)(const NAME(half) * from, NAME(doubles) * to) {
#pragma GCC unroll 8
    for (int i = 0; i < WIDTH / 2; i++)
        (*to)[i] = (*from)[i];
}

// first[0] = sum x, second[0] = sum x^2 of even pixels, [1] of odd ones, which hides the latency of
// an add.
KERNEL(NAME(sum_values), (const void *x, size_t n_pixels, struct lane_sums *sums),
       (x, n_pixels, sums)) {
    NAME(doubles) s[4] = {{0}}, q[4] = {{0}}, value = {0}; // of halves of two pixels
    NAME(half) half = {0};
    size_t n_floats = n_pixels * WIDTH, at = 0;
    for (; at + 2 * WIDTH <= n_floats; at += 2 * WIDTH)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            NAME(load_half)(x, at, j, is_bf16, &half);
            NAME(widen)(&half, &value);
            s[j] += value;
            q[j] += value * value;
        }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        if (j < 2 && at < n_floats) {
            NAME(load_half)(x, at, j, is_bf16, &half);
            NAME(widen)(&half, &value);
            s[j] += value;
            q[j] += value * value;
        }
        DOUBLES(sums->first[j / 2], j % 2) = s[j];
        DOUBLES(sums->second[j / 2], j % 2) = q[j];
    }
}

// first[0] = sum g, second[0] = sum g x with g = d_dst where dst > 0 (everywhere when dst is NULL).
KERNEL(NAME(sum_gradients),
       (const void *x, const void *dst, const void *d_dst, size_t n_pixels, struct lane_sums *sums),
       (x, dst, d_dst, n_pixels, sums)) {
    NAME(doubles) s[2] = {{0}}, q[2] = {{0}}, value = {0}, factor = {0};
    NAME(half) g = {0}, y = {0}, f = {0};
    for (size_t at = 0; at < n_pixels * WIDTH; at += WIDTH)
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            NAME(load_half)(d_dst, at, h, is_bf16, &g);
            if (dst != NULL) {
                NAME(load_half)(dst, at, h, is_bf16, &y);
                g = (NAME(half))((NAME(half_mask))g & (y > 0.0F));
            }
            NAME(load_half)(x, at, h, is_bf16, &f);
            NAME(widen)(&g, &value);
            NAME(widen)(&f, &factor);
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
       (const void *x, const void *residual, void *dst, size_t n_pixels,
        const struct coefficients *coefficients, bool has_relu),
       (x, residual, dst, n_pixels, coefficients, has_relu)) {
    NAME(pixel) mean = PIXEL(coefficients->mean);
    NAME(pixel) a = PIXEL(coefficients->a), b = PIXEL(coefficients->b);
    NAME(mask) no_relu = (NAME(mask)){0} - (has_relu ? 0 : 1);
    for (size_t at = 0; at < n_pixels * WIDTH; at += WIDTH) {
        NAME(pixel) z = (NAME(load)(x, at, is_bf16) - mean) * a + b;
        if (residual != NULL)
            z += NAME(load)(residual, at, is_bf16);
        NAME(store)(dst, at, KEEP(z, ~(z <= 0.0F) | no_relu), is_bf16);
    }
}

// d_src = a g + k (x - mean) + b; d_residual = g. d_src may be d_dst.
KERNEL(NAME(apply_backward),
       (const void *x, const void *dst, const void *d_dst, void *d_src, void *d_residual,
        size_t n_pixels, const struct coefficients *coefficients),
       (x, dst, d_dst, d_src, d_residual, n_pixels, coefficients)) {
    NAME(pixel)
    mean = PIXEL(coefficients->mean), a = PIXEL(coefficients->a), b = PIXEL(coefficients->b),
    k = PIXEL(coefficients->k);
    for (size_t at = 0; at < n_pixels * WIDTH; at += WIDTH) {
        NAME(pixel) g = NAME(load)(d_dst, at, is_bf16);
        if (dst != NULL)
            g = KEEP(g, NAME(load)(dst, at, is_bf16) > 0.0F);
        if (d_residual != NULL)
            NAME(store)(d_residual, at, g, is_bf16);
        NAME(pixel) centred = NAME(load)(x, at, is_bf16) - mean;
        NAME(store)(d_src, at, g * a + (centred * k + b), is_bf16);
    }
}

static const struct kernels NAME(kernels) = {NAME(sum_values), NAME(sum_gradients),
                                             NAME(apply_forward), NAME(apply_backward)};

#undef JOIN_NAMES
#undef JOIN
#undef NAME
#undef KERNEL
#undef PIXEL
#undef KEEP
#undef DOUBLES
#undef WIDTH
#endif
