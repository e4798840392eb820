// SPDX-License-Identifier: MIT
#include "reference/reference.h"

#include <stdlib.h>
#include <string.h>

// By value, not by bits as the device does: bf16 has 8 significant bits.
float reference_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t lower = bits & 0xffff0000u, upper = lower + 0x10000u;
    float low, high;
    memcpy(&low, &lower, sizeof low);
    memcpy(&high, &upper, sizeof high);
    double below = (double)x - low, above = (double)high - x;
    below = below < 0 ? -below : below;
    above = above < 0 ? -above : above;
    if (below == above)
        return (lower >> 16) % 2 == 0 ? low : high;
    return below < above ? low : high;
}

// The tensor as the products see it, once instead of once for each product; the caller frees it.
// NULL stays NULL.
static float *operands(const struct adele_conv2d_desc *desc, const float *values, long n) {
    if (values == NULL)
        return NULL;
    float *out = malloc((size_t)n * sizeof *out);
    if (out == NULL)
        abort();
    for (long k = 0; k < n; k++)
        out[k] = desc->precision == ADELE_PRECISION_BF16 ? reference_bf16(values[k]) : values[k];
    return out;
}

struct extents {
    int h_out, w_out;
};

static struct extents extents_of(const struct adele_conv2d_desc *desc) {
    struct extents out = {
        adele_conv2d_extent(desc->h_in, desc->kernel, desc->stride, desc->pad, desc->dilation),
        adele_conv2d_extent(desc->w_in, desc->kernel, desc->stride, desc->pad, desc->dilation)};
    return out;
}

static long n_src(const struct adele_conv2d_desc *desc) {
    return (long)desc->n * desc->c_in * desc->h_in * desc->w_in;
}

static long n_weight(const struct adele_conv2d_desc *desc) {
    return (long)desc->c_out * desc->c_in * desc->kernel * desc->kernel;
}

// Index of src (n, i, y, x), or -1 in the padding.
static long src_index(const struct adele_conv2d_desc *desc, int n, int i, int y, int x) {
    if (y < 0 || y >= desc->h_in || x < 0 || x >= desc->w_in)
        return -1;
    return (((long)n * desc->c_in + i) * desc->h_in + y) * desc->w_in + x;
}

static long weight_index(const struct adele_conv2d_desc *desc, int o, int i, int ky, int kx) {
    return (((long)o * desc->c_in + i) * desc->kernel + ky) * desc->kernel + kx;
}

void reference_conv2d_forward(const struct adele_conv2d_desc *desc,
                              const struct adele_conv2d_args *args) {
    struct extents out = extents_of(desc);
    float *src = operands(desc, args->src, n_src(desc));
    float *weight = operands(desc, args->weight, n_weight(desc));
    float *dst = args->dst;
    for (int n = 0; n < desc->n; n++)
        for (int o = 0; o < desc->c_out; o++)
            for (int y = 0; y < out.h_out; y++)
                for (int x = 0; x < out.w_out; x++) {
                    double sum = desc->has_bias ? args->bias[o] : 0.0;
                    for (int i = 0; i < desc->c_in; i++)
                        for (int ky = 0; ky < desc->kernel; ky++)
                            for (int kx = 0; kx < desc->kernel; kx++) {
                                long at = src_index(
                                    desc, n, i, y * desc->stride - desc->pad + ky * desc->dilation,
                                    x * desc->stride - desc->pad + kx * desc->dilation);
                                if (at >= 0)
                                    sum +=
                                        (double)src[at] * weight[weight_index(desc, o, i, ky, kx)];
                            }
                    *dst++ = (float)sum;
                }
    free(weight);
    free(src);
}

