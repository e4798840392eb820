// SPDX-License-Identifier: MIT
// Internal to the CPU convolution: conv2d.c is the op, conv2d_onednn.c calls oneDNN, the other
// files are our own kernels.
#ifndef ADELE_CPU_CONV2D_PARTS_H
#define ADELE_CPU_CONV2D_PARTS_H

#include "cpu/conv2d_winograd.h"
#include "cpu/cpu.h"
#include "cpu/elementwise.h"

#include <oneapi/dnnl/dnnl.h>

enum conv2d_direction { CONV2D_FORWARD, CONV2D_BACKWARD_DATA, CONV2D_BACKWARD_WEIGHTS };

// Our own Winograd convolution, in conv2d_winograd.c; all zero where another kernel is used.
struct conv2d_winograd {
    const struct winograd_kernels *kernels;
    int n_block;                                  // tiles that a thread takes at a time
    size_t src_stride, weight_stride, dst_stride; // floats from point to point
    size_t thread_floats;                         // buffers of one thread
};

// One oneDNN primitive with everything it needs, or our own Winograd convolution instead; all zero
// when the op does not need the pass.
struct conv2d_pass {
    enum conv2d_direction direction;
    dnnl_primitive_t primitive;
    dnnl_memory_t src, weights, bias, dst, scratchpad; // src and dst: or their gradients
    dnnl_primitive_t
        reorder; // plain to the primitive's format; for the weight gradient back, adding
    dnnl_memory_t reorder_from, reorder_to;
    size_t weights_bytes, scratchpad_bytes;
    char name[32]; // of oneDNN's implementation, or "far"
    bool is_far;   // computed by conv2d_far.c, which has its own weight formats
    bool is_bf16;  // the operands that are read are bf16 in memory, 2 bytes a value
    struct conv2d_winograd winograd;
    // Places in the workspace, set by conv2d.c.
    size_t at_staged_weights, at_weights, at_bias, at_scratchpad;
};

// Our own weight gradient, in conv2d_weight_gradient.c; all zero where oneDNN's is used.
struct conv2d_weight_gradient {
    bool is_used;
    int n_splits;                // ranges of output rows with their own sums
    int n_rows;                  // output rows of one pass
    int n_filled, n_buffer_rows; // output rows of one buffer, and the padded input rows they read
    size_t row_floats;           // of a padded input row
    size_t thread_floats;        // buffers of one thread
    size_t partial_bytes, buffer_bytes;
    // conv2d_winograd_gradient.c instead: tiles of a block, whether it has all of them, and floats
    // from point to point.
    const struct winograd_kernels *winograd;
    int n_block;
    bool is_whole;
    size_t src_stride, d_dst_stride, sum_stride;
    size_t at_partial, at_buffer, at_bias_sums; // places in the workspace, set by conv2d.c
};

// Our own forward pass for an image of few channels, in conv2d_first_layer.c; all zero where
// oneDNN's is used.
struct conv2d_first_layer {
    bool is_used;
    int n_filled, n_buffer_rows; // as above
    size_t packed_floats, weights_bytes, buffer_bytes;
    size_t at_weights, at_buffer; // places in the workspace, set by conv2d.c
};

struct conv2d {
    struct cpu_op base;
    struct adele_conv2d_desc desc;
    int h_out, w_out;
    int c_in_padded, c_out_padded;
    bool is_padded; // either differs from the channels of the descriptor
    bool rounds;    // operands to bf16
    bool is_bf16;   // the tensors
    size_t taps;    // kernel * kernel
    size_t padded_weight_bytes, src_values, dst_values;
    struct conv2d_pass forward, backward_data, backward_weights;
    struct conv2d_weight_gradient weight_gradient;
    struct conv2d_first_layer first_layer;
    // Places in the workspace: of operands as a pass reads them, and of a pass's output.
    size_t at_src, at_d_dst, at_backward_src, at_dst, at_d_src;
    char engine[160];
};

struct conv2d_pointers {
    const void *src, *weights, *bias, *dst, *scratchpad;
    bool adds; // to what the pass writes; our own Winograd convolution alone
};

static inline bool conv2d_pass_is_used(const struct conv2d_pass *pass) {
    return pass->primitive != NULL || pass->winograd.kernels != NULL;
}

// Creates the primitive; on failure the caller calls deinit, which is legal on a zeroed pass.
ADELE_MUST_CHECK adele_status conv2d_pass_init(const struct conv2d *self,
                                               enum conv2d_direction direction,
                                               struct conv2d_pass *pass);
