// SPDX-License-Identifier: MIT
#include "support/op_errors.h"
#include "support/op_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// n, c, h, w
static const int cases[][4] = {
    {1, 1, 1, 1},  {2, 3, 5, 7},  {1, 7, 3, 2},   {1, 8, 4, 4},    {3, 9, 2, 3},
    {1, 15, 5, 5}, {2, 16, 3, 3}, {1, 17, 11, 1}, {2, 21, 13, 17},
};
#define N_CASES (sizeof cases / sizeof cases[0])

static struct adele_dropout_desc desc_of(const int *row, double rate, bool per_channel) {
    return (struct adele_dropout_desc){.n = row[0],
                                       .c = row[1],
                                       .h = row[2],
                                       .w = row[3],
                                       .rate = rate,
                                       .per_channel = per_channel,
                                       .seed = 0x123456789ABCULL,
                                       .stream = 5};
}

static const int32_t ids[3] = {70001, 2, 9};

static void open_run(struct op_run *run, struct adele_device *device,
                     struct adele_dropout_desc desc, bool accumulate) {
    struct problem problem;
    problem_dropout(&desc, &problem);
    problem_accumulate(&problem, accumulate);
    op_open(run, device, &problem);
}

// The same bits where tensors are float: one product each, and which are dropped is integer work.
static void check(struct adele_device *device, struct adele_dropout_desc desc, bool is_active,
                  bool with_ids, bool accumulate) {
    struct op_run run;
    double tolerance = device_tolerance(device, 1e-6);
    open_run(&run, device, desc, accumulate);
    run.host.dropout.is_active = run.device.dropout.is_active = is_active;
    if (with_ids)
        op_set(&run, "sample_ids", ids);
    else
        run.host.dropout.sample_ids = run.device.dropout.sample_ids = NULL;
    op_check_forward(&run, 1e-6, tolerance);
    op_check_backward(&run, 1e-6, tolerance);
    op_close(&run);
}

static void check_shapes(struct adele_device *device) {
    for (size_t i = 0; i < N_CASES; i++)
        for (int flags = 0; flags < 8; flags++)
            check(device, desc_of(cases[i], flags % 2 == 1 ? 0.5 : 0.3, flags / 2 % 2 == 1), true,
                  flags >= 4, flags % 3 == 0);
}

static void check_off(struct adele_device *device) {
    check(device, desc_of(cases[1], 0.5, false), false, true, false);
    check(device, desc_of(cases[4], 0.5, true), false, false, true);
    check(device, desc_of(cases[4], 0.0, false), true, false, false);
}

// ---- what is drawn ------------------------------------------------------------------------------

// Dropped values of a tensor of ones, as 0, others as their factor.
static void draw(struct adele_device *device, struct adele_dropout_desc desc, uint32_t epoch,
                 const int32_t *of_ids, float *out) {
    struct op_run run;
    open_run(&run, device, desc, false);
    struct adele_shape shape = {desc.n, desc.c, desc.h, desc.w};
    for (size_t i = 0; i < shape_count(shape); i++)
        op_values(&run, "src")[i] = 1.0F;
    op_set(&run, "src", NULL);
    op_set(&run, "sample_ids", of_ids);
    run.device.dropout.epoch = epoch;
    op_forward(&run);
    memcpy(out, op_result(&run, "dst"), shape_count(shape) * sizeof *out);
    op_close(&run);
}

#define N_DRAWN (2 * 21 * 13 * 17)

static int differences(const float *a, const float *b, int n) {
    int count = 0;
    for (int i = 0; i < n; i++)
        count += a[i] != b[i];
    return count;
}

// The share that is dropped; a row depends on its sample, the epoch, the seed and the stream, and
// on nothing else.
static void check_draws(struct adele_device *device) {
    static float first[N_DRAWN], other[N_DRAWN];
    const int half = N_DRAWN / 2;
    struct adele_dropout_desc desc = desc_of(cases[8], 0.25, false);
    draw(device, desc, 1, (const int32_t[]){4, 7}, first);
    int n_dropped = 0;
    for (int i = 0; i < N_DRAWN; i++) {
        n_dropped += first[i] == 0.0F;
        assert_true(first[i] == 0.0F || fabs((double)first[i] - 4.0 / 3.0) < 0.005);
    }
    double share = (double)n_dropped / N_DRAWN; // a standard deviation is 0.0045
    assert_true(fabs(share - 0.25) < 0.02);
    assert_true(differences(first, first + half, half) > half / 4);
    draw(device, desc, 1, (const int32_t[]){7, 4}, other);
    assert_int_equal(differences(first, other + half, half), 0);
    assert_int_equal(differences(first + half, other, half), 0);
    draw(device, desc, 2, (const int32_t[]){4, 7}, other);
    assert_true(differences(first, other, N_DRAWN) > N_DRAWN / 4);
    desc.stream++;
    draw(device, desc, 1, (const int32_t[]){4, 7}, other);
    assert_true(differences(first, other, N_DRAWN) > N_DRAWN / 4);
    desc.stream--;
    desc.seed += 1ULL << 32;
    draw(device, desc, 1, (const int32_t[]){4, 7}, other);
    assert_true(differences(first, other, N_DRAWN) > N_DRAWN / 4);
}

static void check_whole_channels(struct adele_device *device) {
    static float drawn[N_DRAWN];
    draw(device, desc_of(cases[8], 0.5, true), 1, (const int32_t[]){4, 7}, drawn);
    int n_dropped = 0;
    for (int plane = 0; plane < 2 * 21; plane++) {
        const float *at = drawn + (size_t)plane * 13 * 17;
        n_dropped += at[0] == 0.0F;
        for (int i = 1; i < 13 * 17; i++)
            assert_true(at[i] == at[0]);
    }
    assert_in_range(n_dropped, 9, 33); // 21, within 3.7 standard deviations
}

// ---- misuse -------------------------------------------------------------------------------------

static void check_bad_descriptors(struct adele_device *device) {
    struct adele_dropout_desc good = desc_of(cases[1], 0.5, false), bad[7];
    for (int i = 0; i < 7; i++)
        bad[i] = good;
    bad[0].n = 0;
    bad[1].c = 0;
    bad[2].w = -1;
    bad[3].rate = 1.0;
    bad[4].rate = -0.1;
    bad[5].rate = NAN;
    bad[6].stream = ADELE_MAX_DROPOUT_STREAM + 1;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        op_check_refused(device, ADELE_OP_dropout, &bad[i]);
    op_check_allocations(device, ADELE_OP_dropout, &good);
}

ON_EACH_DEVICE(shapes)
ON_EACH_DEVICE(off)
ON_EACH_DEVICE(draws)
ON_EACH_DEVICE(whole_channels)
ON_EACH_DEVICE(bad_descriptors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),          cmocka_unit_test(test_off),
        cmocka_unit_test(test_draws),           cmocka_unit_test(test_whole_channels),
        cmocka_unit_test(test_bad_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
