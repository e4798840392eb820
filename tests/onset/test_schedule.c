// SPDX-License-Identifier: MIT
// Which categories are corrected when: onset, frequency, all at once, the background.
#include "base/memory.h"
#include "onset/onset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#define EPOCHS 60

// Category 1 saturates early, category 2 late, category 3 never leaves 0; 0 is the background.
struct fixture {
    double series[4][EPOCHS];
    const double *iou[4];
    struct schedule_config config;
    struct schedule_state state;
    struct schedule_decision decision;
};

static void fixture_init(struct fixture *f, int every) {
    memset(f, 0, sizeof *f);
    for (int i = 0; i < EPOCHS; i++) {
        f->series[0][i] = 0.9 - 0.2 * exp(-i);
        f->series[1][i] = 0.8 * (1 - exp(-i / 2.0));
        f->series[2][i] = 0.9 * (1 - exp(-i / 8.0));
    }
    for (int c = 0; c < 4; c++)
        f->iou[c] = f->series[c];
    onset_config_init(&f->config.onset, ONSET_SEGTHOR);
    f->config.onset.n_epochs = EPOCHS;
    f->config.mode = SCHEDULE_PER_CATEGORY;
    f->config.every = every;
    f->config.n_categories = 4;
}

static void decide(struct fixture *f, int epoch) {
    assert_int_equal(schedule_decide(&f->config, epoch, epoch, f->iou, &f->state, &f->decision),
                     ADELE_OK);
}

// On from the epoch whose number less one reaches the onset; it stays on; once per ten epochs.
static void test_segthor(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 10);
    int n_corrected[4] = {0}, previous_on[4] = {0};
    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        decide(&f, epoch);
        bool any = false;
        for (int c = 1; c < 4; c++) {
            const struct onset_result *onset = &f.decision.onset[c];
            bool reached = onset->known && epoch - 1 >= onset->epoch;
            bool first = reached && !previous_on[c];
            assert_true(f.state.is_on[c] == (previous_on[c] || reached));
            if (first)
                assert_int_equal(f.state.onset_epoch[c], epoch);
            bool expect = f.state.is_on[c] && (first || epoch % 10 == 0);
            assert_int_equal(f.decision.correct[c], expect);
            any = any || expect;
            n_corrected[c] += f.decision.correct[c];
            previous_on[c] = f.state.is_on[c];
        }
        assert_int_equal(f.decision.any, any);
        assert_int_equal(f.decision.correct[0], any);
        assert_false(f.decision.onset[0].known);
    }
    assert_true(f.state.onset_epoch[1] > 0);
    assert_true(f.state.onset_epoch[1] < f.state.onset_epoch[2]);
    assert_true(f.state.onset_epoch[2] < EPOCHS);
    assert_int_equal(f.state.onset_epoch[3], 0);
    assert_int_equal(n_corrected[3], 0);
    assert_true(n_corrected[1] > n_corrected[2] && n_corrected[2] >= 2);
}

static void test_every_epoch(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        decide(&f, epoch);
        for (int c = 1; c < 4; c++)
            assert_int_equal(f.decision.correct[c], f.state.is_on[c]);
    }
    assert_true(f.state.is_on[1] && f.state.is_on[2]);
}

// every = 0: each category once, for good.
static void test_once(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 0);
    int n = 0;
    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        decide(&f, epoch);
        n += f.decision.correct[1];
    }
    assert_int_equal(n, 1);
}

// All foreground categories go on together, also the one that never learned anything.
static void test_all_from_mean(void **state) {
    (void)state;
    struct fixture f;
    struct onset_result want;
    double mean[EPOCHS];
    fixture_init(&f, 10);
    f.config.mode = SCHEDULE_ALL_FROM_MEAN;
    for (int i = 0; i < EPOCHS; i++)
        mean[i] = (f.series[1][i] + f.series[2][i] + f.series[3][i]) / 3;
    int first = 0;
    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        decide(&f, epoch);
        onset_find(&f.config.onset, epoch, mean, &want);
        for (int c = 1; c < 4; c++) {
            assert_int_equal(f.decision.onset[c].epoch, want.epoch);
            assert_int_equal(f.decision.correct[c], f.decision.correct[1]);
        }
        if (!first && f.decision.any)
            first = epoch;
    }
    assert_true(first > 0);
    assert_int_equal(f.state.onset_epoch[3], first);
    assert_false(f.state.is_on[0]);
}

