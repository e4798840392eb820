// SPDX-License-Identifier: MIT
// Texts to keys and values: YAML, its errors and their lines, overrides, and data.label_map, the
// one key whose value has a structure of its own.
#include "support/config_texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_null_is_absent(void **state) {
    (void)state;
    struct config *c = parse_ok("data: {root: /d, noisy_labels: , true_labels: ~, split: {val: }}\n"
                                "train: {epochs: null}\nloss: {scales: []}\n",
                                0, NULL);
    assert_null(c->data.noisy_labels);
    assert_null(c->data.true_labels);
    assert_null(c->data.split[SPLIT_VAL]);
    assert_int_equal(c->train.epochs, 100);
    assert_int_equal(c->loss.n_scales, 3);
    config_destroy(c);
}

// ---- overrides ----------------------------------------------------------------------------------

static void test_sets(void **state) {
    (void)state;
    const char *const sets[] = {"train.epochs=7",
                                "train.optimizer.lr=0.5",
                                "loss.scales=[1, 0.5]",
                                "data.root=/other dir/x=y",
                                "data.noise={kind: flip, seed: 18446744073709551615}",
                                "name=",
                                "data.label_map=[]",
                                "train.epochs=8"};
    struct config *c = parse_ok("name: long\ndata: {root: /d, noise: {flip_fraction: 0.2}, "
                                "label_map: [{from: [3], to: 1}]}\n"
                                "train: {epochs: 3, batch: 2}\n",
                                8, sets);
    assert_int_equal(c->train.epochs, 8); // the last one counts
    assert_int_equal(c->train.batch, 2);
    assert_true(c->train.lr == 0.5);
    assert_int_equal(c->loss.n_scales, 2);
    assert_true(c->loss.scales[1] == 0.5);
    assert_string_equal(c->data.root, "/other dir/x=y");
    assert_int_equal(c->data.noise.kind, NOISE_FLIP);
    assert_true(c->data.noise.seed == UINT64_MAX);
    assert_true(c->data.noise.flip_fraction == 0.2); // beside the keys that were set
    assert_string_equal(c->name, "run");
    assert_int_equal(c->data.n_label_map, 0);
    config_destroy(c);
}

static void test_sets_are_checked(void **state) {
    (void)state;
    assert_refused(ROOT, "train.epochs", "not of the form key=value");
    assert_refused(ROOT, "=3", "not of the form key=value");
    assert_refused(ROOT, "train.epoch=3", "unknown key train.epoch; the nearest is train.epochs");
    assert_refused(ROOT, "train.=3", "unknown key train.");
    assert_refused(ROOT, "train.epochs=[1]", "--set train.epochs=[1]");
    assert_refused(ROOT, "train.epochs=3\nbatch: 4", "more than one line");
    assert_refused(ROOT, "train.epochs={", "--set train.epochs={");
    assert_refused(ROOT, "train={epoch: 3}", "the nearest is train.epochs");
    assert_refused(ROOT, "train.epochs=0", "train.epochs is \"0\"");
    assert_refused(ROOT, "data.root=", "data.root is not given");
}

// ---- refusals -----------------------------------------------------------------------------------

static void test_unknown_keys_name_the_nearest(void **state) {
    (void)state;
    assert_refused("data:\n  root: /d\n  sise: [1, 1]\n", NULL,
                   "run.yaml:3: unknown key data.sise; the nearest is data.size");
    assert_refused("data:\n  root: sise\n  layout: voc\n  resise: 1\n", NULL,
                   "run.yaml:4: unknown");
    assert_refused(ROOT "train: {optimizer: {learning: 3}}\n", NULL, "train.optimizer.learning");
    assert_refused(ROOT "train: {lr: 0.1}\n", NULL, "the nearest is train.optimizer.lr");
    assert_refused(ROOT "corection: {tau: 0.1}\n", NULL, "the nearest is correction");
    assert_refused(ROOT "train: {optimiser: {lr: 1}}\n", NULL, "the nearest is train.optimizer");
    assert_refused(ROOT "Train: {epochs: 1}\n", NULL, "the nearest is train");
    assert_refused("data: {root: /d, label_map: [{form: [1], to: 1}]}\n", NULL,
                   "the nearest is data.label_map.from");
    assert_non_null(strstr(adele_error_hint(), "Did you mean data.label_map.from?"));
}

