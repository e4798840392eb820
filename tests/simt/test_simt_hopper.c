// SPDX-License-Identifier: MIT
// Tests of the emulator: tensor copies and mbarriers, beside plain loops, and each rule broken
// once.
#include "planted_hopper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ASSERT_RUNS(call)                                                                          \
    do {                                                                                           \
        const char *text_of_run = (call);                                                          \
        if (text_of_run != NULL)                                                                   \
            fail_msg("%s", text_of_run);                                                           \
    } while (0)

// ---- boxes --------------------------------------------------------------------------------------

enum { MOST_ELEMENTS = 8192 };

static void number_elements(uint16_t *out, int n) {
    for (int i = 0; i < n; i++)
        out[i] = (uint16_t)(i + 1);
}

static int extent_in_shared(const struct planted_box *box, int i) {
    return i == 0 ? box->box[0] : (box->box[i] + box->steps[i] - 1) / box->steps[i];
}

static int elements_in_shared(const struct planted_box *box) {
    int n = 1;
    for (int i = 0; i < 4; i++)
        n *= extent_in_shared(box, i);
    return n;
}

// The element of shared memory where element i of the dense box lies: within each 1024 bytes (512,
// 256), the 16-byte blocks of a row of 128 (64, 32) are exchanged by the number of its 128 bytes.
static int place_in_shared(const struct planted_box *box, int i) {
    int byte = 2 * i, line = byte / 128, span = box->swizzle_bytes;
    if (span == 0)
        return i;
    int block = byte % span / 16, exchanged = block ^ (line % (span / 16));
    return (byte - byte % span + 16 * exchanged + byte % 16) / 2;
}

// The tensor's element under element i of the dense box; -1: it is outside.
static int place_in_tensor(const struct planted_box *box, int i) {
    int place = 0, stride = 1;
    for (int d = 0; d < 4; d++) {
        int n = extent_in_shared(box, d), step = d == 0 ? 1 : box->steps[d];
        int at = box->at[d] + i % n * step;
        if (at < 0 || at >= box->extents[d])
            return -1;
        place += at * stride;
        stride *= d == 0 && box->pitch != 0 ? box->pitch : box->extents[d];
        i /= n;
    }
    return place;
}

static const struct planted_box boxes[] = {
    // Inside, and over each border; then with steps; then with each swizzle.
    {{16, 5, 4, 3}, {8, 3, 2, 2}, {1, 1, 1, 1}, {8, 1, 1, 1}, 0, 0},
    {{16, 5, 4, 3}, {16, 5, 4, 2}, {1, 1, 1, 1}, {0, -1, -2, 2}, 0, 0},
    {{24, 5, 4, 3}, {16, 8, 2, 1}, {1, 1, 1, 1}, {16, 2, 3, 0}, 0, 0},
    {{13, 5, 4, 3}, {16, 2, 2, 1}, {1, 1, 1, 1}, {0, 2, 1, 1}, 0, 16},
    {{8, 9, 9, 2}, {8, 8, 7, 1}, {1, 2, 3, 1}, {0, -1, 1, 1}, 0, 0},
    {{8, 9, 9, 2}, {8, 9, 9, 1}, {5, 8, 2, 1}, {0, 100, -100, 0}, 0, 0},
    {{64, 6, 5, 2}, {64, 8, 4, 1}, {1, 1, 1, 1}, {0, -1, 2, 1}, 128, 0},
    {{128, 6, 5, 1}, {64, 3, 3, 1}, {1, 1, 1, 1}, {64, 1, 0, 0}, 128, 0},
    {{32, 6, 5, 2}, {32, 8, 4, 2}, {1, 1, 2, 1}, {0, 0, 0, 0}, 64, 0},
    {{16, 6, 5, 2}, {16, 8, 8, 2}, {1, 1, 1, 1}, {0, 0, 0, 0}, 32, 0},
};
enum { N_BOXES = sizeof boxes / sizeof boxes[0] };

static void boxes_are_loaded(void **state) {
    (void)state;
    static uint16_t tensor[MOST_ELEMENTS], out[MOST_ELEMENTS];
    number_elements(tensor, MOST_ELEMENTS);
    for (int b = 0; b < N_BOXES; b++) {
        int n = elements_in_shared(&boxes[b]);
        ASSERT_RUNS(planted_tma_load(&boxes[b], tensor, out, n));
        for (int i = 0; i < n; i++) {
            int from = place_in_tensor(&boxes[b], i);
            if (out[place_in_shared(&boxes[b], i)] != (from < 0 ? 0 : tensor[from]))
                fail_msg("box %d, element %d", b, i);
        }
    }
}

static void boxes_are_stored(void **state) {
    (void)state;
    static uint16_t in[MOST_ELEMENTS], tensor[MOST_ELEMENTS], expected[MOST_ELEMENTS];
    number_elements(in, MOST_ELEMENTS);
    for (int b = 0; b < N_BOXES; b++) {
        int n = elements_in_shared(&boxes[b]);
        memset(tensor, 0xee, sizeof tensor);
        memset(expected, 0xee, sizeof expected);
        for (int i = 0; i < n; i++) {
            int to = place_in_tensor(&boxes[b], i);
            if (to >= 0)
                expected[to] = in[place_in_shared(&boxes[b], i)];
        }
        ASSERT_RUNS(planted_tma_store(&boxes[b], in, n, tensor, PLANTED_STORE_RIGHT));
        assert_memory_equal(tensor, expected, sizeof tensor);
    }
}

