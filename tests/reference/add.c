// SPDX-License-Identifier: MIT
#include "reference/reference.h"

static long count_of(const struct adele_add_desc *desc) {
    return (long)desc->n * desc->c * desc->h * desc->w;
}

void reference_add_forward(const struct adele_add_desc *desc, const struct adele_add_args *args) {
    const float *src0 = args->src0, *src1 = args->src1;
    float *dst = args->dst;
    for (long i = 0; i < count_of(desc); i++)
        dst[i] = (float)((double)src0[i] + (double)src1[i]);
}

void reference_add_backward(const struct adele_add_desc *desc, const struct adele_add_args *args) {
    const float *d_dst = args->d_dst;
    float *d_src0 = args->d_src0, *d_src1 = args->d_src1;
    for (long i = 0; i < count_of(desc); i++) {
        if (d_src0 != NULL)
            d_src0[i] = (float)((args->accumulate_d_src0 ? d_src0[i] : 0.0) + d_dst[i]);
        if (d_src1 != NULL)
            d_src1[i] = (float)((args->accumulate_d_src1 ? d_src1[i] : 0.0) + d_dst[i]);
    }
}
