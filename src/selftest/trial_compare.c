// SPDX-License-Identifier: MIT
// How far the results of two kernels may differ. A faulty kernel skips a tile, reads a wrong row or
// reads what is not written yet: it is off by the size of the numbers themselves, or
// by one of the K terms of a sum, which is a sqrt(K)-th of it. Rounding stays far below: float sums
// of K terms in different orders differ by about 2^-24 sqrt(K) of their size, and those of tensor
// cores, which cut off instead of rounding, by up to about 2^-25 K of it (cut-off errors agree in
// their sign). K is at most some ten thousand where one sum has a single chain. So the share of an
// array's root mean square that an element may be off by is
//     2^-10 in float:  above 2^-24 * 25 * sqrt(65536), with 25 for the worst of many elements;
//     2^-6 on tensor cores: above 2^-25 * 65536 * 4, and still below one term of 4096.
// For what is stored in bf16, half a unit in its last place is added for each time that the result
// was rounded (once, and again where it is added to): 2^-7 of the element's value. What is stored
// in half precision may be rounded to either neighbour: 2^-10 of the value.
#include "base/half.h"
#include "selftest/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct limits {
    double share, relative;
};

static struct limits limits_of(enum adele_precision rounding) {
    static const struct limits limits[] = {[ADELE_PRECISION_FP32] = {0x1p-10, 0x1p-20},
                                           [ADELE_PRECISION_TF32] = {0x1p-6, 0x1p-20},
                                           [ADELE_PRECISION_BF16] = {0x1p-6, 0x1p-7}};
    return limits[rounding];
}

static double value_at(const struct trial_output *output, size_t i) {
    switch (output->type) {
    case TRIAL_TENSOR:
    case TRIAL_FLOAT:
        return (double)((const float *)output->values)[i];
    case TRIAL_HALF:
        return (double)half_to_float(((const uint16_t *)output->values)[i]);
    case TRIAL_DOUBLE:
        return ((const double *)output->values)[i];
    case TRIAL_INT64:
        return (double)((const int64_t *)output->values)[i];
    case TRIAL_BYTE:
        return (double)((const uint8_t *)output->values)[i];
    }
    return NAN;
}

static double root_mean_square(const struct trial_output *output) {
    double squares = 0.0;
    for (size_t i = 0; i < output->count; i++)
        squares += value_at(output, i) * value_at(output, i);
    return sqrt(squares / (double)(output->count > 0 ? output->count : 1));
}

struct finding {
    size_t n_off, first;
    double worst;
};

static void look_at(struct finding *finding, size_t i, double difference, double allowed) {
    if (difference <= allowed) // false for NaN
        return;
    if (finding->n_off++ == 0)
        finding->first = i;
    if (!(difference <= finding->worst))
        finding->worst = difference;
}

// Whole numbers: a map may differ in n_loose pixels, a count by n_loose.
static bool whole_agree(const struct trial_output *got, const struct trial_output *want,
                        int n_loose, struct finding *finding) {
    bool is_map = got->type == TRIAL_BYTE;
    for (size_t i = 0; i < want->count; i++)
        look_at(finding, i, fabs(value_at(got, i) - value_at(want, i)),
                is_map ? 0.0 : (double)n_loose);
    return finding->n_off <= (is_map ? (size_t)n_loose : 0);
}

static bool floats_agree(const struct trial_output *got, const struct trial_output *want,
                         enum adele_precision rounding, struct finding *finding) {
    struct limits limits = limits_of(rounding);
    double share = limits.share * root_mean_square(want);
    if (got->type == TRIAL_HALF)
        limits.relative += 0x1p-10;
    for (size_t i = 0; i < want->count; i++) {
        double expected = value_at(want, i);
        look_at(finding, i, fabs(value_at(got, i) - expected),
                share + limits.relative * fabs(expected));
    }
    return finding->n_off == 0;
}

static bool output_agrees(const struct trial *trial, const struct trial_output *got,
                          const struct trial_output *want, char *text, size_t bytes) {
    struct finding finding = {0, 0, 0.0};
    bool is_whole = got->type == TRIAL_INT64 || got->type == TRIAL_BYTE;
    if (is_whole ? whole_agree(got, want, trial->n_loose, &finding)
                 : floats_agree(got, want, trial->rounding, &finding))
        return true;
    (void)snprintf(text, bytes,
                   "%s: %zu of %zu values are off by up to %.3g, the first is number %zu: %.6g in "
                   "place of %.6g",
                   got->name, finding.n_off, got->count, finding.worst, finding.first,
                   value_at(got, finding.first), value_at(want, finding.first));
    return false;
}

bool trial_agrees(const struct trial *got, const struct trial *want,
                  bool (*wants)(const char *name, const void *context), const void *context,
                  char *text, size_t bytes) {
    for (int i = 0; i < want->n_outputs; i++) {
        if (wants != NULL && !wants(want->outputs[i].name, context))
            continue;
        if (!output_agrees(got, &got->outputs[i], &want->outputs[i], text, bytes))
            return false;
    }
    return true;
}
