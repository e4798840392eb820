// SPDX-License-Identifier: MIT
// What the files of the atrous pyramid share. aspp.cu makes the op and lays out the workspace;
// aspp_gather.cu lists taps and orders pixels; aspp_pack.cu brings weights into the kernels' order;
// aspp_plain.cu, aspp_fma.cu and aspp_mma.cu compute forward and data gradient (the last two share
// aspp_tile.cuh), aspp_hopper_plan.cu has them computed by the convolution's kernel for Hopper.
// Weight gradients go branch by branch through weight_gradient_run.
#ifndef ADELE_CUDA_ASPP_ASPP_PARTS_CUH
#define ADELE_CUDA_ASPP_ASPP_PARTS_CUH

#include "conv2d/conv2d_parts.cuh"

namespace adele_cuda {

// ---- forward and data gradient: one product over all rates --------------------------------------
// To the kernels both are a gather: a target pixel adds up, tap by tap, the channels of one source
// pixel times that tap's matrix. The taps of all rates form one list. The forward pass reads src at
// the taps' offsets, the data gradient reads d_dst at the opposite ones with transposed matrices.
//
// SUM: the centres of all branches meet the same pixel, so their matrices are added up when they
// are packed, and R rates of 3 x 3 are 8 R + 1 taps, not 9 R. One group of taps, all of them.
// CONCAT: forward, a group a branch, since every branch has target channels of its own; the data
// gradient has one group, in which a branch's taps read its channels of d_dst.
#define ASPP_MAX_TAPS   (9 * ADELE_MAX_RATES)
#define ASPP_MASK_WORDS ((ASPP_MAX_TAPS + 31) / 32)
#define ASPP_TILE       128 // target pixels of a block of the tuned kernels

struct aspp_tap {
    int16_t y, x; // source pixel minus target pixel
    int channel;  // first source channel, a multiple of 8
};
struct aspp_group {
    int tap_first, n_taps;       // of the list
    int channel_first, channels; // of the target; the last group writes the padding channels too
    int bias_first, n_biases;    // branches whose biases are added
    int64_t weights;             // elements before the group's packed ones
};
// The tuned kernels give a block ASPP_TILE pixels and skip every tap that none of them meets. So
// that tiles agree in their taps, each axis is cut where a tap begins or ceases to reach inside,
// and pixels are numbered rectangle by rectangle, over all images (a rectangle holds few pixels of
// one image); `order` is that numbering. Tiles with most taps come first.
struct aspp_gather {
    int n, h, w;
    int c_source, p_source, p_target;
    int k_width; // source channels that a tap multiplies, rounded up to vectors of 8
    int n_groups, n_tiles;
    bool shares_rows;      // packed rows have the taps of all groups, one behind the other
    const int *order;      // (groups, tiles, ASPP_TILE): target pixel, -1 beyond the last; device
    const uint32_t *masks; // (groups, tiles, ASPP_MASK_WORDS): the group's live taps; device
    struct aspp_group groups[ADELE_MAX_RATES];
    struct aspp_tap taps[ASPP_MAX_TAPS];
};

// aspp_gather.cu: all but the tables.
void aspp_gather_list(const struct adele_aspp_desc *desc, bool is_data_gradient,
                      struct aspp_gather *out);
// The tables of the kernels of aspp_tile.cuh; they are the op's.
adele_status aspp_gather_tables(struct cuda_op *op, struct aspp_gather *gather);
static inline int aspp_taps(const struct aspp_gather *gather) {
    const struct aspp_group *last = &gather->groups[gather->n_groups - 1];
    return last->tap_first + last->n_taps;
}

// The branches' parameters.
struct aspp_pointers {
    const float *of[ADELE_MAX_RATES];
};
// One run of a kernel.
struct aspp_product {
    const void *source;          // tensor
    const void *weights;         // as aspp_pack leaves them
    struct aspp_pointers biases; // read as the groups say
    int c_out;                   // channels of a bias
    void *target;                // tensor
    bool accumulate;             // target += instead of =
    int n_columns;               // blocks that share a tile of pixels
};
// A kernel and its launch, chosen at the op's creation.
struct aspp_launch {
    void (*kernel)(struct aspp_gather gather, struct aspp_product product);
    int n_columns, n_threads;
    size_t shared_bytes;
};

static inline int aspp_kernel_size(int rate) {
    return rate > 0 ? 3 : 1;
}
static inline int aspp_dst_channels(const struct adele_aspp_desc *desc) {
    return desc->form == ADELE_ASPP_SUM ? desc->c_out : desc->c_out * desc->n_rates;
}

// aspp_pack.cu: plain float weights -> for each group (its channels, its taps, k_width), with
// shares_rows (channels of a group, taps of all, k_width), in the element type of the storage,
// rounded as `math` requires; zeros where a tap has no channel.
size_t aspp_packed_bytes(const struct cuda_context *context, const struct aspp_gather *gather);
struct aspp_packed {
    void *weights;
    // The biases of all target channels, of SUM their sum, with zeros up to a multiple of 64; NULL:
    // not wanted.
    float *biases;
};
adele_status aspp_pack(const struct cuda_context *context, const struct adele_aspp_desc *desc,
                       bool is_data_gradient, const struct aspp_gather *gather,
                       enum conv2d_math math, const struct adele_aspp_args *args,
                       const struct aspp_packed *packed);

// aspp_hopper_plan.cu. Whether the pass runs on Hopper's kernel: on such a GPU, with as many taps
// as it can name, channels of the source that fill its steps, and branches that begin with a step.
bool aspp_hopper_fits(const struct cuda_context *context, const struct adele_aspp_desc *desc,
                      const struct aspp_gather *gather, enum conv2d_math math);
// The tables are the op's. Decides how weights are packed.
adele_status aspp_hopper_create(struct cuda_op *op, struct aspp_gather *gather,
                                struct hopper_part *out);

adele_status aspp_plain_run(const struct cuda_context *context, const struct adele_aspp_desc *desc,
                            bool is_data_gradient, enum conv2d_math math,
                            const struct adele_aspp_args *args);
// Fill in the launch of the kernel for this gather, at the op's creation.
adele_status aspp_fma_choose(const struct aspp_gather *gather, struct aspp_launch *out);
adele_status aspp_mma_choose(const struct cuda_context *context, const struct aspp_gather *gather,
                             enum conv2d_math math, struct aspp_launch *out);

} // namespace adele_cuda
#endif
