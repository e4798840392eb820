// SPDX-License-Identifier: MIT
#include "base/random.h"
#include "reference/reference.h"

// 1 / (1 - rate), or 0 for a value that is dropped.
static double factor_of(const struct adele_dropout_desc *desc,
                        const struct adele_dropout_args *args, int n, int c, long pixel) {
    if (!args->is_active)
        return 1.0;
    uint32_t at = desc->per_channel ? 0 : (uint32_t)pixel;
    uint32_t key[2] = {(uint32_t)desc->seed, (uint32_t)(desc->seed >> 32)}, words[4];
    uint32_t counter[4] = {at * (uint32_t)((desc->c + 3) / 4) + (uint32_t)(c / 4),
                           (uint32_t)(args->sample_ids != NULL ? args->sample_ids[n] : n),
                           args->epoch, RANDOM_DROPOUT + 256 * desc->stream};
    random_philox(counter, key, words);
    return (double)words[c % 4] / 4294967296.0 < desc->rate ? 0.0 : 1.0 / (1.0 - desc->rate);
}

// to = or += factor from, plain NCHW.
static void scale(const struct adele_dropout_desc *desc, const struct adele_dropout_args *args,
                  const float *from, float *to, bool accumulate) {
    long area = (long)desc->h * desc->w;
    for (int n = 0; n < desc->n; n++)
        for (int c = 0; c < desc->c; c++)
            for (long i = 0; i < area; i++) {
                long k = ((long)n * desc->c + c) * area + i;
                double value = factor_of(desc, args, n, c, i) * (double)from[k];
                to[k] = (float)((accumulate ? (double)to[k] : 0.0) + value);
            }
}

void reference_dropout_forward(const struct adele_dropout_desc *desc,
                               const struct adele_dropout_args *args) {
    scale(desc, args, args->src, args->dst, false);
}

void reference_dropout_backward(const struct adele_dropout_desc *desc,
                                const struct adele_dropout_args *args) {
    scale(desc, args, args->d_dst, args->d_src, args->accumulate_d_src);
}
