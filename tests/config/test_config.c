// SPDX-License-Identifier: MIT
// The configuration: defaults, presets, overrides, every refusal with its place, and the round
// trip.
#include "base/file.h"
#include "base/memory.h"
#include "config/config.h"
#include "config/key_table.h"
#include "support/config_texts.h"
#include "support/scratch.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- defaults and presets -----------------------------------------------------------------------

static void test_defaults(void **state) {
    (void)state;
    struct config *c = parse_ok(ROOT, 0, NULL);
    assert_string_equal(c->name, "run");
    assert_string_equal(c->source_path, "run.yaml");
    assert_string_equal(c->data.root, "/d");
    assert_int_equal(c->data.layout, LAYOUT_AUTO);
    assert_null(c->data.split[SPLIT_TRAIN]);
    assert_int_equal(c->data.size[0], 256);
    assert_int_equal(c->data.size[1], 256);
    assert_null(c->data.noisy_labels);
    assert_int_equal(c->data.n_label_map, 0);
    assert_int_equal(c->data.map_other, -1);
    assert_true(c->data.foreground_slices_only);
    assert_int_equal(c->data.memory_limit_mb, 4096);
    assert_int_equal(c->data.noise.kind, NOISE_NONE);
    assert_int_equal(c->data.noise.iterations_low, 2);
    assert_int_equal(c->data.noise.iterations_high, 4);
    assert_true(c->data.noise.flip_fraction == 0.05);
    assert_false(c->data.augment.enabled);
    assert_true(c->data.augment.scale_low == 0.8 && c->data.augment.scale_high == 1.5);
    assert_true(c->data.augment.rotate_degrees == 45.0 && c->data.augment.translate == 0.1);
    assert_string_equal(c->model.name, "unet");
    assert_int_equal(c->model.width, 64);
    assert_string_equal(c->model.init, "default");
    assert_int_equal(c->train.epochs, 100);
    assert_int_equal(c->train.batch, 5);
    assert_true(c->train.lr == 0.01 && c->train.momentum == 0.99 && c->train.weight_decay == 0.0);
    assert_int_equal(c->train.schedule, SCHEDULE_CONSTANT);
    assert_int_equal(c->train.select, SELECT_BEST_VAL);
    assert_int_equal(c->train.precision, ADELE_PRECISION_FP32);
    assert_false(c->train.evaluate_test);
    assert_int_equal(c->loss.form, ADELE_LOSS_PROGRAM);
    assert_int_equal(c->loss.n_scales, 3);
    assert_true(c->loss.scales[0] == 1.0 && c->loss.scales[1] == 0.7 && c->loss.scales[2] == 1.5);
    assert_true(c->loss.lambda == 1.0 && c->loss.rho == 0.8 && c->loss.divisor == 3.0);
    assert_true(c->correction.enabled && c->correction.per_category);
    assert_int_equal(c->correction.smooth, 1);
    assert_int_equal(c->correction.min_points, 8);
    assert_false(c->correction.while_rising);
    assert_true(c->correction.veto == 0.12);
    assert_false(c->train.drop_last);
    config_destroy(c);
    config_destroy(NULL);
}

