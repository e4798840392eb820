// SPDX-License-Identifier: MIT
// Gathers a batch from the set that stays in device memory, or its images from where they were
// brought for the batch: normalized, augmented images at scale 0, the other scales from them, and
// the label maps.
//
// Output pixel (x, y) of an augmented image reads the source at
//     u = x - (w - 1) / 2 - shift_x, v = y - (h - 1) / 2 - shift_y   (x mirrored first when
//     flipped)
//     ((w - 1) / 2 + (cos a u + sin a v) / s, (h - 1) / 2 + (cos a v - sin a u) / s)
// with angle a, scale s and shifts drawn for (seed, epoch, sample id) by Philox, in double and with
// every rounding of the CPU's op, so that both devices read the same pixels. (The last bit of sin
// and cos is the mathematical library's own, and that of the elastic shift, which is added to it
// (device/elastic_rule.h), the compiler's; a label can differ only where a source lies within
// 1e-12 of the border between two pixels.) Images: bilinear over normalized pixels, 0 outside.
// Labels: nearest, 255 outside. The other kind of augmentation, VOC's, is in sample_voc.cuh.
//
// All outputs are overwritten: tensors (N, C, h_scale, w_scale) with zeros in the padding channels,
// label maps (N, H, W). A row whose id is negative, or beyond the set, is image 0 and labels 255.
#include "ops/random.cuh"
#include "ops/sample_voc.cuh"
#include "runtime/common.cuh"

#include "device/elastic_rule.h"
#include "device/op_check.h"

#include <math.h>

