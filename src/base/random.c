// SPDX-License-Identifier: MIT
// Philox4x32-10 and the distributions drawn from it.
#include "base/random.h"

#include "base/random_rule.h"

#include <math.h>

#define TWO_TO_MINUS_32 (1.0 / 4294967296.0)

// The sample number of streams that belong to a whole epoch; no data set has that many samples.
#define SAMPLE_NONE UINT32_MAX

void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    philox_block(counter, key, out);
}

void random_stream_init(struct random_stream *stream, uint64_t seed, enum random_purpose purpose,
                        uint32_t epoch, uint32_t sample) {
    stream->key[0] = (uint32_t)seed;
    stream->key[1] = (uint32_t)(seed >> 32);
    stream->counter[0] = 0;
    stream->counter[1] = sample;
    stream->counter[2] = epoch;
    stream->counter[3] = (uint32_t)purpose;
    for (int i = 0; i < 4; i++)
        stream->block[i] = 0;
    stream->n_used = 4;
}

uint32_t random_u32(struct random_stream *stream) {
    if (stream->n_used >= 4) {
        random_philox(stream->counter, stream->key, stream->block);
        stream->counter[0]++;
        stream->n_used = 0;
    }
    return stream->block[stream->n_used++];
}

void random_stream_split(struct random_stream *stream, struct random_stream *out) {
    uint32_t low = random_u32(stream), high = random_u32(stream);
    *out = (struct random_stream){.key = {low, high}, .n_used = 4};
    out->counter[3] = stream->counter[3]; // the purpose
}

uint32_t random_below(struct random_stream *stream, uint32_t n) {
    if (n <= 1)
        return 0;
    // The high word of a product maps 2^32 numbers on n; the first (2^32 mod n) low words are
    // drawn again, so that all results are equally likely. There are fewer than n of them, so a low
    // word from n on, nearly every one, needs no division.
    for (;;) {
        uint64_t product = (uint64_t)random_u32(stream) * n;
        uint32_t low = (uint32_t)product;
        if (low >= n || low >= (0u - n) % n)
            return (uint32_t)(product >> 32);
    }
}

double random_uniform(struct random_stream *stream) {
    return (double)random_u32(stream) * TWO_TO_MINUS_32;
}

double random_range(struct random_stream *stream, double low, double high) {
    return low + (high - low) * random_uniform(stream);
}

double random_normal(struct random_stream *stream) {
    const double two_pi = 6.283185307179586476925;
    // In (0, 1], so that the logarithm is finite. The second value of Box-Muller (the sine) is not
    // kept, because a stream has no state except its counter.
    double radius = ((double)random_u32(stream) + 1.0) * TWO_TO_MINUS_32;
    double angle = random_uniform(stream);
    return sqrt(-2.0 * log(radius)) * cos(two_pi * angle);
}

void random_permutation(uint64_t seed, enum random_purpose purpose, uint32_t epoch, int n,
                        int *out) {
    struct random_stream stream;
    random_stream_init(&stream, seed, purpose, epoch, SAMPLE_NONE);
    for (int i = 0; i < n; i++)
        out[i] = i;
    for (int i = n - 1; i > 0; i--) {
        int j = (int)random_below(&stream, (uint32_t)i + 1u);
        int moved = out[i];
        out[i] = out[j];
        out[j] = moved;
    }
}
