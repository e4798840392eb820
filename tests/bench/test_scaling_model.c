// SPDX-License-Identifier: MIT
#include "scaling_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double got, double want) {
    if (!(fabs(got - want) <= 1e-9 * fabs(want)))
        fail_msg("%.12g instead of %.12g", got, want);
}

static void assume(struct scaling_assumptions *assumptions, const char *text) {
    char message[160];
    const char *error = scaling_assume(assumptions, text, message);
    if (error != NULL)
        fail_msg("%s", error);
}

// Round numbers: 50 TFLOP/s, 1 GB/s in a machine of 4, 1 GB/s out of it, and nothing else.
static struct scaling_assumptions simple(void) {
    struct scaling_assumptions out = scaling_assumptions_default();
    static const char *const texts[] = {
        "peak=100",   "share=0.5", "memory=1e6", "machine=4",      "link=1",           "network=8",
        "adapters=1", "levels=1",  "pcie=1",     "link_latency=0", "network_latency=0"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assume(&out, texts[i]);
    return out;
}
// 0.1 s for 5 images, and a vector of 64 MB.
static const struct scaling_work work = {1e12, 15000000, 999980, NULL, 0};

static void one_rank_only_computes(void **state) {
    (void)state;
    struct scaling_assumptions assumptions = simple();
    for (int levels = 1; levels <= 2; levels++) {
        assumptions.value[SCALING_levels] = levels;
        assumptions.value[SCALING_through_host] = levels - 1;
        struct scaling_step step = scaling_step_of(&assumptions, &work, 1, 5);
        assert_true(step.computed == 0.1);
        assert_true(step.without_overlap == 0.1 && step.with_overlap == 0.1);
        assert_true(step.exchanged == 0.0 && step.sent == 0.0 && step.sent_machine == 0.0);
        assert_true(step.efficiency == 1.0 && step.efficiency_overlap == 1.0);
        assert_true(step.images_per_s == 50.0);
        assert_string_equal(scaling_limit(&step), "computing");
    }
}

static void ranks_of_one_machine(void **state) {
    (void)state;
    struct scaling_assumptions assumptions = simple();
    struct scaling_step step = scaling_step_of(&assumptions, &work, 4, 5);
    // 2 x 3 chunks of 16 MB; three sums of a chunk, 3 x 16 MB each, at 10^15 bytes a second.
    assert_near(step.sent, 96e6);
    assert_true(step.sent_machine == 0.0);
    assert_near(step.costs[COST_LINK], 0.096);
    assert_near(step.costs[COST_SUMS], 144e6 / 1e15);
    assert_near(step.exchanged, 0.096 + 144e6 / 1e15);
    assert_near(step.without_overlap, 0.196 + 144e6 / 1e15);
    assert_near(step.efficiency, 0.1 / (0.196 + 144e6 / 1e15));
    // All at once, so there is nothing to overlap.
    assert_true(step.with_overlap == step.without_overlap);
    assert_near(step.images_per_s, 20.0 / (0.196 + 144e6 / 1e15));
    assert_string_equal(scaling_limit(&step), "bandwidth inside of a machine");
}

static void ranks_of_two_machines_in_one_level(void **state) {
    (void)state;
    struct scaling_assumptions assumptions = simple();
    struct scaling_step step = scaling_step_of(&assumptions, &work, 8, 5);
    // Of 2 x 7 chunks of 8 MB, 2 x 4 leave the machine; four ranks share 1 GB/s.
    assert_near(step.sent, 112e6);
    assert_near(step.sent_machine, 4 * 64e6);
    assert_near(step.costs[COST_NETWORK], 0.256);
    assert_true(step.costs[COST_LINK] == 0.0); // at the same time, and shorter
    assert_string_equal(scaling_limit(&step), "bandwidth between machines");
}

static void ranks_of_two_machines_in_two_levels(void **state) {
    (void)state;
    struct scaling_assumptions assumptions = simple();
    assume(&assumptions, "levels=2");
    struct scaling_step step = scaling_step_of(&assumptions, &work, 8, 5);
    // Inside 2 x 3 chunks of 16 MB, then to the other machine 2 chunks of 8 MB.
    assert_near(step.sent, 96e6 + 16e6);
    assert_near(step.sent_machine, 4 * 16e6);
    assert_near(step.costs[COST_LINK], 0.096);
    assert_near(step.costs[COST_NETWORK], 0.064);
}

// Of 0.1 s, two buckets of 16 MB are complete after 0.05 s and 0.09 s, and 32 MB at the end. Each
// takes 1.5 of its bytes at 1 GB/s: 0.024 s, 0.024 s and 0.048 s.
static void buckets_overlap(void **state) {
    (void)state;
    static const struct scaling_bucket buckets[] = {{4000000, 0.5}, {4000000, 0.9}, {8000000, 1.0}};
    struct scaling_work divided = work;
    divided.buckets = buckets;
    divided.n_buckets = 3;
    struct scaling_assumptions assumptions = simple();
    assume(&assumptions, "beside=0");
    struct scaling_step step = scaling_step_of(&assumptions, &divided, 4, 5);
    double sums = 144e6 / 1e15;
    // The second one ends at 0.114, when the third one is complete already.
    assert_near(step.with_overlap, 0.114 + 0.048 + sums * 0.75);
    assert_near(step.without_overlap, 0.196 + sums);
    assert_near(step.efficiency_overlap, 0.1 / step.with_overlap);
    // Computing takes 0.1 + 0.5 * 0.096 s, and only the last bucket waits for it.
    assume(&assumptions, "beside=0.5");
    step = scaling_step_of(&assumptions, &divided, 4, 5);
    assert_near(step.with_overlap, 0.9 * (0.148 + 0.5 * sums) + 0.024 + 0.048 + 0.75 * sums);
    // Through the host nothing is beside anything.
    assume(&assumptions, "through_host=1");
    step = scaling_step_of(&assumptions, &divided, 4, 5);
    assert_true(step.with_overlap == step.without_overlap);
}

static void latency_counts_messages(void **state) {
    (void)state;
    struct scaling_assumptions assumptions = simple();
    assume(&assumptions, "link_latency=1");
    assume(&assumptions, "network_latency=100");
    // Three collectives: the agreement and two of the exchange, 3 and 4 messages each.
    struct scaling_step step = scaling_step_of(&assumptions, &work, 8, 5);
    assert_near(step.costs[COST_LATENCY], 1e-6 * (9 * 1 + 12 * 100));
    assume(&assumptions, "levels=2");
    step = scaling_step_of(&assumptions, &work, 8, 5);
    assert_near(step.costs[COST_LATENCY], 1e-6 * (9 * 1 + 6 * 100));
}

static void the_host_takes_part(void **state) {
    (void)state;
    struct scaling_assumptions assumptions = simple();
    assume(&assumptions, "through_host=1");
    assume(&assumptions, "host_copy=2");
    struct scaling_step step = scaling_step_of(&assumptions, &work, 2, 5);
    assert_near(step.costs[COST_LINK], 0.032);
    assert_near(step.costs[COST_SUMS], 0.048);
    assert_near(step.costs[COST_HOST], 0.128); // 64 MB down and up
    assert_string_equal(scaling_limit(&step), "copies to the host and back");
    // Always in one level.
    step = scaling_step_of(&assumptions, &work, 8, 5);
    assume(&assumptions, "levels=2");
    struct scaling_step again = scaling_step_of(&assumptions, &work, 8, 5);
    assert_true(step.sent == again.sent && step.exchanged == again.exchanged);
}

static void more_ranks_are_never_more_efficient(void **state) {
    (void)state;
    for (int levels = 1; levels <= 2; levels++) {
        struct scaling_assumptions assumptions = scaling_assumptions_default();
        assumptions.value[SCALING_levels] = levels;
        struct scaling_step before = scaling_step_of(&assumptions, &work, 1, 4);
        for (int n = 2; n <= 64; n *= 2) {
            struct scaling_step step = scaling_step_of(&assumptions, &work, n, 4);
            assert_true(step.efficiency < before.efficiency);
            assert_true(step.efficiency_overlap <= before.efficiency_overlap);
            assert_true(step.efficiency_overlap >= step.efficiency);
            assert_true(step.sent > before.sent);
            before = step;
        }
    }
}

static void slower_parts_make_longer_steps(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int n_ranks;
    } slower[] = {{"link=100", 8},        {"network=100", 64},
                  {"link_latency=50", 8}, {"network_latency=50", 64},
                  {"memory=100", 8},      {"through_host=1", 8}};
    for (int levels = 1; levels <= 2; levels++)
        for (size_t i = 0; i < sizeof slower / sizeof *slower; i++) {
            struct scaling_assumptions assumptions = scaling_assumptions_default();
            assumptions.value[SCALING_levels] = levels;
            struct scaling_step fast = scaling_step_of(&assumptions, &work, slower[i].n_ranks, 4);
            assume(&assumptions, slower[i].text);
            struct scaling_step slow = scaling_step_of(&assumptions, &work, slower[i].n_ranks, 4);
            assert_true(slow.without_overlap > fast.without_overlap);
            assert_true(slow.computed == fast.computed);
        }
}

