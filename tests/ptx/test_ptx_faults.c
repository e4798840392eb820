// SPDX-License-Identifier: MIT
// Kernels that each break one rule: the interpreter must say so, and what it says names the place.
#include "literal.h"

// Text of the error that the body gives with so many threads and a buffer of 64 bytes.
static void must_fail(const char *body, unsigned n_threads, const char *part) {
    _Alignas(64) uint32_t buffer[16] = {0};
    const char *error = literal_run(body, n_threads, buffer, sizeof buffer);
    if (error == NULL)
        fail_msg("not found: %s", body);
    else if (strstr(error, part) == NULL)
        fail_msg("%s\nsays \"%s\", nothing of \"%s\"", body, error, part);
}

static void addresses(void **state) {
    (void)state;
    must_fail("ld.global.u32 %r2, [%rd1+64];", 1, "0 bytes behind the end of a block of 64");
    must_fail("st.global.u32 [%rd1+-4], %r1;", 1, "global memory");
    must_fail("st.global.u32 [%rd1+62], %r1;", 1, "not aligned to 4");
    must_fail("ld.global.v2.u32 {%r2, %r3}, [%rd1+4];", 1, "not aligned to 8");
    must_fail("mov.u32 %r2, tile; ld.shared.u32 %r3, [%r2+1024];", 1, "offset 1024 of 1024");
    must_fail("mov.u32 %r2, tile; st.shared.u8 [%r2+-1], %r3;", 1, "shared memory");
    must_fail("setp.eq.u32 %p1, %r1, 17; @%p1 st.global.u32 [0], %r1;", 32, "thread (17, 0, 0)");
    must_fail(".local .align 4 .b8 own[8]; mov.u64 %rd3, own; ld.local.u32 %r2, [%rd3+8];", 1,
              "local memory");
    must_fail("atom.global.add.u32 %r2, [%rd1+64], 1;", 1, "behind the end");
    // Behind the last address comes the first.
    must_fail("mov.u64 %rd3, 0xfffffffffffffffc; ld.shared.u32 %r2, [%rd3];", 1, "shared memory");
    must_fail("mov.u64 %rd3, 0xfffffffffffffffc; ld.global.u32 %r2, [%rd3];", 1, "behind the end");
    must_fail("ld.global.u32 %r2, [%rd2];", 32, "thread (16, 0, 0)");
    must_fail("mov.u32 %r2, tile; mul.lo.u32 %r3, %r1, 64; add.s32 %r2, %r2, %r3;"
              "ld.shared.u32 %r4, [%r2];",
              32, "thread (16, 0, 0)");
    must_fail("atom.global.add.u32 %r2, [%rd1+2], 1;", 1, "not aligned");
}

static void lanes_that_wait(void **state) {
    (void)state;
    must_fail("setp.lt.u32 %p1, %r1, 5; @%p1 bra A; bar.sync 0; A: bar.sync 0;", 32,
              "wait for each other");
    must_fail("setp.lt.u32 %p1, %r1, 32; @%p1 bra A; bar.sync 0; bra B;\nA: bar.sync 0;\nB:", 64,
              "different barriers");
    must_fail("mov.u32 %r9, 0xffffffff; setp.lt.u32 %p1, %r1, 5; @%p1 ret;"
              "shfl.sync.idx.b32 %r2, %r1, 0, 0x1f, %r9;",
              32, "names lanes that have ended");
    must_fail("mov.u32 %r9, 0x1f; setp.ge.u32 %p1, %r1, 5; @%p1 bra A;"
              "shfl.sync.idx.b32 %r2, %r1, 7, 0x1f, %r9;\nA:",
              32, "reads lane 7, which takes no part");
    must_fail("mov.u32 %r9, 0x1e; setp.ge.u32 %p1, %r1, 5; @%p1 bra A;"
              "shfl.sync.idx.b32 %r2, %r1, 1, 0x1f, %r9;\nA:",
              32, "a lane is not in its own");
}

static void the_whole_warp(void **state) {
    (void)state;
    must_fail("mov.u32 %r2, tile; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r3}, [%r2];", 31,
              "not all lanes of the warp are alive");
    must_fail("mov.u32 %r2, tile; setp.eq.u32 %p1, %r1, 0;"
              "@%p1 ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r3}, [%r2];",
              32, "wait for each other");
    must_fail("mov.u32 %r2, tile; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r3}, [%r2+8];", 32,
              "not aligned to 16");
    must_fail("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r3}, [%rd1];", 32, "shared memory");
}

static void copies(void **state) {
    (void)state;
    must_fail("mov.u32 %r2, tile; cp.async.cg.shared.global [%r2], [%rd1], 16;"
              "cp.async.commit_group;",
              1, "ended before its cp.async had");
    must_fail("mov.u32 %r2, tile; cp.async.cg.shared.global [%r2], [%rd1], 16;"
              "cp.async.commit_group; cp.async.wait_group 1;",
              1, "ended before its cp.async had");
    must_fail("mov.u32 %r2, tile; cp.async.cg.shared.global [%r2+8], [%rd1], 16;", 1,
              "not aligned");
    must_fail("mov.u32 %r2, tile; cp.async.cg.shared.global [%r2], [%rd1+8], 16;", 1,
              "not aligned");
    must_fail("mov.u32 %r2, tile; cp.async.cg.shared.global [%r2], [%rd1+64], 16;", 1,
              "behind the end");
    must_fail("mov.u32 %r2, tile; cvt.u64.u32 %rd3, %r2;"
              "cp.async.cg.shared.global [%r2], [%rd3], 16;",
              1, "no global memory");
}