// The same from the epoch in which the fastest category would have begun alone.
static void test_all_from_first(void **state) {
    (void)state;
    struct fixture alone, f;
    fixture_init(&alone, 10);
    fixture_init(&f, 10);
    f.config.mode = SCHEDULE_ALL_FROM_FIRST;
    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        decide(&alone, epoch);
        decide(&f, epoch);
        for (int c = 1; c < 4; c++) {
            assert_int_equal(f.decision.onset[c].epoch, alone.decision.onset[c].epoch);
            assert_int_equal(f.decision.correct[c], f.decision.correct[1]);
        }
    }
    int earliest = 0, n_later = 0;
    for (int c = 1; c < 4; c++)
        if (alone.state.onset_epoch[c] > 0 &&
            (earliest == 0 || alone.state.onset_epoch[c] < earliest))
            earliest = alone.state.onset_epoch[c];
    assert_true(earliest > 0);
    for (int c = 1; c < 4; c++) {
        assert_int_equal(f.state.onset_epoch[c], earliest);
        n_later += alone.state.onset_epoch[c] != earliest;
    }
    assert_true(n_later > 0); // or the two modes would be the same here
    assert_false(f.state.is_on[0]);
}

// A category without values (NaN) is left out of the mean and has no onset of its own.
static void test_nan_category(void **state) {
    (void)state;
    struct fixture f;
    for (enum schedule_mode mode = SCHEDULE_ALL_FROM_FIRST; mode <= SCHEDULE_PER_CATEGORY; mode++) {
        fixture_init(&f, 10);
        f.config.mode = mode;
        for (int i = 0; i < EPOCHS; i++)
            f.series[3][i] = NAN;
        for (int epoch = 1; epoch <= EPOCHS; epoch++)
            decide(&f, epoch);
        assert_true(f.state.is_on[1]);
        assert_int_equal(f.state.is_on[3], mode != SCHEDULE_PER_CATEGORY);
    }
    for (int c = 1; c < 4; c++)
        for (int i = 0; i < EPOCHS; i++)
            f.series[c][i] = NAN;
    memset(&f.state, 0, sizeof f.state);
    f.config.mode = SCHEDULE_ALL_FROM_MEAN;
    decide(&f, EPOCHS);
    assert_false(f.decision.any);
}

static void test_background_onset(void **state) {
    (void)state;
    struct fixture f;
    for (enum schedule_mode mode = SCHEDULE_ALL_FROM_FIRST; mode <= SCHEDULE_PER_CATEGORY; mode++) {
        fixture_init(&f, 10);
        f.config.has_background_onset = true;
        f.config.mode = mode;
        // Below the background's own curve, so that its onset is its own.
        for (int i = 0; i < EPOCHS; i++)
            f.series[0][i] = 0.8 * (1 - exp(-i / 3.0));
        for (int epoch = 1; epoch <= EPOCHS; epoch++)
            decide(&f, epoch);
        assert_true(f.decision.onset[0].known);
        assert_true(f.state.is_on[0]);
        if (mode == SCHEDULE_PER_CATEGORY)
            assert_true(f.state.onset_epoch[0] > f.state.onset_epoch[1]);
        else
            assert_int_equal(f.state.onset_epoch[0], f.state.onset_epoch[1]);
    }
}

// Stopping after any epoch and going on from the saved state decides the same.
static void test_resume(void **state) {
    (void)state;
    struct fixture whole, parts;
    fixture_init(&whole, 10);
    fixture_init(&parts, 10);
    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        struct schedule_state saved = parts.state;
        fixture_init(&parts, 10);
        parts.state = saved;
        decide(&whole, epoch);
        decide(&parts, epoch);
        assert_memory_equal(whole.decision.correct, parts.decision.correct,
                            sizeof whole.decision.correct);
        assert_memory_equal(&whole.state, &parts.state, sizeof whole.state);
    }
}

static void test_nothing_known(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 10);
    for (enum schedule_mode mode = SCHEDULE_ALL_FROM_FIRST; mode <= SCHEDULE_PER_CATEGORY; mode++) {
        f.config.mode = mode;
        assert_int_equal(schedule_decide(&f.config, 10, 0, f.iou, &f.state, &f.decision), ADELE_OK);
        assert_false(f.decision.any);
    }
}

static void test_out_of_memory(void **state) {
    (void)state;
    struct fixture f, kept;
    fixture_init(&f, 10);
    f.config.mode = SCHEDULE_ALL_FROM_MEAN;
    kept = f;
    memory_fail_at(0);
    adele_status status = schedule_decide(&f.config, EPOCHS, EPOCHS, f.iou, &f.state, &f.decision);
    memory_fail_at(-1);
    assert_int_equal(status, ADELE_NO_MEMORY);
    assert_memory_equal(&f.state, &kept.state, sizeof f.state);
    decide(&f, EPOCHS);
    assert_true(f.decision.any);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segthor),
        cmocka_unit_test(test_every_epoch),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_all_from_mean),
        cmocka_unit_test(test_all_from_first),
        cmocka_unit_test(test_nan_category),
        cmocka_unit_test(test_background_onset),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
