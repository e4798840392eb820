// SPDX-License-Identifier: MIT
// The contract between the engine and a device: one op list, one descriptor and one argument struct
// an op, one interface struct. Nothing above this file knows which device runs.
//
// Layouts. "Plain" means C order in device memory, as written in the comment. "Tensor" means the
// device's own layout of a float (N, C, H, W) array (NHWC bf16 on CUDA, channel-blocked float on
// the CPU); its size is tensor_bytes(), and only tensor_upload() and tensor_download() translate it
// to plain NCHW float. Letters: N images in a batch, C channels or categories, H x W pixels, K
// scales; 255 = ignore.
//
// An op is created for fixed shapes (that is where a device chooses engines and reports the
// workspace it wants), then run many times without allocating. Who writes what: `dst` and `d_src`
// are overwritten unless the comment says "+="; gradients of parameters and counters are always
// "+=".
#ifndef ADELE_DEVICE_DEVICE_H
#define ADELE_DEVICE_DEVICE_H

#include "adele/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ADELE_MAX_SCALES     4
#define ADELE_MAX_CATEGORIES 255
#define ADELE_IGNORE         255

struct adele_shape {
    int n, c, h, w;
};

// fp32: multiply and add in float. tf32: convolutions round their operands to 10 bits of mantissa
// where the device has tensor cores for it, elsewhere the same as fp32. bf16: operands of
// convolutions are rounded to bf16 and summed in float; a device with 16-bit tensors keeps its
// tensors in bf16 too. Parameters, statistics and losses are float in all three.
enum adele_precision { ADELE_PRECISION_FP32, ADELE_PRECISION_BF16, ADELE_PRECISION_TF32 };
enum adele_pixel { ADELE_PIXEL_U8, ADELE_PIXEL_F16 }; // of a resident image set

// Where the channels of a tensor lie in a wider one: channels first .. first + C - 1 of `of`, so
// that ops can write what is to be concatenated where it is wanted. Pointers are to the whole wide
// tensor. of = 0: a tensor of its own. slice_channels of the device says where a slice may begin;
// it ends there too, or with the wide tensor.
struct adele_slice {
    int first, of;
};

// ---- the op list: X(name, has_backward) ---------------------------------------------------------
#define ADELE_OPS(X)                                                                               \
    X(conv2d, 1)                                                                                   \
    X(batch_norm, 1)                                                                               \
    X(max_pool, 1)                                                                                 \
    X(rescale, 1)                                                                                  \
    X(concat, 1)                                                                                   \
    X(add, 1)                                                                                      \
    X(global_pool, 1)                                                                              \
    X(aspp, 1)                                                                                     \
    X(dropout, 1)                                                                                  \
    X(loss, 0)                                                                                     \
    X(sgd, 0)                                                                                      \
    X(pack, 0)                                                                                     \
    X(initialize, 0)                                                                               \
    X(sample, 0)                                                                                   \
    X(ensemble, 0)                                                                                 \
    X(decide, 0)                                                                                   \
    X(crf, 0)                                                                                      \
    X(correct, 0)                                                                                  \
    X(count, 0)

enum adele_op_kind {
#define ADELE_OP_ENUM(name, has_backward) ADELE_OP_##name,
    ADELE_OPS(ADELE_OP_ENUM)
#undef ADELE_OP_ENUM
        ADELE_OP_COUNT
};

