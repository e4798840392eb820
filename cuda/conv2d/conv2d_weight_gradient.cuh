// SPDX-License-Identifier: MIT
// What the kernels of the weight gradient share. conv2d_weight_gradient.cu chooses among them and
// adds their split sums; each kernel has a file of its own.
//
// The weight gradient is one matrix product: rows are output channels, columns are (tap, input
// channel), and the inner index K runs over the output pixels of the batch:
//
//   d_weight[o][tap, i] += sum over pixels p of d_dst[p][o] * src[tap's pixel of p][i].
//
// Both operands lie in memory pixel by pixel, channels contiguous, so a tile of either is a stack
// of K rows and is copied as it is. Column = tap * column_channels + i. For the tiled kernels
// column_channels is the padded number of input channels, so that 8 neighbouring columns are one
// vector of src; for the first layer it is c_in.
//
// A tap that looks into the padding on some output pixels adds nothing there: the pixels of a tile
// are clipped to the rectangle of output pixels where at least one of the tile's taps lies inside
// the image. A tile of a single tap (column_channels a multiple of the tile) is clipped exactly.
#ifndef ADELE_CUDA_CONV2D_CONV2D_WEIGHT_GRADIENT_CUH
#define ADELE_CUDA_CONV2D_CONV2D_WEIGHT_GRADIENT_CUH

#include "conv2d/conv2d_parts.cuh"
#include "runtime/tensor_core.cuh"