static void what_is_not_known(void **state) {
    (void)state;
    must_fail("sin.approx.f32 %r2, %r1;", 1, "an instruction that is not known");
    must_fail("add.ftz.f32 %r2, %r1, %r1;", 1, "modifiers that are not known");
    must_fail("add.f16 %r2, %r1, %r1;", 1, "a type that is not known");
    must_fail("ld.volatile.global.u32 %r2, [%rd1];", 1, "modifiers that are not known");
    must_fail("add.s32 %r2, %r1;", 1, "number of operands");
    must_fail("add.s64 %rd3, %r1, %rd1;", 1, "width differs");
    must_fail("mov.u32 %r2, nothing;", 1, "no such symbol");
    must_fail("bra NOWHERE;", 1, "no such label");
    must_fail("bar.sync 16;", 1, "barrier 16");
    must_fail("call.uni unknown, (%r1);", 1, "no such function");
    must_fail("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%r2}, {%r2}, {%r2}, {%r2};", 32,
              "modifiers that are not known");
    must_fail("setp.lt.and.s32 %p1, %r1, %r2, %p2;", 1, "modifiers that are not known");
}

static void bounds_of_a_launch(void **state) {
    (void)state;
    must_fail("mov.u32 %r2, 0;", 257, "__launch_bounds__ allow 256");
}

// What nobody wrote is there as 0xff.
static void rubbish(void **state) {
    (void)state;
    _Alignas(64) uint32_t buffer[16] = {0};
    ASSERT_RUNS("mov.u32 %r2, tile; ld.shared.u32 %r3, [%r2+20]; st.global.u32 [%rd1], %r3;", 1,
                buffer, sizeof buffer);
    assert_int_equal(buffer[0], 0xffffffffu);
}

// Warps 0 and 1 exchange without a barrier between: right in one order, wrong in another.
static void a_missing_barrier_shows(void **state) {
    (void)state;
    static const char body[] = "mov.u32 %r2, tile; mul.lo.u32 %r3, %r1, 4; add.s32 %r3, %r3, %r2;"
                               "st.shared.u32 [%r3], %r1; xor.b32 %r4, %r1, 32;"
                               "mul.lo.u32 %r4, %r4, 4; add.s32 %r4, %r4, %r2; %s"
                               "ld.shared.u32 %r5, [%r4]; st.global.u32 [%rd2], %r5;";
    for (int order = 0; order < 2; order++) {
        uint32_t out[64] = {0};
        int n_wrong = 0;
        char text[1000];
        const char *place = strstr(body, "%s");
        (void)snprintf(text, sizeof text, "%.*s%s", (int)(place - body), body, place + 2);
        ptx_options()->order = order == 0 ? PTX_ORDER_FORWARD : PTX_ORDER_BACKWARD;
        ASSERT_RUNS(text, 64, out, sizeof out);
        for (uint32_t i = 0; i < 64; i++)
            n_wrong += out[i] != (i ^ 32);
        assert_int_equal(n_wrong, 32); // of the warp that came first
        (void)snprintf(text, sizeof text, "%.*sbar.sync 0;%s", (int)(place - body), body,
                       place + 2);
        ASSERT_RUNS(text, 64, out, sizeof out);
        for (uint32_t i = 0; i < 64; i++)
            assert_int_equal(out[i], i ^ 32);
    }
    ptx_options()->order = PTX_ORDER_FORWARD;
}

// PTX_PLANT: the first block of a kernel of that name does nothing; others are as they were.
static void a_planted_fault_is_there(void **state) {
    (void)state;
    struct ptx_options *options = ptx_options();
    uint32_t out[4] = {0};
    options->fault = PTX_FAULT_WRONG;
    options->faulty = "another";
    ASSERT_RUNS("mov.u32 %r2, 5; st.global.u32 [%rd1], %r2;", 1, out, sizeof out);
    assert_int_equal(out[0], 5);
    options->faulty = "kern";
    ASSERT_RUNS("mov.u32 %r2, 6; st.global.u32 [%rd1], %r2;", 1, out, sizeof out);
    assert_int_equal(out[0], 5);
    options->fault = PTX_FAULTS;
    ptx_wait(); // comes back: no kernel hangs
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(lanes_that_wait),
        cmocka_unit_test(the_whole_warp),
        cmocka_unit_test(copies),
        cmocka_unit_test(what_is_not_known),
        cmocka_unit_test(bounds_of_a_launch),
        cmocka_unit_test(rubbish),
        cmocka_unit_test(a_missing_barrier_shows),
        cmocka_unit_test(a_planted_fault_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
