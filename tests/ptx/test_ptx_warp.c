// SPDX-License-Identifier: MIT
// What the lanes of a warp and the warps of a block do together, with literal results: shuffles,
// votes, atomics, cp.async, ldmatrix and the fragments of mma, which are written down here from the
// PTX ISA once more.
#include "literal.h"

#define N_LANES 32

static void shuffles(void **state) {
    (void)state;
    uint32_t out[4][N_LANES] = {{0}};
    ASSERT_RUNS("mov.u32 %r9, 0xffffffff; add.s32 %r2, %r1, 100;"
                "shfl.sync.idx.b32 %r3, %r2, 5, 0x1f, %r9; st.global.u32 [%rd2], %r3;"
                "shfl.sync.bfly.b32 %r3, %r2, 3, 0x1f, %r9; st.global.u32 [%rd2+128], %r3;"
                "shfl.sync.up.b32 %r3|%p1, %r2, 2, 0, %r9; selp.b32 %r3, %r3, 1, %p1;"
                "st.global.u32 [%rd2+256], %r3;"
                // by halves: 0x100f keeps the fifth bit of the lane
                "shfl.sync.down.b32 %r3, %r2, 4, 0x100f, %r9; st.global.u32 [%rd2+384], %r3;",
                N_LANES, out, sizeof out);
    for (uint32_t l = 0; l < N_LANES; l++) {
        assert_int_equal(out[0][l], 105);
        assert_int_equal(out[1][l], 100 + (l ^ 3));
        assert_int_equal(out[2][l], l < 2 ? 1 : 100 + l - 2);
        assert_int_equal(out[3][l], l % 16 < 12 ? 100 + l + 4 : 100 + l);
    }
}

// Lanes that part at a branch meet again behind it.
static void branches_meet_again(void **state) {
    (void)state;
    uint32_t out[N_LANES] = {0};
    ASSERT_RUNS("mov.u32 %r9, 0xffffffff; mov.u32 %r2, 1; setp.lt.u32 %p1, %r1, 7; @%p1 bra A;"
                "add.s32 %r2, %r2, 10; bra B;\n"
                "A: add.s32 %r2, %r2, 20; mov.u32 %r3, 0;\n"
                "LOOP: add.s32 %r2, %r2, 100; add.s32 %r3, %r3, 1; setp.lt.u32 %p2, %r3, %r1;"
                "@%p2 bra LOOP;\n"
                "B: shfl.sync.bfly.b32 %r3, %r2, 31, 0x1f, %r9; st.global.u32 [%rd2], %r3;",
                N_LANES, out, sizeof out);
    for (uint32_t l = 0; l < N_LANES; l++) {
        uint32_t other = 31 - l;
        assert_int_equal(out[l], other >= 7 ? 11 : 21 + 100 * (other == 0 ? 1 : other));
    }
}

// Whether all, most or few lanes take part, and wherever their addresses lead: the others keep what
// they have, in registers and in memory.
static void lanes_that_take_no_part(void **state) {
    (void)state;
    static const uint32_t counts[] = {1, 7, 8, 20, 31, 32};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        _Alignas(16) uint32_t buffer[9][N_LANES] = {{0}};
        uint32_t(*out)[N_LANES] = buffer + 1;
        char body[2000];
        for (uint32_t l = 0; l < N_LANES; l++)
            buffer[0][l] = 0x80010000u + l;
        (void)snprintf(body, sizeof body,
                       "setp.lt.u32 %%p1, %%r1, %u; mov.u32 %%r2, 1; mov.u32 %%r3, 2;"
                       "mov.u32 %%r4, 3; mov.u64 %%rd5, 4; mov.u32 %%r5, 5;"
                       "mul.wide.u32 %%rd3, %%r1, 4; sub.s64 %%rd3, %%rd1, %%rd3;"
                       "@%%p1 add.s32 %%r2, %%r1, 100; @%%p1 ld.global.u32 %%r3, [%%rd1+20];"
                       "@%%p1 ld.global.u32 %%r4, [%%rd2];"
                       "@%%p1 ld.global.s32 %%rd5, [%%rd3+124]; mov.b64 {%%r7, %%r8}, %%rd5;"
                       "setp.gt.u32 %%p2, %%r1, 3; @%%p1 selp.b32 %%r5, 50, 60, %%p2;"
                       "st.global.u32 [%%rd2+128], %%r2; st.global.u32 [%%rd2+256], %%r3;"
                       "st.global.u32 [%%rd2+384], %%r4; st.global.u32 [%%rd2+512], %%r7;"
                       "st.global.u32 [%%rd2+640], %%r8; st.global.u32 [%%rd2+768], %%r5;"
                       "@%%p1 st.global.u32 [%%rd2+896], %%r1;"
                       "@%%p1 st.global.u32 [%%rd1+1024], %%r1; st.global.u32 [%%rd1+1028], %%r1;",
                       counts[k]);
        ASSERT_RUNS(body, N_LANES, buffer, sizeof buffer);
        for (uint32_t l = 0; l < N_LANES; l++) {
            bool takes_part = l < counts[k];
            assert_int_equal(out[0][l], takes_part ? 100 + l : 1);
            assert_int_equal(out[1][l], takes_part ? 0x80010005u : 2);
            assert_int_equal(out[2][l], takes_part ? 0x80010000u + l : 3);
            assert_int_equal(out[3][l], takes_part ? 0x8001001fu - l : 4);
            assert_int_equal(out[4][l], takes_part ? 0xffffffffu : 0);
            assert_int_equal(out[5][l], !takes_part ? 5 : l > 3 ? 50 : 60);
            assert_int_equal(out[6][l], takes_part ? l : 0);
        }
        assert_int_equal(out[7][0], counts[k] - 1); // of all that store to one place the last wins
        assert_int_equal(out[7][1], N_LANES - 1);
    }
}

