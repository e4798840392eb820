// SPDX-License-Identifier: MIT
// ldmatrix, stmatrix and mma.sync: which lane holds which element (PTX ISA, "Warp Level Matrix
// Instructions"). The sums are simt_dot_add's.
#include "simt_dot_add.h"
#include "simt_internal.h"

void simt_load_matrices(struct simt_warp_call *const calls[32], bool is_transposed) {
    uint16_t rows[32][8];
    for (int lane = 0; lane < 32; lane++)
        memcpy(rows[lane], calls[lane]->a, 16);
    for (int lane = 0; lane < 32; lane++)
        for (int j = 0; j < 4; j++) {
            uint16_t pair[2];
            for (int k = 0; k < 2; k++) {
                int row = lane / 4, column = 2 * (lane % 4) + k;
                pair[k] = is_transposed ? rows[8 * j + column][row] : rows[8 * j + row][column];
            }
            ((uint32_t *)calls[lane]->out)[j] = (uint32_t)pair[0] | (uint32_t)pair[1] << 16;
        }
}

void simt_store_matrices(struct simt_warp_call *const calls[32]) {
    for (int lane = 0; lane < 32; lane++)
        for (int j = 0; j < 4; j++) {
            unsigned char *row = (unsigned char *)calls[8 * j + lane / 4]->out;
            memcpy(row + lane % 4 * 4, (const uint32_t *)calls[lane]->a + j, 4);
        }
}

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// d (16 x 8) += a (16 x n) b (n x 8), the fragments of d read from the lanes and written back.
static void multiply(struct simt_warp_call *const calls[32], const float a[][16],
                     const float b[][8], int n) {
    float d[16][8];
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < 4; i++)
            d[lane / 4 + i / 2 * 8][2 * (lane % 4) + i % 2] = ((float *)calls[lane]->out)[i];
    simt_dot_add(simt_run.settings.tensor_core, d, a, b, n);
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < 4; i++)
            ((float *)calls[lane]->out)[i] = d[lane / 4 + i / 2 * 8][2 * (lane % 4) + i % 2];
}

void simt_multiply_bf16(struct simt_warp_call *const calls[32]) {
    float a[16][16], b[16][8]; // by k first
    for (int lane = 0; lane < 32; lane++) {
        const uint32_t *words_a = (const uint32_t *)calls[lane]->a;
        const uint32_t *words_b = (const uint32_t *)calls[lane]->b;
        int g = lane / 4, t = lane % 4;
        for (int half = 0; half < 2; half++) {
            for (int i = 0; i < 4; i++) {
                uint32_t bits = half ? words_a[i] & 0xffff0000u : words_a[i] << 16;
                a[2 * t + half + i / 2 * 8][g + i % 2 * 8] = from_bits(bits);
            }
            for (int i = 0; i < 2; i++) {
                uint32_t bits = half ? words_b[i] & 0xffff0000u : words_b[i] << 16;
                b[2 * t + half + i * 8][g] = from_bits(bits);
            }
        }
    }
    multiply(calls, a, b, 16);
}

void simt_multiply_tf32(struct simt_warp_call *const calls[32]) {
    float a[8][16], b[8][8];
    for (int lane = 0; lane < 32; lane++) {
        const uint32_t *words_a = (const uint32_t *)calls[lane]->a;
        const uint32_t *words_b = (const uint32_t *)calls[lane]->b;
        int g = lane / 4, t = lane % 4;
        for (int i = 0; i < 4; i++) // the instruction ignores the low 13 bits
            a[t + i / 2 * 4][g + i % 2 * 8] = from_bits(words_a[i] & 0xffffe000u);
        for (int i = 0; i < 2; i++)
            b[t + i * 4][g] = from_bits(words_b[i] & 0xffffe000u);
    }
    multiply(calls, a, b, 8);
}
