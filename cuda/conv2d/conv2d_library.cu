// SPDX-License-Identifier: MIT
// Which engine runs a pass of a convolution, when the device was opened for auto, cudnn or cublas.
// By name: that library where it can. auto: our own kernels and the libraries' candidates run a few
// times each on memory of their own when the op is created, and the fastest is taken. The choice is
// kept in the user's cache (device/engine_cache.h) under GPU, versions and shape, so that the next
// run chooses the same without measuring. It is not kept when a candidate failed, because the cause
// may be gone in the next run. A candidate that rounds the gradient of the weights is not timed, so
// that no timing decides how exact a gradient is.
#include "conv2d/conv2d_library.cuh"
#include "conv2d/conv2d_pack.cuh"

#include <stdio.h>
#include <stdlib.h>

namespace adele_cuda {

enum { MOST_RUNS = 5, MOST_CUDNN = 3, MOST_CANDIDATES = 1 + MOST_CUDNN };

// What a library can run the pass with, and its name in the cache.
struct candidate {
    struct conv2d_library library;
    char name[32];
};

static void candidate_release(struct candidate *candidate) {
    if (candidate->library.release != NULL)
        candidate->library.release(candidate->library.plan);
    memset(candidate, 0, sizeof *candidate);
}

// ---- timing -------------------------------------------------------------------------------------

// Memory for one pass: everything of its arguments, in one block.
struct trial {
    const struct conv2d *self;
    enum conv2d_pass pass;
    void *block;
    struct adele_conv2d_args args;
    cudaEvent_t begin, end;
};

static void trial_close(struct trial *trial) {
    if (trial->begin != NULL)
        (void)cudaEventDestroy(trial->begin);
    if (trial->end != NULL)
        (void)cudaEventDestroy(trial->end);
    if (trial->block != NULL)
        (void)cudaFree(trial->block);
}

// Weights come packed, as in a step.
static size_t packed_bytes(const struct conv2d *self) {
    const struct cuda_context *context = context_of(self->base.op.device);
    size_t bytes = 0;
    for (int pass = CONV2D_FORWARD; pass < CONV2D_WEIGHT_GRADIENT; pass++) {
        struct conv2d_packing packing = conv2d_packing_make(
            self->shape.c_out, self->shape.c_in, self->shape.kernel, (enum conv2d_pass)pass);
        bytes += conv2d_packing_bytes(context, &packing);
    }
    return bytes;
}

// With block NULL only counts; returns the bytes.
static size_t lay_out(struct trial *trial, char *block, size_t workspace_bytes) {
    const struct conv2d_shape *shape = &trial->self->shape;
    bool is_bf16 = context_of(trial->self->base.op.device)->storage == ADELE_PRECISION_BF16;
    size_t element = is_bf16 ? sizeof(bf16) : sizeof(float), end = 0;
    size_t src = (size_t)shape->n * (size_t)shape->h_in * (size_t)shape->w_in *
                 (size_t)shape->p_in * element;
    size_t dst = (size_t)shape->n * (size_t)shape->h_out * (size_t)shape->w_out *
                 (size_t)shape->p_out * element;
    size_t weight = (size_t)shape->c_out * (size_t)shape->c_in * (size_t)shape->kernel *
                    (size_t)shape->kernel * sizeof(float);
    size_t bias = (size_t)shape->c_out * sizeof(float);
    auto place = [&](size_t bytes) -> char * {
        size_t at = workspace_place(&end, bytes);
        return block != NULL ? block + at : NULL;
    };
    // A pass reads one of src and dst and writes the other, or reads both.
    trial->args.src = trial->args.d_src = place(src);
    trial->args.dst = place(dst);
    trial->args.d_dst = trial->args.dst;
    trial->args.weight = trial->args.d_weight = (float *)place(weight);
    trial->args.bias = trial->args.d_bias = (float *)place(bias);
    trial->args.packed_weight = place(packed_bytes(trial->self));
    trial->args.workspace = place(workspace_bytes);
    return end;
}

// After ADELE_NO_MEMORY or another failure our own kernels are taken.
static adele_status trial_open(struct trial *trial, const struct conv2d *self,
                               enum conv2d_pass pass, size_t workspace_bytes) {
    memset(trial, 0, sizeof *trial);
    trial->self = self;
    trial->pass = pass;
    size_t bytes = lay_out(trial, NULL, workspace_bytes);
    TRY(self->base.op.device->iface->alloc(self->base.op.device, bytes, &trial->block));
    (void)lay_out(trial, (char *)trial->block, workspace_bytes);
    // 0x3c3c is 0.0115 in bf16 and the like in float: zeros would run at a higher clock.
    CUDA_TRY(cudaMemsetAsync(trial->block, 0x3c, bytes, context_of(self->base.op.device)->stream));
    CUDA_TRY(cudaEventCreate(&trial->begin));
    CUDA_TRY(cudaEventCreate(&trial->end));
    return ADELE_OK;
}

static adele_status run_once(const struct trial *trial, const struct candidate *candidate,
                             float *ms) {
    cudaStream_t stream = context_of(trial->self->base.op.device)->stream;
    CUDA_TRY(cudaEventRecord(trial->begin, stream));
    if (candidate != NULL)
        TRY(candidate->library.run(trial->self, candidate->library.plan, &trial->args));
    else
        TRY(conv2d_direct_run(trial->self, trial->pass, &trial->args));
    CUDA_TRY(cudaEventRecord(trial->end, stream));
    CUDA_TRY(cudaEventSynchronize(trial->end));
    CUDA_TRY(cudaEventElapsedTime(ms, trial->begin, trial->end));
    return ADELE_OK;
}

static int compare_floats(const void *a, const void *b) {
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

// The median of a few runs after two that warm up; candidate NULL: our own kernels.
static adele_status time_candidate(const struct trial *trial, const struct candidate *candidate,
                                   float *ms) {
    float runs[MOST_RUNS];
    for (int i = -2; i < MOST_RUNS; i++)
        TRY(run_once(trial, candidate, &runs[i < 0 ? 0 : i]));
    qsort(runs, MOST_RUNS, sizeof runs[0], compare_floats);
    *ms = runs[MOST_RUNS / 2];
    return ADELE_OK;
}

// ---- the cache ----------------------------------------------------------------------------------

static void write_key(const struct conv2d *self, enum conv2d_pass pass, char *key, size_t bytes) {
    static const char *const passes[] = {"dst", "d_src", "d_weight"};
    static const char *const maths[] = {"fp32", "tf32", "bf16"};
    const struct cuda_context *context = context_of(self->base.op.device);
    const struct conv2d_shape *shape = &self->shape;
    snprintf(key, bytes,
             "%s: conv2d %s, %s in %s, n %d, in %d x %d x %d, out %d x %d x %d, kernel %d, "
             "stride %d, pad %d, dilation %d%s",
             context->libraries->machine, passes[pass], maths[self->math],
             context->storage == ADELE_PRECISION_BF16 ? "bf16" : "fp32", shape->n, shape->c_in,
             shape->h_in, shape->w_in, shape->c_out, shape->h_out, shape->w_out, shape->kernel,
             shape->stride, shape->pad, shape->dilation, self->desc.has_bias ? ", bias" : "");
}

// Makes the candidate that the cache names; *candidate stays empty for our own kernels. False when
// there is no such candidate any more.
static bool make_known(const struct conv2d *self, enum conv2d_pass pass, const char *name,
                       struct candidate *candidate) {
    const struct adele_device *device = self->base.op.device;
    int wanted = 0, position = 0;
    if (name == NULL)
        return false;
    if (strcmp(name, "direct") == 0)
        return true;
    if (strcmp(name, "cublas") == 0)
        return !family_is_disabled(device, ADELE_FAMILY_cublas) &&
               conv2d_cublas_plan(self, pass, &candidate->library);
    if (sscanf(name, "cudnn %d", &wanted) != 1 || wanted < 0 ||
        family_is_disabled(device, ADELE_FAMILY_cudnn))
        return false;
    if (!conv2d_cudnn_plan(self, pass, wanted, &candidate->library, &position))
        return false;
    if (position == wanted && !candidate->library.rounds_gradient)
        return true;
    candidate_release(candidate);
    return false;
}

// ---- choosing -----------------------------------------------------------------------------------

static int collect_candidates(const struct conv2d *self, enum conv2d_pass pass,
                              struct candidate candidates[MOST_CANDIDATES]) {
    const struct adele_device *device = self->base.op.device;
    int n = 0;
    if (!family_is_disabled(device, ADELE_FAMILY_cublas) &&
        conv2d_cublas_plan(self, pass, &candidates[n].library))
        snprintf(candidates[n++].name, sizeof candidates[0].name, "cublas");
    for (int i = 0, from = 0, position = 0; i < MOST_CUDNN; i++, from = position + 1) {
        if (family_is_disabled(device, ADELE_FAMILY_cudnn) ||
            !conv2d_cudnn_plan(self, pass, from, &candidates[n].library, &position))
            break;
        if (candidates[n].library.rounds_gradient) {
            candidate_release(&candidates[n]);
            break;
        }
        snprintf(candidates[n++].name, sizeof candidates[0].name, "cudnn %d", position);
    }
    return n;
}

// *fastest = the number of the fastest candidate, -1 for our own kernels. Returns whether all ran.
static bool measure(const struct conv2d *self, enum conv2d_pass pass,
                    const struct candidate *candidates, int n_candidates, int *fastest) {
    struct trial trial;
    float best_ms = 0.0f, ms = 0.0f;
    size_t bytes = conv2d_direct_workspace(self, pass);
    for (int i = 0; i < n_candidates; i++)
        bytes = candidates[i].library.workspace_bytes > bytes
                    ? candidates[i].library.workspace_bytes
                    : bytes;
    *fastest = -1;
    bool all_ran = true;
    adele_status status = trial_open(&trial, self, pass, bytes);
    if (status == ADELE_OK)
        status = time_candidate(&trial, NULL, &best_ms);
    best_ms *= 0.98f; // within the noise of the measurement, our own
    for (int i = 0; status == ADELE_OK && i < n_candidates; i++)
        if (time_candidate(&trial, &candidates[i], &ms) != ADELE_OK)
            all_ran = false;
        else if (ms < best_ms)
            best_ms = ms, *fastest = i;
    trial_close(&trial);
    (void)cudaGetLastError(); // clears the error of a candidate that failed, so that the next
                              // launch does not report it
    return status == ADELE_OK && all_ran;
}

static void choose_fastest(struct conv2d *self, enum conv2d_pass pass) {
    struct libraries *libraries = context_of(self->base.op.device)->libraries;
    struct candidate candidates[MOST_CANDIDATES] = {}, known = {};
    char key[640];
    write_key(self, pass, key, sizeof key);
    if (make_known(self, pass, engine_cache_find(libraries->cache, key), &known)) {
        self->library[pass] = known.library;
        return;
    }
    int n_candidates = collect_candidates(self, pass, candidates), fastest = -1;
    if (n_candidates > 0 && measure(self, pass, candidates, n_candidates, &fastest))
        engine_cache_put(libraries->cache, key, fastest < 0 ? "direct" : candidates[fastest].name);
    for (int i = 0; i < n_candidates; i++)
        if (i != fastest)
            candidate_release(&candidates[i]);
    if (fastest >= 0)
        self->library[pass] = candidates[fastest].library;
}

// The filter is packed by our own kernel, which counts in 32 bits and holds all taps of a channel
// in shared memory. Kernels that are too large for our tuned convolutions are fine.
bool conv2d_libraries_fit(const struct conv2d *self) {
    return !self->direct[CONV2D_FORWARD].gather.is_large &&
           conv2d_pack_rows(self->shape.kernel * self->shape.kernel) > 0;
}

adele_status conv2d_library_choose(struct conv2d *self) {
    const struct cuda_context *context = context_of(self->base.op.device);
    if (context->libraries == NULL || !conv2d_libraries_fit(self))
        return ADELE_OK;
    for (int i = 0; i < CONV2D_PASSES; i++) {
        enum conv2d_pass pass = (enum conv2d_pass)i;
        int position = 0;
        if (!conv2d_has_pass(self, pass))
            continue;
        if (context->engine == CUDA_ENGINE_AUTO)
            choose_fastest(self, pass);
        else if (context->engine == CUDA_ENGINE_CUDNN &&
                 !family_is_disabled(&context->device, ADELE_FAMILY_cudnn))
            (void)conv2d_cudnn_plan(self, pass, context->cudnn_candidate, &self->library[pass],
                                    &position);
        else if (context->engine == CUDA_ENGINE_CUBLAS &&
                 !family_is_disabled(&context->device, ADELE_FAMILY_cublas))
            (void)conv2d_cublas_plan(self, pass, &self->library[pass]);
    }
    return ADELE_OK;
}

} // namespace adele_cuda
