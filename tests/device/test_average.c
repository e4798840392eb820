// SPDX-License-Identifier: MIT
#include "base/memory.h"
#include "reference/reference.h"
#include "support/op_errors.h"
#include "support/op_run.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void open_run(struct op_run *run, struct adele_device *device, int64_t n, float decay) {
    struct problem problem;
    problem_average(&(struct adele_average_desc){n}, &problem);
    problem.args.average.decay = decay;
    op_open(run, device, &problem);
}

// Values of size 1, and three roundings: 4e-7.
static void check_size(struct adele_device *device, int64_t n, float decay) {
    struct op_run run;
    open_run(&run, device, n, decay);
    memory_fail_at(-1);
    for (int step = 0; step < 3; step++) {
        op_forward(&run);
        reference_average_forward(&run.problem.desc.average, &run.host.average);
    }
    assert_int_equal(memory_count(), 0);
    op_compare(&run, "average", NULL, 4e-7, 0.0);
    op_compare_bits(&run, "values", op_values(&run, "values"));
    op_close(&run);
}

// Around a block of threads, and around the chunk of a CPU's thread.
static void check_sizes(struct adele_device *device) {
    static const int64_t sizes[] = {1, 7, 255, 256, 257, 16383, 16384, 16385, 40009};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_size(device, sizes[i], 0.99f);
}

// All powers of two: exact. Decay 1 keeps the average, decay 0 takes the values.
static void check_literal(struct adele_device *device) {
    static const float average[] = {1.0f, -2.0f, 0.0f}, values[] = {2.0f, 2.0f, -4.0f};
    static const float wanted[3][3] = {
        {1.25f, -1.0f, -1.0f}, {1.0f, -2.0f, 0.0f}, {2.0f, 2.0f, -4.0f}};
    static const float decays[] = {0.75f, 1.0f, 0.0f};
    for (int i = 0; i < 3; i++) {
        struct op_run run;
        open_run(&run, device, 3, decays[i]);
        op_set(&run, "average", average);
        op_set(&run, "values", values);
        op_forward(&run);
        op_compare_bits(&run, "average", wanted[i]);
        op_close(&run);
    }
}

// Behind an update that was skipped, nothing; behind one that was done, also when others before it
// were skipped, the average moves.
static void check_health(struct adele_device *device) {
    for (int64_t is_skipped = 0; is_skipped < 2; is_skipped++) {
        int64_t health[ADELE_HEALTH_COUNT] = {5, 2, 1, -1, is_skipped};
        struct op_run run;
        open_run(&run, device, 300, 0.5f);
        for (int i = 0; i < 300; i++) {
            op_values(&run, "average")[i] = 1.0f;
            op_values(&run, "values")[i] = 3.0f;
        }
        op_set(&run, "average", NULL);
        op_set(&run, "values", NULL);
        run.host.average.health = health;
        run.device.average.health = arena_upload(&run.arena, health, sizeof health);
        op_forward(&run);
        reference_average_forward(&run.problem.desc.average, &run.host.average);
        assert_true(op_values(&run, "average")[299] == (is_skipped ? 1.0f : 2.0f));
        op_compare_bits(&run, "average", op_values(&run, "average"));
        op_close(&run);
    }
}

static void check_errors(struct adele_device *device) {
    static const int64_t bad[] = {0, -1};
    for (int i = 0; i < 2; i++) {
        struct adele_average_desc desc = {bad[i]};
        op_check_refused(device, ADELE_OP_average, &desc);
    }
    struct adele_average_desc good = {3};
    op_check_allocations(device, ADELE_OP_average, &good);
}

ON_EACH_DEVICE(sizes)
ON_EACH_DEVICE(literal)
ON_EACH_DEVICE(health)
ON_EACH_DEVICE(errors)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