static void check_text(const char *failure, const char *text, int fault) {
    if (failure == NULL)
        fail_msg("fault %d went unnoticed", fault);
    if (strstr(failure, text) == NULL)
        fail_msg("fault %d: no \"%s\" in \"%s\"", fault, text, failure);
}

static void faults_of_stores_are_found(void **state) {
    (void)state;
    static const char *const texts[] = {
        NULL,
        "wrote with no fence_proxy_async",
        "the thread ends while its tensor copy of planted_hopper.cu",
        "the thread ends while its tensor copy of planted_hopper.cu",
        "was in flight when its source in shared memory changed",
        "is not aligned to 128 bytes",
    };
    uint16_t in[96], tensor[16 * 5 * 4 * 3] = {0};
    number_elements(in, 96);
    for (int fault = PLANTED_STORE_NO_FENCE; fault <= PLANTED_STORE_UNALIGNED; fault++)
        check_text(planted_tma_store(&boxes[0], in, 96, tensor, (enum planted_store_fault)fault),
                   texts[fault], fault);
}

static void faults_of_maps_are_found(void **state) {
    (void)state;
    static const char *const texts[] = {
        NULL,
        "is not aligned to 16 bytes",
        "is not aligned to 64 bytes",
        "dimension 2 is 24 bytes: it must be a multiple of 16",
        "the box has 257 elements in dimension 1",
        "a row of the box has 24 bytes, no multiple of 16",
        "a row of the box has 256 bytes, more than the swizzle's 128",
        "the element stride of dimension 2 is 9",
        "dimension 3 has 0 elements",
        "6 dimensions",
    };
    ASSERT_RUNS(planted_map(PLANTED_MAP_RIGHT));
    for (int fault = PLANTED_MAP_ADDRESS; fault <= PLANTED_MAP_DIMS; fault++)
        check_text(planted_map((enum planted_map_fault)fault), texts[fault], fault);
}

// ---- mbarriers ----------------------------------------------------------------------------------

enum { N_TILES = 7 };

static const char *run_ring(enum planted_ring_fault fault, bool *is_right) {
    uint16_t in[32 * N_TILES];
    int out[32] = {0};
    for (int i = 0; i < 32 * N_TILES; i++)
        in[i] = (uint16_t)(i * i % 1000);
    const char *failure = planted_ring(in, N_TILES, fault, out);
    *is_right = failure == NULL;
    for (int i = 0; i < 32; i++) {
        int sum = 0;
        for (int t = 0; t < N_TILES; t++)
            sum += in[32 * t + i];
        *is_right = *is_right && out[i] == sum;
    }
    return failure;
}

static void rings_of_tiles_work(void **state) {
    (void)state;
    static const char *const seeds[] = {"0", "1", "2"};
    bool is_right;
    for (int i = 0; i < 3; i++) {
        setenv("SIMT_ORDER", seeds[i], 1);
        ASSERT_RUNS(run_ring(PLANTED_RING_RIGHT, &is_right));
        assert_true(is_right);
    }
    unsetenv("SIMT_ORDER");
}

static void faults_of_rings_are_found(void **state) {
    (void)state;
    static const char *const texts[PLANTED_RING_FAULT_COUNT] = {
        [PLANTED_RING_PARITY] = "",
        [PLANTED_RING_PRODUCER_PARITY] = "deadlock in kernel sum_tiles",
        [PLANTED_RING_NO_WAIT] = "",
        [PLANTED_RING_NO_EMPTY] = "has had all of its 1 arrivals",
        [PLANTED_RING_FEW_BYTES] = "mbarrier_expect_tx names too few bytes",
        [PLANTED_RING_MANY_BYTES] = "0 of 1 arrivals and 16 bytes are missing",
        [PLANTED_RING_NO_EXPECT] = "",
        [PLANTED_RING_NO_ARRIVE] = "32 of 32 arrivals and 0 bytes are missing",
        [PLANTED_RING_ARRIVES_TWICE] = "",
        [PLANTED_RING_NO_FENCE] = "no fence_barrier_init has made visible",
        [PLANTED_RING_NO_SYNC] = "no barrier of the block between",
        [PLANTED_RING_NO_INIT] = "no mbarrier at byte",
        [PLANTED_RING_UNALIGNED] = "is not aligned to 128 bytes of shared memory",
        [PLANTED_RING_UNALIGNED_BAR] = "aligned to 8",
        [PLANTED_RING_STORED] = "where ordinary stores wrote with no fence_proxy_async",
        [PLANTED_RING_STORED_INFLIGHT] = "while a tensor copy to it was in flight",
        [PLANTED_RING_LEFT] = "the block ended while",
        [PLANTED_RING_NO_MAP] = "is no tensor map",
    };
    for (int fault = PLANTED_RING_RIGHT + 1; fault < PLANTED_RING_FAULT_COUNT; fault++) {
        bool is_right;
        const char *failure = run_ring((enum planted_ring_fault)fault, &is_right);
        if (is_right)
            fail_msg("fault %d: the result is right", fault);
        if (texts[fault][0] != '\0')
            check_text(failure, texts[fault], fault);
    }
}

