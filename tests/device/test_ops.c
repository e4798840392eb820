// SPDX-License-Identifier: MIT
// Every op of the list has a comparison against tests/reference, and every device an entry for it.
// A new op without a row COMPARED_BY_<op> below does not compile.
#include "device/device.h"
#include "support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COMPARED_BY_conv2d      "conv2d"
#define COMPARED_BY_batch_norm  "batch_norm"
#define COMPARED_BY_max_pool    "max_pool"
#define COMPARED_BY_rescale     "rescale"
#define COMPARED_BY_concat      "concat"
#define COMPARED_BY_add         "add"
#define COMPARED_BY_global_pool "global_pool"
#define COMPARED_BY_aspp        "aspp"
#define COMPARED_BY_dropout     "dropout"
#define COMPARED_BY_loss        "loss"
#define COMPARED_BY_sgd         "sgd"
#define COMPARED_BY_pack        "pack"
#define COMPARED_BY_initialize  "initialize"
#define COMPARED_BY_sample      "sample"
#define COMPARED_BY_ensemble    "ensemble"
#define COMPARED_BY_decide      "decide"
#define COMPARED_BY_crf         "crf"
#define COMPARED_BY_correct     "correct"
#define COMPARED_BY_count       "count"

struct row {
    const char *op, *test;
    bool has_backward;
};
static const struct row rows[] = {
#define ROW(name, backward) {#name, COMPARED_BY_##name, backward},
    ADELE_OPS(ROW)
#undef ROW
};

// The test's source, or NULL when it is not there; caller frees.
static char *read_test(const char *stem) {
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/device/test_%s.c", PROJECT_DIR, stem);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    char *text = calloc(1, 1 << 20);
    size_t length = text != NULL ? fread(text, 1, (1 << 20) - 1, file) : 0;
    fclose(file);
    if (length == 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void require(const char *text, const struct row *row, const char *prefix,
                    const char *suffix) {
    char word[128];
    snprintf(word, sizeof word, "%s%s%s", prefix, row->op, suffix);
    if (strstr(text, word) == NULL)
        fail_msg("tests/device/test_%s.c: op %s: %s is never called", row->test, row->op, word);
}

static void test_every_op_is_compared(void **state) {
    (void)state;
    assert_int_equal(sizeof rows / sizeof rows[0], ADELE_OP_COUNT);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = read_test(rows[i].test);
        if (text == NULL)
            fail_msg("op %s: tests/device/test_%s.c is not there", rows[i].op, rows[i].test);
        require(text, &rows[i], "iface->", "_forward");
        require(text, &rows[i], "reference_", "");
        if (rows[i].has_backward) {
            require(text, &rows[i], "iface->", "_backward");
            require(text, &rows[i], "reference_", "_backward");
        }
        free(text);
    }
}

static void check_entries(struct adele_device *device) {
#define ENTRIES(name, has_backward)                                                                \
    assert_non_null(device->iface->name##_create);                                                 \
    assert_non_null(device->iface->name##_forward);                                                \
    assert_int_equal(device->iface->name##_backward != NULL, has_backward);
    ADELE_OPS(ENTRIES)
#undef ENTRIES
}

static void test_every_device_has_every_op(void **state) {
    (void)state;
    devices_each(check_entries);
}

static void test_open_by_name(void **state) {
    (void)state;
    struct adele_device *device = NULL;
    assert_int_equal(adele_device_open("cpu", ADELE_PRECISION_FP32, &device), ADELE_OK);
    assert_string_equal(device->iface->name, "cpu");
    assert_non_null(strstr(device->description, "oneDNN"));
    adele_device_close(device);
    assert_int_equal(adele_device_open("auto", ADELE_PRECISION_FP32, &device), ADELE_OK);
    adele_device_close(device);
    adele_device_close(NULL);
    assert_int_equal(adele_device_open("gpu", ADELE_PRECISION_FP32, &device),
                     ADELE_INVALID_ARGUMENT);
    assert_null(device);
    assert_non_null(strstr(adele_error_message(), "gpu"));
}

// Plain arrays come back from a tensor as they went in, whatever the number of channels.
static void check_round_trip(struct adele_device *device) {
    static const struct adele_shape shapes[] = {{1, 1, 1, 1}, {2, 3, 5, 7},  {1, 8, 4, 4},
                                                {1, 9, 3, 2}, {3, 15, 1, 6}, {2, 16, 2, 2},
                                                {1, 21, 3, 3}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct arena arena;
        arena_open(&arena, device);
        size_t count = shape_count(shapes[i]);
        float *plain = arena_random(&arena, 1, count, -1.0, 1.0);
        void *tensor = arena_tensor(&arena, shapes[i], plain);
        assert_memory_equal(arena_tensor_download(&arena, tensor, shapes[i]), plain,
                            count * sizeof(float));
        arena_close(&arena);
    }
}

static void test_round_trip(void **state) {
    (void)state;
    devices_each(check_round_trip);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_op_is_compared),
        cmocka_unit_test(test_every_device_has_every_op),
        cmocka_unit_test(test_open_by_name),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
