// SPDX-License-Identifier: MIT
// Configurations: defaults and presets, and that what is written is read back. test_config_refusals
// has what is refused.
#include "base/file.h"
#include "base/memory.h"
#include "config/config.h"
#include "config/key_table.h"
#include "support/comma_locale.h"
#include "support/config_pages.h"
#include "support/config_texts.h"
#include "support/scratch.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
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
    comma_locale_set(state);
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

// Each is a text of the table of keys, whose value is the same field.
static void test_keys_that_are_paths(void **state) {
    (void)state;
    struct config *config = parse_ok(ROOT, 0, NULL);
    struct config_path paths[CONFIG_N_PATHS];
    config_list_paths(config, paths);
    assert_string_equal(paths[0].key, "data.root");
    for (int i = 0; i < CONFIG_N_PATHS; i++) {
        int n_found = 0;
        for (int k = 0; k < CONFIG_N_KEYS; k++) {
            if (strcmp(config_keys[k].path, paths[i].key) != 0)
                continue;
            n_found++;
            assert_int_equal(config_keys[k].kind, CONFIG_TEXT);
            assert_ptr_equal((char *)config + config_keys[k].offset, paths[i].text);
        }
        assert_int_equal(n_found, 1);
    }
    config_destroy(config);
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
        cmocka_unit_test_setup_teardown(test_numbers_have_a_point_in_every_locale, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test(test_a_resolved_configuration_reads_back),
        cmocka_unit_test(test_the_page_of_keys_is_current),
        cmocka_unit_test(test_the_table_is_sound),
        cmocka_unit_test(test_keys_that_are_paths),
        cmocka_unit_test_setup_teardown(test_load_reads_a_file, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