// --set alone takes keys with dots: a file that had them could give a key twice.
static void test_keys_of_a_file_have_no_dots(void **state) {
    (void)state;
    assert_refused("train.epochs: 5\n" ROOT, NULL, "run.yaml:1: unknown key train.epochs");
    assert_non_null(strstr(adele_error_hint(), "--set"));
    assert_refused(ROOT "train: {epochs: 3}\ntrain.epochs: 5\n", NULL,
                   "run.yaml:3: unknown key train.epochs");
    assert_refused(ROOT "train:\n  optimizer.lr: 0.5\n", NULL,
                   "run.yaml:3: unknown key train.optimizer.lr");
    assert_refused(ROOT "train.optimizer: {lr: 0.5}\n", NULL, "unknown key train.optimizer");
    assert_refused("data: {root: /d, label_map: [{junk.from: [1], to: 1}]}\n", NULL,
                   "unknown key data.label_map.junk.from");
    assert_refused("data: {root: /d, label_map: [{from: [1], any.thing.to: 1}]}\n", NULL,
                   "unknown key data.label_map.any.thing.to");
    assert_refused(ROOT, "train={optimizer.lr: 0.5}", "unknown key train.optimizer.lr");
    const char *const sets[] = {"train.optimizer.lr=0.5"};
    struct config *c = parse_ok(ROOT, 1, sets);
    assert_true(c->train.lr == 0.5);
    config_destroy(c);
}

static void test_a_key_has_no_nul(void **state) {
    (void)state;
    assert_refused(ROOT "train:\n  \"epochs\\0junk\": 5\n", NULL,
                   "run.yaml:3: train: a NUL character");
    assert_refused("data: {root: /d, label_map: [{\"from\\0x\": [1], to: 1}]}\n", NULL,
                   "data.label_map: a NUL character");
}

// libyaml tells the place of such bytes in another way than that of other errors.
static void test_bytes_that_are_no_text_have_their_line(void **state) {
    (void)state;
    assert_refused(ROOT "name: a\n# \xff\n", NULL, "run.yaml:3: invalid leading UTF-8 octet");
    assert_refused(ROOT "name: a\n\nmodel: {name: \"\xc3(\"}\n", NULL,
                   "run.yaml:4: invalid trailing UTF-8 octet");
    assert_refused("\xef\xbb\xbf" ROOT "name: \x01\n", NULL,
                   "run.yaml:2: control characters are not allowed");
    assert_refused(ROOT "name: \xe2\x82", NULL, "run.yaml:2: incomplete UTF-8 octet sequence");
    assert_refused(ROOT "name: \"a\n\n", NULL, "run.yaml:4: found unexpected end of stream");
}

static void test_structure(void **state) {
    (void)state;
    assert_refused("", NULL, "data.root is not given");
    assert_refused("# nothing\n", NULL, "data.root is not given");
    assert_refused("data: {size: [1, 1]}\n", NULL, "data.root is not given");
    assert_refused("data: 3\n", NULL,
                   "run.yaml:1: data: a group of keys is expected here, not a single value");
    assert_refused(ROOT "train:\n  epochs: [3]\n", NULL,
                   "run.yaml:3: train.epochs: a single value is expected here, not a list");
    assert_refused(ROOT "loss: {scales: 1}\n", NULL, "loss.scales: a list is expected here");
    assert_refused(ROOT "train: {epochs: 1, epochs: 2}\n", NULL, "given twice");
    assert_refused(ROOT ROOT, NULL, "given twice");
    assert_refused(ROOT "train: {epochs: 1\n", NULL, "run.yaml:");
    assert_refused(ROOT "\tx: 1\n", NULL, "run.yaml:");
    assert_refused(ROOT "---\nname: x\n", NULL, "run.yaml:2: only one document is read");
    assert_refused("data: &a {root: /d}\ntrain: *a\n", NULL, "run.yaml:2");
    assert_refused("data: {root: /d, label_map: [{to: 1}]}\n", NULL, "from");
    assert_refused("data: {root: \"\xff\"}\n", NULL, "run.yaml");
}

// ---- label map ----------------------------------------------------------------------------------

