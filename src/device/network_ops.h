// SPDX-License-Identifier: MIT
// Ops of a network's layers: a descriptor and an argument struct each. All of them have a forward
// and a backward pass. What "plain", "tensor" and the letters mean is in tensor.h.
//
// A descriptor fixes the shapes when an op is created; arguments are given with each call. `dst`
// and `d_src` are overwritten unless the comment says "+="; gradients of parameters are always
// "+=". With accumulate_d_src the op adds to d_src instead of overwriting it.
#ifndef ADELE_DEVICE_NETWORK_OPS_H
#define ADELE_DEVICE_NETWORK_OPS_H

#include "device/tensor.h"

// ---- conv2d: dst = weight (*) src + bias, zero padding ------------------------------------------
struct adele_conv2d_desc {
    int n, c_in, h_in, w_in, c_out;
    int kernel, stride, pad, dilation; // square kernels; adele_conv2d_extent() gives h_out, w_out
    bool has_bias;
    bool needs_d_src; // false for a convolution on the image
    bool is_training; // false: forward only
    enum adele_precision precision;
};
struct adele_conv2d_args {
    const void *src;     // tensor (N, c_in, h_in, w_in)
    const float *weight; // plain (c_out, c_in, kernel, kernel)
    // The output of the op `pack` for `weight`; NULL: each pass packs the weights itself. Ignored
    // by an op whose packed_bytes is 0.
    const void *packed_weight;
    const float *bias;     // plain (c_out), NULL without
    void *dst;             // tensor (N, c_out, h_out, w_out); forward only
    const void *d_dst;     // tensor like dst; backward only, as all below
    void *d_src;           // tensor like src; NULL when not needed
    bool accumulate_d_src; // d_src += instead of =
    float *d_weight;       // plain, +=
    float *d_bias;         // plain, +=, NULL without
    void *workspace;
};

// ---- batch_norm ---------------------------------------------------------------------------------
//     dst = relu?(scale (src - mean) / sqrt(variance + eps) + shift (+ residual))
// Training with batch statistics uses the mean and the biased variance of the batch, and updates
//     running = (1 - momentum) running + momentum batch
// with the unbiased variance, as PyTorch does. Without batch statistics, forward and backward use
// the running statistics.
struct adele_batch_norm_desc {
    int n, c, h, w;
    float eps, momentum; // 1e-5, 0.1
    bool has_relu, has_residual;
    struct adele_slice dst; // of dst and d_dst
};
struct adele_batch_norm_args {
    bool use_batch_statistics;
    // Forward only writes dst, the same bytes as the last forward, from saved_mean and
    // saved_inv_std; it needs no workspace. Only where the op says can_recompute.
    bool from_saved;
    const void *src;
    const void *residual;                   // tensor like src, NULL without
    const float *scale, *shift;             // plain (C)
    float *running_mean, *running_variance; // plain (C); updated in forward with batch statistics
    float *saved_mean, *saved_inv_std;      // plain (C); written by forward, read by backward
    void *dst; // forward writes; backward reads (the ReLU's mask is dst > 0)
    const void *d_dst;
    void *d_src;              // overwritten; may be the same memory as d_dst unless dst is a slice
    void *d_residual;         // overwritten, NULL without
    float *d_scale, *d_shift; // plain (C), +=
    void *workspace;
};

// ---- max_pool: dst = max over the window --------------------------------------------------------
// A window with a NaN gives NaN. The gradient goes to the maximum's first pixel in row order.
struct adele_max_pool_desc {
    int n, c, h_in, w_in;
    int kernel, stride, pad; // output extents as of a convolution with dilation 1
    struct adele_slice src;  // of src and d_src
};
struct adele_max_pool_args {
    const void *src; // backward reads it too
    void *dst;       // forward writes, backward reads
    const void *d_dst;
    void *d_src;
    bool accumulate_d_src;
    void *workspace;
};

// ---- rescale ------------------------------------------------------------------------------------
// Bilinear with align-corners to (h_out, w_out); the result is placed at (top, left) of a zero
// plane (h_dst, w_dst), as the U-Net's up-path needs it for odd sizes.
struct adele_rescale_desc {
    int n, c, h_in, w_in;
    int h_out, w_out;
    // Without padding h_dst = h_out, w_dst = w_out, top = left = 0. A negative top or left crops.
    int h_dst, w_dst, top, left;
    struct adele_slice dst; // of dst and d_dst
};
struct adele_rescale_args {
    const void *src;
    void *dst; // tensor (N, C, h_dst, w_dst)
    const void *d_dst;
    void *d_src; // gathered for each source pixel, so that the order of sums is fixed
    bool accumulate_d_src;
    void *workspace;
};