static int64_t sent(const struct scaling_work *of, int n_parts, int n_ranks, int rank) {
    int64_t out = -1;
    assert_int_equal(scaling_bytes_sent(of, n_parts, n_ranks, rank, &out), ADELE_OK);
    return out;
}

static void bytes_are_whole_chunks(void **state) {
    (void)state;
    // 900 + 101 + 2 flags, in two chunks of 16s; and for 8 parts in eight.
    const struct scaling_work odd = {1.0, 900, 101, NULL, 0};
    assert_int_equal(scaling_vector_floats(&odd, 2), 1024);
    assert_int_equal(scaling_vector_floats(&odd, 8), 1024);
    assert_int_equal(scaling_vector_floats(&odd, 16), 1024);
    assert_int_equal(scaling_vector_floats(&odd, 32), 1536);
    // Buckets of 900 and 124: chunks of 464 and 436, 64 and 60; of seven times 128 and 4, of seven
    // times 16 and 12.
    assert_int_equal(sent(&odd, 2, 1, 0), 0);
    assert_int_equal(sent(&odd, 2, 2, 0), 4 * (436 + 464 + 60 + 64) + 8);
    assert_int_equal(sent(&odd, 2, 2, 1), 4 * (464 + 436 + 64 + 60) + 8);
    assert_int_equal(sent(&odd, 8, 8, 6), 4 * (772 + 7 * 128 + 108 + 7 * 16) + 7 * 8);
    assert_int_equal(sent(&odd, 8, 8, 7), 4 * (896 + 7 * 4 + 112 + 7 * 12) + 7 * 8);
    // Through the host: of the whole vector 1 or 7 chunks to the others, and as many sums.
    assert_int_equal(scaling_bytes_through_host(&odd, 2, 2), 4 * 2 * 512);
    assert_int_equal(scaling_bytes_through_host(&odd, 8, 8), 4 * 2 * 7 * 128);
    // The table has the mean of the ranks, without the 8 bytes.
    struct scaling_assumptions assumptions = scaling_assumptions_default();
    assume(&assumptions, "levels=1");
    for (int n = 1; n <= 64; n *= 2) {
        int64_t all = 0;
        for (int rank = 0; rank < n; rank++)
            all += sent(&odd, n, n, rank) - 8 * (n - 1);
        assert_near(scaling_step_of(&assumptions, &odd, n, 1).sent, (double)all / n);
    }
}

