// SPDX-License-Identifier: MIT
// Ops of a training step around the network: sampling a batch, the loss, the update of the weights,
// and what prepares weights (initialize, pack). A descriptor and an argument struct each; none has
// a backward pass (the loss computes its gradients in its forward). What "plain", "tensor" and the
// letters mean is in tensor.h.
//
// A descriptor fixes the shapes when an op is created; arguments are given with each call. Outputs
// are overwritten unless the comment says "+=".
#ifndef ADELE_DEVICE_TRAINING_OPS_H
#define ADELE_DEVICE_TRAINING_OPS_H

#include "device/tensor.h"

// ---- sample: gather, augment, normalize, all scales ---------------------------------------------
// AFFINE: rotated, shifted and scaled about the centre, bilinear; the output has the set's size.
// With elastic_shift, what a pixel reads is moved besides: cubic B-splines between shifts at grid
// points elastic_spacing pixels apart, each drawn within +-elastic_shift along x and along y.
// VOC (METHOD section 5): hue rotated by up to +-hsv degrees, saturation and value shifted by up to
// +-hsv / 255; resized by a random scale (image cubic, labels nearest); a crop of the output's
// size at a random position. Where the scaled image is smaller than the crop, it lies at a random
// position inside the crop. Both: pixels outside of the image are 0 after normalization and have
// the label 255.
enum adele_augment_kind { ADELE_AUGMENT_AFFINE, ADELE_AUGMENT_VOC };
struct adele_augment {
    bool enabled;
    double rotate_degrees; // AFFINE: uniform in +- this
    double translate;      // AFFINE: fraction of the extent, +-
    double scale_low, scale_high;
    double flip; // probability of a horizontal flip
    enum adele_augment_kind kind;
    double hsv; // VOC; above 0 only for u8 images of 3 channels (red, green, blue)
    // AFFINE, in pixels: a shift of 0 is none; else the spacing is at least ADELE_ELASTIC_SPACING,
    // and the shift at most ADELE_ELASTIC_SHARE of it, beyond which the image would fold (Choi and
    // Lee 2000: 1 / 2.046 for splines in two dimensions).
    double elastic_shift, elastic_spacing;
};
#define ADELE_ELASTIC_SPACING 8
#define ADELE_ELASTIC_SHARE   0.48
// A data set that stays in device memory. Where the images are too large for it, `images` is NULL
// and batch_images of the arguments gives the batch. All images have the same size here.
struct adele_sample_set {
    enum adele_pixel pixel;
    int n_images, c, h, w;
    const void *images;                    // plain (n_images, C, H, W), u8 or f16; may be NULL
    const float *mean, *inv_std;           // plain (n_images, C): x' = (x - mean) * inv_std
    const uint8_t *labels, *noisy, *truth; // plain (n_images, H, W); NULL: the set has none
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
                               // take images from set.images
    uint32_t epoch;
    bool flip;                      // flip every image horizontally (evaluation); labels too
    void *images[ADELE_MAX_SCALES]; // tensors (N, C, h_scale[k], w_scale[k]): normalized,
                                    // augmented, then rescaled bilinearly with align-corners
    // Plain (N, H, W); NULL when not wanted. Nearest; 255 outside the image.
    uint8_t *labels, *noisy, *truth;
    void *workspace;
};

