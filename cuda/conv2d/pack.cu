// SPDX-License-Identifier: MIT
// The weights of all convolutions of a network into the order of their kernels, in one launch:
// after each update, instead of in every pass of every scale. conv2d_pack.cu describes the layout;
// a convolution's packed weights are those of the forward pass and, where its bytes say so, behind
// them those of the data gradient.
//
// Reads each weight once for each of its layouts and writes it once: bound by memory. Overwrites
// where items lie; nothing is summed. The simple kernels read plain weights, so there is nothing to
// compare with but the packing of a single convolution, which shares its code.
#include "conv2d/conv2d_pack.cuh"

namespace adele_cuda {

// One layout of one convolution.
struct pack_job {
    struct conv2d_packing packing;
    int64_t weight, packed; // offsets, in floats and in bytes
};
struct pack_block {
    int job, row_first, channel_first;
};
struct pack {
    struct cuda_op base;
    enum conv2d_math math;
    struct pack_job *jobs;     // in device memory
    struct pack_block *blocks; // (n_blocks), in device memory
    int n_jobs, n_blocks;
    size_t shared_bytes; // the most that a job needs
};

// ---- kernel -------------------------------------------------------------------------------------

// A block owns the tile of one layout that its entry in the list names.
template <typename T>
static __global__ void __launch_bounds__(CONV2D_PACK_THREADS)
    pack_all_kernel(const struct pack_job *jobs, const struct pack_block *blocks,
                    enum conv2d_math math, const float *weights, unsigned char *packed) {
    DYNAMIC_SHARED(shared);
    struct pack_block block = blocks[blockIdx.x];
    struct pack_job job = jobs[block.job];
    conv2d_pack_tile(job.packing, math, block.row_first, block.channel_first, weights + job.weight,
                     (float *)shared, (T *)(packed + job.packed));
}

// ---- the op -------------------------------------------------------------------------------------

// The layouts of an item into jobs[0] and jobs[1]; *n: how many it has.
static adele_status make_jobs(const struct cuda_context *context,
                              const struct adele_pack_item *item, struct pack_job jobs[2], int *n) {
    int64_t bytes = 0;
    *n = 0;
    if (item->kernel > INT16_MAX || conv2d_pack_rows(item->kernel * item->kernel) == 0)
        return FAIL(ADELE_INVALID_ARGUMENT, "Leave out convolutions whose op has no packed_bytes.",
                    "pack: a kernel of %d x %d is not packed", item->kernel, item->kernel);
    for (int pass = CONV2D_FORWARD; pass < CONV2D_WEIGHT_GRADIENT && bytes < item->bytes; pass++) {
        struct pack_job *job = &jobs[(*n)++];
        job->packing =
            conv2d_packing_make(item->c_out, item->c_in, item->kernel, (enum conv2d_pass)pass);
        job->weight = item->weight;
        job->packed = item->packed + bytes;
        bytes += (int64_t)conv2d_packing_bytes(context, &job->packing);
    }
    if (bytes != item->bytes)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give the op's packed_bytes.",
                    "pack: %lld bytes for the weights of %d x %d channels and a kernel of %d",
                    (long long)item->bytes, item->c_out, item->c_in, item->kernel);
    return ADELE_OK;
}

static int64_t count_blocks(const struct conv2d_packing *packing) {
    return (int64_t)ceil_div(packing->n_rows, conv2d_pack_rows(packing->n_taps)) *
           ceil_div(packing->p_source, CONV2D_PACK_CHANNELS);
}

static void list_blocks(const struct pack *self, const struct pack_job *jobs,
                        struct pack_block *blocks) {
    for (int i = 0, n = 0; i < self->n_jobs; i++)
        for (int row = 0; row < jobs[i].packing.n_rows;
             row += conv2d_pack_rows(jobs[i].packing.n_taps))
            for (int channel = 0; channel < jobs[i].packing.p_source;
                 channel += CONV2D_PACK_CHANNELS)
                blocks[n++] = (struct pack_block){i, row, channel};
}

// Fills the host's list of jobs, and counts.
static adele_status plan(struct pack *self, const struct adele_pack_desc *desc,
                         struct pack_job *jobs) {
    const struct cuda_context *context = context_of(self->base.op.device);
    int64_t n_blocks = 0;
    for (int i = 0; i < desc->n_items; i++) {
        int n = 0;
        TRY(make_jobs(context, &desc->items[i], jobs + self->n_jobs, &n));
        for (int j = 0; j < n; j++) {
            const struct conv2d_packing *packing = &jobs[self->n_jobs++].packing;
            n_blocks += count_blocks(packing);
            size_t bytes = conv2d_pack_shared_bytes(packing->n_taps);
            self->shared_bytes = bytes > self->shared_bytes ? bytes : self->shared_bytes;
        }
    }
    if (n_blocks > INT32_MAX)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "pack: the weights are %lld blocks",
                    (long long)n_blocks);
    self->n_blocks = (int)n_blocks;
    return ADELE_OK;
}

static adele_status make_tables(struct pack *self, const struct adele_pack_desc *desc) {
    adele_status status;
    size_t n_jobs = 2 * (size_t)desc->n_items + 1;
    struct pack_block *blocks = NULL;
    struct pack_job *jobs = NULL;
    TRY(ALLOCATE(&jobs, n_jobs));
    TRY_GOTO(plan(self, desc, jobs), done);
    TRY_GOTO(ALLOCATE(&blocks, self->n_blocks + 1), done);
    list_blocks(self, jobs, blocks);
    TRY_GOTO(table_create(&self->base, jobs, n_jobs, &self->jobs), done);
    status = table_create(&self->base, blocks, (size_t)self->n_blocks + 1, &self->blocks);
done:
    memory_free(blocks);
    memory_free(jobs);
    return status;
}

adele_status cuda_pack_create(const struct adele_device *device, const struct adele_pack_desc *desc,
                              struct adele_op **out) {
    struct pack *self = NULL;
    TRY(op_create(device, ADELE_OP_pack, &self, out));
    self->math = conv2d_math_of(context_of(device), desc->precision);
    return make_tables(self, desc);
}

adele_status cuda_pack_forward(struct adele_op *op, const struct adele_pack_args *args) {
    const struct pack *self = (const struct pack *)op;
    if (self->n_blocks == 0)
        return ADELE_OK;
    return WITH_STORAGE(context_of(op->device), T,
                        LAUNCH(context_of(self->base.op.device), pack_all_kernel<T>, self->n_blocks,
                               CONV2D_PACK_THREADS, self->shared_bytes, self->jobs, self->blocks,
                               self->math, args->weights, (unsigned char *)args->packed));
}

} // namespace adele_cuda
