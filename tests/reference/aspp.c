// SPDX-License-Identifier: MIT
// Each branch separately, with every operand rounded.
#include "reference/reference.h"

static double operand(const struct adele_aspp_desc *desc, float x) {
    return desc->precision == ADELE_PRECISION_BF16 ? reference_bf16(x) : x;
}

static int kernel_of(int rate) {
    return rate > 0 ? 3 : 1;
}

// The offset of tap (0..kernel - 1) from its pixel.
static int reach_of(int rate, int tap) {
    return rate > 0 ? (tap - 1) * rate : 0;
}

static long weight_index(const struct adele_aspp_desc *desc, int rate, int o, int i, int ky,
                         int kx) {
    int kernel = kernel_of(rate);
    return (((long)o * desc->c_in + i) * kernel + ky) * kernel + kx;
}

// Index of element (n, c, y, x) of a plain array of `channels`, or -1 beside the image.
static long index_of(const struct adele_aspp_desc *desc, int channels, int n, int c, int y, int x) {
    if (y < 0 || y >= desc->h || x < 0 || x >= desc->w)
        return -1;
    return (((long)n * channels + c) * desc->h + y) * desc->w + x;
}

static int dst_channels(const struct adele_aspp_desc *desc) {
    return desc->form == ADELE_ASPP_SUM ? desc->c_out : desc->c_out * desc->n_rates;
}

// The channel of dst that branch r's channel o is written to, or added to.
static int dst_channel(const struct adele_aspp_desc *desc, int r, int o) {
    return desc->form == ADELE_ASPP_SUM ? o : r * desc->c_out + o;
}

static double branch_value(const struct adele_aspp_desc *desc, const struct adele_aspp_args *args,
                           int r, int n, int o, int y, int x) {
    int rate = desc->rates[r], kernel = kernel_of(rate);
    const float *src = args->src;
    double sum = desc->has_bias ? args->biases[r][o] : 0.0;
    for (int i = 0; i < desc->c_in; i++)
        for (int ky = 0; ky < kernel; ky++)
            for (int kx = 0; kx < kernel; kx++) {
                long at = index_of(desc, desc->c_in, n, i, y + reach_of(rate, ky),
                                   x + reach_of(rate, kx));
                if (at >= 0)
                    sum += operand(desc, src[at]) *
                           operand(desc, args->weights[r][weight_index(desc, rate, o, i, ky, kx)]);
            }
    return sum;
}

void reference_aspp_forward(const struct adele_aspp_desc *desc,
                            const struct adele_aspp_args *args) {
    float *dst = args->dst;
    for (int n = 0; n < desc->n; n++)
        for (int c = 0; c < dst_channels(desc); c++)
            for (int y = 0; y < desc->h; y++)
                for (int x = 0; x < desc->w; x++) {
                    double sum = 0.0;
                    for (int r = 0; r < desc->n_rates; r++)
                        for (int o = 0; o < desc->c_out; o++)
                            if (dst_channel(desc, r, o) == c)
                                sum += branch_value(desc, args, r, n, o, y, x);
                    *dst++ = (float)sum;
                }
}

// The gradient of src (n, i, y, x) by branch r: the sum over all output pixels that read it.
static double gather_d_src(const struct adele_aspp_desc *desc, const struct adele_aspp_args *args,
                           int r, int n, int i, int y, int x) {
    int rate = desc->rates[r], kernel = kernel_of(rate);
    const float *d_dst = args->d_dst;
    double sum = 0.0;
    for (int o = 0; o < desc->c_out; o++)
        for (int ky = 0; ky < kernel; ky++)
            for (int kx = 0; kx < kernel; kx++) {
                long at = index_of(desc, dst_channels(desc), n, dst_channel(desc, r, o),
                                   y - reach_of(rate, ky), x - reach_of(rate, kx));
                if (at >= 0)
                    sum += operand(desc, d_dst[at]) *
                           operand(desc, args->weights[r][weight_index(desc, rate, o, i, ky, kx)]);
            }
    return sum;
}

static double gather_d_weight(const struct adele_aspp_desc *desc,
                              const struct adele_aspp_args *args, int r, int o, int i, int ky,
                              int kx) {
    int rate = desc->rates[r];
    const float *src = args->src, *d_dst = args->d_dst;
    double sum = 0.0;
    for (int n = 0; n < desc->n; n++)
        for (int y = 0; y < desc->h; y++)
            for (int x = 0; x < desc->w; x++) {
                long at = index_of(desc, desc->c_in, n, i, y + reach_of(rate, ky),
                                   x + reach_of(rate, kx));
                long to = index_of(desc, dst_channels(desc), n, dst_channel(desc, r, o), y, x);
                if (at >= 0)
                    sum += operand(desc, src[at]) * operand(desc, d_dst[to]);
            }
    return sum;
}

static double gather_d_bias(const struct adele_aspp_desc *desc, const struct adele_aspp_args *args,
                            int r, int o) {
    const float *d_dst = args->d_dst;
    double sum = 0.0;
    for (int n = 0; n < desc->n; n++)
        for (int y = 0; y < desc->h; y++)
            for (int x = 0; x < desc->w; x++)
                sum += operand(
                    desc,
                    d_dst[index_of(desc, dst_channels(desc), n, dst_channel(desc, r, o), y, x)]);
    return sum;
}

static void branch_parameters_backward(const struct adele_aspp_desc *desc,
                                       const struct adele_aspp_args *args, int r) {
    int rate = desc->rates[r], kernel = kernel_of(rate);
    for (int o = 0; o < desc->c_out; o++) {
        for (int i = 0; i < desc->c_in; i++)
            for (int ky = 0; ky < kernel; ky++)
                for (int kx = 0; kx < kernel; kx++) {
                    float *to = &args->d_weights[r][weight_index(desc, rate, o, i, ky, kx)];
                    *to = (float)(*to + gather_d_weight(desc, args, r, o, i, ky, kx));
                }
        if (desc->has_bias)
            args->d_biases[r][o] = (float)(args->d_biases[r][o] + gather_d_bias(desc, args, r, o));
    }
}

void reference_aspp_backward(const struct adele_aspp_desc *desc,
                             const struct adele_aspp_args *args) {
    float *d_src = args->d_src;
    if (d_src != NULL)
        for (int n = 0; n < desc->n; n++)
            for (int i = 0; i < desc->c_in; i++)
                for (int y = 0; y < desc->h; y++)
                    for (int x = 0; x < desc->w; x++, d_src++) {
                        double sum = args->accumulate_d_src ? *d_src : 0.0;
                        for (int r = 0; r < desc->n_rates; r++)
                            sum += gather_d_src(desc, args, r, n, i, y, x);
                        *d_src = (float)sum;
                    }
    for (int r = 0; r < desc->n_rates; r++)
        branch_parameters_backward(desc, args, r);
}
