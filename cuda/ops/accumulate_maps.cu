// SPDX-License-Identifier: MIT
// An exponential average of predictions in half precision:
//     maps[id, c, y, x] = half(beta maps + (1 - beta) p_c),   p = softmax(logits)
// logits: tensor (N, C, H, W); maps: plain (set, C, H, W), row i of the batch in map sample_ids[i],
// nothing where that is negative. Each element is one thread's: no order of sums is left to chance.
#include "runtime/common.cuh"

#include "base/half.h"
#include "device/op_check.h"

#include <math.h>

namespace adele_cuda {

#define N_THREADS 256

// Parameters of the kernel.
struct accumulate_maps_task {
    int n, c, p; // p: padded channels
    int64_t plane;
    const int32_t *sample_ids;
    uint16_t *maps;
    float beta;
};

// A thread owns one pixel. Its logits lie side by side and are read three times, the second and the
// third time from a cache: the op runs once in an epoch for each image, beside a whole network.
template <typename T>
static __global__ void __launch_bounds__(N_THREADS)
    accumulate_maps_kernel(struct accumulate_maps_task task, const T *logits) {
    int64_t i = thread_index();
    if (i >= task.n * task.plane)
        return;
    int64_t n = i / task.plane, pixel = i % task.plane;
    int64_t i_map = task.sample_ids != NULL ? task.sample_ids[n] : n;
    if (i_map < 0)
        return;
    const T *z = logits + i * task.p;
    float best = to_float(z[0]), sum = 0.0f, rest = 1.0f - task.beta;
    for (int c = 1; c < task.c; c++)
        best = fmaxf(best, to_float(z[c]));
    for (int c = 0; c < task.c; c++)
        sum += expf(to_float(z[c]) - best);
    if (!isfinite(sum))
        return;
    float share = rest / sum;
    for (int c = 0; c < task.c; c++) {
        uint16_t *map = task.maps + (i_map * task.c + c) * task.plane + pixel;
        float value = task.beta * half_to_float(*map) + share * expf(to_float(z[c]) - best);
        *map = half_from_float(value);
    }
}

// ---- the op -------------------------------------------------------------------------------------

CREATE_DESC_OP(accumulate_maps)

adele_status cuda_accumulate_maps_forward(struct adele_op *base,
                                          const struct adele_accumulate_maps_args *args) {
    const struct adele_accumulate_maps_desc *desc =
        desc_of<struct adele_accumulate_maps_desc>(base);
    const struct cuda_context *context = context_of(base->device);
    TRY(op_check_accumulate_maps_args(args));
    struct accumulate_maps_task task = {};
    task.n = desc->n, task.c = desc->c, task.p = padded_channels(desc->c);
    task.plane = (int64_t)desc->h * desc->w;
    task.sample_ids = args->sample_ids;
    task.maps = args->maps;
    task.beta = args->beta;
    int64_t n_pixels = task.n * task.plane;
    return WITH_STORAGE(context, T,
                        LAUNCH(context, accumulate_maps_kernel<T>, blocks_for(n_pixels, N_THREADS),
                               N_THREADS, 0, task, (const T *)args->logits));
}

} // namespace adele_cuda