// ---- augment_intensity: brightness, contrast, gamma, noise and blur of a batch
// In place, on the images of the op sample at scale 0, in the order of nnU-Net. Each of the five is
// drawn for an image with its probability; what it does to each channel (a plane):
//
//   noise: x += e, where e is normal. Its standard deviation is drawn from 0..0.1 for the image
//   (what nnU-Net calls its variance), in units of the normalized image.
//
//   blur: Gaussian. Its standard deviation is drawn from 0.5..1 pixels for the image, and it is cut
//   off 4 pixels away; beyond the border the border's pixel counts.
//
//   brightness: x *= b, where b is drawn from 0.75..1.25 for each channel.
//
//   contrast: x = (x - mean) f + mean, cut to the range before; f is drawn from 0.75..1.25 for each
//   channel.
//
//   gamma: x = low + (high - low) ((x - low) / (high - low))^g, then shifted and scaled to the mean
//   and deviation before; g is drawn from 0.7..1.5 for each channel. One image in four has that of
//   the inverted planes (low and high exchange).
//
// b, f and g lie below 1 as often as above. mean, low and high are of the plane just before. A
// value that is exactly 0 is what the op sample writes outside of an image: it stays 0 and does not
// count in mean, low, high and deviation, but does count as a neighbour in the blur. (Padding
// inside of a patch, see loader/patches.h, is a pixel like others.)
//
// The random numbers follow from (seed, epoch, sample id) alone, so the result of an image does not
// depend on its batch, and the same device gives the same bytes however many threads it has.
struct adele_intensity {
    double brightness, contrast, gamma, noise, blur; // probabilities, 0..1
};
struct adele_augment_intensity_desc {
    int n, c, h, w; // each at least 1
    struct adele_intensity intensity;
    uint64_t seed;
};
struct adele_augment_intensity_args {
    const int32_t *sample_ids; // plain (N); an id < 0 is an empty row, which stays as it is
    uint32_t epoch;
    void *images; // tensor (N, C, H, W), changed in place
    void *workspace;
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
    double lambda;  // weight of the consistency
    double rho;     // m_n = 1 for images with a pixel whose highest probability reaches it
    double divisor; // the total and its gradients are divided by it: 1 (VOC) or 3 (SegTHOR)
    bool learn_scale_weights; // false: w_k = 1 / K fixed and no d_scale_weights
};
// Counters of pixels: counts[table][kind][category]; kind: 0 intersection, 1 predicted, 2 labelled.
enum adele_count_table {
    ADELE_COUNT_PREDICTION_NOISY,   // prediction against the original noisy label
    ADELE_COUNT_PREDICTION_CURRENT, // prediction against the current label
    ADELE_COUNT_PREDICTION_TRUE,    // prediction against the truth, all pixels
    ADELE_COUNT_EARLY_LEARNING, // prediction against the truth where noisy label and truth differ
    ADELE_COUNT_MEMORIZATION,   // prediction against the noisy label at those pixels
    ADELE_COUNT_TABLES
};
#define ADELE_COUNT_KINDS 3
#define ADELE_COUNT_SIZE  (ADELE_COUNT_TABLES * ADELE_COUNT_KINDS * 256)
enum adele_loss_sum { // the entries of `sums`
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
    const uint8_t *truth;                 // plain (N, H, W), NULL: no tables with the truth
    // plain (C), each finite and at least 0: what the cross-entropy of a pixel of each label is
    // multiplied by, at every scale; the consistency has no weights. The mean of the cross-entropy
    // divides by the weights of the labelled pixels (as PyTorch's does), and in the forms PROGRAM
    // and PAPER, whose mean counts ignored pixels, by their mean for each of these. NULL: all 1.
    const float *class_weights;
    int64_t *counts;    // plain (ADELE_COUNT_SIZE), +=
    double *sums;       // plain (ADELE_SUM_COUNT), +=; unchanged when the step's
                        // loss is not finite
    int32_t *is_finite; // plain (1): whether the step's loss is finite; NULL when
                        // not wanted
    // Batches whose gradients are added up for one update: d_logits and d_scale_weights are divided
    // by it. Above 1 a finite loss leaves is_finite as it was, so that it is of all of them.
    // 0 is 1.
    int n_batches;
    float *mixture;      // plain (N, C, H, W), q; NULL when not wanted (tests)
    uint8_t *image_mask; // plain (N), m_n; NULL when not wanted
    // The prediction of this training pass (softmax at scale 0), stored for the correction at the
    // end of the epoch; all NULL when not wanted. Row i goes to image sample_ids[i] of the set, or
    // to image i when sample_ids is NULL.
    const int32_t *sample_ids;    // plain (N)
    uint8_t *prediction;          // plain (set, H, W)
    float *confidence_foreground; // plain (set, H, W): max probability over c >= 1
    float *confidence_background; // plain (set, H, W): probability of category 0
    void *workspace;
};

// ---- dice: soft Dice loss of the foreground -----------------------------------------------------
// p = softmax of the logits, brought bilinearly with align-corners to (h, w). For each category c
// from 1 on, over the pixels whose label is below C:
//     dice_c = (2 sum p_c [label = c] + s) / (sum p_c + sum [label = c] + s)
// with s = ADELE_DICE_SMOOTH. The loss is `weight` times the mean of 1 - dice_c over these
// categories, with the sums of the whole batch, or of each image, and then the mean over images.
#define ADELE_DICE_SMOOTH 1e-5
struct adele_dice_desc {
    int n, c, h, w; // label size; at least 2 categories
    int h_logits, w_logits;
    bool per_image;
    double weight;
};
struct adele_dice_args {
    const void *logits; // tensor (N, C, h_logits, w_logits)
    void *d_logits;     // tensor, +=; NULL: no gradient
    const uint8_t *labels;
    double *sums;       // plain (ADELE_SUM_COUNT): ADELE_SUM_TOTAL += the loss, unless that is not
                        // finite; the others are unchanged. NULL when not wanted
    int32_t *is_finite; // plain (1): 0 when the loss is not finite, else unchanged; NULL when not
                        // wanted
    int n_batches;      // as of the loss op; the sums are not divided
    void *workspace;
};

