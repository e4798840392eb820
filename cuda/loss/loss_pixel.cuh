// SPDX-License-Identifier: MIT
// The fused loss of one label pixel, in the registers of one thread: METHOD section 4 for P padded
// channels and up to K scales. Logits become gradients in place. Symbols as in loss_parts.cuh.
#ifndef ADELE_CUDA_LOSS_LOSS_PIXEL_CUH
#define ADELE_CUDA_LOSS_LOSS_PIXEL_CUH

#include "loss/loss_parts.cuh"

namespace adele_cuda {

// One thread's pixel: d holds z_k - max z_k, later the gradient. log p_k = d - log_sum; log_soft is
// the log_sum of w_k z_k.
template <int P, int K> struct pixel_values {
    float d[K][P];
    float log_sum[K], log_soft[K];
    float q[P], sum_p[P]; // sum of w_k p_k and of p_k; later log q and d consistency / d q
    int prediction;
    float foreground, background;
};

// Whether channel c is a category: only the last 8 may not be.
template <int P> static __device__ __forceinline__ bool is_category(int c, int n_categories) {
    return c < P - 8 || c < n_categories;
}

template <int K> static __device__ __forceinline__ bool has_scale(int k, int n_scales) {
    return K != 3 || k < n_scales; // two scales run as three
}

// z of scale k -> d, log_sum, log_soft (of weight * z), its part of q and sum_p; at scale 0 also
// prediction and confidences. k: where in `pixel` it lies; is_first: it is scale 0.
template <int P, int K>
static __device__ __forceinline__ void add_scale(struct pixel_values<P, K> &pixel, int k,
                                                 bool is_first, int n_categories, float w,
                                                 float weight) {
    float(&d)[P] = pixel.d[k];
    float e[P], maximum = d[0], sum = 0.0f, soft = 0.0f;
    int best = 0;
#pragma unroll
    for (int c = 1; c < P; c++)
        if (is_category<P>(c, n_categories) && d[c] > maximum) {
            maximum = d[c];
            best = c;
        }
#pragma unroll
    for (int c = 0; c < P; c++) {
        d[c] -= maximum;
        e[c] = is_category<P>(c, n_categories) ? __expf(d[c]) : 0.0f;
        sum += e[c];
    }
    float inverse = 1.0f / sum, foreground = 0.0f;
#pragma unroll
    for (int c = 0; c < P; c++) {
        e[c] *= inverse;
        pixel.q[c] = is_first ? w * e[c] : pixel.q[c] + w * e[c];
        pixel.sum_p[c] = is_first ? e[c] : pixel.sum_p[c] + e[c];
        if (c > 0)
            foreground = fmaxf(foreground, e[c]);
    }
    pixel.log_sum[k] = logf(sum);
    pixel.log_soft[k] = pixel.log_sum[k];
    if (weight != 1.0f) {
#pragma unroll
        for (int c = 0; c < P; c++)
            soft += is_category<P>(c, n_categories) ? __expf(weight * d[c]) : 0.0f;
        pixel.log_soft[k] = logf(soft);
    }
    if (is_first) {
        pixel.prediction = best;
        pixel.foreground = foreground;
        pixel.background = e[0];
    }
}

// q and sum_p become log q and the consistency's gradient with respect to q.
template <int P, int K>
static __device__ __forceinline__ void finish_mixture(struct pixel_values<P, K> &pixel) {
#pragma unroll
    for (int c = 0; c < P; c++) {
        float q = pixel.q[c], clamped = loss_clamp(q);
        pixel.sum_p[c] = clamped == q ? -pixel.sum_p[c] / clamped : 0.0f;
        pixel.q[c] = logf(clamped);
    }
}

// What the loss of a pixel at one scale depends on beside its logits.
struct scale_factors {
    bool is_masked, has_ce;
    float w, weight, ce, kl; // weight: of the cross-entropy's logits
    int label;               // -1: no category
};

// Adds the losses of scale k; d becomes the gradient, 0 in the padding channels.
template <int P, int K>
static __device__ __forceinline__ void
add_scale_loss(struct pixel_values<P, K> &pixel, int k, int n_categories,
               const struct scale_factors &factors, struct loss_sums &sums) {
    float(&d)[P] = pixel.d[k];
    const float log_sum = pixel.log_sum[k];
    float p[P], divergence = 0.0f, through_q = 0.0f;
#pragma unroll
    for (int c = 0; c < P; c++) {
        p[c] = 0.0f;
        if (factors.is_masked && is_category<P>(c, n_categories)) {
            p[c] = __expf(d[c] - log_sum);
            divergence += p[c] * (d[c] - log_sum - pixel.q[c]);
            through_q += p[c] * pixel.sum_p[c];
        }
    }
    const float inner = divergence + factors.w * through_q;
    const float ce = factors.label >= 0 ? factors.ce : 0.0f;
    float picked = 0.0f, d_w = factors.kl * through_q;
#pragma unroll
    for (int c = 0; c < P; c++) {
        float d_z = 0.0f;
        if (factors.is_masked) {
            float slope = d[c] - log_sum - pixel.q[c] + factors.w * pixel.sum_p[c];
            d_z = factors.kl * (p[c] * (slope - inner));
        }
        if (factors.has_ce && is_category<P>(c, n_categories)) {
            bool is_label = c == factors.label;
            float s = __expf(factors.weight * d[c] - pixel.log_soft[k]);
            float d_scaled = ce * (s - (is_label ? 1.0f : 0.0f));
            picked = is_label ? d[c] : picked;
            d_w += d[c] * d_scaled;
            d_z += factors.weight * d_scaled;
        }
        d[c] = d_z;
    }
    if (factors.has_ce && factors.label >= 0)
        sums.cross_entropy += pixel.log_soft[k] - factors.weight * picked;
    sums.consistency += divergence;
    sums.d_w[k] += d_w;
}

} // namespace adele_cuda
#endif
