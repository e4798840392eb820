// SPDX-License-Identifier: MIT
// Hopper's instructions as literals: mbarriers step by step, plain bulk copies, named barriers, and
// what must be reported of each. hopper_*.cu have those that need tensor maps or warpgroups.
#include "literal.h"

#define BAR "mov.u32 %r2, tile; "
// All of the body in thread 0.
#define ALONE "setp.ne.u32 %p9, %r1, 0; @%p9 bra END; "

static void must_fail(const char *body, unsigned n_threads, const char *part) {
    _Alignas(64) uint32_t buffer[16] = {0};
    const char *error = literal_run(body, n_threads, buffer, sizeof buffer);
    if (error == NULL)
        fail_msg("not found: %s", body);
    else if (strstr(error, part) == NULL)
        fail_msg("%s\nsays \"%s\", nothing of \"%s\"", body, error, part);
}

// Results of waits as bits of one word, lowest first.
static void phases(void **state) {
    (void)state;
    uint32_t out[2] = {0};
    ASSERT_RUNS(BAR
                "mbarrier.init.shared::cta.b64 [%r2], 2; mov.u32 %r9, 0;"
                "mbarrier.test_wait.parity.shared::cta.b64 %p1, [%r2], 1;" // the one before: 1
                "mbarrier.arrive.shared::cta.b64 %rd3, [%r2];"
                "mbarrier.test_wait.shared::cta.b64 %p2, [%r2], %rd3;"     // 0
                "mbarrier.test_wait.parity.shared::cta.b64 %p3, [%r2], 0;" // 0
                "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r2], 48;"
                "mbarrier.arrive.release.cta.shared::cta.b64 _, [%r2];"
                "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 %p4, [%r2], 0;" // 0: bytes
                "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%r2], 48;"
                "mbarrier.try_wait.parity.shared::cta.b64 %p5, [%r2], 0, 100;" // 1
                "mbarrier.try_wait.shared::cta.b64 %p6, [%r2], %rd3;"          // 1
                "mbarrier.try_wait.parity.shared::cta.b64 %p7, [%r2], 1;"      // 0
                "mbarrier.arrive.shared::cta.b64 _, [%r2], 2;"
                "mbarrier.try_wait.parity.shared::cta.b64 %p8, [%r2], 1;" // 1
                "mbarrier.inval.shared::cta.b64 [%r2];"
                "mbarrier.init.shared::cta.b64 [%r2], 1;"
                "selp.b32 %r3, 1, 0, %p1; @%p2 add.s32 %r3, %r3, 2;"
                "@%p3 add.s32 %r3, %r3, 4; @%p4 add.s32 %r3, %r3, 8;"
                "@%p5 add.s32 %r3, %r3, 16; @%p6 add.s32 %r3, %r3, 32;"
                "@%p7 add.s32 %r3, %r3, 64; @%p8 add.s32 %r3, %r3, 128;"
                "st.global.u32 [%rd1], %r3;",
                1, out, sizeof out);
    assert_int_equal(out[0], 1 + 16 + 32 + 128);
}

// Bytes that come before they are expected: the phase waits for the arrival.
static void bytes_before_they_are_expected(void **state) {
    (void)state;
    uint32_t out[1] = {0};
    ASSERT_RUNS(BAR "mbarrier.init.shared.b64 [%r2], 1;"
                    "mbarrier.complete_tx.shared::cta.b64 [%r2], 16;"
                    "mbarrier.test_wait.parity.shared::cta.b64 %p1, [%r2], 0;"
                    "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 16;"
                    "mbarrier.test_wait.parity.shared::cta.b64 %p2, [%r2], 0;"
                    "selp.b32 %r3, 1, 0, %p1; @%p2 add.s32 %r3, %r3, 2;"
                    "st.global.u32 [%rd1], %r3;",
                1, out, sizeof out);
    assert_int_equal(out[0], 2);
}

