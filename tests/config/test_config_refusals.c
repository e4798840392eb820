// SPDX-License-Identifier: MIT
// Values of a configuration that are refused, alone or together, and what the message says.
#include "base/memory.h"
#include "config/config.h"
#include "config/key_table.h"
#include "support/config_texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_each_number_has_its_range(void **state) {
    (void)state;
    static const char *const sets[] = {"train.epochs=0",
                                       "train.epochs=1e3",
                                       "train.epochs=3.0",
                                       "train.epochs=x",
                                       "train.epochs= 3 4",
                                       "train.epochs=99999999999999999999",
                                       "train.batch=-1",
                                       "train.optimizer.lr=0",
                                       "train.optimizer.lr=nan",
                                       "train.optimizer.lr=inf",
                                       "train.optimizer.lr=-1",
                                       "train.optimizer.lr=0x1p-3",
                                       "train.optimizer.lr=1,5",
                                       "train.seed=-1",
                                       "train.seed=18446744073709551616",
                                       "train.precision=fp64",
                                       "train.evaluate_test=yes",
                                       "train.optimizer.name=adam",
                                       "train.optimizer.betas=[0.9, 1]",
                                       "correction.beta=0.9995",
                                       "train.optimizer.eps=0",
                                       "loss.rho=1.01",
                                       "loss.scales=[1, 0]",
                                       "loss.scales=[1, 2, 3, 4, 3]",
                                       "loss.class_weights=[1, -1]",
                                       "loss.class_weights=[1, inverse]",
                                       "loss.class_weights=[0, 0]",
                                       "loss.class_weights=balanced",
                                       "train.warmup_epochs=-1",
                                       "train.patience=-1",
                                       "correction.r=0",
                                       "correction.r=1.5",
                                       "correction.rule=Both",
                                       "data.size=[256]",
                                       "data.size=[256, 256, 256]",
                                       "data.size=[-1, 256]",
                                       "data.size=[1.5, 2]",
                                       "data.memory_limit_mb=0",
                                       "data.label_map_other=256",
                                       "data.augment.scale=[0.8]",
                                       "model.width=0"};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        char key[64], name[128];
        (void)snprintf(key, sizeof key, "%.*s is \"", (int)strcspn(sets[i], "="), sets[i]);
        assert_refused(ROOT, sets[i], key);
        assert_non_null(strstr(adele_error_message(), "allowed: "));
        (void)snprintf(name, sizeof name, "--set %s: ", sets[i]); // not the file
        assert_int_equal(strncmp(adele_error_message(), name, strlen(name)), 0);
    }
}

