// SPDX-License-Identifier: MIT
// nvcc 12.4 to 13.0 translate this wrongly, 12.0 and 13.1 or newer do not: a function returns a
// struct by value whose arrays are indexed at run time, and its caller's copy is read from the
// callee's dead local, whose place on the stack another call's result has been given meanwhile. A
// function that fills a reference is right. Every GPU that runs what these nvcc write computes the
// wrong number, and no emulator that compiles the source with another compiler can see it.
//
// The lesson for cuda/*/*.cu: a struct with an array that is indexed at run time is filled through
// a reference, never returned. This program says whether the nvcc at hand has the defect, and fails
// when the reference is wrong too.
#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>

struct softmax {
    float maximum[4], log_sum[4], log_soft[4];
};
struct category {
    float log_p[4], p[4];
    float log_q, d_q;
};
struct task {
    int n, c, n_scales;
    const float *full[4]; // (n, c)
    const float *w;       // (n_scales)
    float *out;           // (n, 5)
};

static __device__ float sum_exp(const float *z, int n, float maximum, float weight) {
    float sum = 0.0f;
    for (int c = 0; c < n; c++)
        sum += expf(weight * (z[c] - maximum));
    return logf(sum);
}

#define FILL(pixel)                                                                                \
    for (int k = 0; k < t.n_scales; k++) {                                                         \
        const float *z = t.full[k] + i * t.c;                                                      \
        float maximum = z[0];                                                                      \
        for (int c = 1; c < t.c; c++)                                                              \
            maximum = fmaxf(maximum, z[c]);                                                        \
        pixel.maximum[k] = maximum;                                                                \
        pixel.log_sum[k] = sum_exp(z, t.c, maximum, 1.0f);                                         \
        pixel.log_soft[k] = sum_exp(z, t.c, maximum, t.w[k]);                                      \
    }

static __device__ struct softmax softmax_of(const struct task &t, long long i) {
    struct softmax pixel;
    FILL(pixel)
    return pixel;
}
static __device__ void fill_softmax(const struct task &t, long long i, struct softmax &pixel) {
    FILL(pixel)
}

static __device__ struct category category_of(const struct task &t, const struct softmax &pixel,
                                              long long i, int c) {
    struct category at;
    float q = 0.0f, sum = 0.0f;
    for (int k = 0; k < t.n_scales; k++) {
        at.log_p[k] = t.full[k][i * t.c + c] - pixel.maximum[k] - pixel.log_sum[k];
        at.p[k] = expf(at.log_p[k]);
        q += t.w[k] * at.p[k];
        sum += at.p[k];
    }
    at.log_q = logf(q);
    at.d_q = -sum / q;
    return at;
}

static __device__ void add(const struct task &t, const struct softmax &pixel, long long i,
                           float *sums) {
    for (int c = 0; c < t.c; c++) {
        struct category at = category_of(t, pixel, i, c);
        for (int k = 0; k < t.n_scales; k++) {
            sums[0] += at.p[k] * (at.log_p[k] - at.log_q);
            sums[1 + k] += at.p[k] * at.d_q;
        }
    }
    for (int c = 0; c < t.c; c++)
        for (int k = 0; k < t.n_scales; k++)
            sums[0] += pixel.log_soft[k];
}

static __global__ void by_value(struct task t) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= t.n)
        return;
    float sums[5] = {0, 0, 0, 0, 0};
    struct softmax pixel = softmax_of(t, i);
    add(t, pixel, i, sums);
    for (int k = 0; k < 5; k++)
        t.out[i * 5 + k] = sums[k];
}

static __global__ void by_reference(struct task t) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= t.n)
        return;
    float sums[5] = {0, 0, 0, 0, 0};
    struct softmax pixel;
    fill_softmax(t, i, pixel);
    add(t, pixel, i, sums);
    for (int k = 0; k < 5; k++)
        t.out[i * 5 + k] = sums[k];
}

int main(void) {
    float *z, *w, *out;
    if (cudaHostAlloc((void **)&z, 2 * sizeof *z, 0) != cudaSuccess ||
        cudaHostAlloc((void **)&w, sizeof *w, 0) != cudaSuccess ||
        cudaHostAlloc((void **)&out, 5 * sizeof *out, 0) != cudaSuccess)
        return 2;
    z[0] = 0.0f;
    z[1] = logf(3.0f);
    w[0] = 1.0f;
    // Of one scale the consistency is 0; log_soft is log(1 + 1 / 3), once for each category.
    const float want = 2.0f * logf(4.0f / 3.0f);
    const struct task t = {1, 2, 1, {z, z, z, z}, w, out};
    by_value<<<1, 32>>>(t);
    if (cudaGetLastError() != cudaSuccess || cudaStreamSynchronize(NULL) != cudaSuccess)
        return 2;
    bool is_right = fabsf(out[0] - want) <= 1e-5f;
    printf("a struct by value: %g, want %g: this nvcc %s\n", (double)out[0], (double)want,
           is_right ? "is right" : "HAS THE DEFECT");
    by_reference<<<1, 32>>>(t);
    if (cudaGetLastError() != cudaSuccess || cudaStreamSynchronize(NULL) != cudaSuccess)
        return 2;
    printf("through a reference: %g, want %g\n", (double)out[0], (double)want);
    return fabsf(out[0] - want) <= 1e-5f ? 0 : 1;
}