// Threads that wait in different places of one warp, and lanes that bring what others wait for.
static void lanes_wait_for_each_other(void **state) {
    (void)state;
    uint32_t out[32] = {0};
    for (int order = 0; order < 2; order++) {
        ptx_options()->order = order == 0 ? PTX_ORDER_FORWARD : PTX_ORDER_BACKWARD;
        ASSERT_RUNS(BAR "setp.ne.u32 %p1, %r1, 0; @%p1 bra WAIT;"
                        "mbarrier.init.shared::cta.b64 [%r2], 1;"
                        "mbarrier.init.shared::cta.b64 [%r2+8], 31;\n"
                        "WAIT: bar.sync 0; @%p1 bra OTHERS;\n"
                        "AGAIN: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r2+8], 0;"
                        "@!%p2 bra AGAIN; mbarrier.arrive.shared::cta.b64 _, [%r2]; bra END;\n"
                        "OTHERS: mbarrier.arrive.shared::cta.b64 _, [%r2+8];\n"
                        "ONCE: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r2], 0;"
                        "@!%p2 bra ONCE;\nEND: st.global.u32 [%rd2], %r1;",
                    32, out, sizeof out);
        for (uint32_t l = 0; l < 32; l++)
            assert_int_equal(out[l], l);
    }
    ptx_options()->order = PTX_ORDER_FORWARD;
}

static void plain_bulk_copies(void **state) {
    (void)state;
    for (int time = 0; time < 2; time++) {
        _Alignas(16) uint32_t buffer[24] = {1, 2, 3, 4, 5, 6, 7, 8};
        ptx_options()->copy_time = time == 0 ? PTX_COPY_LATE : PTX_COPY_EARLY;
        ASSERT_RUNS(
            ALONE BAR
            "mbarrier.init.shared::cta.b64 [%r2], 1; fence.mbarrier_init.release.cluster;"
            "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 32;"
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2+64], [%rd1], "
            "32, [%r2];\n"
            "AGAIN: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r2], 0; @!%p2 bra AGAIN;"
            "ld.shared.u32 %r3, [%r2+92]; st.shared.u32 [%r2+64], %r3;"
            "fence.proxy.async; add.s64 %rd3, %rd1, 32;"
            "cp.async.bulk.global.shared::cta.bulk_group [%rd3], [%r2+64], 32;"
            "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;\nEND:",
            32, buffer, sizeof buffer);
        assert_int_equal(buffer[8], 8);
        for (uint32_t i = 1; i < 8; i++)
            assert_int_equal(buffer[8 + i], i + 1);
        assert_int_equal(buffer[16], 0);
    }
    ptx_options()->copy_time = PTX_COPY_LATE;
}

// Warp 0 tells warp 1 that the word is there, and does not wait itself.
static void named_barriers(void **state) {
    (void)state;
    uint32_t out[96] = {0};
    ASSERT_RUNS(BAR "setp.ge.u32 %p1, %r1, 64; @%p1 bra END; setp.ge.u32 %p2, %r1, 32;"
                    "@%p2 bra READ; st.shared.u32 [%r2], %r1; bar.arrive 3, 64; bra END;\n"
                    "READ: mov.u32 %r4, 3; bar.sync %r4, 64; ld.shared.u32 %r3, [%r2];"
                    "st.global.u32 [%rd2], %r3;\n"
                    "END: bar.sync 0;",
                96, out, sizeof out);
    for (int i = 0; i < 96; i++)
        assert_int_equal(out[i], i >= 32 && i < 64 ? 31 : 0);
}

static void an_elected_lane(void **state) {
    (void)state;
    uint32_t out[32] = {0};
    ASSERT_RUNS("mov.u32 %r9, 0xfffffff0; setp.lt.u32 %p1, %r1, 4; @%p1 bra END;"
                "elect.sync %r3|%p2, %r9; @%p2 add.s32 %r3, %r3, 100;"
                "st.global.u32 [%rd2], %r3;\nEND:",
                32, out, sizeof out);
    for (int l = 0; l < 32; l++)
        assert_int_equal(out[l], l < 4 ? 0 : l == 4 ? 104 : 4);
}

