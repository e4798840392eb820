// SPDX-License-Identifier: MIT
#include "device/crf_spatial.h"

#include "base/fail.h"
#include "base/memory.h"

#include <math.h>

static void make_roots(const float *tap, int reach, int n, float *roots) {
    for (int i = 0; i < n; i++) {
        double sum = 0.0;
        for (int j = i > reach ? i - reach : 0; j < n && j <= i + reach; j++)
            sum += (double)tap[j > i ? j - i : i - j];
        roots[i] = (float)(1.0 / sqrt(sum));
    }
}

adele_status crf_spatial_init(const struct adele_crf_desc *desc, struct crf_spatial *out) {
    int longest = desc->h > desc->w ? desc->h : desc->w;
    double reach = ceil(CRF_REACH * desc->spatial_sigma);
    out->reach = reach < longest - 1 ? (int)reach : longest - 1;
    out->n_floats = (size_t)out->reach + 1 + (size_t)desc->h + (size_t)desc->w;
    TRY(ALLOCATE(&out->tap, out->n_floats));
    out->row = out->tap + out->reach + 1;
    out->column = out->row + desc->h;
    for (int i = 0; i <= out->reach; i++) {
        double distance = i / desc->spatial_sigma;
        out->tap[i] = (float)exp(-0.5 * distance * distance);
    }
    make_roots(out->tap, out->reach, desc->h, out->row);
    make_roots(out->tap, out->reach, desc->w, out->column);
    return ADELE_OK;
}

void crf_spatial_deinit(struct crf_spatial *spatial) {
    memory_free(spatial->tap);
    spatial->tap = NULL;
}
