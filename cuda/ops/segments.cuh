// SPDX-License-Identifier: MIT
// What the optimizers share: segments of parameters, cut into chunks of which a block takes one, so
// that large and small parameters load the machine alike; and the check that skips an update.
#ifndef ADELE_CUDA_OPS_SEGMENTS_CUH
#define ADELE_CUDA_OPS_SEGMENTS_CUH

#include "runtime/common.cuh"

namespace adele_cuda {

// 4 vectors of 4 floats a thread: enough loads in flight, and few blocks for tens of millions of
// parameters.
#define SEGMENT_THREADS 256
#define SEGMENT_CHUNK   (SEGMENT_THREADS * 16)

struct segment_chunks {
    struct adele_sgd_segment *chunks; // (n), in device memory
    int *segment;                     // (n), in device memory: which segment the chunk is of
    int *last; // in device memory: 1 + the last bad segment of this update, 0: none; then whether
               // the update is skipped
    int n;
};

// The fields of the same names of adele_sgd_args and adele_adamw_args.
struct segment_guard {
    const float *gradients;
    int64_t *health;
    float *state, *kept;
    int64_t n_kept;
    const int32_t *loss_is_finite;
    int n_losses;
    bool skip_all_later, gradients_are_checked;
};

// *n_floats: of all segments. The tables are the op's.
adele_status segment_chunks_init(struct cuda_op *op, const char *name, int n_segments,
                                 const struct adele_sgd_segment *segments,
                                 struct segment_chunks *out, int64_t *n_floats);

// Queues the check. *out_skip: what the update's kernel reads, not 0 where the update is skipped;
// NULL without guard.health.
adele_status segment_chunks_check(const struct adele_device *device,
                                  const struct segment_chunks &chunks,
                                  const struct segment_guard &guard, const int **out_skip);

} // namespace adele_cuda
#endif
