// SPDX-License-Identifier: MIT
// Tests of the emulator: kernels that keep the rules compute what they should, and each of those
// that break a rule is reported. What only the checked build or AddressSanitizer finds is tested in
// that build alone.
#include "planted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>

#define ASSERT_RUNS(call)                                                                          \
    do {                                                                                           \
        const char *text_of_run = (call);                                                          \
        if (text_of_run != NULL)                                                                   \
            fail_msg("%s", text_of_run);                                                           \
    } while (0)

// ---- kernels that keep the rules ----------------------------------------------------------------

static void sums_by_shuffles(void **state) {
    (void)state;
    float in[5 * 256], out[5];
    for (int i = 0; i < 5 * 256; i++)
        in[i] = (float)(i % 97);
    ASSERT_RUNS(planted_reduce(in, 5, out));
    for (int block = 0; block < 5; block++) {
        float sum = 0.0f;
        for (int i = 0; i < 256; i++)
            sum += in[block * 256 + i];
        assert_true(out[block] == sum);
    }
}

static void transposes_by_tiles(void **state) {
    (void)state;
    static const int extents[][2] = {{1, 1}, {15, 16}, {16, 17}, {33, 50}};
    for (size_t i = 0; i < sizeof extents / sizeof extents[0]; i++) {
        int h = extents[i][0], w = extents[i][1];
        float in[33 * 50], out[33 * 50];
        for (int j = 0; j < h * w; j++)
            in[j] = (float)j;
        ASSERT_RUNS(planted_transpose(in, h, w, out));
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++)
                assert_true(out[x * h + y] == in[y * w + x]);
    }
}

static void votes(void **state) {
    (void)state;
    int values[64];
    unsigned out[64][6];
    for (int i = 0; i < 64; i++)
        values[i] = i < 32 ? i % 3 == 0 : 1;
    ASSERT_RUNS(planted_vote(values, &out[0][0]));
    for (int i = 0; i < 64; i++) {
        assert_int_equal(out[i][0], i < 32 ? 0x49249249u : 0xffffffffu);
        assert_int_equal(out[i][1], 1);
        assert_int_equal(out[i][2], i >= 32);
        assert_true(out[i][3] != 0);
        assert_true(out[i][4] == 0);
        assert_int_equal(out[i][5], 32 + 11);
    }
}

static void shuffles(void **state) {
    (void)state;
    double in[32], out[32][4];
    for (int i = 0; i < 32; i++)
        in[i] = 1.0 / (i + 3);
    ASSERT_RUNS(planted_shuffle(in, &out[0][0]));
    for (int i = 0; i < 32; i++) {
        assert_true(out[i][0] == in[(i + 5) % 32]);
        assert_true(out[i][1] == in[i ^ 3]);
        assert_true(out[i][2] == in[i >= 2 ? i - 2 : i]);
        assert_true(out[i][3] == in[i < 30 ? i + 2 : i]);
    }
}

static void counts_by_atomics(void **state) {
    (void)state;
    int values[1000];
    unsigned counts[16] = {0}, expected[16] = {0};
    for (int i = 0; i < 1000; i++) {
        values[i] = i * i % 16;
        expected[values[i]]++;
    }
    ASSERT_RUNS(planted_histogram(values, 1000, counts));
    assert_memory_equal(counts, expected, sizeof counts);
}

static void copies_one_tile_ahead(void **state) {
    (void)state;
    float in[5 * 32], out[32];
    for (int i = 0; i < 5 * 32; i++)
        in[i] = (float)i;
    ASSERT_RUNS(planted_pipeline(in, 5, true, out));
    for (int i = 0; i < 32; i++)
        assert_true(out[i] == 5.0f * (float)i + 32.0f * 10.0f);
}

// Without its wait a tile still holds what was there before: NaN in the first round.
static void a_missing_wait_shows(void **state) {
    (void)state;
    float in[5 * 32], out[32];
    for (int i = 0; i < 5 * 32; i++)
        in[i] = (float)i;
    ASSERT_RUNS(planted_pipeline(in, 5, false, out));
    for (int i = 0; i < 32; i++)
        assert_true(isnan(out[i]));
}

static void fill(float *out, int n, unsigned seed, float step) {
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        out[i] = (float)((int)(seed >> 24) - 128) * step; // 8 bits: exact in bf16 and TF32
    }
}

static void check_product(const float *a, const float *b, const float *d, int k) {
    for (int row = 0; row < 16; row++)
        for (int column = 0; column < 8; column++) {
            double sum = 0.0;
            for (int i = 0; i < k; i++)
                sum += (double)a[row * k + i] * (double)b[i * 8 + column];
            assert_true(d[row * 8 + column] == (float)sum);
        }
}

static void multiplies_matrices(void **state) {
    (void)state;
    float a[16 * 16], b[16 * 8], d[16 * 8];
    fill(a, 16 * 16, 1, 0.25f);
    fill(b, 16 * 8, 2, 0.5f);
    memset(d, 0, sizeof d);
    ASSERT_RUNS(planted_mma_bf16(a, b, d));
    check_product(a, b, d, 16);
    memset(d, 0, sizeof d);
    ASSERT_RUNS(planted_mma_tf32(a, b, d));
    check_product(a, b, d, 8);
}