// ---- sgd: one multi-tensor update ---------------------------------------------------------------
// g = gradient + decay * weight; m = momentum * m + g; weight -= rate * lr_scale * m (PyTorch's
// SGD). With args.health, an update whose gradient or loss is not finite is skipped: it changes
// nothing.
struct adele_sgd_segment {
    int64_t offset, count; // in floats, into all three arenas
    float lr_scale, decay; // decay already holds weight_decay times the group's factor
};
struct adele_sgd_desc {
    int n_segments;
    const struct adele_sgd_segment *segments; // copied
};
// The entries (int64) of the record that a device keeps of skipped updates: those in which the loss
// or a gradient of the op's segments was NaN or infinite. The host zeroes it. In pinned memory the
// host may read it at any time without waiting; on a device whose ops run beside the host it may
// lag by a few updates.
enum adele_health {
    ADELE_HEALTH_UPDATES,       // updates in all, with the skipped ones
    ADELE_HEALTH_SKIPPED,       // skipped updates
    ADELE_HEALTH_FIRST_UPDATE,  // number of the first skipped update, counted from 1
    ADELE_HEALTH_FIRST_SEGMENT, // of that update: the non-finite segment that backward computed
                                // first, which is the last one in the network's order; -1: the loss
                                // itself was not finite
    ADELE_HEALTH_LAST_SKIPPED,  // 1: the last update was skipped, 0: it was done
    ADELE_HEALTH_COUNT
};
struct adele_sgd_args {
    float *weights, *gradients, *momenta; // plain arenas; gradients are not changed
    float rate, momentum;
    int64_t *health; // plain (ADELE_HEALTH_COUNT), +=; NULL: gradients are not checked
    // With `health`: `state` is what forward changes beside the weights (running statistics). An
    // update copies it to `kept`; a skipped one restores it from there. Plain (n_kept), both.
    float *state, *kept;
    int64_t n_kept;
    // With `health`: plain (n_losses), is_finite of the loss op, of each loss that the gradients
    // are of; NULL: not checked.
    const int32_t *loss_is_finite;
    int n_losses;        // 0 is 1
    bool skip_all_later; // with `health`: after a skipped update all later ones are skipped too,
                         // until the host zeroes `health`, so that weights and state stay as they
                         // were before the failing step
    // The running average of the weights, updated in the same pass: behind the update of a weight,
    // average += (1 - average_decay) (weight - average). Plain, with the offsets of the weights;
    // only what lies in segments changes, and nothing does where the update is skipped. NULL: none.
    float *average;
    float average_decay; // 0..1
    // With `health`: the caller has checked the gradients itself, and an entry of loss_is_finite is
    // 0 where one is not finite. The op does not check them again.
    bool gradients_are_checked;
};

// ---- adamw: one multi-tensor update with second moments -----------------------------------------
// PyTorch's AdamW (Loshchilov and Hutter 2019). With t the number of this update, from 1:
//     first  = beta1 first + (1 - beta1) gradient
//     second = beta2 second + (1 - beta2) gradient^2
//     weight -= rate lr_scale (decay weight + first' / (sqrt(second') + eps))
// with first' = first / (1 - beta1^t) and second' = second / (1 - beta2^t); on the right, weight is
// that before the update.
struct adele_adamw_desc {
    int n_segments;
    const struct adele_sgd_segment *segments; // copied
};
struct adele_adamw_args {
    float *weights, *gradients, *first, *second; // plain arenas; gradients are not changed
    int64_t *n_updates; // plain (1): updates done so far, +1 unless this one is skipped
    float rate;
    double beta1, beta2; // at least 0, below 1
    float eps;
    // As in adele_sgd_args.
    int64_t *health;
    float *state, *kept;
    int64_t n_kept;
    const int32_t *loss_is_finite;
    int n_losses;
    bool skip_all_later;
    float *average;
    float average_decay;
    bool gradients_are_checked;
};

// ---- combine: the sum of two vectors ------------------------------------------------------------
// out = (a + b) * scale, element by element. With b NULL, out = a * scale. A sum of many vectors is
// made of it in an order that the caller chooses, so that its bits do not depend on who adds.
struct adele_combine_desc {
    int64_t n_floats; // at least 1
};
struct adele_combine_args {
    const float *a, *b; // plain (n_floats)
    float *out;         // plain (n_floats), overwritten; a or b themselves, or apart from both
    float scale;
};

// ---- average: the running average of a vector --------------------------------------------------
// average += (1 - decay) (values - average), element by element, as sgd and adamw do for weights:
// for running statistics, which no segment holds.
struct adele_average_desc {
    int64_t n_floats; // at least 1
};
struct adele_average_args {
    float *average;      // plain (n_floats)
    const float *values; // plain (n_floats), apart from `average`
    float decay;         // 0..1
    // Of the sgd or adamw op before it, ADELE_HEALTH_COUNT: where that op has skipped its update,
    // nothing changes. NULL: the average always moves.
    const int64_t *health;
};

// ---- pack: the weights of convolutions as the device's kernels read them ------------------------
// A device's convolution may need its weights reordered and rounded to its precision before it
// multiplies. This op does that for all convolutions of a network at once, after their weights have
// changed; conv2d takes the result as packed_weight. packed_bytes of a conv2d op is the size of its
// packed weights. The layout does not depend on the extents of images: ops that agree in channels,
// kernel and precision read the same bytes, and where packed_bytes of two ops differ, the smaller
// one reads the beginning of the larger one's.
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
    uint32_t stream; // differs between the parameters of a network
};
struct adele_initialize_desc {
    int n_items;
    const struct adele_initialize_item *items; // copied
    uint64_t seed;
};
struct adele_initialize_args {
    float *values; // plain arena, overwritten where items lie
};

#endif
