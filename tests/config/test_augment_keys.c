// SPDX-License-Identifier: MIT
// The keys data.augment.*.
#include "base/fail.h"
#include "support/config_texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

// A key that would do nothing is one whose user believes that it does.
static void test_augment_keys_need_augmentation(void **state) {
    (void)state;
    static const char *const sets[] = {"data.augment.rotate=30", "data.augment.flip=0.5",
                                       "data.augment.scale=[0.9, 1.1]", "data.augment.kind=voc",
                                       "data.augment.rotate=45"}; // the default, but asked for
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "%.*s is set, but augmentation is off",
                       (int)strcspn(sets[i], "="), sets[i]);
        assert_refused(ROOT, sets[i], text);
        assert_non_null(strstr(adele_error_message(), "--set data.augment."));
        assert_non_null(strstr(adele_error_hint(),
                               "data.augment.enabled: true and correction.source: inference"));
    }
    assert_refused("data: {root: /d}\ncorrection: {source: inference}\n", sets[0],
                   "augmentation is off");
    assert_null(strstr(adele_error_hint(), "correction.source"));
    assert_refused("data: {root: /d, augment: {enabled: false}}\n", "data.augment.flip=0.5",
                   "data.augment.flip is set");
    // All at their defaults beside `enabled: false`: what a run writes as its configuration.
    struct config *c = parse_ok("data: {root: /d, augment: {enabled: false, rotate: 45, kind: "
                                "affine, scale: [0.8, 1.5], flip: 0}}\n",
                                0, NULL);
    config_destroy(c);
    const char *const on[] = {"data.augment.enabled=true", "data.augment.rotate=30"};
    c = parse_ok(ROOT, 2, on);
    assert_true(c->data.augment.enabled && c->data.augment.rotate_degrees == 30.0);
    config_destroy(c);
}

// Earlier versions have trained so, and their runs are still read.
static void test_keys_of_the_other_kind_are_refused_for_a_new_run(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"affine", "hsv", "5"}, {"voc", "rotate", "10"}, {"voc", "translate", "0.2"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[128], set[64], message[192];
        const char *kind = cases[i][0], *key = cases[i][1], *value = cases[i][2];
        (void)snprintf(text, sizeof text, "data: {root: /d, augment: {enabled: true, kind: %s}}\n",
                       kind);
        (void)snprintf(set, sizeof set, "data.augment.%s=%s", key, value);
        (void)snprintf(message, sizeof message,
                       "--set %s: data.augment.%s is set, but data.augment.kind is %s", set, key,
                       kind);
        assert_refused_when_new(text, set, message);
        (void)snprintf(text, sizeof text,
                       "data: {root: /d, augment: {enabled: true, kind: %s, %s: %s}}\n", kind, key,
                       value);
        (void)snprintf(message, sizeof message,
                       "run.yaml: data.augment.%s is set, but data.augment.kind is %s", key, kind);
        assert_refused_when_new(text, NULL, message);
    }
    // The defaults, as a run writes them.
    struct config *c = parse_ok("data: {root: /d, augment: {enabled: true, kind: voc, rotate: 45, "
                                "hsv: 5}}\n",
                                0, NULL);
    assert_int_equal(config_check_new(c), ADELE_OK);
    assert_true(c->data.augment.hsv == 5.0);
    config_destroy(c);
}

// Everything that nnU-Net does to intensities is off unless it is asked for.
static void test_intensity(void **state) {
    (void)state;
    struct config *c = parse_ok("data: {root: /d, augment: {enabled: true}}\n", 0, NULL);
    assert_false(config_has_intensity(c));
    assert_true(c->data.augment.elastic_shift == 0.0 && c->data.augment.elastic_spacing == 32.0);
    config_destroy(c);
    static const char *const kinds[] = {"affine", "voc"};
    static const char *const keys[] = {"brightness", "contrast", "gamma", "noise", "blur"};
    for (int i = 0; i < 10; i++) {
        char text[128], set[64], message[64];
        (void)snprintf(text, sizeof text, "data: {root: /d, augment: {enabled: true, kind: %s}}\n",
                       kinds[i / 5]);
        (void)snprintf(set, sizeof set, "data.augment.%s=0.15", keys[i % 5]);
        c = parse_ok(text, 1, (const char *const[]){set});
        const double rates[] = {c->data.intensity.brightness, c->data.intensity.contrast,
                                c->data.intensity.gamma, c->data.intensity.noise,
                                c->data.intensity.blur};
        assert_true(config_has_intensity(c));
        for (int k = 0; k < 5; k++)
            assert_true(rates[k] == (k == i % 5 ? 0.15 : 0.0));
        config_destroy(c);
        (void)snprintf(message, sizeof message, "data.augment.%s is set", keys[i % 5]);
        assert_refused(ROOT, set, message);
        (void)snprintf(set, sizeof set, "data.augment.%s=1.5", keys[i % 5]);
        assert_refused(text, set, keys[i % 5]);
    }
}

static void test_elastic(void **state) {
    (void)state;
    static const char text[] = "data: {root: /d, augment: {enabled: true}}\n";
    struct config *c = parse_ok(text, 1, (const char *const[]){"data.augment.elastic=[4, 10]"});
    assert_true(c->data.augment.elastic_shift == 4.0 && c->data.augment.elastic_spacing == 10.0);
    config_destroy(c);
    assert_refused(ROOT, "data.augment.elastic=[4, 10]", "data.augment.elastic is set");
    assert_refused(text, "data.augment.elastic=[5, 10]", "data.augment.elastic is [5, 10]");
    assert_refused(text, "data.augment.elastic=[3, 7.5]", "data.augment.elastic is [3, 7.5]");
    assert_refused(text, "data.augment.elastic=4", "data.augment.elastic");
    assert_refused("data: {root: /d, augment: {enabled: true, kind: voc}}\n",
                   "data.augment.elastic=[4, 10]", "data.augment.kind is voc");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_augment_keys_need_augmentation),
        cmocka_unit_test(test_keys_of_the_other_kind_are_refused_for_a_new_run),
        cmocka_unit_test(test_intensity), cmocka_unit_test(test_elastic)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
