// SPDX-License-Identifier: MIT
// The host part of the weight gradient on Hopper: whether a shape fits it, the tables of its work,
// the descriptions of its tensors, made anew in each call, since addresses change; and the sum of
// its slots.
#include "conv2d/conv2d_weight_gradient_hopper.cuh"

namespace adele_cuda {

// ---- the plan -----------------------------------------------------------------------------------

bool weight_gradient_hopper_fits(const struct cuda_context *context,
                                 const struct conv2d_shape *shape, enum conv2d_math math) {
    bool is_shape = shape->c_in % GRADIENT_CHANNELS == 0 && shape->c_out % GRADIENT_CHANNELS == 0 &&
                    shape->kernel <= GRADIENT_MAX_KERNEL && shape->stride <= GRADIENT_MAX_STRIDE;
    return is_shape && !family_is_disabled(&context->device, ADELE_FAMILY_weight_gradient_hopper) &&
           hopper_is_usable(context, math) && gradient_hopper_is_compiled();
}

struct gradient_tiles weight_gradient_hopper_tiles(const struct conv2d_shape *shapes, int n) {
    const struct conv2d_shape *shape = &shapes[0];
    struct gradient_tiles tiles = {};
    for (int i = 0; i < n; i++) {
        struct gradient_scale *scale = &tiles.scales[i];
        scale->n = shapes[i].n;
        scale->h_in = shapes[i].h_in, scale->w_in = shapes[i].w_in;
        scale->h_out = shapes[i].h_out, scale->w_out = shapes[i].w_out;
    }
    tiles.n_scales = n;
    tiles.c_in = shape->c_in, tiles.c_out = shape->c_out;
    tiles.kernel = shape->kernel, tiles.stride = shape->stride;
    tiles.pad = shape->pad, tiles.dilation = shape->dilation;
    tiles.bn = hopper_channels_wanted();
    tiles.most_blocks = hopper_blocks_wanted();
    tiles.least_steps = tiles.most_blocks != 0 ? 1 : 0; // so that small tensors are cut up too
    gradient_tiles_choose(&tiles);
    return tiles;
}

static int rows_of_slot(const struct gradient_tiles *tiles) {
    return gradient_tile_chunks(tiles) * GRADIENT_CHANNELS;
}

adele_status weight_gradient_hopper_plan(struct cuda_op *op, const struct conv2d_shape *shapes,
                                         int n, struct weight_gradient_hopper *out) {
    adele_status status;
    struct gradient_segment *segments = NULL;
    struct gradient_run *runs = NULL;
    int *starts = NULL, *slots = NULL, n_runs;
    out->tiles = weight_gradient_hopper_tiles(shapes, n);
    out->encode = hopper_find_encode();
    size_t n_tiles = (size_t)gradient_tile_count(&out->tiles);
    size_t n_workers = (size_t)out->tiles.n_workers;
    TRY_GOTO(ALLOCATE(&segments, n_tiles + n_workers), done);
    TRY_GOTO(ALLOCATE(&runs, n_tiles * (size_t)n + n_workers), done);
    TRY_GOTO(ALLOCATE(&starts, n_workers + 1), done);
    TRY_GOTO(ALLOCATE(&slots, n_tiles + 1), done);
    out->n_segments = gradient_tiles_list(&out->tiles, segments, runs, &n_runs, starts, slots);
    TRY_GOTO(table_create(op, segments, (size_t)out->n_segments, &out->segments), done);
    TRY_GOTO(table_create(op, runs, (size_t)n_runs, &out->runs), done);
    TRY_GOTO(table_create(op, starts, n_workers + 1, &out->starts), done);
    TRY_GOTO(table_create(op, slots, n_tiles + 1, &out->slots), done);
    status = gradient_hopper_allow_shared(out->tiles.bn, out->tiles.is_paired);
done:
    memory_free(segments);
    memory_free(runs);
    memory_free(starts);
    memory_free(slots);
    return status;
}

size_t weight_gradient_hopper_floats(const struct weight_gradient_hopper *plan) {
    return (size_t)plan->n_segments * (size_t)rows_of_slot(&plan->tiles) * (size_t)plan->tiles.bn;
}

// ---- the sum of the slots -----------------------------------------------------------------------

struct slot_sums {
    const float *slots; // (segments, bn, rows of a tile)
    const int *first;   // of each tile's slots, and behind the last
    float *d_weight;    // (c_out, c_in, taps)
    int n_rows;         // tiles of rows
    int tile_rows, bn, c_in, taps;
};

static const int slot_columns = 4; // of a block

// A block owns 64 source channels (from blockIdx.x * 64 on) and all taps of 4 target channels (from
// blockIdx.y * 4 on): runs of 64 rows in the slots, and of 64 * taps weights in the gradient, which
// lie together there. A thread owns one source and one target channel.
static __global__ void __launch_bounds__(slot_columns *GRADIENT_CHANNELS)
    add_weight_gradient_slots_kernel(struct slot_sums of) {
    const int most_taps = GRADIENT_MAX_KERNEL * GRADIENT_MAX_KERNEL;
    SHARED(float, sums, [slot_columns][GRADIENT_CHANNELS * most_taps]);
    int i = (int)threadIdx.x % GRADIENT_CHANNELS, group = (int)threadIdx.x / GRADIENT_CHANNELS;
    int column = (int)blockIdx.y * slot_columns + group;
    int64_t slot_floats = (int64_t)of.tile_rows * of.bn;
    for (int tap = 0; tap < of.taps; tap++) {
        int row = tap * of.c_in + (int)blockIdx.x * GRADIENT_CHANNELS;
        int tile = column / of.bn * of.n_rows + row / of.tile_rows;
        const float *from = of.slots + column % of.bn * of.tile_rows + row % of.tile_rows + i;
        int end = of.first[tile + 1];
        float sum = 0.0f;
#pragma unroll 8
        for (int slot = of.first[tile]; slot < end; slot++)
            sum += from[slot * slot_floats];
        sums[group][i * of.taps + tap] = sum;
    }
    __syncthreads();
    float *to = of.d_weight +
                ((int64_t)column * of.c_in + (int64_t)blockIdx.x * GRADIENT_CHANNELS) * of.taps;
    for (int k = i; k < GRADIENT_CHANNELS * of.taps; k += GRADIENT_CHANNELS)
        to[k] += sums[group][k];
}

// ---- the call -----------------------------------------------------------------------------------

static adele_status describe(const struct weight_gradient_hopper *plan, int scale, const void *src,
                             const void *d_dst, struct gradient_maps::gradient_pair *out) {
    const struct gradient_tiles *tiles = &plan->tiles;
    const struct gradient_scale *of = &tiles->scales[scale];
    const struct hopper_box source = {{tiles->c_in, of->w_in, of->h_in, of->n},
                                      {GRADIENT_CHANNELS, of->box_w, of->box_h, of->box_n},
                                      {1, tiles->stride, tiles->stride, 1},
                                      {}};
    const struct hopper_box d_target = {{tiles->c_out, of->w_out, of->h_out, of->n},
                                        {GRADIENT_CHANNELS, of->box_w, of->box_h, of->box_n},
                                        {1, 1, 1, 1},
                                        {}};
    TRY(hopper_describe(plan->encode, src, &source, &out->source));
    return hopper_describe(plan->encode, d_dst, &d_target, &out->d_target);
}

static struct gradient_product product_of(const struct weight_gradient_hopper *plan, float *slots) {
    const struct gradient_tiles *tiles = &plan->tiles;
    struct gradient_product product = {};
    product.segments = plan->segments, product.runs = plan->runs, product.starts = plan->starts;
    product.slots = slots;
    product.kernel = tiles->kernel, product.stride = tiles->stride;
    product.pad = tiles->pad, product.dilation = tiles->dilation;
    product.n_chunks = tiles->n_chunks;
    product.chunks_of_tap = tiles->c_in / GRADIENT_CHANNELS;
    product.c_out = tiles->c_out;
    product.box_pixels = tiles->box_pixels;
    for (int i = 0; i < tiles->n_scales; i++) {
        const struct gradient_scale *scale = &tiles->scales[i];
        product.boxes[i] = {scale->box_w, scale->box_h, scale->box_n};
    }
    return product;
}

adele_status weight_gradient_hopper_run(const struct cuda_context *context,
                                        const struct weight_gradient_hopper *plan,
                                        const void *const *src, const void *const *d_dst,
                                        float *d_weight, float *slots) {
    const struct gradient_tiles *tiles = &plan->tiles;
    struct gradient_maps maps = {};
    if (plan->n_segments == 0)
        return ADELE_OK; // all taps are in the padding
    for (int i = 0; i < tiles->n_scales; i++)
        TRY(describe(plan, i, src[i], d_dst[i], &maps.scales[i]));
    const struct gradient_product product = product_of(plan, slots);
    TRY(gradient_hopper_launch(context, tiles->bn, tiles->is_paired, tiles->n_workers, &maps,
                               &product));
    struct slot_sums sums = {};
    sums.slots = slots, sums.first = plan->slots;
    sums.d_weight = d_weight;
    sums.n_rows = tiles->n_rows, sums.tile_rows = rows_of_slot(tiles), sums.bn = tiles->bn;
    sums.c_in = tiles->c_in, sums.taps = tiles->kernel * tiles->kernel;
    return LAUNCH(
        context, add_weight_gradient_slots_kernel,
        dim3((unsigned)(tiles->c_in / GRADIENT_CHANNELS), (unsigned)(tiles->c_out / slot_columns)),
        slot_columns * GRADIENT_CHANNELS, 0, sums);
}

// The sums go to the call's sink.partial, as slots instead of splits.
adele_status weight_gradient_hopper(const struct weight_gradient_call *call) {
    return weight_gradient_hopper_run(call->context, &call->plan->hopper, &call->src, &call->d_dst,
                                      call->sink.d_weight, call->sink.partial);
}

} // namespace adele_cuda
