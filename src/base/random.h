// SPDX-License-Identifier: MIT
// Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011), keyed by (seed, purpose,
// epoch, sample), never a shared stream, so that order, thread count and resume change nothing.
#ifndef ADELE_BASE_RANDOM_H
#define ADELE_BASE_RANDOM_H

#include "adele/status.h"
#include <stdint.h>

// What a draw is for; part of the key, so that two purposes never share numbers. Append only.
enum random_purpose {
    RANDOM_INIT = 1,
    RANDOM_ORDER,
    RANDOM_AUGMENT,
    RANDOM_NOISE,
    RANDOM_DROPOUT,
    RANDOM_SPLIT,
    RANDOM_TEST,
    RANDOM_BOOTSTRAP,
    RANDOM_FINGERPRINT,
    RANDOM_PATCH,
    RANDOM_INTENSITY,
    RANDOM_PIXEL_NOISE,
    RANDOM_ELASTIC
};

struct random_stream {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t block[4];
    int n_used; // of block; 4 = draw the next block
};

// One block: out = Philox4x32-10(counter, key). The known-answer test of the paper's library holds.
void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

// key = (seed low, seed high); counter = (index, sample, epoch, purpose), index counts blocks.
void random_stream_init(struct random_stream *stream, uint64_t seed, enum random_purpose purpose,
                        uint32_t epoch, uint32_t sample);
uint32_t random_u32(struct random_stream *stream);
// A stream of its own, keyed by the next two numbers of `stream`: for parts that draw numbers as
// many as they need, without changing what the next part draws.
void random_stream_split(struct random_stream *stream, struct random_stream *out);
uint32_t random_below(struct random_stream *stream, uint32_t n); // unbiased, n > 0
double random_uniform(struct random_stream *stream);             // [0, 1), 32 bits
double random_range(struct random_stream *stream, double low, double high);
double random_normal(struct random_stream *stream); // mean 0, variance 1 (Box-Muller)

// A permutation of 0..n-1 that depends on (seed, purpose, epoch) alone.
void random_permutation(uint64_t seed, enum random_purpose purpose, uint32_t epoch, int n,
                        int *out);
#endif