static void assumptions_are_checked(void **state) {
    (void)state;
    struct scaling_assumptions assumptions = scaling_assumptions_default();
    static const struct {
        const char *text, *part;
    } wrong[] = {{"speed=1", "NAME=VALUE"},       {"peak", "NAME=VALUE"},
                 {"pea=1", "NAME=VALUE"},         {"peak=", "from 0.001 to 1e+06"},
                 {"peak=fast", "from 0.001"},     {"peak=1x", "from 0.001"},
                 {"share=1.5", "from 0.01 to 1"}, {"share=nan", "from 0.01 to 1"},
                 {"machine=6", "power of two"},   {"adapters=1.5", "whole number"},
                 {"levels=3", "from 1 to 2"}};
    char message[160];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *error = scaling_assume(&assumptions, wrong[i].text, message);
        if (error == NULL || strstr(error, wrong[i].part) == NULL)
            fail_msg("%s: %s", wrong[i].text, error == NULL ? "accepted" : error);
    }
    struct scaling_assumptions untouched = scaling_assumptions_default();
    assert_memory_equal(&assumptions, &untouched, sizeof untouched);
    assume(&assumptions, "share=0.25");
    assert_true(assumptions.value[SCALING_share] == 0.25);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_rank_only_computes),
        cmocka_unit_test(ranks_of_one_machine),
        cmocka_unit_test(ranks_of_two_machines_in_one_level),
        cmocka_unit_test(ranks_of_two_machines_in_two_levels),
        cmocka_unit_test(buckets_overlap),
        cmocka_unit_test(latency_counts_messages),
        cmocka_unit_test(the_host_takes_part),
        cmocka_unit_test(more_ranks_are_never_more_efficient),
        cmocka_unit_test(slower_parts_make_longer_steps),
        cmocka_unit_test(bytes_are_whole_chunks),
        cmocka_unit_test(assumptions_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