// d_src (n, i, y, x): every output pixel that read it.
static double gather_d_src(const struct adele_conv2d_desc *desc,
                           const struct adele_conv2d_args *args, int n, int i, int y, int x) {
    struct extents out = extents_of(desc);
    const float *d_dst = args->d_dst;
    double sum = 0.0;
    for (int ky = 0; ky < desc->kernel; ky++)
        for (int kx = 0; kx < desc->kernel; kx++) {
            int ys = y + desc->pad - ky * desc->dilation, xs = x + desc->pad - kx * desc->dilation;
            if (ys < 0 || xs < 0 || ys % desc->stride != 0 || xs % desc->stride != 0 ||
                ys / desc->stride >= out.h_out || xs / desc->stride >= out.w_out)
                continue;
            for (int o = 0; o < desc->c_out; o++)
                sum += (double)args->weight[weight_index(desc, o, i, ky, kx)] *
                       d_dst[(((long)n * desc->c_out + o) * out.h_out + ys / desc->stride) *
                                 out.w_out +
                             xs / desc->stride];
        }
    return sum;
}

static double gather_d_weight(const struct adele_conv2d_desc *desc,
                              const struct adele_conv2d_args *args, int o, int i, int ky, int kx) {
    struct extents out = extents_of(desc);
    const float *src = args->src, *d_dst = args->d_dst;
    double sum = 0.0;
    for (int n = 0; n < desc->n; n++)
        for (int y = 0; y < out.h_out; y++)
            for (int x = 0; x < out.w_out; x++) {
                long at = src_index(desc, n, i, y * desc->stride - desc->pad + ky * desc->dilation,
                                    x * desc->stride - desc->pad + kx * desc->dilation);
                long to = (((long)n * desc->c_out + o) * out.h_out + y) * out.w_out + x;
                if (at >= 0)
                    sum += (double)src[at] * d_dst[to];
            }
    return sum;
}

static double gather_d_bias(const struct adele_conv2d_desc *desc,
                            const struct adele_conv2d_args *args, int o) {
    struct extents out = extents_of(desc);
    const float *d_dst = args->d_dst;
    double sum = 0.0;
    for (int n = 0; n < desc->n; n++)
        for (int p = 0; p < out.h_out * out.w_out; p++)
            sum += d_dst[((long)n * desc->c_out + o) * out.h_out * out.w_out + p];
    return sum;
}

// Of args whose inputs are operands.
static void backward(const struct adele_conv2d_desc *desc, const struct adele_conv2d_args *args) {
    float *d_src = args->d_src;
    if (d_src != NULL)
        for (int n = 0; n < desc->n; n++)
            for (int i = 0; i < desc->c_in; i++)
                for (int y = 0; y < desc->h_in; y++)
                    for (int x = 0; x < desc->w_in; x++, d_src++)
                        *d_src = (float)((args->accumulate_d_src ? *d_src : 0.0) +
                                         gather_d_src(desc, args, n, i, y, x));
    for (int o = 0; o < desc->c_out; o++) {
        for (int i = 0; i < desc->c_in; i++)
            for (int ky = 0; ky < desc->kernel; ky++)
                for (int kx = 0; kx < desc->kernel; kx++) {
                    float *to = &args->d_weight[weight_index(desc, o, i, ky, kx)];
                    *to = (float)(*to + gather_d_weight(desc, args, o, i, ky, kx));
                }
        if (desc->has_bias)
            args->d_bias[o] = (float)(args->d_bias[o] + gather_d_bias(desc, args, o));
    }
}

void reference_conv2d_backward(const struct adele_conv2d_desc *desc,
                               const struct adele_conv2d_args *args) {
    struct extents out = extents_of(desc);
    struct adele_conv2d_args rounded = *args;
    float *src = operands(desc, args->src, n_src(desc));
    float *weight = operands(desc, args->weight, n_weight(desc));
    float *d_dst = operands(desc, args->d_dst, (long)desc->n * desc->c_out * out.h_out * out.w_out);
    rounded.src = src;
    rounded.weight = weight;
    rounded.d_dst = d_dst;
    backward(desc, &rounded);
    free(d_dst);
    free(weight);
    free(src);
}
