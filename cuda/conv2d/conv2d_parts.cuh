// SPDX-License-Identifier: MIT
// What the files of the convolution share. conv2d.cu makes the op, conv2d_scales.cu that of all
// scales of a step; conv2d_direct.cu chooses among our own kernels and launches them;
// conv2d_gather.cu describes how target pixels gather from source pixels; conv2d_pack.cu brings
// weights into the kernels' order; conv2d_plain.cu, conv2d_fma.cu, conv2d_mma.cu, conv2d_hopper.cu
// and conv2d_first_layer.cu compute forward and data gradient; conv2d_weight_gradient*.cu the
// weight and bias gradients; conv2d_cudnn.cu and conv2d_cublas.cu are the libraries' engines.
#ifndef ADELE_CUDA_CONV2D_CONV2D_PARTS_CUH
#define ADELE_CUDA_CONV2D_CONV2D_PARTS_CUH

#include "device/conv2d_box_work.h"
#include "device/conv2d_gradient_tiles.h"
#include "runtime/common.cuh"

namespace adele_cuda {

// What a convolution computes with.
enum conv2d_math {
    CONV2D_FMA,  // float operands, fused multiply-add
    CONV2D_TF32, // float tensors, operands rounded to TF32, tensor cores
    CONV2D_BF16  // operands in bf16 (float tensors are rounded as they are read), tensor cores
};

// The extents that every kernel needs, by value.
struct conv2d_shape {
    int n, h_in, w_in, c_in, p_in; // p: padded channels
    int h_out, w_out, c_out, p_out;
    int kernel, stride, pad, dilation;
};

// ---- forward and data gradient: a product that gathers ------------------------------------------
// Both are one thing to the kernels: every target pixel gathers, tap by tap, one source pixel, and
// multiplies its channels by that tap's matrix. Along y (x alike), target row y meets through tap k
//     t = y multiply + offset,  source row = floor(t / divide) + sign quotient[k],
// if t mod divide = rest[k] and that row is inside. The forward pass: source = src, multiply =
// stride, offset = -pad, divide = 1, quotient = k dilation. The data gradient: source = d_dst,
// multiply = 1, offset = pad, divide = stride, sign = -1, quotient and rest those of k dilation /
// stride. Its weights are the transposed matrices.
//
// The tuned kernels give a block a run of target pixels and skip a tap that no pixel of the run
// meets. So that runs agree in their taps, pixels are numbered rectangle by rectangle: each axis is
// cut into segments of pixels (every `step`-th: a data gradient with a stride has `stride` kinds of
// rows) with the same live taps, and a rectangle is a segment of y times one of x, over all images.
#define CONV2D_MAX_KERNEL     7 // larger ones go to the plain kernel
#define CONV2D_MAX_TAPS       (CONV2D_MAX_KERNEL * CONV2D_MAX_KERNEL)
#define CONV2D_MAX_SEGMENTS   6
#define CONV2D_MAX_RECTANGLES (CONV2D_MAX_SEGMENTS * CONV2D_MAX_SEGMENTS)

struct conv2d_segment {
    int start, count;
};
struct conv2d_gather {
    int n, h_source, w_source, c_source, p_source;
    int h_target, w_target, c_target, p_target;
    int kernel, multiply, offset, divide, sign, dilation;
    int quotient[CONV2D_MAX_KERNEL], rest[CONV2D_MAX_KERNEL];
    // Weight (target channel, source channel, tap) is at target_stride, source_stride, 1 of the
    // plain array.
    int64_t target_stride, source_stride;
    int step, n_y, n_x; // segments
    struct conv2d_segment y[CONV2D_MAX_SEGMENTS], x[CONV2D_MAX_SEGMENTS];
    int first[CONV2D_MAX_RECTANGLES + 1]; // number of rectangle i_y n_x + i_x's first pixel
    bool is_large;      // too many elements for 32-bit offsets: neither tuned kernels nor libraries
    bool has_many_taps; // too many for the tuned kernels' tables, which the libraries do not read
};

// conv2d_gather.cu
struct conv2d_gather conv2d_gather_forward(const struct conv2d_shape *shape);
struct conv2d_gather conv2d_gather_data_gradient(const struct conv2d_shape *shape);

// One run of a kernel: its parameters beside the gather.
struct conv2d_product {
    const void *source;    // tensor (n, h_source, w_source, p_source)
    const void *weights;   // packed (rows, taps, p_source); for the plain and first-layer kernels
                           // plain floats, strides as in the gather
    const float *bias;     // (c_target), NULL without
    void *target;          // tensor (n, h_target, w_target, p_target)
    bool accumulate;       // target += instead of =
    enum conv2d_math math; // for the plain kernel, which rounds as it multiplies
};

// A kernel and its launch, chosen at the op's creation.
struct conv2d_launch {
    void (*kernel)(struct conv2d_gather gather, struct conv2d_product product);
    const char *name, *file; // of the kernel, for messages
    int n_blocks, n_threads;
    size_t shared_bytes;
};
static inline void conv2d_launch_set(struct conv2d_launch *out,
                                     void (*kernel)(struct conv2d_gather, struct conv2d_product),
                                     const char *name, const char *file, int n_blocks,
                                     int n_threads, size_t shared_bytes) {
    *out = {kernel, name, file, n_blocks, n_threads, shared_bytes};
}

// Tiles of the tuned kernels: pixels x channels of the target that one block owns.
enum conv2d_tile {
    CONV2D_TILE_128x128,
    CONV2D_TILE_128x64,
    CONV2D_TILE_128x32,
    CONV2D_TILE_64x64,
    CONV2D_TILES
};

enum conv2d_pass {
    CONV2D_FORWARD,
    CONV2D_DATA_GRADIENT,
    CONV2D_WEIGHT_GRADIENT, // and the bias's
    CONV2D_PASSES
};

// ---- packed weights, conv2d_pack.cu -------------------------------------------------------------
// Plain float weights (c_out, c_in, taps) -> (n_rows, taps, p_source) in the element type of the
// storage, operands rounded as the math requires; rows = target channels, with zeros beyond
// c_target, and zeros in the padding channels of the source.
struct conv2d_packing {
    int c_target, c_source, p_source, n_rows, n_taps;
    int64_t target_stride, source_stride; // of the plain array; a tap: 1
};
// For the forward pass or the data gradient, with the rows that plans of all extents can share. A
// convolution's packed weights are those of the forward pass, then those of the data gradient.
struct conv2d_packing conv2d_packing_make(int c_out, int c_in, int kernel, enum conv2d_pass pass);
size_t conv2d_packing_bytes(const struct cuda_context *context,
                            const struct conv2d_packing *packing);
adele_status conv2d_pack(const struct cuda_context *context, const struct conv2d_packing *packing,
                         enum conv2d_math math, const float *weight, void *packed);
enum conv2d_math conv2d_math_of(const struct cuda_context *context, enum adele_precision precision);

// Fill in the launch of the kernel for this gather, at the op's creation.
adele_status conv2d_plain_choose(const struct cuda_context *context,
                                 const struct conv2d_gather *gather, struct conv2d_launch *out);
adele_status conv2d_fma_choose(const struct conv2d_gather *gather, enum conv2d_tile tile,
                               struct conv2d_launch *out);
adele_status conv2d_mma_choose(const struct cuda_context *context,
                               const struct conv2d_gather *gather, enum conv2d_math math,
                               enum conv2d_tile tile, struct conv2d_launch *out);
bool conv2d_first_layer_fits(const struct conv2d_gather *gather, enum conv2d_math math);
// Launches the kernel itself: with its parameters in one struct, as a conv2d_launch has them, it
// takes more registers.
adele_status conv2d_first_layer_run(const struct cuda_context *context,
                                    const struct conv2d_gather *gather, enum conv2d_math math,
                                    const struct conv2d_product *product);

// ---- Hopper, conv2d_hopper_plan.cu --------------------------------------------------------------

// A product with stride 1 as the kernels of conv2d_hopper.cu run it: all of a pass, the target
// pixels of one parity of rows and columns of a data gradient with stride 2, each at one scale or
// at several, whose weights are the same; or all rates of an atrous pyramid.
#define HOPPER_MAX_STRIDE 2
struct hopper_part {
    struct conv2d_boxes boxes;
    int c_source, c_target;           // channels of a pixel in memory
    int n_weight_taps, n_weight_rows; // packed weights are (rows, taps, weight_width); a row for
    int weight_width;                 // each target channel of a group
    int first_x, first_y, stride;     // target pixels (first_x, first_y), and every stride-th
    struct hopper_target {            // further, of a group's
        int i_scale;                  // whose tensors they are
        int h, w;                     // all rows and columns
    } targets[CONV2D_BOX_MAX_GROUPS];
    // Who computes which tiles; a pair of blocks shares the weights that each reads a half of.
    struct conv2d_box_work work;
    // In device memory: (work.n_tiles), (work.n_segments), (workers + 1), (work.n_sums).
    struct conv2d_box_tile *tiles;
    struct conv2d_box_segment *segments;
    int *starts;
    struct conv2d_box_sum *sums;
    void *encode; // the driver's function that describes a tensor
};
// Whether this GPU, this driver and this program run kernels of Hopper on tensors of bf16.
bool hopper_is_usable(const struct cuda_context *context, enum conv2d_math math);
bool hopper_is_compiled();
// Deals out the tiles of a part whose boxes and channels are filled in: each group has c_group
// target channels, each tap n_chunks steps of 64 source channels. The tables are the op's.
adele_status hopper_part_create(struct cuda_op *op, int c_group, int n_chunks,
                                struct hopper_part *part);
size_t hopper_part_slot_bytes(const struct hopper_part *part);
// products: one for each scale, which differ in source and target alone; bias: of all target
// channels, up to a multiple of 64. slots: so many bytes.
adele_status hopper_part_run(const struct cuda_context *context, const struct hopper_part *part,
                             const struct conv2d_product *products, float *slots);

// Of a convolution. Chosen from the shapes alone.
struct hopper_plan {
    struct hopper_part parts[HOPPER_MAX_STRIDE * HOPPER_MAX_STRIDE];
    int n_parts;
};
bool hopper_fits(const struct cuda_context *context, const struct conv2d_gather *gather,
                 enum conv2d_math math);
// scales: n gathers, which differ in their extents alone.
adele_status hopper_plan_create(struct cuda_op *op, const struct conv2d_gather *const *scales,
                                int n, struct hopper_plan *out);
void hopper_plan_name(const struct hopper_plan *plan, char *text, size_t bytes);
size_t hopper_slot_bytes(const struct hopper_plan *plan);
// products: one a scale, which differ in source and target alone; slots: hopper_slot_bytes.
adele_status hopper_run(const struct cuda_context *context, const struct hopper_plan *plan,
                        const struct conv2d_product *products, float *slots);

// ---- weight and bias gradients ------------------------------------------------------------------

enum weight_gradient_kernel {
    WEIGHT_GRADIENT_PLAIN,       // conv2d_weight_gradient_plain.cu
    WEIGHT_GRADIENT_FIRST_LAYER, // conv2d_weight_gradient_first_layer.cu
    WEIGHT_GRADIENT_FMA,         // conv2d_weight_gradient_fma.cu
    WEIGHT_GRADIENT_MMA,         // conv2d_weight_gradient_mma.cu
    WEIGHT_GRADIENT_HOPPER       // conv2d_weight_gradient_hopper.cu
};

// How the kernel for Hopper runs it, over one or several scales; the tables are in device memory.
struct weight_gradient_hopper {
    struct gradient_tiles tiles;
    struct gradient_segment *segments; // (n_segments)
    struct gradient_run *runs;
    int *starts, *slots; // (workers + 1), (tiles + 1), see gradient_tiles_list
    int n_segments;
    void *encode; // the driver's function that describes a tensor
};

// The kernel, chosen at the op's creation from the shape and the math alone, so that these fix the
// order of all sums too. Columns: see conv2d_weight_gradient.cuh.
struct weight_gradient_plan {
    struct conv2d_shape shape;
    enum conv2d_math math;
    enum weight_gradient_kernel kernel;
    int tile;            // rows and columns of a block's tile: 64 or 128; 0 in the other kernels
    int column_channels; // channels of the source that columns go through
    int n_columns;       // kernel * kernel * column_channels
    int n_splits;        // ranges of pixels, each with its own sums
    size_t workspace_bytes;
    struct weight_gradient_hopper hopper; // of that kernel, whose sums have slots instead of splits
};
// `plain`: take the simple kernel. Calls ALLOW_SHARED for the kernel that it takes. Tables are the
// op's.
adele_status weight_gradient_choose(struct cuda_op *op, const struct conv2d_shape *shape,
                                    enum conv2d_math math, bool plain,
                                    struct weight_gradient_plan *out);
// d_weight (c_out, c_in, kernel, kernel) += and d_bias (c_out) += (NULL: no bias), plain floats.
// src, d_dst: tensors in the context's storage. Split sums are added in a fixed order.
adele_status weight_gradient_run(const struct cuda_context *context,
                                 const struct weight_gradient_plan *plan, const void *src,
                                 const void *d_dst, float *d_weight, float *d_bias,
                                 void *workspace);

// The weight gradient of a layer at all scales of a step as one sum, by the kernel for Hopper:
// conv2d_weight_gradient_scales.cu.
struct weight_gradient_scales {
    int n;
    const struct weight_gradient_plan *plans[ADELE_MAX_SCALES]; // borrowed
    struct weight_gradient_hopper hopper;
};
// Whether that kernel runs each of the n (2 to ADELE_MAX_SCALES) plans, and gains by running them
// as one. The plans differ in the extents of their tensors alone.
bool weight_gradient_scales_fits(const struct weight_gradient_plan *const *plans, int n);
// For plans that fit, which live as long as *out. The tables are the op's.
adele_status weight_gradient_scales_create(struct cuda_op *op,
                                           const struct weight_gradient_plan *const *plans, int n,
                                           struct weight_gradient_scales *out);
size_t weight_gradient_scales_bytes(const struct weight_gradient_scales *plan); // of workspace
// As weight_gradient_run of each plan with its src[i] and d_dst[i], but that the weight gradients
// are summed up before they are added; the bias gradients are added scale by scale. workspace:
// weight_gradient_scales_bytes.
adele_status weight_gradient_scales_run(const struct cuda_context *context,
                                        const struct weight_gradient_scales *plan,
                                        const void *const *src, const void *const *d_dst,
                                        float *d_weight, float *d_bias, void *workspace);

// ---- the op -------------------------------------------------------------------------------------

enum conv2d_kernel {
    CONV2D_KERNEL_PLAIN,
    CONV2D_KERNEL_FMA,
    CONV2D_KERNEL_MMA,
    CONV2D_KERNEL_HOPPER,
    CONV2D_KERNEL_FIRST_LAYER
};
// How our own kernels run the forward pass or the data gradient.
struct conv2d_direct {
    struct conv2d_gather gather;
    enum conv2d_kernel kernel;
    struct conv2d_launch launch;   // PLAIN, FMA and MMA
    enum conv2d_tile tile;         // FMA and MMA
    struct hopper_plan hopper;     // HOPPER
    struct conv2d_packing packing; // FMA, MMA and HOPPER
    size_t workspace_bytes;        // for weights that come plain, and behind them HOPPER's slots
    size_t slots_offset;
};

struct conv2d;
// How a library runs one pass; run = NULL: our own kernels run it.
struct conv2d_library {
    const char *name; // static: "cudnn", "cublas"
    size_t workspace_bytes;
    bool rounds_gradient; // of the weights, to bf16, before it is added: not for the engine auto
    void *plan;           // the library's own
    adele_status (*run)(const struct conv2d *self, void *plan,
                        const struct adele_conv2d_args *args);
    void (*release)(void *plan);
};
struct conv2d {
    struct cuda_op base;
    struct adele_conv2d_desc desc;
    struct conv2d_shape shape;
    enum conv2d_math math;
    bool is_plain;
    struct conv2d_direct direct[CONV2D_WEIGHT_GRADIENT]; // forward, data gradient
    struct weight_gradient_plan weight_gradient;         // of our own kernels
    struct conv2d_library library[CONV2D_PASSES];
    size_t packed_forward_bytes; // of the forward pass's packed weights
    char engine[128];
};

static inline bool conv2d_has_pass(const struct conv2d *self, enum conv2d_pass pass) {
    return pass == CONV2D_FORWARD ||
           (self->desc.is_training && (pass == CONV2D_WEIGHT_GRADIENT || self->desc.needs_d_src));
}

// ---- our own kernels, conv2d_direct.cu ----------------------------------------------------------

// Fills in self->direct[pass], of the forward pass or the data gradient.
adele_status conv2d_direct_choose(struct conv2d *self, enum conv2d_pass pass);
// Text like "mma tf32 128x64" of the same two passes.
void conv2d_direct_name(const struct conv2d *self, enum conv2d_pass pass, char *text, size_t bytes);
// Where in args->packed_weight the weights of the forward pass or of the data gradient lie; NULL
// when the caller has none.
const void *conv2d_packed(const struct conv2d *self, enum conv2d_pass pass,
                          const struct adele_conv2d_args *args);
// Of the forward pass or the data gradient: *out = the weights in the kernel's order, packed into
// `workspace` where the caller has none; then everything but the weights.
adele_status conv2d_direct_weights(const struct conv2d *self, enum conv2d_pass pass,
                                   const struct adele_conv2d_args *args, void *workspace,
                                   const void **out);
struct conv2d_product conv2d_direct_product(const struct conv2d *self, enum conv2d_pass pass,
                                            const struct adele_conv2d_args *args);
// Runs any pass; args->workspace has conv2d_direct_workspace bytes.
size_t conv2d_direct_workspace(const struct conv2d *self, enum conv2d_pass pass);
adele_status conv2d_direct_run(const struct conv2d *self, enum conv2d_pass pass,
                               const struct adele_conv2d_args *args);

// conv2d.cu: a pass, by a library or our own kernels.
adele_status conv2d_run_pass(const struct conv2d *self, enum conv2d_pass pass,
                             const struct adele_conv2d_args *args);

// conv2d_library.cu: the last step of the creation of an op whose device was opened for auto, cudnn
// or cublas. Fills self->library for the passes that a library shall run.
adele_status conv2d_library_choose(struct conv2d *self);

} // namespace adele_cuda
#endif