static void votes_and_atomics(void **state) {
    (void)state;
    uint32_t out[64 + 3] = {0};
    out[65] = 1000; // 64: a sum, 65: a minimum, 66: a swap that thread 3 alone wins
    ASSERT_RUNS("setp.eq.u32 %p1, %r1, 40; bar.red.or.pred %p2, 0, %p1;"
                "bar.red.and.pred %p3, 0, %p1; selp.b32 %r2, 1, 0, %p2; selp.b32 %r3, 2, 0, %p3;"
                "or.b32 %r2, %r2, %r3; st.global.u32 [%rd2], %r2;"
                "atom.global.add.u32 %r4, [%rd1+256], %r1; red.global.min.u32 [%rd1+260], %r1;"
                "setp.ne.u32 %p4, %r1, 3; @%p4 bra END; atom.global.cas.b32 %r5, [%rd1+264], 0, 77;"
                "\nEND:",
                64, out, sizeof out);
    for (int l = 0; l < 64; l++)
        assert_int_equal(out[l], 1);
    assert_int_equal(out[64], 63 * 64 / 2);
    assert_int_equal(out[65], 0);
    assert_int_equal(out[66], 77);
}

static void copies_arrive_at_the_wait(void **state) {
    (void)state;
    static const char body[] =
        "mov.u32 %r2, tile; cp.async.cg.shared.global [%r2], [%rd1], 16;"
        "cp.async.cg.shared.global [%r2+16], [%rd1+16], 16, 4; cp.async.commit_group;"
        "ld.shared.u32 %r3, [%r2]; cp.async.wait_group 0; ld.shared.u32 %r4, [%r2];"
        "ld.shared.u32 %r5, [%r2+16]; ld.shared.u32 %r6, [%r2+20];"
        "st.global.v4.u32 [%rd1+32], {%r3, %r4, %r5, %r6};";
    for (int early = 0; early < 2; early++) {
        _Alignas(16) uint32_t buffer[12] = {11, 0, 0, 0, 22, 33};
        ptx_options()->copy_time = early ? PTX_COPY_EARLY : PTX_COPY_LATE;
        ASSERT_RUNS(body, 1, buffer, sizeof buffer);
        ptx_options()->copy_time = PTX_COPY_LATE;
        assert_int_equal(buffer[8], early ? 11 : 0xffffffffu);
        assert_int_equal(buffer[9], 11);
        assert_int_equal(buffer[10], 22);
        assert_int_equal(buffer[11], 0); // behind the 4 bytes: zeros
    }
}

