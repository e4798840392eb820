// SPDX-License-Identifier: MIT
// A message about a value names where it was written: --set KEY=VALUE, or else the file.
#include "base/fail.h"
#include "base/memory.h"
#include "config/key_table.h"
#include "support/config_texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void assert_begins_with(const char *text) {
    if (strncmp(adele_error_message(), text, strlen(text)) != 0)
        fail_msg("'%s' does not begin with '%s'", adele_error_message(), text);
}

// The same mistake in the file and by --set, in a value alone and in values that exclude each
// other.
static void test_each_place_is_named(void **state) {
    (void)state;
    static const struct {
        const char *file, *set;
    } cases[] = {
        {"data: {root: /d}\ntrain: {epochs: 0}\n", "train.epochs=0"},
        {"data: {root: /d, label_map: [{from: 0, to: 300}]}\n",
         "data.label_map=[{from: 0, to: 300}]"},
        {"data: {root: /d}\nloss: {scales: [0.7, 1.0]}\n", "loss.scales=[0.7, 1.0]"},
        {"data: {root: /d, size: [0, 256]}\n", "data.size=[0, 256]"},
        {"data: {root: /d}\ntrain: {batch: 6, parts: 4}\n", "train={batch: 6, parts: 4}"},
        {"data: {root: /d}\nmodel: {batch_norm: frozen}\n", "model.batch_norm=frozen"},
        {"data: {root: /d}\nmodel: {backbone: resnet9}\n", "model.backbone=resnet9"},
        {"data: {root: /d, augment: {flip: 0.5}}\n", "data.augment.flip=0.5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[128];
        assert_refused(cases[i].file, NULL, "");
        assert_begins_with("run.yaml: ");
        (void)snprintf(name, sizeof name, "--set %s: ", cases[i].set);
        assert_refused(ROOT, cases[i].set, "");
        assert_begins_with(name);
    }
}

static void test_a_key_that_no_new_run_reads_is_named(void **state) {
    (void)state;
    assert_refused_when_new("data: {root: /d}\ntrain: {optimizer: {eps: 1e-6}}\n", NULL,
                            "train.optimizer.eps is");
    assert_begins_with("run.yaml: ");
    assert_refused_when_new(ROOT, "train.optimizer.eps=1e-6", "train.optimizer.eps is");
    assert_begins_with("--set train.optimizer.eps=1e-6: ");
}

static void test_of_two_keys_the_one_on_the_command_line_is_named(void **state) {
    (void)state;
    assert_refused("data: {root: /d, patch: [32, 32], size: [0, 0]}\n", "data.size=[64, 64]",
                   "data.size is [64, 64]");
    assert_begins_with("--set data.size=[64, 64]: data.patch cuts");
    // An override that has nothing to do with the mistake is not blamed for it.
    assert_refused("data: {root: /d, size: [0, 256]}\n", "train.epochs=3", "data.size is [0, 256]");
    assert_begins_with("run.yaml: ");
}

// "data.noise" begins the names of other keys, and correction.guide is one of correction.guide_eps.
static void test_a_longer_key_is_another_one(void **state) {
    (void)state;
    const char *const set = "correction.guide=0.06";
    struct config *c = parse_ok(ROOT, 1, &set);
    adele_status status = FAIL(ADELE_CONFIG, "", "correction.guide_eps is wrong");
    assert_int_equal(config_name_origin(c, status), ADELE_CONFIG);
    assert_begins_with("run.yaml: ");
    status = FAIL(ADELE_CONFIG, "", "correction.guide is wrong");
    assert_int_equal(config_name_origin(c, status), ADELE_CONFIG);
    assert_begins_with("--set correction.guide=0.06: ");
    config_destroy(c);
}

static void test_a_new_run_names_the_place_too(void **state) {
    (void)state;
    const char *const set = "data.noise.kind=flip";
    struct config *c = parse_ok("data: {root: /d, true_labels: /t}\n", 1, &set);
    assert_int_equal(config_check_new(c), ADELE_CONFIG);
    assert_begins_with("--set data.noise.kind=flip: ");
    config_destroy(c);
}

static void test_a_long_value_leaves_room_for_the_message(void **state) {
    (void)state;
    char set[4096] = "loss.class_weights=[1";
    for (int i = 0; i < 400; i++)
        strcat(set, ", -1");
    strcat(set, "]");
    assert_refused(ROOT, set, "..: loss.class_weights is ");
    assert_non_null(strstr(adele_error_message(), "allowed: "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_place_is_named),
        cmocka_unit_test(test_a_key_that_no_new_run_reads_is_named),
        cmocka_unit_test(test_of_two_keys_the_one_on_the_command_line_is_named),
        cmocka_unit_test(test_a_longer_key_is_another_one),
        cmocka_unit_test(test_a_new_run_names_the_place_too),
        cmocka_unit_test(test_a_long_value_leaves_room_for_the_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