namespace adele_cuda {

#define DEGREE (3.14159265358979323846 / 180.0)
// The kernels' tile: a warp writes 32 neighbours, 1024 bytes or more of a tensor in one go;
// a square keeps what a rotated tile reads close together, and the draw is paid for 1024 pixels.
#define TILE      32
#define TILE_ROWS 8 // a block of 32 x 8 threads, each four pixels of a column

// Parameters of the kernels: the set and the batch.
struct sample_task {
    struct adele_sample_set set;
    bool is_batch; // set.images are (N, C, H, W), one for each row
    struct adele_augment augment;
    const int32_t *sample_ids; // (N)
    uint64_t seed;
    uint32_t epoch;
    int n, h, w; // of the output
    bool flip;
    uint8_t *labels, *noisy, *truth; // (N, H, W), may be NULL
};

// One output scale and how it reads scale 0: output o reads position o * step.
struct sample_scale {
    void *out; // tensor (N, C, h, w)
    int h, w, tiles_x, tiles_y;
    double step_y, step_x;
    int64_t first_block; // of the launch that writes all scales
};
struct sample_scales {
    int n_scales; // the scales 1.. of the op
    struct sample_scale scale[ADELE_MAX_SCALES];
};

// Where the pixels of one row of the batch come from.
struct placement {
    int id;          // below 0: nowhere
    int64_t i_image; // in set.images
    bool is_flipped, is_affine;
    double cosine, sine; // over the scale
    double shift_x, shift_y, center_x, center_y;
    struct voc_placement voc; // the VOC augmentation's own
};

// The elastic grid's points around a tile: no more than TILE_POINTS along an axis, because their
// distance is at least ADELE_ELASTIC_SPACING.
#define TILE_POINTS ((TILE - 1) / ADELE_ELASTIC_SPACING + 5)
struct tile_bends {
    double spacing; // 0: none
    int first_x, first_y;
    struct elastic_shift shift[TILE_POINTS][TILE_POINTS];
};

// The four source pixels of one output pixel.
struct taps {
    bool is_outside, is_exact; // exact: one pixel, (left, top)
    int left, top;
    float t_x, t_y;
};

// Two inputs of one output along an axis.
struct axis_taps {
    int low, high;
    float t;
};

// ---- drawing ------------------------------------------------------------------------------------

// All draws are taken in a fixed order, whether their range is empty or not. IS_VOC: the
// augmentation is on, and VOC's. One thread of a block calls it: out of line, because the sine and
// cosine in double are long.
template <bool IS_VOC>
static __device__ OUT_OF_LINE void place(const struct sample_task *task, int n,
                                         struct placement *out) {
    int id = task->sample_ids[n];
    int w = task->set.w, h = task->set.h;
    out->id = id < task->set.n_images ? id : -1;
    out->i_image = task->is_batch ? n : id;
    out->is_flipped = task->flip;
    out->is_affine = false;
    out->cosine = 1.0;
    out->sine = out->shift_x = out->shift_y = out->center_x = out->center_y = 0.0;
    if (IS_VOC)
        out->voc = {};
    if (!task->augment.enabled || out->id < 0)
        return;
    const struct adele_augment *augment = &task->augment;
    struct random_stream stream;
    bool is_mirrored;
    philox_init(&stream, task->seed, RANDOM_AUGMENT, task->epoch, (uint32_t)id);
    if (IS_VOC) {
        out->voc = draw_voc_placement(&task->set, augment, task->h, task->w, &stream, &is_mirrored);
        out->is_flipped = is_mirrored != task->flip;
        return;
    }
    double angle = rounded_product(
        DEGREE, philox_range(&stream, -augment->rotate_degrees, augment->rotate_degrees));
    double shift_x = philox_range(&stream, -augment->translate, augment->translate);
    double shift_y = philox_range(&stream, -augment->translate, augment->translate);
    double scale = philox_range(&stream, augment->scale_low, augment->scale_high);
    is_mirrored = philox_uniform(&stream) < augment->flip;
    out->is_flipped = is_mirrored != task->flip;
    out->shift_x = rounded_product(shift_x, (double)w);
    out->shift_y = rounded_product(shift_y, (double)h);
    out->center_x = 0.5 * (double)(w - 1);
    out->center_y = 0.5 * (double)(h - 1);
    out->cosine = cos(angle) / scale;
    out->sine = sin(angle) / scale;
    out->is_affine = out->sine != 0.0 || out->cosine != 1.0 || shift_x != 0.0 || shift_y != 0.0 ||
                     augment->elastic_shift > 0.0;
}

// The elastic shifts around a tile whose first pixel is (x, y), mirrored where its image is. All
// threads of a block call it; a thread draws for one point.
static __device__ OUT_OF_LINE void bend_tile(const struct sample_task *task,
                                             const struct placement *placed, int x, int y,
                                             struct tile_bends *out) {
    double spacing = task->augment.elastic_spacing;
    int row = (int)threadIdx.x / TILE_POINTS, column = (int)threadIdx.x % TILE_POINTS;
    if (placed->is_flipped)
        x = max(task->w - x - TILE, 0);
    int first_x = elastic_first_point(x, spacing), first_y = elastic_first_point(y, spacing);
    if (row < TILE_POINTS) {
        const uint32_t key[2] = {(uint32_t)task->seed, (uint32_t)(task->seed >> 32)};
        int i_point = (first_y + row) * elastic_count_points(task->w, spacing) + first_x + column;
        const uint32_t counter[4] = {(uint32_t)i_point, (uint32_t)placed->id, task->epoch,
                                     RANDOM_ELASTIC};
        uint32_t words[4];
        philox_block(counter, key, words);
        elastic_draw(words, task->augment.elastic_shift, &out->shift[row][column]);
    }
    if (threadIdx.x == 0) {
        out->spacing = spacing;
        out->first_x = first_x;
        out->first_y = first_y;
    }
    __syncthreads();
}

// Adds the shift of pixel (x, y), mirrored where its image is.
static __device__ void add_bend(const struct tile_bends *bends, int x, int y, double *source_x,
                                double *source_y) {
    double rows[4], columns[4];
    int first_y = elastic_first_point(y, bends->spacing) - bends->first_y;
    int first_x = elastic_first_point(x, bends->spacing) - bends->first_x;
    elastic_find_weights(y, bends->spacing, rows);
    elastic_find_weights(x, bends->spacing, columns);
#pragma unroll
    for (int j = 0; j < 4; j++) {
        double shift_x = 0.0, shift_y = 0.0;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const struct elastic_shift *shift = &bends->shift[first_y + i][first_x + j];
            shift_x += rows[i] * shift->x;
            shift_y += rows[i] * shift->y;
        }
        *source_x += columns[j] * shift_x;
        *source_y += columns[j] * shift_y;
    }
}

static __device__ void find_source(const struct placement *placed, const struct tile_bends *bends,
                                   int w, int x, int y, double *source_x, double *source_y) {
    int seen_x = placed->is_flipped ? w - 1 - x : x;
    *source_x = (double)seen_x;
    *source_y = (double)y;
    if (!placed->is_affine)
        return;
    double u = rounded_sum(rounded_sum(*source_x, -placed->center_x), -placed->shift_x);
    double v = rounded_sum(rounded_sum(*source_y, -placed->center_y), -placed->shift_y);
    *source_x = rounded_sum(rounded_sum(placed->center_x, rounded_product(placed->cosine, u)),
                            rounded_product(placed->sine, v));
    *source_y = rounded_sum(rounded_sum(placed->center_y, rounded_product(placed->cosine, v)),
                            -rounded_product(placed->sine, u));
    if (bends->spacing > 0.0)
        add_bend(bends, seen_x, y, source_x, source_y);
}