// ---- concat: dst = [src0, src1] along channels --------------------------------------------------
// A plan creates this op only where the inputs cannot be written as slices of dst.
struct adele_concat_desc {
    int n, c0, c1, h, w;
};
struct adele_concat_args {
    const void *src0, *src1;
    void *dst;
    const void *d_dst;
    void *d_src0, *d_src1;
    bool accumulate_d_src0, accumulate_d_src1;
};

// ---- add: dst = src0 + src1 ---------------------------------------------------------------------
struct adele_add_desc {
    int n, c, h, w;
};
struct adele_add_args {
    const void *src0, *src1;
    void *dst;
    const void *d_dst;
    void *d_src0, *d_src1; // NULL when not needed
    bool accumulate_d_src0, accumulate_d_src1;
};

// ---- global_pool: dst (N, C, 1, 1) = mean of src over H x W -------------------------------------
struct adele_global_pool_desc {
    int n, c, h, w;
};
struct adele_global_pool_args {
    const void *src;
    void *dst; // tensor (N, C, 1, 1)
    const void *d_dst;
    void *d_src;
    bool accumulate_d_src;
    void *workspace;
};

// ---- aspp: atrous spatial pyramid pooling -------------------------------------------------------
// Branch r convolves the one src with its own weights: 3 x 3 with dilation and padding rates[r], or
// 1 x 1 where rates[r] = 0; stride 1, so that every branch keeps (h, w). A rate may be larger than
// the image. Where operands are rounded, a device may, for SUM, add up the weights that multiply
// the same pixel (the centres of all branches) before it rounds them.
#define ADELE_MAX_RATES 8
#define ADELE_MAX_RATE  4096
enum adele_aspp_form {
    ADELE_ASPP_SUM,   // DeepLabv2: dst is the sum of the branches, (N, c_out, H, W)
    ADELE_ASPP_CONCAT // DeepLabv3: branch r is channels r c_out ..; (N, n_rates * c_out, H, W)
};
struct adele_aspp_desc {
    enum adele_aspp_form form;
    int n, c_in, h, w;
    int c_out;                  // of one branch
    int n_rates;                // 1..ADELE_MAX_RATES
    int rates[ADELE_MAX_RATES]; // 0..ADELE_MAX_RATE
    bool has_bias;              // each branch its own
    bool needs_d_src;
    bool is_training; // false: forward only
    enum adele_precision precision;
};
struct adele_aspp_args {                   // the first n_rates elements of each array are read
    const void *src;                       // tensor (N, c_in, H, W)
    const float *weights[ADELE_MAX_RATES]; // plain (c_out, c_in, k, k), k = 3 or 1
    const float *biases[ADELE_MAX_RATES];  // plain (c_out), NULL without
    void *dst;                             // forward only
    const void *d_dst;                     // tensor like dst; backward only, as all below
    void *d_src;                           // tensor like src; NULL when not needed
    bool accumulate_d_src;
    float *d_weights[ADELE_MAX_RATES]; // plain, +=
    float *d_biases[ADELE_MAX_RATES];  // plain, +=, NULL without
    void *workspace;
};

// ---- dropout: dst = src / (1 - rate) where it is kept, else 0 -----------------------------------
// Value c of pixel i of an image is dropped when word c % 4 of the Philox block with key `seed` and
// counter
//     (i * ceil(C / 4) + c / 4, sample, epoch, RANDOM_DROPOUT + 256 stream)
// is below rate * 2^32. per_channel: i = 0 for all pixels. So every device drops the same values,
// and backward draws the mask again instead of storing it.
#define ADELE_MAX_DROPOUT_STREAM 0xFFFFFF
struct adele_dropout_desc {
    int n, c, h, w;
    double rate; // probability that a value is dropped, [0, 1)
    bool per_channel;
    uint64_t seed;
    uint32_t stream; // differs between the dropouts of a network, 0..ADELE_MAX_DROPOUT_STREAM
};
struct adele_dropout_args {
    bool is_active;            // false: dst = src, in both directions
    const int32_t *sample_ids; // plain (N), on the device; NULL: 0, 1, ..
    uint32_t epoch;
    const void *src;
    void *dst; // may be the same memory as src
    const void *d_dst;
    void *d_src;
    bool accumulate_d_src;
};

// Output extent of a convolution, or of a pooling with dilation 1.
static inline int adele_conv2d_extent(int in, int kernel, int stride, int pad, int dilation) {
    return (in + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
}

#endif