static void test_label_map(void **state) {
    (void)state;
    struct config *c = parse_ok("data:\n  root: /d\n  label_map:\n"
                                "  - {from: [0, 7], to: 0}\n"
                                "  - {from: [-3], to: 2, name: \"lung: left\"}\n"
                                "  - {from: [128], to: 255}\n"
                                "  label_map_other: 255\n",
                                0, NULL);
    const int from[] = {0, 7, -3, 128};
    const uint8_t to[] = {0, 0, 2, 255};
    assert_int_equal(c->data.n_label_map, 4);
    assert_memory_equal(c->data.map_from, from, sizeof from);
    assert_memory_equal(c->data.map_to, to, sizeof to);
    assert_int_equal(c->data.n_map_names, 3);
    assert_string_equal(c->data.map_names[0], "background");
    assert_string_equal(c->data.map_names[1], "category_1");
    assert_string_equal(c->data.map_names[2], "lung: left");

    struct dataset_config dataset;
    config_dataset(c, &dataset);
    assert_string_equal(dataset.root, "/d");
    assert_int_equal(dataset.height, 256);
    assert_int_equal(dataset.map.n, 4);
    assert_int_equal(dataset.map.other, 255);
    assert_int_equal(dataset.map.from[2], -3);
    assert_int_equal(dataset.map.to[3], 255);
    assert_string_equal(dataset.map.names[2], "lung: left");
    assert_true(dataset.memory_limit == (size_t)4096 << 20);
    assert_null(dataset.split[SPLIT_TEST]);
    config_destroy(c);
}

// One value needs no brackets, however the entry is written.
static void test_label_map_of_single_values(void **state) {
    (void)state;
    static const char *const texts[] = {
        "data:\n  root: /d\n  label_map:\n    - {from: 0, to: 0, name: 'from: 9'}\n"
        "    - {from: 255, to: 1, name: disc}\n",
        "data:\n  root: /d\n  label_map: # from: 7, from: 8\n    - from: 0   # from: 9\n"
        "      to: 0\n      name: \"from: 9\"\n    - to: 1\n      from: 255\n"
        "      name: disc\n",
        "{\"data\": {\"root\": \"/d\", \"label_map\": [{\"from\": 0, \"to\": 0, \"name\": "
        "\"from: 9\"}, {\"from\":255, \"to\": 1, \"name\": \"disc\"}]}}",
        "data:\n  root: /d\n  label_map:\n    - from: [0]\n      to: 0\n      name: 'from: 9'\n"
        "    - from:\n        - 255\n      to: 1\n      name: disc\n",
        "data:\r\n  root: /d\r\n  label_map:\r\n    - {to: 0, name: 'from: 9', from: \"0\"}\r\n"
        "    - {to: 1, name: disc, from: 255}\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct config *c = parse_ok(texts[i], 0, NULL);
        assert_int_equal(c->data.n_label_map, 2);
        assert_int_equal(c->data.map_from[0], 0);
        assert_int_equal(c->data.map_from[1], 255);
        assert_int_equal(c->data.map_to[1], 1);
        assert_string_equal(c->data.map_names[0], "from: 9");
        assert_string_equal(c->data.map_names[1], "disc");
        config_destroy(c);
    }
    const char *const set[] = {"data.label_map=[{from: 0, to: 0}, {from: 255, to: 1}]"};
    struct config *c = parse_ok(ROOT, 1, set);
    assert_int_equal(c->data.map_from[1], 255);
    config_destroy(c);
    assert_refused("data:\n  root: /d\n  label_map:\n    - from: 1\n      to: 1\n      nam: x\n",
                   NULL, ":6: unknown key data.label_map.nam");
}

static void test_label_map_is_checked(void **state) {
    (void)state;
    assert_refused(ROOT, "data.label_map=[{from: [1], to: 256}]", "to is \"256\"");
    assert_refused(ROOT, "data.label_map=[{from: [x], to: 1}]", "from has \"x\"");
    assert_refused(ROOT, "data.label_map=[{from: [99999999999], to: 1}]", "from has");
    assert_refused(ROOT, "data.label_map=[{from: [1, 1], to: 1}]", "the value 1 twice");
    assert_refused(ROOT, "data.label_map=[{from: [1], to: 1}, {from: [1], to: 2}]", "1 twice");
    assert_refused(ROOT, "data.label_map=[{from: [1], to: 1}, {from: [2], to: 1}]",
                   "class 1 twice");
    assert_refused(ROOT, "data.label_map=[{from: [], to: 1}]", "label_map");
    assert_refused(ROOT, "data.label_map=[{from: [], from: [1], to: 1}]",
                   "data.label_map.from: the list is empty");
    assert_refused(ROOT, "data.label_map=[{from: [1], from: [], to: 1}]", "from: given twice");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null_is_absent),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_sets_are_checked),
        cmocka_unit_test(test_unknown_keys_name_the_nearest),
        cmocka_unit_test(test_keys_of_a_file_have_no_dots),
        cmocka_unit_test(test_a_key_has_no_nul),
        cmocka_unit_test(test_bytes_that_are_no_text_have_their_line),
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_label_map),
        cmocka_unit_test(test_label_map_of_single_values),
        cmocka_unit_test(test_label_map_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
