// SPDX-License-Identifier: MIT
#include "ops/segments.cuh"

namespace adele_cuda {

// ---- kernels ------------------------------------------------------------------------------------

// A block owns a chunk, a thread every 256th float of it. The atomic is one of whole numbers and a
// maximum, so that the order of blocks does not matter; it is not reached in a good step.
static __global__ void segments_find_nonfinite_kernel(const struct adele_sgd_segment *chunks,
                                                      const int *segment, const float *gradients,
                                                      int *last) {
    const float *gradient = gradients + chunks[blockIdx.x].offset;
    int count = (int)chunks[blockIdx.x].count;
    bool is_bad = false;
    for (int i = (int)threadIdx.x; i < count; i += SEGMENT_THREADS)
        is_bad |= !isfinite(gradient[i]);
    if (is_bad)
        atomicMax(last, segment[blockIdx.x] + 1);
}

// Of few losses: each thread reads all of them.
static __device__ bool has_bad_loss(const struct segment_guard &guard) {
    int n = guard.n_losses > 1 ? guard.n_losses : 1;
    bool is_bad = false;
    for (int i = 0; guard.loss_is_finite != NULL && i < n; i++)
        is_bad |= guard.loss_is_finite[i] == 0;
    return is_bad;
}

// One block: decides, for the update after it to read; the state goes back to what was kept, or is
// kept; one thread counts.
static __global__ void segments_settle_kernel(struct segment_guard guard, int *last) {
    SHARED(int, is_out, [1]);
    int bad = *last;
    bool is_loss_bad = has_bad_loss(guard);
    if (threadIdx.x == 0)
        is_out[0] = bad != 0 || is_loss_bad ||
                    (guard.skip_all_later && guard.health[ADELE_HEALTH_SKIPPED] > 0);
    __syncthreads();
    for (int i = (int)threadIdx.x; i < (int)guard.n_kept; i += SEGMENT_THREADS) {
        if (is_out[0])
            guard.state[i] = guard.kept[i];
        else
            guard.kept[i] = guard.state[i];
    }
    if (threadIdx.x != 0)
        return;
    int64_t update = ++guard.health[ADELE_HEALTH_UPDATES];
    *last = is_out[0];
    guard.health[ADELE_HEALTH_LAST_SKIPPED] = is_out[0];
    if (is_out[0] && guard.health[ADELE_HEALTH_SKIPPED]++ == 0) {
        guard.health[ADELE_HEALTH_FIRST_UPDATE] = update;
        guard.health[ADELE_HEALTH_FIRST_SEGMENT] = is_loss_bad ? -1 : bad - 1;
    }
}

// ---- the chunks ---------------------------------------------------------------------------------

// The tables, on the host and then on the device.
static adele_status make_tables(struct cuda_op *op, int n_segments,
                                const struct adele_sgd_segment *segments, int64_t n_chunks,
                                struct segment_chunks *out) {
    const int zero = 0;
    size_t n_rows = (size_t)n_chunks + 1;
    struct adele_sgd_segment *chunks = NULL;
    int *segment = NULL;
    adele_status status;
    TRY_GOTO(ALLOCATE(&chunks, n_rows), done);
    TRY_GOTO(ALLOCATE(&segment, n_rows), done);
    for (int i = 0; i < n_segments; i++)
        for (int64_t done = 0; done < segments[i].count; done += SEGMENT_CHUNK) {
            struct adele_sgd_segment chunk = segments[i];
            chunk.offset += done;
            chunk.count = chunk.count - done < SEGMENT_CHUNK ? chunk.count - done : SEGMENT_CHUNK;
            segment[out->n] = i;
            chunks[out->n++] = chunk;
        }
    TRY_GOTO(table_create(op, chunks, n_rows, &out->chunks), done);
    TRY_GOTO(table_create(op, segment, n_rows, &out->segment), done);
    status = table_create(op, &zero, 1, &out->last);
done:
    memory_free(segment);
    memory_free(chunks);
    return status;
}

adele_status segment_chunks_init(struct cuda_op *op, const char *name, int n_segments,
                                 const struct adele_sgd_segment *segments,
                                 struct segment_chunks *out, int64_t *n_floats) {
    int64_t n_chunks = 0;
    *n_floats = 0;
    for (int i = 0; i < n_segments; i++) {
        *n_floats += segments[i].count;
        n_chunks += (segments[i].count + SEGMENT_CHUNK - 1) / SEGMENT_CHUNK;
    }
    if (n_chunks > INT32_MAX)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "%s: %lld parameters", name, (long long)*n_floats);
    return make_tables(op, n_segments, segments, n_chunks, out);
}

adele_status segment_chunks_check(const struct adele_device *device,
                                  const struct segment_chunks &chunks,
                                  const struct segment_guard &guard, const int **out_skip) {
    *out_skip = NULL;
    if (guard.health == NULL)
        return ADELE_OK;
    TRY(device->iface->fill(device, chunks.last, 0, sizeof *chunks.last));
    if (!guard.gradients_are_checked)
        TRY(LAUNCH(context_of(device), segments_find_nonfinite_kernel, chunks.n, SEGMENT_THREADS, 0,
                   chunks.chunks, chunks.segment, guard.gradients, chunks.last));
    TRY(LAUNCH(context_of(device), segments_settle_kernel, 1, SEGMENT_THREADS, 0, guard,
               chunks.last));
    *out_skip = chunks.last;
    return ADELE_OK;
}

} // namespace adele_cuda