// Row r of matrix k is 100 k + 10 r + column.
static void loads_matrices(void **state) {
    (void)state;
    static const char text[] =
        "mul.lo.u32 %%r3, %%r1, 16; mov.u32 %%r2, tile; add.s32 %%r2, %%r2, %%r3;"
        "mul.wide.u32 %%rd3, %%r3, 1; add.s64 %%rd3, %%rd1, %%rd3;"
        "ld.global.v4.u32 {%%r4, %%r5, %%r6, %%r7}, [%%rd3];"
        "st.shared.v4.u32 [%%r2], {%%r4, %%r5, %%r6, %%r7}; bar.sync 0;"
        "ldmatrix.sync.aligned.m8n8.x4%s.shared.b16 {%%r4, %%r5, %%r6, %%r7}, [%%r2];"
        "st.global.v4.u32 [%%rd3], {%%r4, %%r5, %%r6, %%r7};";
    for (int is_transposed = 0; is_transposed < 2; is_transposed++) {
        _Alignas(16) uint16_t buffer[4][8][8];
        char body[1000];
        for (int k = 0; k < 4; k++)
            for (int r = 0; r < 8; r++)
                for (int c = 0; c < 8; c++)
                    buffer[k][r][c] = (uint16_t)(100 * k + 10 * r + c);
        (void)snprintf(body, sizeof body, text, is_transposed ? ".trans" : "");
        ASSERT_RUNS(body, N_LANES, buffer, sizeof buffer);
        const uint16_t(*out)[4][2] = (const uint16_t(*)[4][2])buffer; // lane, matrix, element
        for (int l = 0; l < N_LANES; l++)
            for (int k = 0; k < 4; k++)
                for (int e = 0; e < 2; e++) {
                    int major = l / 4, minor = l % 4 * 2 + e;
                    int want = is_transposed ? 10 * minor + major : 10 * major + minor;
                    assert_int_equal(out[l][k][e], 100 * k + want);
                }
    }
}

// ---- mma ----------------------------------------------------------------------------------------

static uint32_t float_bits(float value) {
    uint32_t out;
    memcpy(&out, &value, sizeof out);
    return out;
}

struct fragments {
    uint32_t a[N_LANES][4], b[N_LANES][4]; // of b the first two
    float c[N_LANES][4];
};

// d = a b + c, c with the rows and columns of the ISA's "accumulator fragments".
static void run_mma(const char *kind, struct fragments *f) {
    char body[2000];
    (void)snprintf(
        body, sizeof body,
        "mul.lo.u32 %%r3, %%r1, 16; cvt.u64.u32 %%rd3, %%r3; add.s64 %%rd3, %%rd1, %%rd3;"
        "ld.global.v4.u32 {%%r4, %%r5, %%r6, %%r7}, [%%rd3];"
        "ld.global.v2.u32 {%%r8, %%r9}, [%%rd3+512];"
        "ld.global.v4.f32 {%%r10, %%r11, %%r12, %%r13}, [%%rd3+1024];"
        "mma.sync.aligned.%s {%%r10, %%r11, %%r12, %%r13}, {%%r4, %%r5, %%r6, %%r7},"
        "{%%r8, %%r9}, {%%r10, %%r11, %%r12, %%r13};"
        "st.global.v4.f32 [%%rd3+1024], {%%r10, %%r11, %%r12, %%r13};",
        kind);
    ASSERT_RUNS(body, N_LANES, f, sizeof *f);
}
#define BF16 "m16n8k16.row.col.f32.bf16.bf16.f32"
#define TF32 "m16n8k8.row.col.f32.tf32.tf32.f32"

static uint32_t bf16_pair(const float *low, size_t stride) {
    return float_bits(low[0]) >> 16 | (float_bits(low[stride]) & 0xffff0000u);
}

static void set_bf16(struct fragments *f, float a[16][16], float b[16][8]) {
    for (int l = 0; l < N_LANES; l++) {
        int g = l / 4, t = l % 4;
        f->a[l][0] = bf16_pair(&a[g][2 * t], 1);
        f->a[l][1] = bf16_pair(&a[g + 8][2 * t], 1);
        f->a[l][2] = bf16_pair(&a[g][2 * t + 8], 1);
        f->a[l][3] = bf16_pair(&a[g + 8][2 * t + 8], 1);
        f->b[l][0] = bf16_pair(&b[2 * t][g], 8);
        f->b[l][1] = bf16_pair(&b[2 * t + 8][g], 8);
    }
}

static void set_tf32(struct fragments *f, float a[16][16], float b[16][8]) {
    for (int l = 0; l < N_LANES; l++) {
        int g = l / 4, t = l % 4;
        f->a[l][0] = float_bits(a[g][t]);
        f->a[l][1] = float_bits(a[g + 8][t]);
        f->a[l][2] = float_bits(a[g][t + 4]);
        f->a[l][3] = float_bits(a[g + 8][t + 4]);
        f->b[l][0] = float_bits(b[t][g]);
        f->b[l][1] = float_bits(b[t + 4][g]);
    }
}

