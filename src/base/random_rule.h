// SPDX-License-Identifier: MIT
// One block of Philox4x32-10, for all devices: the same counter and key give the same numbers.
#ifndef ADELE_BASE_RANDOM_RULE_H
#define ADELE_BASE_RANDOM_RULE_H

#include <stdint.h>

#ifdef __CUDACC__
#define RANDOM_FUNCTION static __host__ __device__ inline
#else
#define RANDOM_FUNCTION static inline
#endif

// The multipliers and the Weyl constants of the paper, table 2 and section 4.3.
#define PHILOX_MULTIPLIER_0 0xD2511F53u
#define PHILOX_MULTIPLIER_1 0xCD9E8D57u
#define PHILOX_WEYL_0       0x9E3779B9u // from the golden ratio
#define PHILOX_WEYL_1       0xBB67AE85u // sqrt(3) - 1
#define PHILOX_ROUNDS       10

RANDOM_FUNCTION void philox_block(const uint32_t counter[4], const uint32_t key[2],
                                  uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int i_round = 0; i_round < PHILOX_ROUNDS; i_round++) {
        uint64_t product_0 = (uint64_t)PHILOX_MULTIPLIER_0 * c0;
        uint64_t product_1 = (uint64_t)PHILOX_MULTIPLIER_1 * c2;
        c0 = (uint32_t)(product_1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product_1;
        c2 = (uint32_t)(product_0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product_0;
        k0 += PHILOX_WEYL_0;
        k1 += PHILOX_WEYL_1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}
#endif