static void test_pipelines_give_their_presets(void **state) {
    (void)state;
    struct config *s = parse_ok(ROOT "correction: {pipeline: segthor}\n", 0, NULL);
    struct config *v = parse_ok(ROOT "correction: {pipeline: voc}\n", 0, NULL);
    assert_true(s->correction.r == 0.9 && v->correction.r == 0.9);
    assert_true(s->correction.tau == 0.7 && v->correction.tau == 0.8);
    assert_true(s->correction.tau_background == 0.7 && v->correction.tau_background == 0.8);
    assert_int_equal(s->correction.every, 10);
    assert_int_equal(v->correction.every, 1);
    assert_int_equal(s->correction.rule, ADELE_CORRECT_BOTH);
    assert_int_equal(v->correction.rule, ADELE_CORRECT_SINGLE);
    assert_int_equal(s->correction.base, BASE_CURRENT);
    assert_int_equal(v->correction.base, BASE_ORIGINAL);
    assert_int_equal(s->correction.source, SOURCE_TRAINING_PASS);
    assert_int_equal(v->correction.source, SOURCE_INFERENCE);
    assert_true(!s->correction.guard && v->correction.guard);
    assert_int_equal(s->correction.average, ADELE_ENSEMBLE_PROBABILITIES);
    assert_int_equal(v->correction.average, ADELE_ENSEMBLE_LOGITS);
    assert_true(s->correction.temperature == 1.0 && v->correction.temperature == 3.0);
    assert_true(s->correction.scales[0] == 1.0 && v->correction.scales[0] == 0.75);
    assert_true(s->correction.crf_iterations == 0 && v->correction.crf_iterations == 1);
    assert_true(s->correction.crf_from_epoch == 1 && v->correction.crf_from_epoch == 10);
    assert_true(s->loss.divisor == 3.0 && v->loss.divisor == 1.0);
    config_destroy(s);
    config_destroy(v);
}

