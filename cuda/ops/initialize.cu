// SPDX-License-Identifier: MIT
// The first values of a network's parameters, drawn in device memory: a hundred million of them
// would take the host seconds and a transfer.
//
// A thread computes one block of the Philox stream, which is 4 uniform values or 2 normal ones, and
// writes them; no two threads share a value, nothing is summed. Bound by writing. The draws are the
// CPU's (src/base/random.c), uniform values bit by bit; a faster kernel is not worth its lines
// here.
#include "ops/random.cuh"
#include "runtime/common.cuh"

namespace adele_cuda {

#define INITIALIZE_THREADS 256

// Units of an item: the values of one Philox block.
struct initialize_block {
    int item;
    int32_t i_chunk; // of INITIALIZE_THREADS units
};
struct initialize {
    struct cuda_op base;
    struct adele_initialize_item *items; // in device memory
    struct initialize_block *blocks;     // (n_blocks), in device memory
    uint64_t seed;
    int n_items, n_blocks;
};

static __host__ __device__ inline int values_of_unit(enum adele_initial kind) {
    return kind == ADELE_INITIAL_NORMAL ? 2 : 4;
}

// ---- kernel -------------------------------------------------------------------------------------

static __device__ inline double unit_uniform(uint32_t word) {
    return (double)word * (1.0 / 4294967296.0);
}

// Box-Muller as random_normal(): the second value, from the sine, is dropped.
static __device__ inline double unit_normal(uint32_t first, uint32_t second) {
    const double two_pi = 6.283185307179586476925;
    double radius = rounded_product((double)first + 1.0, 1.0 / 4294967296.0);
    return rounded_product(sqrt(-2.0 * log(radius)),
                           cos(rounded_product(two_pi, unit_uniform(second))));
}

static __device__ inline float value_of(const struct adele_initialize_item *item,
                                        const uint32_t words[4], int i) {
    double spread = item->spread;
    if (item->kind == ADELE_INITIAL_CONSTANT)
        return (float)spread;
    if (item->kind == ADELE_INITIAL_UNIFORM)
        return (float)rounded_sum(
            -spread, rounded_product(rounded_sum(spread, spread), unit_uniform(words[i])));
    return (float)rounded_product(spread, i == 0 ? unit_normal(words[0], words[1])
                                                 : unit_normal(words[2], words[3]));
}

// A block of threads owns the chunk that its entry in the list names.
static __global__ void __launch_bounds__(INITIALIZE_THREADS)
    initialize_kernel(const struct adele_initialize_item *items,
                      const struct initialize_block *blocks, uint64_t seed, float *values) {
    struct initialize_block block = blocks[blockIdx.x];
    struct adele_initialize_item item = items[block.item];
    int64_t unit = (int64_t)block.i_chunk * INITIALIZE_THREADS + threadIdx.x;
    int n_values = values_of_unit(item.kind);
    uint32_t counter[4] = {(uint32_t)unit, item.stream, 0, RANDOM_INIT};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t words[4];
    philox_block(counter, key, words);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int64_t at = unit * n_values + i;
        if (i < n_values && at < item.count)
            values[item.offset + at] = value_of(&item, words, i);
    }
}

// ---- the op -------------------------------------------------------------------------------------

static int64_t count_chunks(const struct adele_initialize_item *item) {
    int64_t n_values = (int64_t)INITIALIZE_THREADS * values_of_unit(item->kind);
    return (item->count + n_values - 1) / n_values;
}

static adele_status make_tables(struct initialize *self, const struct adele_initialize_desc *desc) {
    int64_t n_blocks = 0;
    for (int i = 0; i < desc->n_items; i++)
        n_blocks += count_chunks(&desc->items[i]);
    if (n_blocks == 0)
        return ADELE_OK;
    if (n_blocks > INT32_MAX)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "initialize: the parameters are %lld blocks",
                    (long long)n_blocks);
    self->n_blocks = (int)n_blocks;
    struct initialize_block *blocks = NULL;
    TRY(ALLOCATE(&blocks, n_blocks));
    for (int i = 0, n = 0; i < desc->n_items; i++)
        for (int64_t chunk = 0; chunk < count_chunks(&desc->items[i]); chunk++)
            blocks[n++] = (struct initialize_block){i, (int32_t)chunk};
    adele_status status = table_create(&self->base, blocks, (size_t)n_blocks, &self->blocks);
    if (status == ADELE_OK)
        status = table_create(&self->base, desc->items, (size_t)desc->n_items, &self->items);
    memory_free(blocks);
    return status;
}

adele_status cuda_initialize_create(const struct adele_device *device,
                                    const struct adele_initialize_desc *desc,
                                    struct adele_op **out) {
    struct initialize *self = NULL;
    TRY(op_create(device, ADELE_OP_initialize, &self, out));
    self->seed = desc->seed;
    return make_tables(self, desc);
}

adele_status cuda_initialize_forward(struct adele_op *op,
                                     const struct adele_initialize_args *args) {
    const struct initialize *self = (const struct initialize *)op;
    if (self->n_blocks == 0)
        return ADELE_OK;
    return LAUNCH(context_of(op->device), initialize_kernel, self->n_blocks, INITIALIZE_THREADS, 0,
                  self->items, self->blocks, self->seed, args->values);
}

} // namespace adele_cuda