static void loads_matrices(void **state) {
    (void)state;
    uint16_t in[32][8];
    uint32_t out[32][4];
    for (int i = 0; i < 32 * 8; i++)
        in[i / 8][i % 8] = (uint16_t)(i * 251);
    for (int is_transposed = 0; is_transposed < 2; is_transposed++) {
        ASSERT_RUNS(planted_ldmatrix(&in[0][0], is_transposed != 0, &out[0][0]));
        for (int lane = 0; lane < 32; lane++)
            for (int matrix = 0; matrix < 4; matrix++)
                for (int half = 0; half < 2; half++) {
                    int row = lane / 4, column = 2 * (lane % 4) + half;
                    uint16_t expected =
                        is_transposed ? in[8 * matrix + column][row] : in[8 * matrix + row][column];
                    assert_int_equal(out[lane][matrix] >> (16 * half) & 0xffffu, expected);
                }
    }
}

static void fresh_shared_memory_is_nan(void **state) {
    (void)state;
    float out[32];
    ASSERT_RUNS(planted_uninitialized(out));
    for (int i = 0; i < 32; i++)
        assert_true(isnan(out[i]));
}

static void lanes_may_exchange(void **state) {
    (void)state;
    ASSERT_RUNS(planted_warp_exchange());
}

static void threads_may_share_a_word(void **state) {
    (void)state;
    unsigned char out[64];
    ASSERT_RUNS(planted_bytes(out));
    for (int i = 0; i < 64; i++)
        assert_int_equal(out[i], 2 * i);
}

// ---- kernels that break one ---------------------------------------------------------------------

struct fault_text {
    enum planted_fault fault;
    const char *texts[2]; // that the message holds
};

static void check_fault(const struct fault_text *expected) {
    const char *failure = planted_break(expected->fault);
    if (failure == NULL)
        fail_msg("fault %d went unnoticed", (int)expected->fault);
    for (int i = 0; i < 2; i++)
        if (expected->texts[i] != NULL && strstr(failure, expected->texts[i]) == NULL)
            fail_msg("fault %d: no \"%s\" in \"%s\"", (int)expected->fault, expected->texts[i],
                     failure);
    ASSERT_RUNS(planted_warp_exchange()); // the next launch is not hurt
}