static void multiplies(void **state) {
    (void)state;
    static float a[16][16], b[16][8];
    static struct fragments f;
    for (int i = 0; i < 16 * 16; i++)
        a[i / 16][i % 16] = (float)(i * 7 % 23 - 11);
    for (int i = 0; i < 16 * 8; i++)
        b[i / 8][i % 8] = (float)(i * 5 % 19 - 9);
    for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
        for (int l = 0; l < N_LANES; l++)
            for (int e = 0; e < 4; e++)
                f.c[l][e] = (float)(l + 100 * e);
        (is_bf16 ? set_bf16 : set_tf32)(&f, a, b);
        run_mma(is_bf16 ? BF16 : TF32, &f);
        for (int l = 0; l < N_LANES; l++)
            for (int e = 0; e < 4; e++) {
                int row = l / 4 + (e >= 2 ? 8 : 0), column = 2 * (l % 4) + e % 2;
                float want = (float)(l + 100 * e);
                for (int k = 0; k < (is_bf16 ? 16 : 8); k++)
                    want += a[row][k] * b[k][column]; // small integers: exact
                assert_true(f.c[l][e] == want);
            }
    }
}

// c + sum over k of products[k] in the arithmetic of a GPU: of element (0, 0).
static float sum_in(enum ptx_mma_sum how, const char *kind, float c, const float *products) {
    static struct fragments f;
    static float a[16][16], b[16][8];
    for (int k = 0; k < 16; k++) {
        a[0][k] = products[k];
        b[k][0] = 1.0f;
    }
    (strcmp(kind, BF16) == 0 ? set_bf16 : set_tf32)(&f, a, b);
    f.c[0][0] = c;
    ptx_options()->mma_sum = how;
    run_mma(kind, &f);
    ptx_options()->mma_sum = PTX_MMA_EXACT;
    return f.c[0][0];
}

#define TINY 0x1p-24f // half of what a float can add to 1

// By hand, from the description in mma_sum.h.
static void sums_like_tensor_cores(void **state) {
    (void)state;
    const float less[16] = {-0x1p-25f};
    assert_true(sum_in(PTX_MMA_EXACT, BF16, 1.0f, less) == 1.0f);
    assert_true(sum_in(PTX_MMA_CUT, BF16, 1.0f, less) == 1.0f - TINY);
    assert_true(sum_in(PTX_MMA_AMPERE, BF16, 1.0f, less) == 1.0f); // behind the 24 bits
    assert_true(sum_in(PTX_MMA_HOPPER, BF16, 1.0f, less) == 1.0f - TINY);
    // Ampere adds 8 products of bf16 at a time and cuts off between, Hopper 16.
    const float apart[16] = {1.0f, TINY, 0, 0, 0, 0, 0, 0, TINY};
    assert_true(sum_in(PTX_MMA_EXACT, BF16, 0.0f, apart) == 1.0f + 2 * TINY);
    assert_true(sum_in(PTX_MMA_AMPERE, BF16, 0.0f, apart) == 1.0f);
    assert_true(sum_in(PTX_MMA_HOPPER, BF16, 0.0f, apart) == 1.0f + 2 * TINY);
    // Of TF32 4 and 8.
    const float nearer[16] = {1.0f, TINY, 0, 0, TINY};
    assert_true(sum_in(PTX_MMA_AMPERE, TF32, 0.0f, nearer) == 1.0f);
    assert_true(sum_in(PTX_MMA_HOPPER, TF32, 0.0f, nearer) == 1.0f + 2 * TINY);
    // Exact cancellation, and what overflows.
    const float cancels[16] = {3.0f, -3.0f, 0x1p-20f};
    assert_true(sum_in(PTX_MMA_AMPERE, BF16, 0.0f, cancels) == 0x1p-20f);
    const float large[16] = {0x1p127f, 0x1p127f};
    assert_true(sum_in(PTX_MMA_HOPPER, BF16, 0.0f, large) > 3e38f);
    assert_true(sum_in(PTX_MMA_AMPERE, BF16, -0.5f, (const float[16]){0.5f}) == 0.0f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shuffles),
        cmocka_unit_test(branches_meet_again),
        cmocka_unit_test(lanes_that_take_no_part),
        cmocka_unit_test(votes_and_atomics),
        cmocka_unit_test(copies_arrive_at_the_wait),
        cmocka_unit_test(loads_matrices),
        cmocka_unit_test(multiplies),
        cmocka_unit_test(sums_like_tensor_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
