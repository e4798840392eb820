// SPDX-License-Identifier: MIT
// The guided filter (label_ops.h); the arithmetic of a pixel is in device/guided_rule.h.
//     maps (half precision) -> q = dst; image -> guide I; then for each class of all images
//     window sums of q and I q -> a, b; window sums of a and b -> dst
// All planes are plain (N, H, W) doubles in the workspace; dst is plain (N, C, H, W), overwritten.
//
// Sums over windows run along columns: a thread owns a column, and from row to row its sum gains
// one row and loses one. The result is stored transposed, through shared memory so that stores lie
// side by side, and the same kernel once more sums along what were the rows. So every sum has one
// order, and the radius costs nothing.
#include "runtime/common.cuh"
#include "runtime/resample.cuh"

#include "base/half.h"
#include "device/guided_rule.h"
#include "device/op_check.h"

#include <math.h>

namespace adele_cuda {

#define N_THREADS 256
#define TILE      32

struct guided_filter_op {
    struct cuda_op base;
    struct adele_guided_filter_desc desc;
    struct resample_tap *taps; // (h) of the rows, then (w) of the columns; device memory
};

// Parameters of all kernels.
struct guided_task {
    struct adele_guided_filter_args args;
    int n, c, h, w, h_maps, w_maps, image_c, radius;
    bool is_u8;
    double eps;
    int64_t plane;                             // h w
    const struct resample_tap *rows, *columns; // (h), (w)
    double *range;                             // (N, 2): what is 0 and what is 1 of the guide
    double *guide, *mean, *inverse;            // I, <I>, 1 / (variance + eps)
    double *turned[2];                         // sums along columns, (N, W, H)
    double *sums[2];                           // sums over windows, and what becomes of them
};

// The map of row n; -1: the row is skipped.
static __device__ int64_t map_of(const struct guided_task *task, int64_t n) {
    if (task->args.sample_ids != NULL && task->args.sample_ids[n] < 0)
        return -1;
    return task->args.map_ids != NULL ? task->args.map_ids[n] : n;
}

// ---- q and the guide ----------------------------------------------------------------------------

// A thread owns one pixel of one class.
static __global__ void __launch_bounds__(N_THREADS) guided_resize(struct guided_task task) {
    int64_t i = thread_index();
    if (i >= task.n * task.c * task.plane)
        return;
    int64_t i_plane = i / task.plane, i_map = map_of(&task, i_plane / task.c);
    int y = (int)(i % task.plane / task.w), x = (int)(i % task.plane % task.w);
    if (i_map < 0)
        return;
    const uint16_t *map =
        task.args.maps + (i_map * task.c + i_plane % task.c) * task.h_maps * task.w_maps;
    struct resample_tap row = task.rows[y], column = task.columns[x];
    const uint16_t *upper = map + (int64_t)row.low * task.w_maps;
    const uint16_t *lower = map + (int64_t)min(row.low + 1, task.h_maps - 1) * task.w_maps;
    int left = column.low, right = min(column.low + 1, task.w_maps - 1);
    const double corners[4] = {
        guided_value(half_to_float(upper[left])), guided_value(half_to_float(upper[right])),
        guided_value(half_to_float(lower[left])), guided_value(half_to_float(lower[right]))};
    task.args.dst[i] = guided_blend(corners, row.t, column.t, task.args.scale);
}

// The mean over the channels of a pixel of the image of row n.
static __device__ double mean_channel(const struct guided_task *task, int64_t n, int64_t pixel) {
    bool is_batch = task->args.batch_images != NULL;
    const void *images = is_batch ? task->args.batch_images : task->args.images;
    int64_t id = !is_batch && task->args.sample_ids != NULL ? task->args.sample_ids[n] : n;
    int64_t at = id * task->image_c * task->plane + pixel;
    double sum = 0.0;
    for (int c = 0; c < task->image_c; c++, at += task->plane)
        sum += task->is_u8 ? (double)((const uint8_t *)images)[at]
                           : (double)half_to_float(((const uint16_t *)images)[at]);
    return sum / task->image_c;
}

// A block for each image: the smallest and the largest finite value, which no order changes.
static __global__ void __launch_bounds__(N_THREADS) guided_range(struct guided_task task) {
    SHARED(double, lowest, [N_THREADS]);
    SHARED(double, highest, [N_THREADS]);
    int64_t n = blockIdx.x;
    int thread = (int)threadIdx.x;
    double low = task.args.low, high = task.args.high;
    if (map_of(&task, n) < 0)
        return;
    if (low == high) {
        low = INFINITY, high = -INFINITY;
        for (int64_t i = thread; i < task.plane; i += N_THREADS) {
            double value = mean_channel(&task, n, i);
            bool is_finite = value - value == 0.0;
            low = is_finite && value < low ? value : low;
            high = is_finite && value > high ? value : high;
        }
    }
    lowest[thread] = low;
    highest[thread] = high;
    __syncthreads();
    for (int half = N_THREADS / 2; half > 0; half /= 2) {
        if (thread < half) {
            lowest[thread] = fmin(lowest[thread], lowest[thread + half]);
            highest[thread] = fmax(highest[thread], highest[thread + half]);
        }
        __syncthreads();
    }
    if (thread == 0) {
        task.range[2 * n] = lowest[0];
        task.range[2 * n + 1] = highest[0];
    }
}

// A thread owns one pixel, in this and the next kernels but one.
static __global__ void __launch_bounds__(N_THREADS) guided_guide(struct guided_task task) {
    int64_t i = thread_index(), n = i / task.plane;
    if (n >= task.n || map_of(&task, n) < 0)
        return;
    double low = task.range[2 * n], high = task.range[2 * n + 1];
    double value = mean_channel(&task, n, i % task.plane);
    task.guide[i] = high > low ? guided_clamp((value - low) / (high - low)) : 0.0;
}

// ---- windows ------------------------------------------------------------------------------------

// What is summed: I and I^2; q and I q of class c; two planes.
enum guided_sum { SUM_GUIDE, SUM_CLASS, SUM_PLANES };

template <int what>
static __device__ void load_pair(const struct guided_task *task, int c, int64_t n, int64_t at,
                                 double pair[2]) {
    int64_t i = n * task->plane + at;
    if (what == SUM_PLANES) {
        pair[0] = task->sums[0][i];
        pair[1] = task->sums[1][i];
        return;
    }
    double guide = task->guide[i];
    pair[0] =
        what == SUM_GUIDE ? guide : (double)task->args.dst[(n * task->c + c) * task->plane + at];
    pair[1] = guide * pair[0];
}

// Sums along the columns of planes (h, w), stored as (w, h). A block of one warp for 32 columns of
// one image.
template <int what>
static __global__ void __launch_bounds__(TILE)
    guided_columns(struct guided_task task, int c, int h, int w, double *first, double *second) {
    SHARED(double, tile, [2][TILE][TILE + 1]);
    int lane = (int)threadIdx.x, x = (int)blockIdx.x * TILE + lane;
    int radius = min(task.radius, h);
    int64_t n = blockIdx.y;
    double sum[2] = {0.0, 0.0}, pair[2];
    if (map_of(&task, n) < 0)
        return;
    for (int y = 0; y < radius && x < w; y++) {
        load_pair<what>(&task, c, n, (int64_t)y * w + x, pair);
        sum[0] += pair[0];
        sum[1] += pair[1];
    }
    for (int top = 0; top < h; top += TILE) {
        for (int y = top; y < top + TILE && y < h && x < w; y++) {
            if (y + radius < h) {
                load_pair<what>(&task, c, n, (int64_t)(y + radius) * w + x, pair);
                sum[0] += pair[0];
                sum[1] += pair[1];
            }
            if (y > radius) {
                load_pair<what>(&task, c, n, (int64_t)(y - radius - 1) * w + x, pair);
                sum[0] -= pair[0];
                sum[1] -= pair[1];
            }
            tile[0][y - top][lane] = sum[0];
            tile[1][y - top][lane] = sum[1];
        }
        __syncthreads();
        for (int j = 0; j < TILE; j++) {
            int column = (int)blockIdx.x * TILE + j;
            int64_t to = n * task.plane + (int64_t)column * h + top + lane;
            if (column < w && top + lane < h) {
                first[to] = tile[0][lane][j];
                second[to] = tile[1][lane][j];
            }
        }
        __syncthreads();
    }
}

static __device__ double window_pixels(const struct guided_task *task, int64_t i) {
    int y = (int)(i % task->plane / task->w), x = (int)(i % task->plane % task->w);
    return (double)((int64_t)guided_extent(y, task->radius, task->h) *
                    guided_extent(x, task->radius, task->w));
}

static __global__ void __launch_bounds__(N_THREADS) guided_statistics(struct guided_task task) {
    int64_t i = thread_index();
    if (i >= task.n * task.plane || map_of(&task, i / task.plane) < 0)
        return;
    double count = window_pixels(&task, i), mean = task.sums[0][i] / count;
    task.mean[i] = mean;
    task.inverse[i] = 1.0 / (task.sums[1][i] / count - mean * mean + task.eps);
}

// The sums become a and b.
static __global__ void __launch_bounds__(N_THREADS) guided_coefficients(struct guided_task task) {
    int64_t i = thread_index();
    if (i >= task.n * task.plane || map_of(&task, i / task.plane) < 0)
        return;
    double count = window_pixels(&task, i), mean = task.sums[0][i] / count;
    double a = (task.sums[1][i] / count - task.mean[i] * mean) * task.inverse[i];
    task.sums[0][i] = a;
    task.sums[1][i] = mean - a * task.mean[i];
}

static __global__ void __launch_bounds__(N_THREADS) guided_apply(struct guided_task task, int c) {
    int64_t i = thread_index(), n = i / task.plane;
    if (n >= task.n || map_of(&task, n) < 0)
        return;
    double count = window_pixels(&task, i);
    task.args.dst[(n * task.c + c) * task.plane + i % task.plane] =
        (float)guided_clamp(task.sums[0][i] / count * task.guide[i] + task.sums[1][i] / count);
}

// ---- the op -------------------------------------------------------------------------------------

adele_status cuda_guided_filter_create(const struct adele_device *device,
                                       const struct adele_guided_filter_desc *desc,
                                       struct adele_op **out) {
    if (desc->n > 65535)
        return FAIL(ADELE_INVALID_ARGUMENT, "Make the batch smaller.",
                    "guided_filter: %d images, at most 65535", desc->n);
    struct guided_filter_op *op = NULL;
    TRY(op_create(device, ADELE_OP_guided_filter, &op, out));
    op->desc = *desc;
    if (desc->radius > 0)
        op->base.op.workspace_bytes =
            (size_t)desc->n * (2 + 7 * (size_t)desc->h * desc->w) * sizeof(double);
    return resample_taps_create(&op->base, desc->h_maps, desc->h, desc->w_maps, desc->w, &op->taps);
}

static struct guided_task make_task(const struct guided_filter_op *op,
                                    const struct adele_guided_filter_args *args) {
    const struct adele_guided_filter_desc *desc = &op->desc;
    struct guided_task task = {};
    task.args = *args;
    task.n = desc->n, task.c = desc->c, task.h = desc->h, task.w = desc->w;
    task.h_maps = desc->h_maps, task.w_maps = desc->w_maps;
    task.image_c = desc->image_c, task.radius = desc->radius;
    task.is_u8 = desc->pixel == ADELE_PIXEL_U8;
    task.eps = desc->eps;
    task.plane = (int64_t)desc->h * desc->w;
    task.rows = op->taps;
    task.columns = op->taps + desc->h;
    task.range = (double *)args->workspace;
    double *at = task.range + 2 * task.n;
    double **const planes[] = {&task.guide,     &task.mean,    &task.inverse, &task.turned[0],
                               &task.turned[1], &task.sums[0], &task.sums[1]};
    for (int i = 0; i < 7; i++)
        *planes[i] = at + i * task.n * task.plane;
    return task;
}

// Sums over windows, into task->sums.
template <int what>
static adele_status sum_windows(const struct cuda_context *context, const struct guided_task *task,
                                int c) {
    dim3 columns((unsigned)ceil_div(task->w, TILE), (unsigned)task->n);
    dim3 rows((unsigned)ceil_div(task->h, TILE), (unsigned)task->n);
    struct guided_task turned = *task;
    for (int i = 0; i < 2; i++)
        turned.sums[i] = task->turned[i];
    TRY(LAUNCH(context, guided_columns<what>, columns, TILE, 0, *task, c, task->h, task->w,
               task->turned[0], task->turned[1]));
    return LAUNCH(context, guided_columns<SUM_PLANES>, rows, TILE, 0, turned, c, task->w, task->h,
                  task->sums[0], task->sums[1]);
}

adele_status cuda_guided_filter_forward(struct adele_op *base,
                                        const struct adele_guided_filter_args *args) {
    const struct guided_filter_op *op = (struct guided_filter_op *)base;
    const struct cuda_context *context = context_of(base->device);
    TRY(op_check_guided_filter_args(&op->desc, args));
    const struct guided_task task = make_task(op, args);
    int pixels = blocks_for(task.n * task.plane, N_THREADS);
    TRY(LAUNCH(context, guided_resize, blocks_for(task.n * task.c * task.plane, N_THREADS),
               N_THREADS, 0, task));
    if (task.radius == 0)
        return ADELE_OK;
    TRY(LAUNCH(context, guided_range, task.n, N_THREADS, 0, task));
    TRY(LAUNCH(context, guided_guide, pixels, N_THREADS, 0, task));
    TRY(sum_windows<SUM_GUIDE>(context, &task, 0));
    TRY(LAUNCH(context, guided_statistics, pixels, N_THREADS, 0, task));
    for (int c = 0; c < task.c; c++) {
        TRY(sum_windows<SUM_CLASS>(context, &task, c));
        TRY(LAUNCH(context, guided_coefficients, pixels, N_THREADS, 0, task));
        TRY(sum_windows<SUM_PLANES>(context, &task, 0));
        TRY(LAUNCH(context, guided_apply, pixels, N_THREADS, 0, task, c));
    }
    return ADELE_OK;
}

} // namespace adele_cuda
