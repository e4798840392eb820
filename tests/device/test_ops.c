// SPDX-License-Identifier: MIT
// Every device has an entry for every op of the list. That each is compared with its reference is
// the test ops_compared.
#include "device/device.h"
#include "support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

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
        cmocka_unit_test(test_every_device_has_every_op),
        cmocka_unit_test(test_open_by_name),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
