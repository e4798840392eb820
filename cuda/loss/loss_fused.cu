// SPDX-License-Identifier: MIT
// The loss without logits or gradients of label size in memory. A block owns a tile of label
// pixels, a thread one pixel, whose logits of all scales stay in its registers: they are
// interpolated from the low-resolution tensors, and become gradients in place. Where the logits of
// a scale have the label's size the gradients go to d_logits at once. Elsewhere the block folds
// them in shared memory, along columns and then along rows, into the low-resolution pixels that
// its tile touches: those that no other tile touches are finished and go to d_logits; the others
// go to the tile's patch in the workspace, and a last kernel adds up the patches in the order of
// tiles.
//
// The gradient needs the mask of the image, so a pass before it searches for a confident pixel. It
// stops as soon as one is found, which in a trained network is among the first tiles.
//
// Against the plain kernels: logits are read once or twice instead of once a step and category,
// and a category costs four exponentials instead of nine or more.
//
// The two kernels of a pixel hold hundreds of unrolled lines for each category, and their instances
// took a minute to compile. So the type of the tensors is no parameter of theirs but a branch where
// they load and store, the same for all threads, and the mask's kernel takes one scale at a time.
// Where every register holds a value (32 channels at three scales), that branch would spill some:
// there the type is a parameter (E, one of enum element).
#include "loss/loss_parts.cuh"
#include "loss/loss_pixel.cuh"

