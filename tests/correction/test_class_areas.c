// SPDX-License-Identifier: MIT
// correction.calibrate: the factors of the classes' areas beside plain sums, on a tiny set whose
// maps and labels this test writes, and what they do to the decision.
#include "correction/class_areas.h"

#include "base/half.h"
#include "base/memory.h"
#include "correction/correction_ensemble.h"
#include "run/trainer_state.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SETTINGS                                                                                   \
    "correction.method=ensemble", "correction.at=0.5", "loss.form=plain", "train.epochs=4"
#define N_CLASSES 3

struct made {
    struct config *config;
    struct trainer *trainer;
    struct ensemble *ensemble;
    uint16_t *maps;  // (images, C, h, w)
    uint8_t *labels; // (images, h, w)
    size_t n_pixels; // of an image
    int n_images;
};

static struct made make(void *const *state, const char *calibrate) {
    struct made made = {.config = tiny_run_config(state, SETS(SETTINGS, calibrate))};
    struct trainer_options options = {
        .config = made.config, .run_folder = scratch_path(state, calibrate), .device = "cpu"};
    check_ok(trainer_create(&options, &made.trainer));
    made.ensemble = &made.trainer->corrector.ensemble->ensemble;
    const struct adele_sample_set *set = &made.ensemble->data->resident[SPLIT_TRAIN].set;
    made.n_images = set->n_images;
    made.n_pixels = (size_t)set->h * (size_t)set->w;
    // On the CPU, device memory is memory.
    made.labels = (uint8_t *)(uintptr_t)made.ensemble->data->resident[SPLIT_TRAIN].noisy;
    assert_int_equal(made.ensemble->logits.h, set->h); // an element of the maps is a pixel
    assert_int_equal(made.ensemble->logits.w, set->w);
    check_ok(ALLOCATE(&made.maps, (size_t)made.n_images * N_CLASSES * made.n_pixels));
    return made;
}

static void destroy(struct made *made) {
    trainer_destroy(made->trainer);
    config_destroy(made->config);
    memory_free(made->maps);
}

// Every fifth pixel has no label. Class 1 has labels in the first image alone; class 2 has a label
// at one pixel of 200.
static void fill(struct made *made) {
    static const float shares[N_CLASSES] = {0.16f, 0.003f, 0.06f}; // of a scale of 10
    for (size_t i = 0; i < (size_t)made->n_images * made->n_pixels; i++) {
        uint8_t label = i < made->n_pixels && i % 3 == 0 ? 1 : i % 200 == 1 ? 2 : 0;
        size_t map = i / made->n_pixels * N_CLASSES * made->n_pixels + i % made->n_pixels;
        made->labels[i] = i % 5 == 4 ? ADELE_IGNORE : label;
        for (size_t c = 0; c < N_CLASSES; c++) {
            float q = (float)((i * (c + 3) + c) % 11) / 10.0f; // half on average
            made->maps[map + c * made->n_pixels] = half_from_float(q * shares[c]);
        }
    }
    check_ok(ensemble_restore(made->ensemble, made->maps));
}

// The scale of the maps after one epoch is 1 / (1 - beta) = 10.
static double factor_of(const struct made *made, uint8_t c) {
    double labelled = 0.0, probable = 0.0;
    for (size_t i = 0; i < (size_t)made->n_images * made->n_pixels; i++) {
        size_t map = (i / made->n_pixels * N_CLASSES + c) * made->n_pixels + i % made->n_pixels;
        if (made->labels[i] == ADELE_IGNORE)
            continue;
        labelled += made->labels[i] == c;
        probable += 10.0 * (double)half_to_float(made->maps[map]);
    }
    return sqrt(labelled / probable);
}

static void factors_come_from_all_pixels_with_a_label(void **state) {
    struct made made = make(state, "correction.calibrate=true");
    fill(&made);
    check_ok(class_areas_apply(made.ensemble, 1));
    assert_true(made.ensemble->is_calibrated);
    for (uint8_t c = 0; c < N_CLASSES; c++) {
        double wanted = factor_of(&made, c);
        wanted = fmin(fmax(wanted, 0.5), 2.0);
        if (!(fabs((double)made.ensemble->area_factors[c] - wanted) <= 1e-5 * wanted))
            fail_msg("class %d: %g, wanted %g", c, (double)made.ensemble->area_factors[c], wanted);
    }
    for (uint8_t c = 0; c < 2; c++) // at neither limit
        assert_true(factor_of(&made, c) > 0.5 && factor_of(&made, c) < 2.0);
    assert_true(made.ensemble->area_factors[2] == 0.5f); // the least
    destroy(&made);
}

static void nothing_and_what_is_not_finite_change_nothing(void **state) {
    static const uint16_t bad[] = {0x7E00, 0xFE00, 0x7C00, 0xFC00}; // NaN and infinity
    struct made made = make(state, "correction.calibrate=true");
    fill(&made);
    for (size_t i = 0; i < made.n_pixels; i++) // of class 1, all of the first image
        made.maps[made.n_pixels + i] = bad[i % 4];
    for (int i = 1; i < made.n_images; i++)
        memset(made.maps + ((size_t)i * N_CLASSES + 1) * made.n_pixels, 0,
               made.n_pixels * sizeof *made.maps);
    check_ok(ensemble_restore(made.ensemble, made.maps));
    check_ok(class_areas_apply(made.ensemble, 1));
    assert_true(made.ensemble->area_factors[1] == 1.0f);
    destroy(&made);
}

static size_t count_class(const struct made *made, uint8_t c) {
    size_t n = 0;
    check_ok(ensemble_decide(made->ensemble, 1, false, made->ensemble->decided));
    for (size_t i = 0; i < (size_t)made->n_images * made->n_pixels; i++)
        n += made->ensemble->decided[i] == c;
    return n;
}

// The class that the maps have too much of becomes smaller, and only where that is asked for.
static void the_decision_follows_the_factors(void **state) {
    struct made made = make(state, "correction.calibrate=true");
    fill(&made);
    size_t before = count_class(&made, 2);
    check_ok(class_areas_apply(made.ensemble, 1));
    assert_true(count_class(&made, 2) < before);
    check_ok(ensemble_close(made.ensemble)); // and a new ensemble begins without factors
    fill(&made);
    assert_int_equal(count_class(&made, 2), before);
    destroy(&made);
    made = make(state, "correction.calibrate=false");
    fill(&made);
    check_ok(class_areas_apply(made.ensemble, 1));
    assert_false(made.ensemble->is_calibrated);
    assert_int_equal(count_class(&made, 2), before);
    destroy(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_come_from_all_pixels_with_a_label),
        cmocka_unit_test(nothing_and_what_is_not_finite_change_nothing),
        cmocka_unit_test(the_decision_follows_the_factors),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