void conv2d_pass_deinit(struct conv2d_pass *pass);
ADELE_MUST_CHECK adele_status conv2d_pass_run(const struct conv2d *self,
                                              const struct conv2d_pass *pass,
                                              const struct conv2d_pointers *pointers);
ADELE_MUST_CHECK adele_status conv2d_reorder(const struct conv2d *self,
                                             const struct conv2d_pass *pass, const void *from,
                                             void *to);

// conv2d_far.c: the three passes where oneDNN has only its reference loops for a stride of 1. For
// the weight gradient, pointers->weights is plain and padded, and overwritten.
bool conv2d_far_serves(const struct conv2d *self, const struct conv2d_pass *pass);
void conv2d_far_pack(const struct conv2d *self, const struct conv2d_pass *pass, const float *plain,
                     float *packed);
void conv2d_far_run(const struct conv2d *self, const struct conv2d_pass *pass,
                    const struct conv2d_pointers *pointers);

// Whether our own Winograd convolution is used for this shape; if so, plans it. `pack` transforms
// the plain weights, unpadded.
bool conv2d_winograd_plan(const struct conv2d *self, struct conv2d_pass *pass);
void conv2d_winograd_pack(const struct conv2d *self, const struct conv2d_pass *pass,
                          const float *weight, float *packed);
void conv2d_winograd_run(const struct conv2d *self, const struct conv2d_pass *pass,
                         const struct conv2d_pointers *pointers);

// Whether our own weight gradient is used for this shape; if so, plans it.
bool conv2d_weight_gradient_plan(struct conv2d *self);
// d_weight +=; pointers: src, dst (its gradient), weights (partial sums) and scratchpad (row
// buffers).
void conv2d_weight_gradient_run(const struct conv2d *self, const struct conv2d_pointers *pointers,
                                float *d_weight);
// The same by Winograd's algorithm, in conv2d_winograd_gradient.c.
bool conv2d_winograd_gradient_plan(struct conv2d *self);
void conv2d_winograd_gradient_run(const struct conv2d *self, const struct conv2d_pointers *pointers,
                                  float *d_weight);
// The same for 1 x 1 kernels, in conv2d_pointwise_gradient.c.
bool conv2d_pointwise_gradient_plan(struct conv2d *self);
void conv2d_pointwise_gradient_run(const struct conv2d *self,
                                   const struct conv2d_pointers *pointers, float *d_weight);

// conv2d_bias_gradient.c: d_bias +=; `sums` has conv2d_bias_gradient_bytes.
size_t conv2d_bias_gradient_bytes(const struct conv2d *self);
void conv2d_bias_gradient(const struct conv2d *self, const void *d_dst, double *sums,
                          float *d_bias);

// The same for the forward pass of a first layer.
bool conv2d_first_layer_plan(struct conv2d *self);
void conv2d_first_layer_run(const struct conv2d *self, const void *src, const float *weight,
                            const float *bias, void *dst, char *workspace);

// What our own kernels share, in conv2d_rows.c. They work on groups of 8 channels, which are a
// block of 8 or half a block of 16.
// Group `i_group` of image n of a tensor whose padded channels are n_channels; from pixel to pixel
// it is cpu_block values.
const void *conv2d_group(const struct conv2d *self, const void *tensor, int n, int n_channels,
                         int i_group, size_t pixels);
// Copies pixels of a group, of 8 of `step` values each, to pixels of 8 floats.
void conv2d_copy_pixels(float *to, const void *from, size_t step, size_t n_pixels, bool is_bf16);
// Rows of src that n_rows neighbouring output rows span.
int conv2d_rows_read(const struct adele_conv2d_desc *desc, int n_rows);
// Copies those rows, of a group's plane (H, W, 8 of a block's values), to rows of w_in + 2 pad
// pixels of 8 floats with zeros where there is padding. Rows between the taps of a dilated kernel
// that none reads are skipped.
void conv2d_fill_rows(const struct conv2d *self, const void *plane, int y, int n_rows,
                      float *buffer);

// pack.c: plain weights padded to whole blocks, and rounded if `rounds`.
struct conv2d_staging {
    int c_out, c_in, c_out_padded, c_in_padded;
    size_t taps;
    bool rounds;
};
void conv2d_stage(float *to, const float *weight, const struct conv2d_staging *staging);
#endif