namespace adele_cuda {

// A warp is one row of the tile: 32 neighbours read and write maps of bytes and floats in whole
// sectors. 8 rows keep the seams between tiles short.
#define TILE_COLUMNS 32
#define TILE_ROWS    (LOSS_THREADS / TILE_COLUMNS)
// Padded channels: beyond it the registers for the logits of a pixel would spill.
#define MAX_CHANNELS                32
#define MAX_CHANNELS_OF_FOUR_SCALES 16
// Of shared memory; a block may have at least 99 KB on every GPU from sm_80 on.
#define MAX_SHARED (90 * 1024)

struct tile {
    int n, y, x;      // its first pixel
    int y_end, x_end; // within the image
    int64_t index;
};

// ---- planning -----------------------------------------------------------------------------------

// The most inputs that one tile of `tile_extent` outputs reads.
static int longest_patch(const struct resample_axis &axis, int tile_extent) {
    int longest = 0;
    for (int o = 0; o < axis.n_out; o += tile_extent) {
        int last = o + tile_extent < axis.n_out ? o + tile_extent - 1 : axis.n_out - 1;
        int length = resample_last(resample_tap_of(last, axis.n_in, axis.n_out)) -
                     resample_tap_of(o, axis.n_in, axis.n_out).low + 1;
        longest = length > longest ? length : longest;
    }
    return longest;
}

static size_t shared_floats(const struct loss_task &task) {
    int columns = 0;
    for (int k = 0; k < task.n_scales; k++)
        if (!loss_is_identity(task, k) && task.patch_columns[k] > columns)
            columns = task.patch_columns[k];
    if (columns == 0)
        return 0;
    return (size_t)LOSS_THREADS * (size_t)(task.p + 4) +
           (size_t)TILE_ROWS * (size_t)columns * (size_t)task.p;
}

bool loss_fused_plan(struct loss_task *task) {
    for (int k = 0; k < task->n_scales; k++) {
        task->patch_rows[k] = longest_patch(task->rows[k], TILE_ROWS);
        task->patch_columns[k] = longest_patch(task->columns[k], TILE_COLUMNS);
    }
    return task->p <= (task->n_scales == 4 ? MAX_CHANNELS_OF_FOUR_SCALES : MAX_CHANNELS) &&
           shared_floats(*task) * sizeof(float) <= MAX_SHARED;
}

int64_t loss_fused_blocks(const struct loss_task &task) {
    return (int64_t)task.n * ceil_div(task.h, TILE_ROWS) * ceil_div(task.w, TILE_COLUMNS);
}

int64_t loss_fused_floats(const struct loss_task &task, int k) {
    if (loss_is_identity(task, k))
        return 0;
    return loss_fused_blocks(task) * task.patch_rows[k] * task.patch_columns[k] * task.p;
}

// ---- one pixel ----------------------------------------------------------------------------------

static __device__ __forceinline__ struct tile tile_of_block(const struct loss_task &task) {
    int across = ceil_div(task.w, TILE_COLUMNS), down = ceil_div(task.h, TILE_ROWS);
    int block = (int)blockIdx.x;
    struct tile tile;
    tile.index = block;
    tile.x = block % across * TILE_COLUMNS;
    tile.y = block / across % down * TILE_ROWS;
    tile.n = block / across / down;
    tile.x_end = min(tile.x + TILE_COLUMNS, task.w);
    tile.y_end = min(tile.y + TILE_ROWS, task.h);
    return tile;
}

template <typename T, int P>
static __device__ __forceinline__ void load_typed(const struct loss_task &task, int k, int n,
                                                  struct resample_tap row,
                                                  struct resample_tap column, float z[P]) {
    int width = task.columns[k].n_in;
    const T *from = (const T *)task.args.logits[k] +
                    (((int64_t)n * task.rows[k].n_in + row.low) * width + column.low) * P;
    if (loss_is_identity(task, k)) {
#pragma unroll
        for (int c = 0; c < P; c += 8)
            load8(from + c, z + c);
        return;
    }
    const T *right = column.t > 0.0f ? from + P : from;
    int64_t below = row.t > 0.0f ? (int64_t)width * P : 0;
    float weights[4] = {(1.0f - row.t) * (1.0f - column.t), (1.0f - row.t) * column.t,
                        row.t * (1.0f - column.t), row.t * column.t};
#pragma unroll
    for (int c = 0; c < P; c += 8) {
        float a[8], b[8];
        load8(from + c, a);
        load8(right + c, b);
#pragma unroll
        for (int j = 0; j < 8; j++)
            z[c + j] = weights[0] * a[j] + weights[1] * b[j];
        load8(from + below + c, a);
        load8(right + below + c, b);
#pragma unroll
        for (int j = 0; j < 8; j++)
            z[c + j] += weights[2] * a[j] + weights[3] * b[j];
    }
}

// Whether tensors are of bf16: known to the compiler but for ELEMENT_ANY.
enum element { ELEMENT_ANY, ELEMENT_FLOAT, ELEMENT_BF16 };
template <int E> static __device__ __forceinline__ bool has_bf16(const struct loss_task &task) {
    return E == ELEMENT_ANY ? task.is_bf16 : E == ELEMENT_BF16;
}

// z = the logits of scale k at label pixel (n, y, x), interpolated between up to four neighbours.
template <int E, int P>
static __device__ __forceinline__ void load_logits(const struct loss_task &task, int k, int n,
                                                   int y, int x, float z[P]) {
    const struct resample_tap row = task.rows[k].taps[y], column = task.columns[k].taps[x];
    if (has_bf16<E>(task))
        load_typed<bf16, P>(task, k, n, row, column, z);
    else
        load_typed<float, P>(task, k, n, row, column, z);
}

// ---- folding a tile's gradients -----------------------------------------------------------------

// To element `at` of d_logits of scale k.
template <int E>
static __device__ __forceinline__ void put4(const struct loss_task &task, int k, int64_t at,
                                            float4 values) {
    if (has_bf16<E>(task))
        store4((bf16 *)task.args.d_logits[k] + at, values);
    else
        store4((float *)task.args.d_logits[k] + at, values);
}

template <int E>
static __device__ __forceinline__ void put8(const struct loss_task &task, int k, int64_t at,
                                            const float values[8]) {
    if (has_bf16<E>(task))
        store8((bf16 *)task.args.d_logits[k] + at, values);
    else
        store8((float *)task.args.d_logits[k] + at, values);
}

static __device__ __forceinline__ void add4(float4 *sum, float weight, const float *from) {
    float4 values = *(const float4 *)from;
    sum->x += weight * values.x, sum->y += weight * values.y;
    sum->z += weight * values.z, sum->w += weight * values.w;
}

// Whether all outputs that read an input are within first <= o < end.
static __device__ __forceinline__ bool is_within(struct resample_span span, int first, int end) {
    return span.first >= first && span.end <= end;
}

// staged: (TILE_ROWS, TILE_COLUMNS, P + 4), the gradients of the tile's pixels at scale k (the 4
// floats keep 8 pixels' vectors in different banks). folded: (TILE_ROWS, columns of the patch, P).
// A thread takes 4 channels of one result at a time. All threads of the block call it.
template <int E, int P>
static __device__ __forceinline__ void fold_tile(const struct loss_task &task,
                                                 const struct tile &tile, int k,
                                                 const float *staged, float *folded) {
    const struct resample_axis &rows = task.rows[k], &columns = task.columns[k];
    const int quads = P / 4, stride = P + 4;
    int top = rows.taps[tile.y].low, left = columns.taps[tile.x].low;
    int n_rows = resample_last(rows.taps[tile.y_end - 1]) - top + 1;
    int n_columns = resample_last(columns.taps[tile.x_end - 1]) - left + 1;
    __syncthreads();
    for (int i = threadIdx.x; i < (tile.y_end - tile.y) * n_columns * quads; i += LOSS_THREADS) {
        int channel = i % quads * 4, column = i / quads % n_columns, y = i / quads / n_columns;
        struct resample_span span = columns.spans[left + column];
        float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        int end = min(span.end, tile.x_end);
        for (int x = max(span.first, tile.x); x < end; x++)
            add4(&sum, resample_weight(columns.taps[x], left + column),
                 staged + (y * TILE_COLUMNS + x - tile.x) * stride + channel);
        *(float4 *)(folded + (y * n_columns + column) * P + channel) = sum;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < n_rows * n_columns * quads; i += LOSS_THREADS) {
        int channel = i % quads * 4, column = i / quads % n_columns, row = i / quads / n_columns;
        struct resample_span down = rows.spans[top + row], across = columns.spans[left + column];
        float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        int end = min(down.end, tile.y_end);
        for (int y = max(down.first, tile.y); y < end; y++)
            add4(&sum, resample_weight(rows.taps[y], top + row),
                 folded + ((y - tile.y) * n_columns + column) * P + channel);
        if (is_within(down, tile.y, tile.y_end) && is_within(across, tile.x, tile.x_end))
            put4<E>(task, k,
                    (((int64_t)tile.n * rows.n_in + top + row) * columns.n_in + left + column) * P +
                        channel,
                    sum);
        else
            store4(task.patch[k] +
                       ((tile.index * task.patch_rows[k] + row) * task.patch_columns[k] + column) *
                           P +
                       channel,
                   sum);
    }
}

// ---- kernels ------------------------------------------------------------------------------------

// The largest q of one pixel; 0 where it has no label.
template <int P>
static __device__ __forceinline__ float largest_of_pixel(const struct loss_task &task, int n, int y,
                                                         int x) {
    struct pixel_values<P, 1> pixel;
#pragma unroll 1
    for (int k = 0; k < task.n_scales; k++) {
        load_logits<ELEMENT_ANY, P>(task, k, n, y, x, pixel.d[0]);
        add_scale<P, 1>(pixel, 0, k == 0, task.c, task.state->w[k], 1.0f);
    }
    float largest = 0.0f;
#pragma unroll
    for (int c = 0; c < P; c++)
        if (is_category<P>(c, task.c))
            largest = fmaxf(largest, loss_clamp(pixel.q[c]));
    return task.args.labels[loss_pixel(task, n, y, x)] < task.c ? largest : 0.0f;
}

// A block owns a tile, a thread a pixel, and looks whether the mixture is confident there. Blocks
// of an image that is known to be on have nothing to do; what they would find changes nothing.
template <int P>
static __global__ void __launch_bounds__(LOSS_THREADS) fused_mask(struct loss_task task) {
    const struct tile tile = tile_of_block(task);
    const int y = tile.y + threadIdx.x / TILE_COLUMNS, x = tile.x + threadIdx.x % TILE_COLUMNS;
    int *mask = &task.masks[tile.n];
    if (__syncthreads_or(threadIdx.x == 0 && atomicOr(mask, 0) != 0))
        return;
    bool is_confident = y < tile.y_end && x < tile.x_end &&
                        loss_is_confident(task, largest_of_pixel<P>(task, tile.n, y, x));
    if (__syncthreads_or(is_confident) && threadIdx.x == 0)
        atomicOr(mask, 1);
}

// One pixel from its logits to its gradients.
template <int E, int P, int K>
static __device__ __forceinline__ void
do_pixel(const struct loss_task &task, const struct tile &tile, int y, int x,
         struct loss_factors factors, int *histogram, struct pixel_values<P, K> &pixel,
         struct loss_sums &sums) {
    const float *w = task.state->w;
    const int64_t i_pixel = loss_pixel(task, tile.n, y, x);
#pragma unroll
    for (int k = 0; k < K; k++)
        if (has_scale<K>(k, task.n_scales)) {
            load_logits<E, P>(task, k, tile.n, y, x, pixel.d[k]);
            add_scale<P, K>(pixel, k, k == 0, task.c, w[k],
                            loss_has_ce(task, k) ? loss_ce_weight(task, w, k) : 1.0f);
        }
    loss_report(task, tile.n, i_pixel, pixel.prediction, pixel.foreground, pixel.background);
    loss_count(task, histogram, P, i_pixel, pixel.prediction);
    if (task.args.mixture != NULL) {
        int64_t plane = (int64_t)task.h * task.w;
        float *mixture = task.args.mixture + i_pixel + (int64_t)tile.n * (task.c - 1) * plane;
#pragma unroll
        for (int c = 0; c < P; c++)
            if (is_category<P>(c, task.c))
                mixture[c * plane] = loss_clamp(pixel.q[c]);
    }
    int label = task.args.labels[i_pixel];
    struct scale_factors of_scale = {task.masks[tile.n] != 0,
                                     false,
                                     0.0f,
                                     0.0f,
                                     factors.ce * loss_importance(task, label),
                                     factors.kl,
                                     label < task.c ? label : -1};
    if (of_scale.is_masked)
        finish_mixture<P, K>(pixel);
#pragma unroll
    for (int k = 0; k < K; k++)
        if (has_scale<K>(k, task.n_scales)) {
            of_scale.has_ce = loss_has_ce(task, k);
            of_scale.w = w[k];
            of_scale.weight = loss_ce_weight(task, w, k);
            add_scale_loss<P, K>(pixel, k, task.c, of_scale, sums);
        }
    // The sum is this pixel's alone. The weight is read again, so that no register holds it above.
    if (task.args.class_weights != NULL && of_scale.label >= 0)
        sums.cross_entropy *= task.args.class_weights[of_scale.label];
}

// A pixel's gradients of scale k: to element `at` of d_logits, or to the pixel's place in `staged`.
template <int E, int P>
static __device__ __forceinline__ void store_gradient(const struct loss_task &task, int k,
                                                      bool is_identity, int64_t at, float *staged,
                                                      const float *d) {
#pragma unroll
    for (int c = 0; c < P; c += 8)
        if (is_identity)
            put8<E>(task, k, at + c, d + c);
        else
            store8(staged + c, d + c);
}

// A block owns a tile of label pixels, a thread one of them.
template <int E, int P, int K>
static __global__ void __launch_bounds__(LOSS_THREADS, K *P <= 24 ? 2 : 1)
    fused_loss(struct loss_task task) {
    SHARED(int, histogram, [ADELE_COUNT_TABLES * ADELE_COUNT_KINDS * P]);
    SHARED(struct loss_factors, factors, [1]);
    DYNAMIC_SHARED(memory);
    const struct tile tile = tile_of_block(task);
    const int tid = threadIdx.x, y = tile.y + tid / TILE_COLUMNS, x = tile.x + tid % TILE_COLUMNS;
    const bool is_inside = y < task.h && x < task.w;
    struct loss_sums sums = {0.0f, 0.0f, {0.0f, 0.0f, 0.0f, 0.0f}};
    struct pixel_values<P, K> pixel;
    loss_clear_counts(histogram, P);
    if (tid == 0)
        factors[0] = loss_factors_of(task);
    __syncthreads();
    if (is_inside)
        do_pixel<E, P, K>(task, tile, y, x, factors[0], histogram, pixel, sums);
    float *staged = (float *)memory, *folded = staged + LOSS_THREADS * (P + 4);
    // Compiled once for all scales, but where every register holds a value: there the loop costs
    // two.
#pragma unroll(K *P > 72 ? K : 1)
    for (int k = 0; k < K; k++) {
        if (!has_scale<K>(k, task.n_scales) || !task.needs_gradient)
            continue;
        bool is_identity = loss_is_identity(task, k);
#pragma unroll
        for (int i = 0; i < K; i++) // with constant numbers, gradients stay in registers
            if (i == k && is_inside)
                store_gradient<E, P>(task, k, is_identity, loss_pixel(task, tile.n, y, x) * P,
                                     staged + tid * (P + 4), pixel.d[i]);
        if (!is_identity)
            fold_tile<E, P>(task, tile, k, staged, folded);
    }
    __syncthreads();
    loss_add_counts(task, histogram, P);
    loss_store_sums(task, sums, tile.index);
}

// A thread owns 8 channels of one low-resolution pixel of scale k: where several tiles touch it
// their patches are added, rows of tiles outside; where none does it is zero; what one tile alone
// touches is in place already.
template <typename T>
static __global__ void __launch_bounds__(LOSS_THREADS) fused_combine(struct loss_task task, int k) {
    const struct resample_axis &rows = task.rows[k], &columns = task.columns[k];
    int64_t i = (int64_t)blockIdx.x * LOSS_THREADS + threadIdx.x, n_groups = task.p / 8;
    int64_t i_cell = i / n_groups;
    if (i_cell >= (int64_t)task.n * rows.n_in * columns.n_in)
        return;
    int channel = (int)(i % n_groups) * 8;
    int column = (int)(i_cell % columns.n_in), row = (int)(i_cell / columns.n_in % rows.n_in);
    int64_t n = i_cell / columns.n_in / rows.n_in;
    struct resample_span down = rows.spans[row], across = columns.spans[column];
    bool is_read = down.end > down.first && across.end > across.first;
    int first_y = down.first / TILE_ROWS, end_y = is_read ? (down.end - 1) / TILE_ROWS + 1 : 0;
    int first_x = across.first / TILE_COLUMNS;
    int end_x = is_read ? (across.end - 1) / TILE_COLUMNS + 1 : 0;
    if (end_y - first_y == 1 && end_x - first_x == 1)
        return;
    float sum[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    for (int y = first_y; y < end_y; y++)
        for (int x = first_x; x < end_x; x++) {
            int64_t i_tile =
                (n * ceil_div(task.h, TILE_ROWS) + y) * ceil_div(task.w, TILE_COLUMNS) + x;
            int64_t patch_row = i_tile * task.patch_rows[k] + row - rows.taps[y * TILE_ROWS].low;
            int patch_column = column - columns.taps[x * TILE_COLUMNS].low;
            float part[8];
            load8(task.patch[k] + (patch_row * task.patch_columns[k] + patch_column) * task.p +
                      channel,
                  part);
            for (int j = 0; j < 8; j++)
                sum[j] += part[j];
        }
    store8((T *)task.args.d_logits[k] + i_cell * task.p + channel, sum);
}

// ---- launching ----------------------------------------------------------------------------------

template <int E, int P, int K>
static adele_status launch_kernels(const struct cuda_context *context, const struct loss_task &task,
                                   bool prepares) {
    size_t bytes = shared_floats(task) * sizeof(float);
    if (prepares) // the limit is the kernel's, whichever op set it last: so always the same
        return ALLOW_SHARED((fused_loss<E, P, K>), MAX_SHARED);
    if (task.form != ADELE_LOSS_PLAIN)
        TRY(LAUNCH(context, fused_mask<P>, task.n_blocks, LOSS_THREADS, 0, task));
    return LAUNCH(context, (fused_loss<E, P, K>), task.n_blocks, LOSS_THREADS, bytes, task);
}

template <int P, int K>
static adele_status launch_element(const struct cuda_context *context, const struct loss_task &task,
                                   bool prepares) {
    return task.is_bf16
               ? launch_kernels<(K * P > 72 ? ELEMENT_BF16 : ELEMENT_ANY), P, K>(context, task,
                                                                                 prepares)
               : launch_kernels<(K * P > 72 ? ELEMENT_FLOAT : ELEMENT_ANY), P, K>(context, task,
                                                                                  prepares);
}

template <int K>
static adele_status launch_channels(const struct cuda_context *context,
                                    const struct loss_task &task, bool prepares) {
    switch (task.p) {
    case 8:
        return launch_element<8, K>(context, task, prepares);
    case 16:
        return launch_element<16, K>(context, task, prepares);
    case 24: // four scales have at most 16 channels here
        return launch_element<(K == 4 ? 16 : 24), K>(context, task, prepares);
    default:
        return launch_element<(K == 4 ? 16 : 32), K>(context, task, prepares);
    }
}

static adele_status launch_scales(const struct cuda_context *context, const struct loss_task &task,
                                  bool prepares) {
    if (task.n_scales == 1)
        return launch_channels<1>(context, task, prepares);
    if (task.n_scales <= 3)
        return launch_channels<3>(context, task, prepares);
    return launch_channels<4>(context, task, prepares);
}

adele_status loss_fused_prepare(const struct cuda_context *context, const struct loss_task &task) {
    return launch_scales(context, task, true);
}

adele_status loss_fused_run(const struct cuda_context *context, const struct loss_task &task) {
    TRY(launch_scales(context, task, false));
    for (int k = 0; k < task.n_scales && task.needs_gradient; k++) {
        if (loss_is_identity(task, k))
            continue;
        int64_t n_groups =
            (int64_t)task.n * task.rows[k].n_in * task.columns[k].n_in * (task.p / 8);
        int n_blocks = blocks_for(n_groups, LOSS_THREADS);
        if (context->storage == ADELE_PRECISION_BF16)
            TRY(LAUNCH(context, fused_combine<bf16>, n_blocks, LOSS_THREADS, 0, task, k));
        else
            TRY(LAUNCH(context, fused_combine<float>, n_blocks, LOSS_THREADS, 0, task, k));
    }
    return ADELE_OK;
}

} // namespace adele_cuda
