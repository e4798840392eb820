// SPDX-License-Identifier: MIT
// Mean over all pixels, dst (N, C, 1, 1), and its gradient d_src = or += d_dst / (H W). src and
// d_src are (N, H, W, P), dst and d_dst (N, P); the zeros of the padding channels stay zeros. Sums
// are float; their order is given by the shape.
#include "runtime/common.cuh"

namespace adele_cuda {

static const int tile_groups = 8;  // vectors of 8 channels: 128 or 256 bytes of a pixel
static const int tile_pixels = 32; // read at a time
static const int n_threads = tile_groups * tile_pixels;

struct global_pool {
    struct cuda_op base;
    int n, p, n_pixels;
};

// A block owns 64 channels of image blockIdx.x and reads 32 pixels at a time, each in whole lines
// of memory: a thread adds up every 32nd pixel of 8 channels, then the first pixel's threads add up
// the 32 sums in order.
template <typename T>
static __global__ void __launch_bounds__(n_threads)
    forward_kernel(int p, int n_pixels, const T *src, T *dst) {
    SHARED(float, sums, [n_threads][8]);
    int row = (int)threadIdx.x / tile_groups;
    int channel = ((int)blockIdx.y * tile_groups + (int)threadIdx.x % tile_groups) * 8;
    const T *image = src + (int64_t)blockIdx.x * n_pixels * p;
    float mine[8] = {};
    for (int pixel = row; pixel < n_pixels && channel < p; pixel += tile_pixels) {
        float values[8];
        load8(image + (int64_t)pixel * p + channel, values);
#pragma unroll
        for (int j = 0; j < 8; j++)
            mine[j] += values[j];
    }
#pragma unroll
    for (int j = 0; j < 8; j++)
        sums[threadIdx.x][j] = mine[j];
    __syncthreads();
    if (row != 0 || channel >= p)
        return;
    for (int other = 1; other < tile_pixels; other++)
#pragma unroll
        for (int j = 0; j < 8; j++)
            mine[j] += sums[other * tile_groups + (int)threadIdx.x][j];
#pragma unroll
    for (int j = 0; j < 8; j++)
        mine[j] /= (float)n_pixels;
    store8(dst + (int64_t)blockIdx.x * p + channel, mine);
}

// One thread owns 8 channels of one pixel.
template <typename T>
static __global__ void backward_kernel(int64_t n_vectors, int p, int n_pixels, const T *d_dst,
                                       T *d_src, bool accumulate) {
    int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n_vectors; i += step) {
        int64_t image = i / (p / 8) / n_pixels;
        float values[8], there[8] = {};
        load8(d_dst + image * p + i % (p / 8) * 8, values);
        if (accumulate)
            load8(d_src + i * 8, there);
#pragma unroll
        for (int j = 0; j < 8; j++)
            values[j] = there[j] + values[j] / (float)n_pixels;
        store8(d_src + i * 8, values);
    }
}

// ---- the op -------------------------------------------------------------------------------------

adele_status cuda_global_pool_create(const struct adele_device *device,
                                     const struct adele_global_pool_desc *desc,
                                     struct adele_op **out) {
    if ((int64_t)desc->h * desc->w > INT32_MAX) // the kernels count pixels in int
        return FAIL(ADELE_INVALID_ARGUMENT, "", "global_pool: shape (%d, %d, %d, %d)", desc->n,
                    desc->c, desc->h, desc->w);
    struct global_pool *self = NULL;
    TRY(op_create(device, ADELE_OP_global_pool, &self, out));
    self->n = desc->n;
    self->p = padded_channels(desc->c);
    self->n_pixels = desc->h * desc->w;
    self->base.op.flops_forward = (double)desc->n * (double)desc->c * (double)self->n_pixels;
    self->base.op.flops_backward = self->base.op.flops_forward;
    return ADELE_OK;
}

adele_status cuda_global_pool_forward(struct adele_op *op,
                                      const struct adele_global_pool_args *args) {
    const struct global_pool *self = (const struct global_pool *)op;
    dim3 grid((unsigned)self->n, (unsigned)ceil_div(self->p / 8, tile_groups));
    return WITH_STORAGE(context_of(op->device), T,
                        LAUNCH(context_of(self->base.op.device), forward_kernel<T>, grid, n_threads,
                               0, self->p, self->n_pixels, (const T *)args->src, (T *)args->dst));
}

adele_status cuda_global_pool_backward(struct adele_op *op,
                                       const struct adele_global_pool_args *args) {
    const struct global_pool *self = (const struct global_pool *)op;
    int64_t n_vectors = (int64_t)self->n * self->n_pixels * (self->p / 8);
    return WITH_STORAGE(context_of(op->device), T,
                        LAUNCH(context_of(self->base.op.device), backward_kernel<T>,
                               strided_grid(n_vectors, n_threads), n_threads, 0, n_vectors, self->p,
                               self->n_pixels, (const T *)args->d_dst, (T *)args->d_src,
                               args->accumulate_d_src));
}

} // namespace adele_cuda