static void test_class_weights_are_numbers_or_a_word(void **state) {
    (void)state;
    static const struct {
        const char *set, *line;
        int n;
    } cases[] = {{NULL, "  class_weights: []\n", 0},
                 {"loss.class_weights=[0, 2.5, 1]", "  class_weights: [0, 2.5, 1]\n", 3},
                 {"loss.class_weights=inverse", "  class_weights: inverse\n", -1},
                 {"loss.class_weights=[]", "  class_weights: []\n", 0},
                 {"loss.class_weights=", "  class_weights: []\n", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = NULL;
        struct config *c = parse_ok(ROOT, cases[i].set != NULL, &cases[i].set);
        assert_int_equal(c->loss.n_class_weights, cases[i].n);
        assert_int_equal(config_to_yaml(c, &text), ADELE_OK);
        assert_non_null(strstr(text, cases[i].line));
        config_destroy(c);
        c = parse_ok(text, 0, NULL); // what a run writes is read again
        assert_int_equal(c->loss.n_class_weights, cases[i].n);
        config_destroy(c);
        memory_free(text);
    }
    struct config *c = parse_ok(ROOT, 1, &cases[1].set);
    assert_true(c->loss.class_weights[0] == 0.0 && c->loss.class_weights[1] == 2.5);
    config_destroy(c);
    char many[2048] = "loss.class_weights=[1";
    for (int i = 0; i < ADELE_MAX_CATEGORIES; i++)
        strcat(many, ",1");
    strcat(many, "]");
    assert_refused(ROOT, many, "a longer list than there can be classes");
}

static void test_keys_are_checked_together(void **state) {
    (void)state;
    assert_refused(ROOT, "data.size=[0, 256]", "data.size is [0, 256]");
    assert_refused(ROOT, "data.noise.iterations=[4, 2]", "data.noise.iterations is [4, 2]");
    assert_refused(ROOT, "data.augment.scale=[1.5, 0.8]", "data.augment.scale is [1.5, 0.8]");
    assert_refused(ROOT, "data.noise.corners=[8, 4]", "data.noise.corners is [8, 4]");
    assert_refused(ROOT, "loss.scales=[0.7, 1.0]", "loss.scales begins with 0.7");
    assert_refused(ROOT, "model.init=weights.pth", "model.init is \"weights.pth\"");
    assert_refused("data: {root: /d, noisy_labels: /n}\n", "data.noise.kind=flip",
                   "data.noisy_labels is /n");
    struct config *c =
        parse_ok("data: {root: /d, size: [0, 0]}\nmodel: {init: w.safetensors}\n", 0, NULL);
    assert_int_equal(c->data.size[0], 0);
    config_destroy(c);
}

static void test_an_optimizer_has_its_own_keys(void **state) {
    (void)state;
    assert_refused_when_new(ROOT, "train.optimizer.betas=[0.8, 0.99]",
                            "train.optimizer.betas is set, but train.optimizer.name is sgd");
    assert_refused_when_new(ROOT, "train.optimizer.eps=1e-6", "train.optimizer.eps is set");
    assert_refused_when_new("data: {root: /d}\ntrain: {optimizer: {name: adamw}}\n",
                            "train.optimizer.momentum=0.9",
                            "train.optimizer.momentum is set, but train.optimizer.name is adamw");
    const char *const sets[] = {"train.optimizer.name=adamw", "train.optimizer.betas=[0.8, 0.99]",
                                "train.optimizer.momentum=0.99"}; // the default, which does nothing
    struct config *c = parse_ok(ROOT, 3, sets);
    assert_int_equal(c->train.optimizer, OPTIMIZER_ADAMW);
    assert_true(c->train.betas[0] == 0.8 && c->train.betas[1] == 0.99 && c->train.eps == 1e-8);
    config_destroy(c);
}

static void test_the_ensemble_has_its_own_keys(void **state) {
    (void)state;
    assert_refused("data: {root: /d, size: [0, 0], patch: [32, 32]}\n",
                   "correction={method: ensemble, source: inference}", "data.patch is [32, 32]");
    assert_refused(ROOT, "train.evaluate_averaged=true", "train.average is false");
    struct config *c = parse_ok(ROOT, 0, NULL);
    assert_true(config_has_adele(c) && !c->train.average && !c->train.evaluate_averaged);
    config_destroy(c);
    const char *const sets[] = {"correction.method=ensemble", "correction.tau=0.5"};
    c = parse_ok(ROOT, 2, sets);
    assert_true(config_has_ensemble(c) && c->train.average && c->train.evaluate_averaged);
    assert_true(c->correction.at == 1.0 / 3.0 && c->correction.beta == 0.9);
    assert_true(c->correction.guide == 0.06 && c->correction.guide_eps == 1e-3);
    assert_int_equal(c->correction.decision, ADELE_AREA_THRESHOLDS);
    assert_int_equal(c->correction.timing, TIMING_FIXED);
    config_destroy(c);
    const char *const off[] = {"correction.method=ensemble", "train.average=false"};
    c = parse_ok(ROOT, 2, off);
    assert_true(!c->train.average && !c->train.evaluate_averaged);
    config_destroy(c);
    const char *const on[] = {"train.average=true", "correction.enabled=false",
                              "correction.at=0.5"}; // nothing is corrected at all
    c = parse_ok(ROOT, 3, on);
    assert_true(c->train.evaluate_averaged && !config_has_adele(c));
    config_destroy(c);
}

static void test_the_gate_needs_the_decision_by_area(void **state) {
    (void)state;
    const char *const sets[] = {"correction.method=ensemble", "correction.decision=argmax",
                                "correction.gate=false"};
    assert_refused("data: {root: /d}\ncorrection: {method: ensemble}\n", sets[1],
                   "correction.decision is argmax, but correction.gate: true");
    assert_string_equal(adele_error_hint(),
                        "Set correction.gate: false, or correction.decision: area.");
    config_destroy(parse_ok(ROOT, 3, sets));
}

// A null counts as not written.
static void test_what_is_scored_follows_the_average(void **state) {
    (void)state;
    static const char *const averages[] = {"train.average=true", "train.average=false"};
    for (int i = 0; i < 4; i++) {
        const char *const sets[] = {averages[i % 2], "train.evaluate_averaged=null",
                                    i < 2 ? "correction.method=adele"
                                          : "correction.method=ensemble"};
        struct config *c = parse_ok(ROOT, 3, sets);
        assert_true(c->train.evaluate_averaged == (i % 2 == 0));
        config_destroy(c);
    }
}

static void test_keys_that_a_method_ignores(void **state) {
    (void)state;
    static const struct {
        const char *set, *keys;
    } cases[] = {{"correction={method: ensemble}", ""},
                 {"correction={method: ensemble, pipeline: voc}", ""},
                 {"correction={method: ensemble, tau: 0.5, veto: 0, rule: single}",
                  "correction.rule, correction.tau, correction.veto"},
                 {"correction={method: ensemble, timing: onset, min_points: 3}", ""},
                 {"correction={method: ensemble, timing: onset, at: 0.5}",
                  "correction.at (with correction.timing: onset)"},
                 {"correction={tau: 0.5}", ""},
                 {"correction={at: 0.5, timing: onset, decision: argmax}",
                  "correction.at, correction.timing, correction.decision"},
                 {"correction={enabled: false, at: 0.5}", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char keys[512];
        struct config *c = parse_ok(ROOT, 1, &cases[i].set);
        assert_int_equal(config_ignored_keys(c, keys, sizeof keys), ADELE_OK);
        assert_string_equal(keys, cases[i].keys);
        assert_int_equal(config_check_new(c), ADELE_OK);
        config_destroy(c);
    }
}

// Earlier versions have trained so, and their runs are still read.
static void test_noise_of_true_labels_is_refused_for_a_new_run(void **state) {
    (void)state;
    struct config *c = parse_ok("data: {root: /data, noise: {kind: flip}}\n", 0, NULL);
    assert_int_equal(config_check_new(c), ADELE_OK);
    config_destroy(c);
    c = parse_ok("data: {root: /data, true_labels: /true, noise: {kind: flip}}\n", 0, NULL);
    assert_int_equal(config_check_new(c), ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "data.true_labels is /true"));
    config_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_number_has_its_range),
        cmocka_unit_test(test_class_weights_are_numbers_or_a_word),
        cmocka_unit_test(test_keys_are_checked_together),
        cmocka_unit_test(test_an_optimizer_has_its_own_keys),
        cmocka_unit_test(test_the_ensemble_has_its_own_keys),
        cmocka_unit_test(test_the_gate_needs_the_decision_by_area),
        cmocka_unit_test(test_what_is_scored_follows_the_average),
        cmocka_unit_test(test_keys_that_a_method_ignores),
        cmocka_unit_test(test_noise_of_true_labels_is_refused_for_a_new_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
