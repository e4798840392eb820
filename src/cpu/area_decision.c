// SPDX-License-Identifier: MIT
// Classes as large as their probabilities say. Histograms and sums are whole numbers, and scores
// are compared pixel by pixel, so that the number of threads does not matter.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/team.h"
#include "cpu/vector_math.h"
#include "device/area_rule.h"
#include "device/op_check.h"

#include <omp.h>
#include <string.h>

#define RUN 64 // pixels whose units, at most 2^24 each, are summed in 32 bits

struct area_decision_op {
    struct cpu_op base;
    struct adele_area_decision_desc desc;
    int n_threads;
    size_t n_pixels;
};

adele_status cpu_area_decision_create(const struct adele_device *device,
                                      const struct adele_area_decision_desc *desc,
                                      struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_area_decision, sizeof(struct area_decision_op), out));
    struct area_decision_op *op = (struct area_decision_op *)*out;
    op->desc = *desc;
    op->n_threads = cpu_n_threads(device);
    op->n_pixels = (size_t)desc->h * (size_t)desc->w;
    // A weight for each class of each image, and two rows for each thread: `struct winners`.
    op->base.op.workspace_bytes =
        ((size_t)desc->n * (size_t)desc->c + 2 * (size_t)op->n_threads * (size_t)desc->w) *
        sizeof(double);
    return ADELE_OK;
}

// Bins and units of a run of q; the units of a run fit into 32 bits.
CPU_KERNEL(static void, quantize_run,
           (const float *restrict q, int n, int32_t *restrict bins, int32_t *restrict units),
           (q, n, bins, units)) {
    int32_t sum = 0;
    for (int i = 0; i < n; i++) {
        float clean = area_clean(q[i]);
        bins[i] = area_bin(clean, ADELE_AREA_BINS);
        sum += area_units(clean);
    }
    *units = sum;
}

// The threshold of one class of one image; 0: it takes no part.
static double find_threshold(const float *q, size_t n_pixels, float area_factor) {
    int32_t counts[ADELE_AREA_BINS], bins[RUN], units;
    int64_t all_units = 0, count = 0;
    memset(counts, 0, sizeof counts);
    for (size_t first = 0; first < n_pixels; first += RUN) {
        int n = n_pixels - first < RUN ? (int)(n_pixels - first) : RUN;
        quantize_run(q + first, n, bins, &units);
        all_units += units;
        for (int i = 0; i < n; i++)
            counts[bins[i]]++;
    }
    int64_t area = area_pixels(all_units, area_factor);
    if (area == 0)
        return 0.0;
    int bin = ADELE_AREA_BINS;
    while (bin > 0 && count < area)
        count += counts[--bin];
    return area_threshold(bin, ADELE_AREA_BINS);
}

// The highest score of each pixel of a row so far, and its class: numbers of one size, so that the
// loops become vector code.
struct winners {
    double *score, *category;
};

CPU_KERNEL(static void, compare_scores,
           (const float *restrict q, int n, double weight, double c, double *restrict best,
            double *restrict category),
           (q, n, weight, c, best, category)) {
    for (int x = 0; x < n; x++) {
        double score = area_score(area_clean(q[x]), weight);
        category[x] = score > best[x] ? c : category[x];
        best[x] = score > best[x] ? score : best[x];
    }
}

CPU_KERNEL(static void, compare_q,
           (const float *restrict q, int n, double c, double *restrict best,
            double *restrict category),
           (q, n, c, best, category)) {
    for (int x = 0; x < n; x++) {
        double clean = (double)area_clean(q[x]);
        category[x] = clean > best[x] ? c : category[x];
        best[x] = clean > best[x] ? clean : best[x];
    }
}

// weights: of the image's classes; where all are 0, every class takes part with q itself.
static void decide_row(const struct area_decision_op *op, const double *weights, const float *q,
                       struct winners winners, uint8_t *prediction) {
    const struct adele_area_decision_desc *desc = &op->desc;
    bool is_argmax = true;
    for (int c = 0; c < desc->c; c++)
        is_argmax &= weights[c] == 0.0;
    for (int x = 0; x < desc->w; x++)
        winners.score[x] = -1.0;
    for (int c = 0; c < desc->c; c++, q += op->n_pixels)
        if (is_argmax)
            compare_q(q, desc->w, c, winners.score, winners.category);
        else if (weights[c] > 0.0)
            compare_scores(q, desc->w, weights[c], c, winners.score, winners.category);
    for (int x = 0; x < desc->w; x++)
        prediction[x] = (uint8_t)(int)winners.category[x];
}

adele_status cpu_area_decision_forward(struct adele_op *base,
                                       const struct adele_area_decision_args *args) {
    const struct area_decision_op *op = (const struct area_decision_op *)base;
    const struct adele_area_decision_desc *desc = &op->desc;
    TRY(op_check_area_decision_args(args));
    double *weights = args->workspace, *lines = weights + desc->n * desc->c;
    int n_planes = desc->n * desc->c, n_rows = desc->n * desc->h;
#pragma omp parallel num_threads(team_size(op->n_threads))
    {
#pragma omp for schedule(dynamic)
        for (int i = 0; i < n_planes; i++) {
            double threshold = 0.0;
            float factor = args->area_factors != NULL ? args->area_factors[i % desc->c] : 1.0f;
            if (args->sample_ids != NULL && args->sample_ids[i / desc->c] < 0)
                continue;
            if (desc->mode == ADELE_AREA_THRESHOLDS)
                threshold =
                    find_threshold(args->q + (size_t)i * op->n_pixels, op->n_pixels, factor);
            weights[i] = threshold > 0.0 ? area_weight(threshold) : 0.0;
            if (args->thresholds != NULL)
                args->thresholds[i] = (float)threshold;
        }
#pragma omp for schedule(static)
        for (int row = 0; row < n_rows; row++) {
            int n = row / desc->h, i_image = args->sample_ids != NULL ? args->sample_ids[n] : n;
            size_t at = (size_t)(row % desc->h) * (size_t)desc->w;
            if (i_image < 0)
                continue;
            double *line = lines + 2 * (size_t)omp_get_thread_num() * (size_t)desc->w;
            decide_row(op, weights + n * desc->c,
                       args->q + (size_t)n * (size_t)desc->c * op->n_pixels + at,
                       (struct winners){line, line + desc->w},
                       args->prediction + (size_t)i_image * op->n_pixels + at);
        }
    }
    return ADELE_OK;
}