// ---- one pixel ----------------------------------------------------------------------------------

static __device__ struct taps find_taps(const struct placement *placed, int w, int h, double x,
                                        double y) {
    struct taps taps;
    // Comparing before the conversion keeps far-away positions out of an int, and NaN too.
    taps.is_outside = !(x > -1.0 && x < (double)w && y > -1.0 && y < (double)h);
    taps.is_exact = !placed->is_affine;
    double left = floor(x), top = floor(y);
    taps.left = taps.is_outside ? 0 : (int)left;
    taps.top = taps.is_outside ? 0 : (int)top;
    taps.t_x = (float)(x - left);
    taps.t_y = (float)(y - top);
    return taps;
}

// The normalized pixel (x, y) of a plane (i_image, c); 0 outside.
static __device__ float normalized(const struct adele_sample_set *set, int64_t plane, float mean,
                                   float inv_std, int x, int y) {
    if (x < 0 || x >= set->w || y < 0 || y >= set->h)
        return 0.0f;
    return (raw_pixel(set, (plane * set->h + y) * set->w + x) - mean) * inv_std;
}

// `plane`: (i_image, c), of the pixels; `i_mean`: (id, c), of what normalizes them.
static __device__ float image_value(const struct adele_sample_set *set, int64_t plane,
                                    int64_t i_mean, const struct taps *taps) {
    float mean = __ldg(set->mean + i_mean), inv_std = __ldg(set->inv_std + i_mean);
    int left = taps->left, top = taps->top;
    float value = normalized(set, plane, mean, inv_std, left, top);
    if (taps->is_exact)
        return value;
    float upper = (1.0f - taps->t_x) * value +
                  taps->t_x * normalized(set, plane, mean, inv_std, left + 1, top);
    float lower = (1.0f - taps->t_x) * normalized(set, plane, mean, inv_std, left, top + 1) +
                  taps->t_x * normalized(set, plane, mean, inv_std, left + 1, top + 1);
    return (1.0f - taps->t_y) * upper + taps->t_y * lower;
}

// All channels of one pixel; `out` is its first element. LANES as in sample_voc.cuh.
template <typename T, int LANES>
static __device__ void write_image_pixel(const struct adele_sample_set *set,
                                         const struct placement *placed, const struct taps *taps,
                                         T *out) {
#pragma unroll 1
    for (int first = 0; first < padded_channels(set->c); first += SAMPLE_STEP(LANES)) {
        float values[8] = {0.0f};
#pragma unroll
        for (int lane = 0; lane < SAMPLE_LIVE(LANES); lane++) {
            int c = first + lane;
            if (c < set->c && placed->id >= 0 && !taps->is_outside)
                values[lane] = image_value(set, placed->i_image * set->c + c,
                                           (int64_t)placed->id * set->c + c, taps);
        }
        store_channels<LANES>(out + first, values);
    }
}

// Index of the label under a source position, in its image; -1 outside.
static __device__ int64_t label_index(const struct adele_sample_set *set, double x, double y) {
    x = floor(x + 0.5);
    y = floor(y + 0.5);
    if (!(x >= 0.0 && x < (double)set->w && y >= 0.0 && y < (double)set->h))
        return -1;
    return (int64_t)y * set->w + (int64_t)x;
}

static __device__ uint8_t label_at(const struct adele_sample_set *set, const uint8_t *maps, int id,
                                   int64_t index) {
    if (id < 0 || index < 0)
        return ADELE_IGNORE;
    return __ldg(maps + (int64_t)id * set->h * set->w + index);
}

// Writes output pixel (x, y) of one row of the batch to `out`; returns the index of its label, -1
// outside.
template <typename T, int LANES, bool IS_VOC>
static __device__ int64_t write_pixel(const struct sample_task *task,
                                      const struct placement *placed,
                                      const struct tile_bends *bends, int x, int y, T *out) {
    const struct adele_sample_set *set = &task->set;
    if (IS_VOC) {
        int x_scaled = (placed->is_flipped ? task->w - 1 - x : x) + placed->voc.left;
        int y_scaled = y + placed->voc.top;
        write_voc_pixel<T, LANES>(set, task->augment.hsv > 0.0, placed->id, placed->i_image,
                                  &placed->voc, x_scaled, y_scaled, out);
        return placed->id < 0 ? -1 : voc_label_index(set, &placed->voc, x_scaled, y_scaled);
    }
    double source_x, source_y;
    find_source(placed, bends, set->w, x, y, &source_x, &source_y);
    struct taps taps = find_taps(placed, set->w, set->h, source_x, source_y);
    write_image_pixel<T, LANES>(set, placed, &taps, out);
    return label_index(set, source_x, source_y);
}

