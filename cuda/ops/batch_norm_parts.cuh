// SPDX-License-Identifier: MIT
// What the files of the tuned batch norm share: batch_norm.cu is the op and its elementwise passes,
// batch_norm_sums.cu the sums over the pixels.
#ifndef ADELE_CUDA_OPS_BATCH_NORM_PARTS_CUH
#define ADELE_CUDA_OPS_BATCH_NORM_PARTS_CUH

#include "runtime/common.cuh"

namespace adele_cuda {

#define BLOCK      256 // threads
#define MAX_GROUPS 32  // of 8 channels in a block: 512 bytes of bf16 side by side

// How the threads of a block divide a tensor: a thread owns the 8 channels of one group, at every
// `lanes`-th pixel of its block's part. blockIdx.x is the part, blockIdx.y the slab of groups.
struct division {
    int p, groups, lanes; // groups: a power of two; groups * lanes = BLOCK
    int dst_pitch;        // elements from pixel to pixel of dst and d_dst; p, unless slices
    int64_t n_pixels;     // M
    int64_t part_pixels;  // of a part, the last one may have fewer
    int n_parts;
};

// What stage two needs of the op.
struct channel_rule {
    int c; // channels
    float eps, momentum;
    bool use_batch_statistics;
};

// The thread's place: first channel of its group, and its pixels first, first + lanes, ... < end.
struct place {
    int group, lane, c;
    int64_t part_first, first, end; // end = first: nothing
};

static __device__ inline struct place place_of(const struct division *d) {
    struct place place;
    place.group = (int)threadIdx.x % d->groups;
    place.lane = (int)threadIdx.x / d->groups;
    place.c = ((int)blockIdx.y * d->groups + place.group) * 8;
    place.part_first = (int64_t)blockIdx.x * d->part_pixels;
    place.first = place.part_first + place.lane;
    place.end = min(place.part_first + d->part_pixels, d->n_pixels);
    if (place.c >= d->p || place.end < place.first)
        place.end = place.first;
    return place;
}

// g = d_dst where dst > 0; everywhere when dst is NULL.
template <typename T>
static __device__ inline void load_gradient(const T *d_dst, const T *dst, int64_t at, float g[8]) {
    load8(d_dst + at, g);
    if (dst == NULL)
        return;
    float mask[8];
    load8(dst + at, mask);
    for (int j = 0; j < 8; j++)
        g[j] = mask[j] > 0.0f ? g[j] : 0.0f;
}

// A channel's numbers of a plain array (C) for the thread's group; 0 beyond the last channel.
static __device__ inline void load_channels(const float *from, int c, int n_channels,
                                            float out[8]) {
    for (int j = 0; j < 8; j++)
        out[j] = c + j < n_channels ? from[c + j] : 0.0f;
}

static inline int slabs_of(const struct division *d) {
    return ceil_div(d->p / 8, d->groups);
}

static inline dim3 grid_of(const struct division *d) {
    return dim3((unsigned)d->n_parts, (unsigned)slabs_of(d));
}

// ---- batch_norm_sums.cu -------------------------------------------------------------------------

// Bytes of workspace for both directions.
size_t batch_norm_sums_workspace(const struct division *sums);
// saved_mean, saved_inv_std and the running statistics, from src.
adele_status batch_norm_statistics(const struct cuda_context *context, const struct division *sums,
                                   struct channel_rule rule,
                                   const struct adele_batch_norm_args *args);
// d_scale +=, d_shift +=; *coefficients = in the workspace: a, k, b of d_src = a g + k (src - mean)
// + b, each (P), zeros in padding channels. `dst` = NULL: no ReLU. dst and d_dst begin at the
// slice.
adele_status batch_norm_gradients(const struct cuda_context *context, const struct division *sums,
                                  struct channel_rule rule, const void *dst, const void *d_dst,
                                  const struct adele_batch_norm_args *args,
                                  const float **coefficients);

} // namespace adele_cuda
#endif