static void test_written_keys_win_over_presets(void **state) {
    (void)state;
    // The pipeline stands behind the keys whose defaults it decides.
    struct config *c = parse_ok(ROOT "correction:\n  tau: 0.65\n  guard: false\n  every: 4\n"
                                     "  tau_background: 0.6\n  scales: [0.5]\n"
                                     "  average: probabilities\n  pipeline: voc\n"
                                     "loss: {form: paper, divisor: 2}\n",
                                0, NULL);
    assert_true(c->correction.tau == 0.65 && c->correction.tau_background == 0.6);
    assert_false(c->correction.guard);
    assert_int_equal(c->correction.every, 4);
    assert_int_equal(c->correction.n_scales, 1);
    assert_true(c->correction.temperature == 1.0);
    assert_true(c->loss.divisor == 2.0);
    config_destroy(c);
    c = parse_ok(ROOT "loss: {form: paper}\ncorrection: {average: logits}\n", 0, NULL);
    assert_true(c->loss.divisor == 1.0);
    assert_true(c->correction.temperature == 3.0);
    config_destroy(c);
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

// The name that earlier versions had, and config.resolved.yaml of their runs has.
static void test_an_old_name_is_read(void **state) {
    (void)state;
    struct config *c = parse_ok(ROOT "loss: {form: program}\n", 0, NULL);
    char *text = NULL;
    assert_int_equal(c->loss.form, ADELE_LOSS_PROGRAM);
    assert_true(c->loss.divisor == 3.0);
    assert_int_equal(config_to_yaml(c, &text), ADELE_OK);
    assert_non_null(strstr(text, "  form: official\n"));
    memory_free(text);
    config_destroy(c);
    assert_refused(ROOT, "model.batch_norm=program", "allowed: batch, frozen");
}

// A program that embeds the library may have set a locale with a decimal comma.
static void test_numbers_have_a_point_in_every_locale(void **state) {
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    bool is_set = false;
    for (size_t i = 0; !is_set && i < sizeof names / sizeof *names; i++)
        is_set = setlocale(LC_NUMERIC, names[i]) != NULL;
    if (!is_set)
        skip(); // needs one of these locales
    struct config *c = parse_ok(ROOT "train: {optimizer: {lr: 0.25}}\n", 0, NULL);
    char *text = NULL;
    assert_true(c->train.lr == 0.25);
    assert_int_equal(config_to_yaml(c, &text), ADELE_OK);
    assert_non_null(strstr(text, "    lr: 0.25\n"));
    assert_refused(ROOT, "data.augment.scale=[0, 1]", "at least 0.05, at most 20");
    memory_free(text);
    config_destroy(c);
    (void)setlocale(LC_NUMERIC, "C");
}

// ---- refusals -----------------------------------------------------------------------------------

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
    assert_refused(ROOT, "train.optimizer.betas=[0.8, 0.99]",
                   "train.optimizer.betas is set, but train.optimizer.name is sgd");
    assert_refused(ROOT, "train.optimizer.eps=1e-6", "train.optimizer.eps is set");
    assert_refused("data: {root: /d}\ntrain: {optimizer: {name: adamw}}\n",
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
    assert_refused(ROOT, "correction.at=0.5",
                   "correction.at is set, but correction.method is adele");
    assert_refused(ROOT, "correction.decision=argmax", "correction.decision is set");
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

static void test_keys_that_the_ensemble_ignores(void **state) {
    (void)state;
    static const struct {
        const char *set, *keys;
    } cases[] = {{"correction={method: ensemble}", ""},
                 {"correction={method: ensemble, pipeline: voc}", ""},
                 {"correction={method: ensemble, tau: 0.5, veto: 0, rule: single}",
                  "correction.rule, correction.tau, correction.veto"},
                 {"correction={tau: 0.5}", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char keys[512];
        struct config *c = parse_ok(ROOT, 1, &cases[i].set);
        assert_int_equal(config_ignored_keys(c, keys, sizeof keys), ADELE_OK);
        assert_string_equal(keys, cases[i].keys);
        config_destroy(c);
    }
}

// ---- writing ------------------------------------------------------------------------------------

static void assert_round_trip(const struct config *c) {
    char *first = NULL;
    char *second = NULL;
    struct config *again = NULL;
    assert_int_equal(config_to_yaml(c, &first), ADELE_OK);
    if (config_parse("config.resolved.yaml", first, strlen(first), 0, NULL, &again) != ADELE_OK)
        fail_msg("%s in\n%s", adele_error_message(), first);
    assert_int_equal(config_to_yaml(again, &second), ADELE_OK);
    assert_string_equal(first, second);
    assert_string_equal(again->name, c->name);
    // Plain numbers are compared as they lie in memory, bit by bit.
    assert_memory_equal(&again->train, &c->train, sizeof c->train);
    assert_memory_equal(&again->correction, &c->correction, sizeof c->correction);
    assert_memory_equal(&again->loss, &c->loss, sizeof c->loss);
    assert_memory_equal(&again->data.noise, &c->data.noise, sizeof c->data.noise);
    assert_memory_equal(&again->data.augment, &c->data.augment, sizeof c->data.augment);
    assert_int_equal(again->data.n_label_map, c->data.n_label_map);
    assert_int_equal(again->data.n_map_names, c->data.n_map_names);
    for (int i = 0; i < c->data.n_label_map; i++) {
        assert_int_equal(again->data.map_from[i], c->data.map_from[i]);
        assert_int_equal(again->data.map_to[i], c->data.map_to[i]);
    }
    memory_free(first);
    memory_free(second);
    config_destroy(again);
}

static void test_a_resolved_configuration_reads_back(void **state) {
    (void)state;
    struct config *c = parse_ok(ROOT, 0, NULL);
    assert_round_trip(c);
    config_destroy(c);
    const char *const sets[] = {
        "train.optimizer.lr=0.1234567890123456789",
        "train.optimizer.weight_decay=5e-4",
        "train.seed=18446744073709551615",
        "name=\"a: \\\"b\\\" \\\\ \\t # c\"",
        "data.label_map=[{from: [255, 0], to: 0}, {from: [9], to: 3, name: 'no'}]",
        "correction={pipeline: voc, logic255: true}",
        "data.noisy_labels=/n/é"};
    c = parse_ok(ROOT, 7, sets);
    assert_string_equal(c->name, "a: \"b\" \\ \t # c");
    assert_round_trip(c);
    config_destroy(c);
}

static void test_the_page_of_keys_is_current(void **state) {
    (void)state;
    char *want = NULL;
    char *page = NULL;
    size_t bytes = 0;
    assert_int_equal(config_write_keys(&want), ADELE_OK);
    assert_int_equal(file_read(PROJECT_DIR "/configs/KEYS.md", 0, &page, &bytes), ADELE_OK);
    if (strcmp(page, want) != 0) {
        // With ADELE_WRITE_KEYS set, the test brings the page up to date after it failed.
        if (getenv("ADELE_WRITE_KEYS") != NULL)
            assert_int_equal(file_write(PROJECT_DIR "/configs/KEYS.md", want, strlen(want)),
                             ADELE_OK);
        fail_msg("configs/KEYS.md differs from the table of keys; run with ADELE_WRITE_KEYS=1");
    }
    memory_free(page);
    memory_free(want);
}

static void test_the_table_is_sound(void **state) {
    (void)state;
    for (int i = 0; i < CONFIG_N_KEYS; i++) {
        const struct config_key *key = &config_keys[i];
        int i_found = -1;
        assert_non_null(key->path);
        assert_non_null(key->meaning);
        assert_non_null(key->fallback);
        assert_true(key->fallback_voc == NULL || key->fallback_ensemble == NULL);
        assert_true(config_is_known(key->path, &i_found));
        assert_int_equal(i_found, i); // no path twice
        assert_string_equal(config_nearest(key->path), key->path);
        bool has_names = key->kind == CONFIG_ENUM;
        assert_true(has_names == (key->names != NULL));
        // A group that is torn apart would be two groups of one name to the schema.
        for (const char *dot = strchr(key->path, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
            size_t n = (size_t)(dot - key->path) + 1;
            bool has_ended = false;
            for (int j = i + 1; j < CONFIG_N_KEYS; j++) {
                bool is_inside = strncmp(config_keys[j].path, key->path, n) == 0;
                assert_false(has_ended && is_inside);
                has_ended = has_ended || !is_inside;
            }
        }
    }
}

static void test_load_reads_a_file(void **state) {
    const char *path = scratch_path(state, "voc_unet_adele.yaml");
    const char text[] = ROOT "train: {epochs: 2}\n";
    struct config *c = NULL;
    assert_int_equal(file_write(path, text, strlen(text)), ADELE_OK);
    assert_int_equal(config_load(path, 0, NULL, &c), ADELE_OK);
    assert_string_equal(c->name, "voc_unet_adele");
    assert_int_equal(c->train.epochs, 2);
    config_destroy(c);
    assert_int_equal(config_load(scratch_path(state, "none.yaml"), 0, NULL, &c), ADELE_IO);
    assert_null(c);
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    const char *set = "data.label_map=[{from: [1, 2], to: 1, name: heart}]";
    long n = 0;
    for (; n < 10000; n++) {
        struct config *config = NULL;
        char *yaml = NULL;
        memory_fail_at(n);
        adele_status status = config_parse("run.yaml", ROOT, strlen(ROOT), 1, &set, &config);
        if (status == ADELE_OK)
            status = config_to_yaml(config, &yaml);
        memory_free(yaml);
        config_destroy(config);
        if (status == ADELE_OK)
            break;
        assert_int_equal(status, ADELE_NO_MEMORY);
    }
    memory_fail_at(-1);
    assert_in_range(n, 20, 2000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_pipelines_give_their_presets),
        cmocka_unit_test(test_written_keys_win_over_presets),
        cmocka_unit_test(test_an_old_name_is_read),
        cmocka_unit_test(test_numbers_have_a_point_in_every_locale),
        cmocka_unit_test(test_each_number_has_its_range),
        cmocka_unit_test(test_class_weights_are_numbers_or_a_word),
        cmocka_unit_test(test_keys_are_checked_together),
        cmocka_unit_test(test_an_optimizer_has_its_own_keys),
        cmocka_unit_test(test_the_ensemble_has_its_own_keys),
        cmocka_unit_test(test_the_gate_needs_the_decision_by_area),
        cmocka_unit_test(test_what_is_scored_follows_the_average),
        cmocka_unit_test(test_keys_that_the_ensemble_ignores),
        cmocka_unit_test(test_a_resolved_configuration_reads_back),
        cmocka_unit_test(test_the_page_of_keys_is_current),
        cmocka_unit_test(test_the_table_is_sound),
        cmocka_unit_test(test_noise_of_true_labels_is_refused_for_a_new_run),
        cmocka_unit_test_setup_teardown(test_load_reads_a_file, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
