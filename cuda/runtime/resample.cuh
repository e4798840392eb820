// SPDX-License-Identifier: MIT
// Bilinear, align-corners resampling of one axis, as tables in device memory: output o reads
// position o (n_in - 1) / (n_out - 1) of the input. The position is split into its integer
// part and its fraction in integer arithmetic, so no rounding moves a tap. Forward reads taps; the
// transpose is in gather form and reads spans, so the order of every sum is fixed.
#ifndef ADELE_CUDA_RUNTIME_RESAMPLE_CUH
#define ADELE_CUDA_RUNTIME_RESAMPLE_CUH

#include "runtime/common.cuh"

namespace adele_cuda {

// Output o = (1 - t) in[low] + t in[low + 1]; t = 0 where low is the last input.
struct resample_tap {
    int low;
    float t;
};
// The outputs that read input i with a weight above 0 are among first <= o < end, without a gap;
// first = end when there are none.
struct resample_span {
    int first, end;
};
struct resample_axis {
    int n_in, n_out;
    const struct resample_tap *taps;   // (n_out), device memory
    const struct resample_span *spans; // (n_in), device memory
};

static inline struct resample_tap resample_tap_of(int o, int n_in, int n_out) {
    struct resample_tap tap = {0, 0.0f};
    if (n_out > 1) {
        int64_t position = (int64_t)o * (n_in - 1);
        tap.low = (int)(position / (n_out - 1));
        tap.t = (float)((double)(position % (n_out - 1)) / (double)(n_out - 1));
    }
    return tap;
}

// The taps of the rows, and behind them those of the columns, in device memory.
static inline adele_status resample_taps_create(struct cuda_op *op, int h_in, int h_out, int w_in,
                                                int w_out, struct resample_tap **out) {
    struct resample_tap *host = NULL;
    TRY(ALLOCATE(&host, (size_t)h_out + (size_t)w_out));
    for (int y = 0; y < h_out; y++)
        host[y] = resample_tap_of(y, h_in, h_out);
    for (int x = 0; x < w_out; x++)
        host[h_out + x] = resample_tap_of(x, w_in, w_out);
    adele_status status = table_create(op, host, (size_t)h_out + (size_t)w_out, out);
    memory_free(host);
    return status;
}

static inline struct resample_span resample_span_of(int i, int n_in, int n_out) {
    struct resample_span span = {0, n_out};
    if (n_in == 1)
        return span;
    if (n_out == 1) {
        span.end = i == 0 ? 1 : 0;
        return span;
    }
    // Positions strictly between i - 1 and i + 1.
    int64_t in = n_in - 1, out = n_out - 1;
    int64_t end = ((i + 1) * out + in - 1) / in;
    span.first = i == 0 ? 0 : (int)((i - 1) * out / in + 1);
    span.end = end < n_out ? (int)end : n_out;
    if (span.first > span.end)
        span.first = span.end;
    return span;
}

// The last input that outputs up to o read.
static __host__ __device__ inline int resample_last(struct resample_tap tap) {
    return tap.low + (tap.t > 0.0f ? 1 : 0);
}

static __device__ inline float resample_weight(struct resample_tap tap, int i) {
    return tap.low == i ? 1.0f - tap.t : tap.low + 1 == i ? tap.t : 0.0f;
}

static inline adele_status resample_axis_create(struct cuda_op *op, int n_in, int n_out,
                                                struct resample_axis *out) {
    struct resample_tap *taps = NULL;
    struct resample_span *spans = NULL;
    out->n_in = n_in, out->n_out = n_out;
    TRY(ALLOCATE(&taps, n_out));
    for (int o = 0; o < n_out; o++)
        taps[o] = resample_tap_of(o, n_in, n_out);
    adele_status status = table_create(op, taps, (size_t)n_out, &out->taps);
    memory_free(taps);
    TRY(status);
    TRY(ALLOCATE(&spans, n_in));
    for (int i = 0; i < n_in; i++)
        spans[i] = resample_span_of(i, n_in, n_out);
    status = table_create(op, spans, (size_t)n_in, &out->spans);
    memory_free(spans);
    return status;
}

} // namespace adele_cuda
#endif