static __device__ struct axis_taps find_axis(int n_in, int n_out, double step, int o) {
    struct axis_taps taps;
    double position = rounded_product((double)o, step);
    taps.low = min((int)position, n_in - 1);
    taps.high = min(taps.low + 1, n_in - 1);
    taps.t = taps.high == taps.low ? 0.0f : (float)rounded_sum(position, -(double)taps.low);
    if (n_in == n_out) // the step is exactly 1
        taps.high = taps.low;
    return taps;
}

// One pixel of another scale, from image n of scale 0.
template <typename T>
static __device__ void write_scaled_pixel(const T *image, int w_in, int p, struct axis_taps rows,
                                          struct axis_taps columns, T *out) {
    const T *upper = image + (int64_t)rows.low * w_in * p;
    const T *lower = image + (int64_t)rows.high * w_in * p;
    float s_y = 1.0f - rows.t, s_x = 1.0f - columns.t;
    for (int first = 0; first < p; first += 8) {
        int64_t left = (int64_t)columns.low * p + first, right = (int64_t)columns.high * p + first;
        float values[8], a[8], b[8];
        load8(upper + left, a);
        load8(lower + left, b);
#pragma unroll
        for (int lane = 0; lane < 8; lane++)
            values[lane] = s_x * (s_y * a[lane] + rows.t * b[lane]);
        load8(upper + right, a);
        load8(lower + right, b);
#pragma unroll
        for (int lane = 0; lane < 8; lane++)
            values[lane] += columns.t * (s_y * a[lane] + rows.t * b[lane]);
        store8(out + first, values);
    }
}

// ---- kernels: a block owns a tile of 32 x 32 pixels ---------------------------------------------

// Scale 0 and its label maps. The block draws the augmentation once; image and labels share a
// pixel's source.
template <typename T, int LANES, bool IS_VOC>
static __global__ void __launch_bounds__(TILE *TILE_ROWS, 3)
    sample_tile(const __grid_constant__ struct sample_task task, int tiles_x, int tiles_y, T *out) {
    SHARED(struct placement, placed, );
    SHARED(struct tile_bends, bends, );
    const struct adele_sample_set *set = &task.set;
    int tile_x = (int)(blockIdx.x % tiles_x), tile_y = (int)(blockIdx.x / tiles_x % tiles_y);
    int n = (int)(blockIdx.x / tiles_x / tiles_y);
    if (threadIdx.x == 0) {
        place<IS_VOC>(&task, n, &placed);
        bends.spacing = 0.0;
    }
    __syncthreads();
    if (!IS_VOC && task.augment.enabled && task.augment.elastic_shift > 0.0 && placed.id >= 0)
        bend_tile(&task, &placed, tile_x * TILE, tile_y * TILE, &bends);
    int x = tile_x * TILE + (int)threadIdx.x % TILE;
    int y_end = min((tile_y + 1) * TILE, task.h);
    if (x >= task.w)
        return;
#pragma unroll 1
    for (int y = tile_y * TILE + (int)threadIdx.x / TILE; y < y_end; y += TILE_ROWS) {
        int64_t i = ((int64_t)n * task.h + y) * task.w + x;
        int64_t index = write_pixel<T, LANES, IS_VOC>(&task, &placed, &bends, x, y,
                                                      out + i * padded_channels(set->c));
        if (task.labels != NULL)
            task.labels[i] = label_at(set, set->labels, placed.id, index);
        if (task.noisy != NULL)
            task.noisy[i] = label_at(set, set->noisy, placed.id, index);
        if (task.truth != NULL)
            task.truth[i] = label_at(set, set->truth, placed.id, index);
    }
}