static void broken_rules_are_found(void **state) {
    (void)state;
    static const struct fault_text faults[] = {
        {PLANTED_BARRIER_SKIPPED, {"divergent barrier in kernel break_barrier", "3 ended"}},
        {PLANTED_BARRIER_ELSEWHERE,
         {"divergent barrier in kernel break_barrier", "planted_faults.cu"}},
        {PLANTED_SHUFFLE_ENDED, {"divergent warp function in kernel break_warp", "1 ended"}},
        {PLANTED_SHUFFLE_ELSEWHERE,
         {"divergent warp function", "16 of 32 lanes at planted_faults.cu"}},
        {PLANTED_SHUFFLE_MASK, {"leaves out the caller, lane 0", "thread (0, 0, 0)"}},
        {PLANTED_SHUFFLE_FROM, {"reads lane 16, which does not", "__shfl_xor_sync"}},
        {PLANTED_SHUFFLE_NO_LANE, {"a warp of 8 lanes", NULL}},
        {PLANTED_MMA_PARTLY, {"16 ended", "mma_bf16"}},
        {PLANTED_SHARED_DYNAMIC, {"kernel use_dynamic", "60000 bytes"}},
        {PLANTED_SHARED_LOWERED, {"20000 bytes", "10000 are allowed by the last"}},
        {PLANTED_SHARED_STATIC, {"kernel use_static", "80000 bytes of static"}},
        {PLANTED_SHARED_TOGETHER, {"kernel use_both", "30000 bytes of static"}},
        {PLANTED_SHARED_DEVICE, {"166913 bytes", NULL}},
        {PLANTED_BLOCK_SIZE, {"(1025, 1, 1) threads", NULL}},
#ifndef __clang__
        {PLANTED_LAUNCH_BOUNDS, {"kernel use_bound: blocks of 129 threads", "declares 128"}},
#endif
        {PLANTED_GRID_SIZE, {"(1, 65536, 1) blocks", NULL}},
        {PLANTED_COPY_UNALIGNED, {"cp_async_16", "not aligned to 16"}},
        {PLANTED_MATRIX_UNALIGNED, {"ldmatrix", "not aligned to 16"}},
        {PLANTED_COPY_FROM_SHARED, {"cp_async_16 from", "not global memory"}},
        {PLANTED_COPY_FROM_STACK, {"cp_async_16 from", "not global memory"}},
        {PLANTED_COPY_TO_GLOBAL, {"cp_async_16 to", "not shared memory"}},
        {PLANTED_COPY_PAST_ARRAY, {"cp_async_16 to", "not shared memory"}},
        {PLANTED_MATRIX_GLOBAL, {"ldmatrix from", "not shared memory"}},
        {PLANTED_MATRIX_STACK, {"ldmatrix from", "not shared memory"}},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        check_fault(&faults[i]);
}

static void races_are_found(void **state) {
    (void)state;
#ifdef ADELE_SIMT_CHECKED
    static const struct fault_text faults[] = {
        {PLANTED_RACE_READ, {"race: ", "shared array of 256 bytes"}},
        {PLANTED_RACE_OVERWRITE, {"race: ", "since the barrier at planted_faults.cu"}},
        {PLANTED_RACE_WRITES, {"race: write", "written by thread (0, 0, 0)"}},
        {PLANTED_RACE_WARP, {"race: ", "no barrier between"}},
        {PLANTED_RACE_WARPS, {"race: ", "shared array of 256 bytes"}},
        {PLANTED_RACE_ATOMIC, {"race: ", "shared array of 4 bytes"}},
        {PLANTED_RACE_COPY, {"race: ", "shared array of 256 bytes"}},
        {PLANTED_RACE_BLOCKS, {"race: write", "written by another block"}},
        {PLANTED_RACE_BLOCKS_READ, {"race: read", "written by another block"}},
        {PLANTED_RACE_GLOBAL, {"race: write", "an allocation of 1024 bytes, written by thread"}},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        check_fault(&faults[i]);
#else
    skip();
#endif
}

static void stray_accesses_are_found(void **state) {
    (void)state;
#ifdef ADELE_SIMT_CHECKED
    static const struct fault_text faults[] = {
        {PLANTED_OTHER_STACK, {"kernel other_stack", "no device memory"}},
        {PLANTED_HOST_POINTER, {"kernel touch", "read of 4 bytes"}},
        {PLANTED_FREED, {"kernel touch", "write of 4 bytes"}},
        {PLANTED_UNALIGNED, {"write of 8 bytes", "not aligned"}},
        {PLANTED_COPY_PAST_END, {"read of 44 bytes", "4 bytes past the end"}},
        {PLANTED_WRITE_PAST_END,
         {"kernel touch, block (0, 0, 0), thread (0, 0, 0): write of 4 bytes",
          "4 bytes past the end of an allocation of 40 bytes"}},
        {PLANTED_READ_PAST_END, {"read of 4 bytes", "8 bytes past the end"}},
        {PLANTED_SHARED_PAST_END, {"write of 4 bytes", "4 bytes past the end of a shared array"}},
        {PLANTED_SHARED_BEFORE, {"write of 4 bytes", "32 bytes before a shared array"}},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        check_fault(&faults[i]);
#else
    skip();
#endif
}

// AddressSanitizer ends the process: each fault gets one of its own.
static void stray_accesses_end_the_process(void **state) {
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    static const enum planted_fault faults[] = {PLANTED_WRITE_PAST_END, PLANTED_READ_PAST_END,
                                                PLANTED_SHARED_PAST_END, PLANTED_SHARED_BEFORE};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        fflush(NULL);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            if (freopen("/dev/null", "w", stderr) == NULL)
                _exit(0);
            planted_break(faults[i]);
            _exit(0); // went unnoticed
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            fail_msg("fault %d went unnoticed", (int)faults[i]);
    }
#else
    skip();
#endif
}

static void a_failure_ends_the_launch(void **state) {
    (void)state;
    unsigned n_blocks;
    const char *failure = planted_stop(7, &n_blocks);
    assert_non_null(failure);
    assert_non_null(strstr(failure, "block (7, 0, 0): 63 of 64 threads"));
    assert_int_equal(n_blocks, 8);
    assert_null(planted_stop(-1, &n_blocks));
    assert_int_equal(n_blocks, 1000);
}

// ---- the runtime --------------------------------------------------------------------------------

static void allocations_can_fail(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(planted_allocate(i), i);
    assert_int_equal(planted_allocate(-1), -1);
    assert_int_equal(planted_allocate(3), -1);
}

static void copies_stay_in_bounds(void **state) {
    (void)state;
    const char *failure = planted_copy_too_much();
    assert_non_null(failure);
    assert_non_null(strstr(failure, "100 bytes"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_by_shuffles),
        cmocka_unit_test(transposes_by_tiles),
        cmocka_unit_test(votes),
        cmocka_unit_test(shuffles),
        cmocka_unit_test(counts_by_atomics),
        cmocka_unit_test(copies_one_tile_ahead),
        cmocka_unit_test(a_missing_wait_shows),
        cmocka_unit_test(multiplies_matrices),
        cmocka_unit_test(loads_matrices),
        cmocka_unit_test(fresh_shared_memory_is_nan),
        cmocka_unit_test(lanes_may_exchange),
        cmocka_unit_test(threads_may_share_a_word),
        cmocka_unit_test(broken_rules_are_found),
        cmocka_unit_test(races_are_found),
        cmocka_unit_test(stray_accesses_are_found),
        cmocka_unit_test(stray_accesses_end_the_process),
        cmocka_unit_test(a_failure_ends_the_launch),
        cmocka_unit_test(allocations_can_fail),
        cmocka_unit_test(copies_stay_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