// ---- clusters -----------------------------------------------------------------------------------

enum { N_PAIRS = 3 };

static const char *run_pairs(enum planted_pair_fault fault, bool *is_right) {
    uint16_t in[128 * N_PAIRS];
    int out[64 * N_PAIRS] = {0};
    for (int i = 0; i < 128 * N_PAIRS; i++)
        in[i] = (uint16_t)(i * 7 % 1000);
    const char *failure = planted_pairs(in, N_PAIRS, fault, out);
    *is_right = failure == NULL;
    for (int i = 0; i < 64 * N_PAIRS; i++) {
        int sum = 0;
        for (int j = 0; j < 128; j += 32)
            sum += in[i / 64 * 128 + i % 32 + j];
        *is_right = *is_right && out[i] == sum;
    }
    return failure;
}

static void pairs_of_blocks_work(void **state) {
    (void)state;
    bool is_right;
    ASSERT_RUNS(run_pairs(PLANTED_PAIR_RIGHT, &is_right));
    assert_true(is_right);
    setenv("SIMT_ORDER", "5", 1);
    ASSERT_RUNS(run_pairs(PLANTED_PAIR_RIGHT, &is_right));
    unsetenv("SIMT_ORDER");
    assert_true(is_right);
}

static void faults_of_clusters_are_found(void **state) {
    (void)state;
    static const char *const texts[PLANTED_PAIR_FAULT_COUNT] = {
        [PLANTED_PAIR_MASK_OWN] = "0 of 1 arrivals and 128 bytes are missing",
        [PLANTED_PAIR_MASK_LARGE] = "to the blocks 0x7 of a cluster of 2",
        [PLANTED_PAIR_MASK_NONE] = "to the blocks 0x0 of a cluster of 2",
        [PLANTED_PAIR_NO_FENCE] = "no fence_barrier_init has made visible",
        [PLANTED_PAIR_NO_SYNC] = "cluster_sync first",
        [PLANTED_PAIR_ENDED] = "came to block 1 of the cluster, which has ended",
        [PLANTED_PAIR_RANK] = "block 2 of a cluster of 2",
        [PLANTED_PAIR_NO_REMOTE] = "(block 1 of the cluster) in phase 0: 64 of 64 arrivals",
        [PLANTED_PAIR_NO_WAIT] = "has ended",
        [PLANTED_PAIR_LATE_ARRIVE] = "mbarrier_arrive_cluster at planted_hopper_cluster.cu",
        [PLANTED_PAIR_GRID] = "clusters of (2, 1, 1) blocks of 32 threads in a grid of (5, 1, 1)",
        [PLANTED_PAIR_LARGE] = "at most 8 blocks",
        [PLANTED_PAIR_ALONE] = "of a cluster of 1",
    };
    for (int fault = PLANTED_PAIR_RIGHT + 1; fault < PLANTED_PAIR_FAULT_COUNT; fault++) {
        bool is_right;
        check_text(run_pairs((enum planted_pair_fault)fault, &is_right), texts[fault], fault);
    }
}

static void warps_meet_by_name(void **state) {
    (void)state;
    int out[128];
    ASSERT_RUNS(planted_named(false, out));
    for (int i = 0; i < 128; i++)
        assert_int_equal(out[i], i ^ 32);
    check_text(planted_named(true, out), "named_barrier_sync(1, 64)", 0);
}

static void only_hopper_has_them(void **state) {
    (void)state;
    bool is_right;
    setenv("SIMT_DEVICE", "ampere", 1);
    const char *ring = run_ring(PLANTED_RING_RIGHT, &is_right);
    check_text(ring, "only compute capability 9.0 has it", 0);
    check_text(run_pairs(PLANTED_PAIR_RIGHT, &is_right), "SIMT_DEVICE=hopper", 0);
    setenv("SIMT_DEVICE", "hopper", 1);
}

static int use_hopper(void **state) {
    (void)state;
    return setenv("SIMT_DEVICE", "hopper", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_are_loaded),
        cmocka_unit_test(boxes_are_stored),
        cmocka_unit_test(faults_of_stores_are_found),
        cmocka_unit_test(faults_of_maps_are_found),
        cmocka_unit_test(rings_of_tiles_work),
        cmocka_unit_test(faults_of_rings_are_found),
        cmocka_unit_test(pairs_of_blocks_work),
        cmocka_unit_test(faults_of_clusters_are_found),
        cmocka_unit_test(warps_meet_by_name),
        cmocka_unit_test(only_hopper_has_them),
    };
    return cmocka_run_group_tests(tests, use_hopper, NULL);
}