namespace adele_cuda {

// Where the sums of a block go. With one split they are added to d_weight at once; otherwise they
// are written to partial (n_splits, c_out, n_columns), which a second kernel adds up in order.
struct weight_gradient_sink {
    float *partial, *d_weight;
    int c_in, c_out, taps, column_channels, n_columns, n_splits;
};

// Where the sums of one column go: that of row r to first[r * row_stride]. A thread has a few
// columns of many rows, and only the column takes a division.
struct sink_column {
    float *first;
    int64_t row_stride;
    int n_rows; // 0: a column beyond the last, or of a padding channel
    bool adds;  // to what is there
};

static __device__ inline void sink_column_init(struct sink_column *to,
                                               const struct weight_gradient_sink *sink, int split,
                                               int column) {
    int tap = column / sink->column_channels, i = column - tap * sink->column_channels;
    to->adds = sink->n_splits == 1;
    bool is_padding = column >= sink->n_columns || (to->adds && i >= sink->c_in);
    to->n_rows = is_padding ? 0 : sink->c_out;
    to->row_stride = to->adds ? (int64_t)sink->c_in * sink->taps : sink->n_columns;
    to->first = to->adds ? sink->d_weight + (int64_t)i * sink->taps + tap
                         : sink->partial + (int64_t)split * sink->c_out * sink->n_columns + column;
}

static __device__ inline void sink_put(const struct sink_column *to, int row, float sum) {
    if (row >= to->n_rows)
        return;
    float *at = to->first + row * to->row_stride;
    *at = to->adds ? *at + sum : sum;
}

// ---- pixels -------------------------------------------------------------------------------------

struct interval {
    int begin, end; // empty: both 0
};

// Output rows (or columns) whose tap `k` of this axis lies inside the image.
static __host__ __device__ inline struct interval live_outputs(const struct conv2d_shape *shape,
                                                               int k, int in, int out) {
    int shift = shape->pad - k * shape->dilation; // output y reads y * stride - shift
    int last = in - 1 + shift;
    struct interval live = {shift > 0 ? ceil_div(shift, shape->stride) : 0,
                            last < 0 ? 0 : min(out, last / shape->stride + 1)};
    if (live.begin >= live.end)
        live.begin = live.end = 0;
    return live;
}

// A rectangle of output pixels in every image of the batch.
struct pixel_range {
    int y, x, height, width;
    int n_pixels; // of the whole batch
};

// The smallest rectangle with all pixels where a tap of columns [column, end) is inside the image.
static __device__ inline struct pixel_range live_pixels(const struct conv2d_shape *shape,
                                                        int column_channels, int column, int end) {
    struct interval rows = {shape->h_out, 0}, columns = {shape->w_out, 0};
    for (int tap = column / column_channels; tap <= (end - 1) / column_channels; tap++) {
        int ky = tap / shape->kernel, kx = tap - ky * shape->kernel;
        struct interval y = live_outputs(shape, ky, shape->h_in, shape->h_out);
        struct interval x = live_outputs(shape, kx, shape->w_in, shape->w_out);
        if (y.begin == y.end || x.begin == x.end)
            continue;
        rows.begin = min(rows.begin, y.begin), rows.end = max(rows.end, y.end);
        columns.begin = min(columns.begin, x.begin), columns.end = max(columns.end, x.end);
    }
    struct pixel_range range = {rows.begin, columns.begin, max(rows.end - rows.begin, 0),
                                max(columns.end - columns.begin, 0), 0};
    range.n_pixels = shape->n * range.height * range.width;
    return range;
}

// The pixel that a thread has reached in a range, row by row and image by image.
struct pixel_cursor {
    int index;       // 0 .. n_pixels - 1
    int image, y, x; // y and x from the corner of the range
};

static __device__ inline struct pixel_cursor cursor_at(const struct pixel_range *range, int index) {
    struct pixel_cursor cursor = {index, 0, 0, 0};
    if (range->n_pixels > 0) {
        int row = index / range->width;
        cursor.x = index - row * range->width;
        cursor.image = row / range->height;
        cursor.y = row - cursor.image * range->height;
    }
    return cursor;
}

// `step` is cursor_at(range, number of pixels to go): two additions with carry in place of two
// divisions.
static __device__ inline void cursor_advance(const struct pixel_range *range,
                                             const struct pixel_cursor *step,
                                             struct pixel_cursor *cursor) {
    cursor->index += step->index;
    cursor->x += step->x;
    cursor->y += step->y;
    cursor->image += step->image;
    if (cursor->x >= range->width)
        cursor->x -= range->width, cursor->y++;
    if (cursor->y >= range->height)
        cursor->y -= range->height, cursor->image++;
}

// Pixels [begin, end) of split `split`: whole steps of `n_rows` pixels.
static __device__ inline struct interval split_pixels(const struct pixel_range *range, int split,
                                                      int n_splits, int n_rows) {
    int64_t n_steps = ceil_div(range->n_pixels, n_rows);
    struct interval pixels = {
        (int)(n_steps * split / n_splits) * n_rows,
        min((int)(n_steps * (split + 1) / n_splits) * n_rows, range->n_pixels)};
    return pixels;
}

// ---- tiles --------------------------------------------------------------------------------------
// Tiles of both operands for one step of K, in shared memory as rows of pixels, filled by cp.async:
// 16 bytes a copy, zeros where there is nothing. All of a thread's copies are of the same channels,
// at pixels that lie a fixed number apart.

template <typename T> struct tile_loader {
    struct pixel_range range;
    struct pixel_cursor cursor, step;
    int end;                  // of the split's pixels
    const T *d_dst, *src;     // at this thread's channels
    bool has_row, has_column; // these channels exist
    int dy, dx;               // output (y, x) reads input (y * stride + dy, x * stride + dx)
    int pixel, chunk;         // where this thread's first copy goes in a tile
};

template <typename T, int tile> __host__ __device__ constexpr int chunks_of_row() {
    return tile * (int)sizeof(T) / 16;
}

// Of the tile at (row, column) in split `split`; n_rows: pixels of a step.
template <typename T, int tile, int n_threads, int n_rows>
static __device__ void loader_init(struct tile_loader<T> *loader, const struct conv2d_shape *shape,
                                   const struct weight_gradient_sink *sink, const T *src,
                                   const T *d_dst, int row, int column, int split) {
    const int channels = 16 / (int)sizeof(T);
    loader->pixel = threadIdx.x / chunks_of_row<T, tile>();
    loader->chunk = threadIdx.x % chunks_of_row<T, tile>();
    loader->range = live_pixels(shape, shape->p_in, column, min(column + tile, sink->n_columns));
    struct interval pixels = split_pixels(&loader->range, split, sink->n_splits, n_rows);
    loader->end = pixels.end;
    loader->cursor = cursor_at(&loader->range, pixels.begin + loader->pixel);
    loader->step = cursor_at(&loader->range, n_threads / chunks_of_row<T, tile>());

    row += loader->chunk * channels;
    loader->has_row = row < shape->p_out;
    loader->d_dst = loader->has_row ? d_dst + row : d_dst;
    column += loader->chunk * channels;
    loader->has_column = column < sink->n_columns;
    int tap = loader->has_column ? column / shape->p_in : 0;
    loader->src = loader->has_column ? src + (column - tap * shape->p_in) : src;
    int ky = tap / shape->kernel, kx = tap - ky * shape->kernel;
    loader->dy = ky * shape->dilation - shape->pad;
    loader->dx = kx * shape->dilation - shape->pad;
}

// Starts the copies of the next n_rows pixels to two tiles whose pixels lie `pitch` elements apart,
// and moves on.
template <typename T, int tile, int n_threads, int n_rows, int pitch>
static __device__ inline void loader_next(struct tile_loader<T> *loader,
                                          const struct conv2d_shape *shape, T *d_dst_tile,
                                          T *src_tile) {
    const int rows_apart = n_threads / chunks_of_row<T, tile>();
    const int channels = 16 / (int)sizeof(T);
#pragma unroll
    for (int pixel = 0; pixel < n_rows; pixel += rows_apart) {
        int y = loader->range.y + loader->cursor.y, x = loader->range.x + loader->cursor.x;
        int y_in = y * shape->stride + loader->dy, x_in = x * shape->stride + loader->dx;
        bool is_live = loader->cursor.index < loader->end;
        bool copies_d_dst = is_live && loader->has_row;
        bool copies_src = is_live && loader->has_column && (unsigned)y_in < (unsigned)shape->h_in &&
                          (unsigned)x_in < (unsigned)shape->w_in;
        int64_t from = ((int64_t)loader->cursor.image * shape->h_out + y) * shape->w_out + x;
        int64_t from_in = ((int64_t)loader->cursor.image * shape->h_in + y_in) * shape->w_in + x_in;
        int to = (loader->pixel + pixel) * pitch + loader->chunk * channels;
        cp_async_16(d_dst_tile + to, loader->d_dst + (copies_d_dst ? from * shape->p_out : 0),
                    copies_d_dst);
        cp_async_16(src_tile + to, loader->src + (copies_src ? from_in * shape->p_in : 0),
                    copies_src);
        cursor_advance(&loader->range, &loader->step, &loader->cursor);
    }
}

// The main loop: for each step of K, starts the copies of the step that lies n_stages - 1 ahead and
// calls `multiply` with the two tiles of this one. `tiles`: n_stages times both tiles.
template <int tile, int n_threads, int n_rows, int pitch, int n_stages, typename T,
          typename Multiply>
static __device__ inline void weight_gradient_pipeline(struct tile_loader<T> &loader,
                                                       const struct conv2d_shape &shape,
                                                       int n_steps, T *tiles, Multiply multiply) {
    const int stage = 2 * n_rows * pitch;
    for (int s = 0; s < n_stages - 1; s++) {
        T *to = tiles + s * stage;
        loader_next<T, tile, n_threads, n_rows, pitch>(&loader, &shape, to, to + n_rows * pitch);
        cp_async_commit();
    }
    for (int s = 0, at = 0; s < n_steps; s++) {
        cp_async_wait<n_stages - 2>();
        __syncthreads(); // step s has arrived, and everyone is done with step s - 1
        T *to = tiles + (at == 0 ? n_stages - 1 : at - 1) * stage;
        loader_next<T, tile, n_threads, n_rows, pitch>(&loader, &shape, to, to + n_rows * pitch);
        cp_async_commit();
        multiply(tiles + at * stage, tiles + at * stage + n_rows * pitch);
        at = at + 1 == n_stages ? 0 : at + 1;
    }
    cp_async_wait<0>();
}

// ---- the kernels --------------------------------------------------------------------------------

struct weight_gradient_call {
    const struct cuda_context *context;
    const struct weight_gradient_plan *plan;
    const void *src, *d_dst;
    struct weight_gradient_sink sink;
};

adele_status weight_gradient_plain(const struct weight_gradient_call *call);
adele_status weight_gradient_first_layer(const struct weight_gradient_call *call);
adele_status weight_gradient_fma(const struct weight_gradient_call *call);
adele_status weight_gradient_mma(const struct weight_gradient_call *call);
adele_status weight_gradient_hopper(const struct weight_gradient_call *call);
// Allow the kernels' shared memory.
adele_status weight_gradient_fma_prepare();
adele_status weight_gradient_mma_prepare();
// conv2d_weight_gradient_hopper_plan.cu: whether this GPU, this driver and this program run the
// shape so; the tiles and the plan of n shapes that differ in their extents alone, summed up as
// one; the floats of its slots; the run, which adds to d_weight (c_out, c_in, kernel, kernel).
// src, d_dst: (n) tensors of the shapes; slots: weight_gradient_hopper_floats.
bool weight_gradient_hopper_fits(const struct cuda_context *context,
                                 const struct conv2d_shape *shape, enum conv2d_math math);
struct gradient_tiles weight_gradient_hopper_tiles(const struct conv2d_shape *shapes, int n);
adele_status weight_gradient_hopper_plan(struct cuda_op *op, const struct conv2d_shape *shapes,
                                         int n, struct weight_gradient_hopper *out);
size_t weight_gradient_hopper_floats(const struct weight_gradient_hopper *plan);
adele_status weight_gradient_hopper_run(const struct cuda_context *context,
                                        const struct weight_gradient_hopper *plan,
                                        const void *const *src, const void *const *d_dst,
                                        float *d_weight, float *slots);
// d_bias += by one thread a channel.
adele_status bias_gradient_plain(const struct weight_gradient_call *call, float *d_bias);

// d_bias += in two steps of fixed order (conv2d_weight_gradient.cu); for the libraries' engines
// too.
size_t bias_gradient_workspace(const struct conv2d_shape *shape);
adele_status bias_gradient_run(const struct cuda_context *context, const struct conv2d_shape *shape,
                               enum conv2d_math math, const void *d_dst, float *d_bias,
                               void *workspace);

// Whether float tensors are rounded to bf16 as they are read.
static inline bool rounds_operands(const struct weight_gradient_call *call) {
    return call->plan->math == CONV2D_BF16 && call->context->storage != ADELE_PRECISION_BF16;
}

} // namespace adele_cuda
#endif
