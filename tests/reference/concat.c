// SPDX-License-Identifier: MIT
#include "reference/reference.h"

void reference_concat_forward(const struct adele_concat_desc *desc,
                              const struct adele_concat_args *args) {
    long plane = (long)desc->h * desc->w;
    float *dst = args->dst;
    for (int n = 0; n < desc->n; n++)
        for (int c = 0; c < desc->c0 + desc->c1; c++)
            for (long i = 0; i < plane; i++)
                *dst++ = c < desc->c0
                             ? ((const float *)args->src0)[((long)n * desc->c0 + c) * plane + i]
                             : ((const float *)
                                    args->src1)[((long)n * desc->c1 + c - desc->c0) * plane + i];
}

void reference_concat_backward(const struct adele_concat_desc *desc,
                               const struct adele_concat_args *args) {
    long plane = (long)desc->h * desc->w;
    const float *d_dst = args->d_dst;
    for (int n = 0; n < desc->n; n++)
        for (int c = 0; c < desc->c0 + desc->c1; c++)
            for (long i = 0; i < plane; i++) {
                bool is_first = c < desc->c0;
                float *to = is_first ? (float *)args->d_src0 + ((long)n * desc->c0 + c) * plane + i
                                     : (float *)args->d_src1 +
                                           ((long)n * desc->c1 + c - desc->c0) * plane + i;
                bool accumulate = is_first ? args->accumulate_d_src0 : args->accumulate_d_src1;
                *to = accumulate ? *to + *d_dst : *d_dst;
                d_dst++;
            }
}