static void faults_of_mbarriers(void **state) {
    (void)state;
    must_fail(BAR "mbarrier.arrive.shared::cta.b64 _, [%r2];", 1, "mbarrier.init has not run");
    must_fail(BAR "mbarrier.init.shared::cta.b64 [%r2+4], 1;", 1, "not aligned to 8");
    must_fail(BAR "mbarrier.init.shared::cta.b64 [%r2], 0;", 1, "a count of 0");
    must_fail(BAR "mbarrier.init.shared::cta.b64 [%r2], 1; mbarrier.init.shared::cta.b64 [%r2], 1;",
              1, "mbarrier.inval comes before");
    must_fail(BAR "mbarrier.init.shared::cta.b64 [%r2], 1; st.shared.u32 [%r2], 0;"
                  "mbarrier.arrive.shared::cta.b64 _, [%r2];",
              1, "was written over");
    must_fail(BAR "mbarrier.init.shared::cta.b64 [%r2], 1;"
                  "mbarrier.arrive.noComplete.shared::cta.b64 _, [%r2], 1;",
              1, "completes the phase");
    must_fail(BAR "mbarrier.init.shared::cta.b64 [%r2], 1;"
                  "mbarrier.arrive.shared::cta.b64 _, [%r2], 2;",
              1, "an arrival of 2");
    must_fail(BAR "mbarrier.init.shared::cta.b64 [%r2], 1;"
                  "mbarrier.expect_tx.shared::cta.b64 [%r2], 1048576;",
              1, "at most are 1048575");
    must_fail(BAR "mbarrier.init.shared::cta.b64 [%r2], 1;"
                  "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 4;",
              1, "still counts bytes");
    must_fail(BAR "mbarrier.init.shared::cta.b64 [%r2], 1;"
                  "mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r2], 2;",
              1, "a parity of 2");
    must_fail(BAR "mbarrier.init.shared::cta.b64 [%r2], 1;\n"
                  "A: mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r2], 0; @!%p1 bra A;",
              1, "phase 0, 1 of 1 arrivals pending");
}

static void faults_of_clusters(void **state) {
    (void)state;
    must_fail(BAR "mapa.shared::cluster.u32 %r3, %r2, 1;", 1, "of a cluster of 1");
    must_fail("barrier.cluster.wait;", 1, "has not arrived");
    must_fail("barrier.cluster.arrive; barrier.cluster.arrive;", 1, "twice without a wait");
    must_fail("bar.arrive 1, 64; bar.sync 0;", 32, "that is not complete");
    must_fail(
        "setp.ge.u32 %p1, %r1, 32; @%p1 bra A; bar.sync 1, 64; bra E;\nA: bar.sync 1, 96;\nE:", 64,
        "for 64 threads and for 96");
    must_fail("setmaxnreg.dec.sync.aligned.u32 20;", 32, "a constant multiple of 8");
    must_fail("setmaxnreg.dec.sync.aligned.u32 40; setmaxnreg.inc.sync.aligned.u32 32;", 32,
              "setmaxnreg to 32 of a thread that has 40");
}

static void faults_of_bulk_copies(void **state) {
    (void)state;
#define READY                                                                                      \
    BAR "mbarrier.init.shared::cta.b64 [%r2], 1; fence.mbarrier_init.release.cluster;"             \
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 32;"
#define COPY(to, from, bytes)                                                                      \
    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [" to "], [" from           \
    "], " bytes ", [%r2];"
    must_fail(READY COPY("%r2+64", "%rd1+4", "32"), 1, "no multiples of 16");
    must_fail(READY COPY("%r2+68", "%rd1", "32"), 1, "not aligned to 16");
    must_fail(READY COPY("%r2+1008", "%rd1", "32"), 1, "offset 1008 of 1024");
    must_fail(READY COPY("%r2+64", "%rd1+48", "32") "\nA: mbarrier.try_wait.parity.shared::cta.b64 "
                                                    "%p1, [%r2], 0; @!%p1 bra A;",
              1, "behind the end");
    must_fail(READY COPY("%r2+64", "%rd1", "32"), 1, "still counts bytes");
    must_fail(READY "st.shared.u32 [%r2+64], 1;" COPY("%r2+64", "%rd1", "32"), 1,
              "without a fence.proxy.async");
    must_fail(READY COPY("%r2+64", "%rd1", "32") "ld.shared.u32 %r3, [%r2+64];", 1,
              "which a TMA load under way writes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases),
        cmocka_unit_test(bytes_before_they_are_expected),
        cmocka_unit_test(lanes_wait_for_each_other),
        cmocka_unit_test(plain_bulk_copies),
        cmocka_unit_test(named_barriers),
        cmocka_unit_test(an_elected_lane),
        cmocka_unit_test(faults_of_mbarriers),
        cmocka_unit_test(faults_of_clusters),
        cmocka_unit_test(faults_of_bulk_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