// All other scales in one launch, because small scales alone do not fill a GPU. A thread finds its
// column's inputs once for its four pixels.
template <typename T>
static __global__ void __launch_bounds__(TILE *TILE_ROWS)
    sample_scales_tile(int p, int h_in, int w_in, const T *image, struct sample_scales scales) {
    int k = 0;
    while (k + 1 < scales.n_scales && (int64_t)blockIdx.x >= scales.scale[k + 1].first_block)
        k++;
    struct sample_scale scale = scales.scale[k];
    int i_tile = (int)(blockIdx.x - scale.first_block);
    int tile_x = i_tile % scale.tiles_x, tile_y = i_tile / scale.tiles_x % scale.tiles_y;
    int n = i_tile / scale.tiles_x / scale.tiles_y;
    int x = tile_x * TILE + (int)threadIdx.x % TILE;
    int y_end = min((tile_y + 1) * TILE, scale.h);
    if (x >= scale.w)
        return;
    image += (int64_t)n * h_in * w_in * p;
    struct axis_taps columns = find_axis(w_in, scale.w, scale.step_x, x);
    for (int y = tile_y * TILE + (int)threadIdx.x / TILE; y < y_end; y += TILE_ROWS)
        write_scaled_pixel(image, w_in, p, find_axis(h_in, scale.h, scale.step_y, y), columns,
                           (T *)scale.out + (((int64_t)n * scale.h + y) * scale.w + x) * p);
}

template <typename T, bool IS_VOC>
static adele_status launch_tiles(const struct cuda_context *context, const struct sample_task *task,
                                 T *out) {
    int tiles_x = ceil_div(task->w, TILE), tiles_y = ceil_div(task->h, TILE);
    int n_blocks = tiles_x * tiles_y * task->n, c = task->set.c;
    if (c == 1)
        return LAUNCH(context, (sample_tile<T, 1, IS_VOC>), n_blocks, TILE * TILE_ROWS, 0, *task,
                      tiles_x, tiles_y, out);
    if (c <= 4)
        return LAUNCH(context, (sample_tile<T, 4, IS_VOC>), n_blocks, TILE * TILE_ROWS, 0, *task,
                      tiles_x, tiles_y, out);
    return LAUNCH(context, (sample_tile<T, SAMPLE_HALVES, IS_VOC>), n_blocks, TILE * TILE_ROWS, 0,
                  *task, tiles_x, tiles_y, out);
}

template <typename T>
static adele_status forward(const struct cuda_context *context, const struct sample_task *task,
                            void *images, const struct sample_scales *scales) {
    T *out = (T *)images;
    bool is_voc = task->augment.enabled && task->augment.kind == ADELE_AUGMENT_VOC;
    TRY((is_voc ? launch_tiles<T, true>(context, task, out)
                : launch_tiles<T, false>(context, task, out)));
    if (scales->n_scales == 0)
        return ADELE_OK;
    const struct sample_scale *last = &scales->scale[scales->n_scales - 1];
    int n_blocks = (int)last->first_block + last->tiles_x * last->tiles_y * task->n;
    return LAUNCH(context, sample_scales_tile<T>, n_blocks, TILE * TILE_ROWS, 0,
                  padded_channels(task->set.c), task->h, task->w, (const T *)out, *scales);
}

// ---- the op -------------------------------------------------------------------------------------

CREATE_DESC_OP(sample)

static double axis_step(int n_in, int n_out) {
    return n_out > 1 ? (double)(n_in - 1) / (double)(n_out - 1) : 0.0;
}

static struct sample_scales scales_of(const struct adele_sample_desc *desc,
                                      const struct adele_sample_args *args) {
    struct sample_scales scales = {};
    int64_t n_blocks = 0;
    for (int k = 1; k < desc->n_scales; k++) {
        struct sample_scale *scale = &scales.scale[scales.n_scales++];
        scale->out = args->images[k];
        scale->h = desc->h_scale[k];
        scale->w = desc->w_scale[k];
        scale->tiles_x = ceil_div(scale->w, TILE);
        scale->tiles_y = ceil_div(scale->h, TILE);
        scale->step_y = axis_step(desc->h, scale->h);
        scale->step_x = axis_step(desc->w, scale->w);
        scale->first_block = n_blocks;
        n_blocks += (int64_t)scale->tiles_x * scale->tiles_y * desc->n;
    }
    return scales;
}

adele_status cuda_sample_forward(struct adele_op *base, const struct adele_sample_args *args) {
    const struct adele_sample_desc *desc = desc_of<struct adele_sample_desc>(base);
    const struct cuda_context *context = context_of(base->device);
    TRY(op_check_sample_args(desc,
                             args)); // ids lie on the device: kernels treat those beyond the set
    bool is_batch = args->batch_images != NULL;
    struct sample_task task = {
        args->set, is_batch, desc->augment, args->sample_ids, desc->seed,  args->epoch, desc->n,
        desc->h,   desc->w,  args->flip,    args->labels,     args->noisy, args->truth};
    if (is_batch)
        task.set.images = args->batch_images;
    struct sample_scales scales = scales_of(desc, args);
    return WITH_STORAGE(context, T, forward<T>(context, &task, args->images[0], &scales));
}

} // namespace adele_cuda