// ---- conv2d: dst = weight (*) src + bias, zero padding ------------------------------------------
struct adele_conv2d_desc {
    int n, c_in, h_in, w_in, c_out;
    int kernel, stride, pad,
        dilation; // square kernels; h_out = (h_in + 2 pad - dilation (kernel - 1) - 1) / stride + 1
    bool has_bias;
    bool needs_d_src; // false for a convolution on the image
    bool is_training; // false: forward only
    enum adele_precision precision;
};
struct adele_conv2d_args {
    const void *src;     // tensor (N, c_in, h_in, w_in)
    const float *weight; // plain (c_out, c_in, kernel, kernel)
    // What `pack` made of `weight`; NULL: every pass packs for itself. Ignored by an op whose
    // packed_bytes is 0.
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
// dst = relu?(scale (src - mean) / sqrt(variance + eps) + shift (+ residual)). Training with
// batch statistics: mean and biased variance of the batch; running = (1 - momentum) running +
// momentum batch (unbiased variance), as PyTorch. Otherwise the running statistics, in both
// directions.
struct adele_batch_norm_desc {
    int n, c, h, w;
    float eps, momentum; // 1e-5, 0.1
    bool has_relu, has_residual;
    struct adele_slice dst; // of dst and d_dst
};
struct adele_batch_norm_args {
    bool use_batch_statistics;
    const void *src;
    const void *residual;                   // tensor like src, NULL without
    const float *scale, *shift;             // plain (C)
    float *running_mean, *running_variance; // plain (C); updated in forward with batch statistics
    float *saved_mean, *saved_inv_std;      // plain (C); written by forward, read by backward
    void *dst; // forward writes; backward reads (the ReLU's mask is dst > 0)
    const void *d_dst;
    void *d_src;              // overwritten; may be the same memory as d_dst, if that is no slice
    void *d_residual;         // overwritten, NULL without
    float *d_scale, *d_shift; // plain (C), +=
    void *workspace;
};

// ---- max_pool: dst = max over the window, NaN if there is one; ties: first pixel in row order ---
struct adele_max_pool_desc {
    int n, c, h_in, w_in;
    int kernel, stride, pad; // h_out = (h_in + 2 pad - kernel) / stride + 1
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
// Bilinear, align-corners, to (h_out, w_out), placed at (top, left) of a zero plane (h_dst,
// w_dst): what the U-Net's up-path needs for odd sizes.
struct adele_rescale_desc {
    int n, c, h_in, w_in;
    int h_out, w_out;
    // h_dst = h_out, top = 0 and so on when nothing is padded; a negative top or left crops.
    int h_dst, w_dst, top, left;
    struct adele_slice dst; // of dst and d_dst
};
struct adele_rescale_args {
    const void *src;
    void *dst; // tensor (N, C, h_dst, w_dst)
    const void *d_dst;
    void *d_src; // gather form, fixed order
    bool accumulate_d_src;
    void *workspace;
};

// ---- concat: dst = [src0, src1] along channels --------------------------------------------------
// A plan needs it where its inputs cannot be written as slices of dst.
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
// the image. Where operands are rounded, a device may add up the weights of SUM that meet the same
// pixel (the centres of all branches) before it rounds them.
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
struct adele_aspp_args {                   // arrays: the first n_rates elements are read
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
// Value c of pixel i of an image is word c % 4 of the Philox block of counter (i * ceil(C / 4) +
// c / 4, sample, epoch, RANDOM_DROPOUT + 256 stream) and key `seed`; it is dropped when that word
// is below rate * 2^32. per_channel: i = 0 for all pixels. So every device drops the same values,
// and backward draws them again instead of keeping them.
#define ADELE_MAX_DROPOUT_STREAM 0xFFFFFF
struct adele_dropout_desc {
    int n, c, h, w;
    double rate; // share that is dropped, [0, 1)
    bool per_channel;
    uint64_t seed;
    uint32_t stream; // tells the dropouts of a network apart, 0..ADELE_MAX_DROPOUT_STREAM
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

// ---- loss: METHOD section 4 in one op -----------------------------------------------------------
// Logits of every scale (low resolution) -> bilinear align-corners to (h, w) -> softmax ->
// cross-entropy and consistency, gradients with respect to the low-resolution logits and the
// scale weights, argmax at scale 0, IoU counts. Computed in log space: finite for logits of any
// size.
enum adele_loss_form {
    ADELE_LOSS_PLAIN, // scale 0 only: cross-entropy on z, mean over the pixels that are not ignored
    ADELE_LOSS_PROGRAM, // METHOD section 4
    ADELE_LOSS_PAPER // CE of the unscaled logits of scale 0 + lambda / K * sum_k KL(p_k, q), q the
                     // plain average
};
struct adele_loss_desc {
    int n, c, h, w; // label size
    int n_scales;   // 1..ADELE_MAX_SCALES; scale 0 is the scale 1.0
    int h_scale[ADELE_MAX_SCALES], w_scale[ADELE_MAX_SCALES]; // of the logits
    enum adele_loss_form form;
    double lambda, rho;
    double divisor; // the total and its gradients are divided by it: 1 (VOC) or 3 (SegTHOR)
    bool learn_scale_weights; // false: w_k = 1 / K fixed and no d_scale_weights
};
// Counters: counts[table][kind][category]; kind: 0 intersection, 1 predicted, 2 labelled.
enum adele_count_table {
    ADELE_COUNT_PREDICTION_NOISY,   // prediction against the original noisy label
    ADELE_COUNT_PREDICTION_CURRENT, // prediction against the current label
    ADELE_COUNT_PREDICTION_TRUE,    // prediction against the truth, all pixels
    ADELE_COUNT_EARLY_LEARNING,     // prediction against the truth where noisy differs from it
    ADELE_COUNT_MEMORIZATION,       // prediction against noisy there
    ADELE_COUNT_TABLES
};
#define ADELE_COUNT_KINDS 3
#define ADELE_COUNT_SIZE  (ADELE_COUNT_TABLES * ADELE_COUNT_KINDS * 256)
enum adele_loss_sum { // what `sums` accumulates, doubles
    ADELE_SUM_TOTAL,
    ADELE_SUM_CROSS_ENTROPY,
    ADELE_SUM_CONSISTENCY,   // before lambda
    ADELE_SUM_MASKED_IMAGES, // images with m_n = 1
    ADELE_SUM_STEPS,
    ADELE_SUM_COUNT
};
struct adele_loss_args {
    const void *logits[ADELE_MAX_SCALES]; // tensors (N, C, h_scale[k], w_scale[k])
    void *d_logits[ADELE_MAX_SCALES];     // tensors, overwritten; all NULL: no gradients
    const float *scale_weights;           // plain (K), raw: w = softmax of it; read when learned
    float *d_scale_weights;               // plain (K), +=
    const uint8_t *labels;                // plain (N, H, W): current labels, what is trained on
    const uint8_t *noisy;                 // plain (N, H, W): original noisy labels
    const uint8_t *truth;                 // plain (N, H, W), NULL when there is none
    int64_t *counts;                      // plain (ADELE_COUNT_SIZE), +=
    double *sums;                         // plain (ADELE_SUM_COUNT), +=; nothing when the step's
                                          // loss is not finite
    int32_t *is_finite;                   // plain (1): whether the step's loss is; NULL when not
                                          // wanted
    float *mixture;                       // plain (N, C, H, W), q; NULL when not wanted (tests)
    uint8_t *image_mask;                  // plain (N), m_n; NULL when not wanted
    // The training pass's own prediction (softmax at scale 0), stored for the correction at the
    // epoch's end; all NULL when not wanted. Row i goes to image sample_ids[i] of the set (to row i
    // when sample_ids is NULL).
    const int32_t *sample_ids;    // plain (N)
    uint8_t *prediction;          // plain (set, H, W)
    float *confidence_foreground; // plain (set, H, W): max probability over c >= 1
    float *confidence_background; // plain (set, H, W): probability of category 0
    void *workspace;
};

// ---- sgd: one multi-tensor update ---------------------------------------------------------------
// g = gradient + decay * weight; m = momentum * m + g; weight -= rate * lr_scale * m (PyTorch's
// SGD). With args.health, nothing is changed when a gradient or the loss is not finite.
struct adele_sgd_segment {
    int64_t offset, count; // in floats, into all three arenas
    float lr_scale, decay; // decay already holds weight_decay times the group's factor
};
struct adele_sgd_desc {
    int n_segments;
    const struct adele_sgd_segment *segments; // copied
};
// What a device remembers of the updates that it left out because a gradient of the op's segments,
// or the loss, was NaN or infinite; int64. The host zeroes it. In pinned memory the host may look
// at it at any time, and sees it as it is after some update before: after the last one on a device
// whose ops are done when they return.
enum adele_health {
    ADELE_HEALTH_UPDATES,       // done and left out
    ADELE_HEALTH_LEFT_OUT,      // those left out
    ADELE_HEALTH_FIRST_UPDATE,  // the first of them, counted from 1
    ADELE_HEALTH_FIRST_SEGMENT, // of that one: the bad segment whose gradient backward came to
                                // first, which is the last of the bad ones in the network's
                                // order; -1: already the loss was not finite
    ADELE_HEALTH_COUNT
};
struct adele_sgd_args {
    float *weights, *gradients, *momenta; // plain arenas; gradients are left as they are
    float rate, momentum;
    int64_t *health; // plain (ADELE_HEALTH_COUNT), +=; NULL: gradients are not looked at
    // With `health`: what forward changed beside the weights (running statistics), as it is after
    // an update that was done, and goes back to when one is left out. Plain (n_kept), both.
    float *state, *kept;
    int64_t n_kept;
    const int32_t *loss_is_finite; // with `health`: plain (1), of the loss; NULL: not looked at
    bool stays_out; // with `health`: once one is left out, so are all later ones, until the host
                    // zeroes `health`: weights and state stay as the bad step met them
};

// ---- pack: the weights of convolutions as the device's kernels read them ------------------------
// A device's convolution may bring its weights into an order of its own, rounded to its precision,
// before it multiplies. This op does so for all the convolutions of a network at once, after their
// weights have changed; conv2d takes the result as packed_weight. The packed_bytes of a conv2d's
// op are what its weights take. Extents of images do not matter to the layout: ops that agree in
// channels, kernel and precision read the same bytes, and of two that want different packed_bytes
// the smaller wants the beginning of the larger's.
#define ADELE_PACK_ALIGNMENT 256
struct adele_pack_item {
    int64_t weight; // offset in floats, into args.weights
    int64_t packed; // offset in bytes, into args.packed; a multiple of ADELE_PACK_ALIGNMENT
    int64_t bytes;  // packed_bytes of the op, the largest where several share them
    int c_out, c_in, kernel;
};
struct adele_pack_desc {
    int n_items;
    const struct adele_pack_item *items; // copied
    enum adele_precision precision;      // of the convolutions
};
struct adele_pack_args {
    const float *weights; // plain arena
    void *packed;         // overwritten where items lie
};

// ---- initialize: the first values of a network's parameters -------------------------------------
// Values of an item come from the Philox stream (seed, RANDOM_INIT, epoch 0, sample `stream`):
// value i of a uniform item from its word i, value i of a normal one from its words 2 i and 2 i + 1
// (Box-Muller in double). Every device draws the same; a device's own logarithm and cosine may
// differ in the last bit of the double, and so, rarely, of the float.
enum adele_initial {
    ADELE_INITIAL_CONSTANT, // `spread` itself
    ADELE_INITIAL_UNIFORM,  // in [-spread, spread)
    ADELE_INITIAL_NORMAL    // of mean 0 and deviation `spread`
};
struct adele_initialize_item {
    int64_t offset, count; // in floats, into args.values
    enum adele_initial kind;
    double spread;
    uint32_t stream; // tells the parameters of a network apart
};
struct adele_initialize_desc {
    int n_items;
    const struct adele_initialize_item *items; // copied
    uint64_t seed;
};
struct adele_initialize_args {
    float *values; // plain arena, overwritten where items lie
};

// ---- sample: gather, augment, normalize, all scales ---------------------------------------------
// AFFINE: rotated, shifted and scaled about the centre, bilinear; the output has the set's size.
// VOC (METHOD section 5): hue turned by up to +-hsv degrees, saturation and value moved by up to
// +-hsv 255ths; resized by a random scale (image cubic, labels nearest); a crop of the output's
// size at a random place. Where the scaled image is smaller than the crop, it lies at a random
// place in it. Both: 0 after normalization and label 255 outside of the image.
enum adele_augment_kind { ADELE_AUGMENT_AFFINE, ADELE_AUGMENT_VOC };
struct adele_augment {
    bool enabled;
    double rotate_degrees; // AFFINE: uniform in +- this
    double translate;      // AFFINE: fraction of the extent, +-
    double scale_low, scale_high;
    double flip; // probability of a horizontal flip
    enum adele_augment_kind kind;
    double hsv; // VOC; above 0 only for u8 images of 3 channels (red, green, blue)
};
// A set that stays in device memory; of one that is too large, all but the images. All images have
// the same size here.
struct adele_sample_set {
    enum adele_pixel pixel;
    int n_images, c, h, w;
    const void *images;                    // plain (n_images, C, H, W), u8 or f16; may be NULL
    const float *mean, *inv_std;           // plain (n_images, C): x' = (x - mean) * inv_std
    const uint8_t *labels, *noisy, *truth; // plain (n_images, H, W); NULL when not there
};
struct adele_sample_desc {
    int n, c, h, w; // of the output; the set's size unless VOC crops
    int n_scales;
    int h_scale[ADELE_MAX_SCALES], w_scale[ADELE_MAX_SCALES]; // scale 0 is (h, w)
    struct adele_augment augment;
    uint64_t seed;
};
struct adele_sample_args {
    struct adele_sample_set set;
    const int32_t *sample_ids; // plain (N); an id < 0 is an empty row: image 0, labels 255
    const void *batch_images;  // plain (N, C, H, W), u8 or f16: row i is image sample_ids[i]; NULL:
                               // set.images has them
    uint32_t epoch;
    bool flip;                      // flip every image horizontally (evaluation); labels too
    void *images[ADELE_MAX_SCALES]; // tensors (N, C, h_scale[k], w_scale[k]): normalized,
                                    // augmented, then rescaled bilinearly with align-corners
    uint8_t *labels, *noisy,
        *truth; // plain (N, H, W); NULL when not wanted. Nearest; 255 outside the image
    void *workspace;
};

// ---- ensemble: adds one prediction to an accumulator --------------------------------------------
enum adele_ensemble_mode { ADELE_ENSEMBLE_PROBABILITIES, ADELE_ENSEMBLE_LOGITS };
struct adele_ensemble_desc {
    int n, c, h_in, w_in;          // of the logits
    int h, w;                      // of the accumulator
    enum adele_ensemble_mode mode; // average softmax(z) or z itself
};
struct adele_ensemble_args {
    const void *logits; // tensor
    bool is_first;      // accumulator = instead of +=
    bool flip;          // the logits are of a flipped image: flip them back
    float weight;       // 1 / number of members
    float *accumulator; // plain (N, C, H, W)
};
// ---- decide: accumulator -> prediction and confidence -------------------------------------------
struct adele_decide_desc {
    int n, c, h, w;
    enum adele_ensemble_mode mode;
    double temperature; // LOGITS: softmax(accumulator / temperature); METHOD section 3 (VOC: 3)
};
struct adele_decide_args {
    const float *accumulator;
    const int32_t
        *sample_ids; // as in the loss; rows with an id < 0 are skipped; NULL: row i to image i
    uint8_t *prediction;
    float *confidence_foreground, *confidence_background; // NULL when not wanted
    float *probabilities; // plain (N, C, H, W), NULL when not wanted
};

// ---- crf: probabilities made to agree with the image's edges, METHOD section 3 ------------------
// Fully connected CRF with Potts potentials, mean field: q = softmax(-u) at first, then
// `iterations` times q = softmax(-u + w_s K_s q + w_b K_b q), with u = -log p (a p below 1e-5 or
// NaN counts as 1e-5, one above 1 as 1). K is the Gaussian exp(-|f_i - f_j|^2 / 2) of the features
// (position / spatial_sigma), and of (position / bilateral_sigma, colour / colour_sigma), divided
// by the roots of the sums of row i and of row j; a pixel hears itself too. A device may cut K_s
// off at 4 sigma, and may compute K_b on a permutohedral lattice (device/lattice.h says how close
// that is).
struct adele_crf_desc {
    int n, c, image_c, h, w; // image_c: 1 (gray) or 3 (RGB)
    int iterations;          // 1 or more
    double spatial_sigma, spatial_weight;
    double bilateral_sigma, colour_sigma, bilateral_weight;
};
struct adele_crf_args {
    const float *probabilities; // plain (N, C, H, W)
    const uint8_t *images;      // plain (set, image_c, H, W)
    const int32_t *sample_ids;  // row i is of image sample_ids[i]; rows with an id < 0 are skipped;
                                // NULL: row i of image i
    float *dst;                 // plain (N, C, H, W); may be `probabilities`
    void *workspace;
};

// ---- correct: METHOD section 3 ------------------------------------------------------------------
enum adele_correct_rule { ADELE_CORRECT_BOTH, ADELE_CORRECT_SINGLE };
struct adele_correct_desc {
    int n, n_categories, h, w;
    enum adele_correct_rule rule;
    double tau_foreground,
        tau_background; // confident: foreground > tau_foreground or background > tau_background
    bool class_constraint;
    bool mask;     // write 255 instead of the prediction
    bool logic255; // BOTH: then 255 where a foreground label is predicted background
    bool guard;    // SINGLE: the 50 % / 95 % guard
};
struct adele_correct_args {
    const uint8_t
        *base;       // plain (N, H, W): labels to correct (current or original); may be `labels`
    uint8_t *labels; // plain (N, H, W): corrected labels
    const uint8_t *prediction;
    const float *confidence_foreground, *confidence_background; // plain (N, H, W)
    uint8_t correct[256]; // host: the categories to correct now; [0] set when any is
    int64_t
        *n_changed; // plain (1), +=: pixels where labels now differ from base; NULL when not wanted
};

// ---- count: IoU counts of one label map against another -----------------------------------------
struct adele_count_desc {
    int n, h, w, n_categories;
};
struct adele_count_args {
    const uint8_t *prediction, *labels; // plain (N, H, W); pixels with labels = 255 are left out,
                                        // and a prediction of 255 counts as no category
    int64_t *counts;                    // plain (3, 256), +=: intersection, predicted, labelled
};

// ---- the interface ------------------------------------------------------------------------------
struct adele_device;

// What every op instance begins with.
struct adele_op {
    enum adele_op_kind kind;
    const struct adele_device *device;
    size_t workspace_bytes; // the planner's to provide; shared by all ops of a stream
    size_t packed_bytes;    // conv2d: of its packed weights, see pack; 0: it takes none
    double flops_forward, flops_backward;
    const char *engine; // static text: which implementation was chosen
};

struct adele_device_iface {
    const char *name;
    adele_status (*alloc)(const struct adele_device *device, size_t bytes,
                          void **out); // 64-byte aligned or better
    // Memory of the host that upload_begin copies from, for data that do not fit into the device,
    // and that ops write where it lies, for what the host looks at without waiting; alloc where the
    // device's memory is the host's.
    adele_status (*alloc_pinned)(const struct adele_device *device, size_t bytes, void **out);
    void (*release)(const struct adele_device *device, void *block); // of both; NULL is legal
    // How much a run may plan with: what alloc can still give, less what the device takes for
    // itself later. SIZE_MAX when it does not know.
    size_t (*free_bytes)(const struct adele_device *device);
    adele_status (*upload)(const struct adele_device *device, void *to, const void *from_host,
                           size_t bytes);
    adele_status (*download)(const struct adele_device *device, void *to_host, const void *from,
                             size_t bytes);
    // Begins to copy from memory of alloc_pinned, beside the ops, and comes back at once.
    adele_status (*upload_begin)(const struct adele_device *device, void *to, const void *pinned,
                                 size_t bytes);
    // Ops called from now on wait for the copies begun so far, and copies begun from now on wait
    // for the ops called so far; the host waits for nothing. Not between step_begin and step_end.
    adele_status (*upload_fence)(const struct adele_device *device);
    adele_status (*fill)(const struct adele_device *device, void *block, int byte, size_t bytes);
    adele_status (*copy)(const struct adele_device *device, void *to, const void *from,
                         size_t bytes);
    adele_status (*synchronize)(const struct adele_device *device);
    size_t (*tensor_bytes)(const struct adele_device *device, struct adele_shape shape);
    // Slices of a tensor begin at multiples of so many channels; NULL: the device has no slices.
    int (*slice_channels)(const struct adele_device *device);
    adele_status (*tensor_upload)(const struct adele_device *device, void *tensor,
                                  struct adele_shape shape, const float *nchw);
    adele_status (*tensor_download)(const struct adele_device *device, float *nchw,
                                    const void *tensor, struct adele_shape shape);
    // Brackets the ops of one training step of `step_kind` (a number of the caller's, one for each
    // set of shapes and buffers): a device may record them the first time and replay the record,
    // with the new arguments, later. Nothing between the two reads results on the host. A failed op
    // in between: the caller still calls step_end, with is_whole false, and returns the first
    // error; a device that records drops the record then, and runs none of the step's ops.
    adele_status (*step_begin)(const struct adele_device *device, int step_kind);
    adele_status (*step_end)(const struct adele_device *device, bool is_whole);
    void (*destroy)(struct adele_device *device);
    void (*op_destroy)(struct adele_op *op); // NULL is legal
#define ADELE_OP_ENTRY(name, has_backward)                                                         \
    adele_status (*name##_create)(const struct adele_device *device,                               \
                                  const struct adele_##name##_desc *desc, struct adele_op **out);  \
    adele_status (*name##_forward)(struct adele_op * op, const struct adele_##name##_args *args);  \
    adele_status (*name##_backward)(struct adele_op * op, const struct adele_##name##_args *args);
    ADELE_OPS(ADELE_OP_ENTRY) // backward is NULL where the list says 0
#undef ADELE_OP_ENTRY
};

struct adele_device {
    const struct adele_device_iface *iface;
    void *context;         // the device's own
    char description[192]; // for people: "cpu: AMD EPYC, avx2, 2 threads, oneDNN 2.6.3"
    // What the bytes of results depend on, beside the build and the kind of device (iface->name).
    char engine[16];               // "auto", "direct"
    char instruction_set[16];      // in use: "avx2", "sm_90"
    char best_instruction_set[16]; // that the processor has; "": no choice
    char libraries[96];            // "oneDNN 2.6.3"; "": none
    char missing[256];   // for people: libraries that the engine would use and that were looked for
                         // in vain; "": none
    const char *repeats; // static text, for people: what has to be the same for the same
                         // bytes
    // Kernel families (device/families.h) that ops created from now on do without, because the
    // self-test found them faulty; a bit each. Whoever opens the device sets it.
    uint64_t families_left_out;
};

// devices.c: opens a device by name, "auto" (cuda when there is one, else cpu), "cpu", "cuda",
// "cuda:1", for runs of that precision.
ADELE_MUST_CHECK adele_status adele_device_open(const char *name, enum adele_precision precision,
                                                struct adele_device **out);
// For tests: one more name for adele_device_open, "mine" or with an engine "mine/cudnn", for up to
// 8 devices that are no part of the library; "mine" must be among them. `open` = NULL forgets it.
typedef adele_status (*adele_device_opener)(enum adele_precision precision,
                                            struct adele_device **out);
void adele_device_provide(const char *name, adele_device_opener open);
void adele_device_close(struct adele_device *device); // NULL is legal

// The output extents that descriptors imply.
static inline int adele_conv2d_extent(int in, int kernel, int stride, int pad, int dilation) {
    return (in + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
}

#ifdef __cplusplus
}
#endif
#endif
