// SPDX-License-Identifier: MIT
// Runs on a device that is the CPU with less memory.
#include "support/tiny_run.h"

#include "base/fail.h"
#include "device/device.h"
#include "support/scratch.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct adele_device_iface small_iface;
static adele_status (*cpu_alloc)(const struct adele_device *device, size_t bytes, void **out);
static size_t free_bytes;    // what the device says it has
static bool is_cramped;      // it has nothing until images lie on the host
static size_t refused_bytes; // the next request of this size fails, once
static int n_pinned;         // calls of alloc_pinned for images, the larger ones

static size_t small_free_bytes(const struct adele_device *device) {
    (void)device;
    return is_cramped && n_pinned == 0 ? 0 : free_bytes;
}

static adele_status small_alloc(const struct adele_device *device, size_t bytes, void **out) {
    if (bytes == refused_bytes) {
        refused_bytes = 0;
        return FAIL_NO_MEMORY(bytes);
    }
    return cpu_alloc(device, bytes, out);
}

static adele_status small_alloc_pinned(const struct adele_device *device, size_t bytes,
                                       void **out) {
    n_pinned += bytes >= 4096;
    return cpu_alloc(device, bytes, out);
}

static adele_status open_small(enum adele_precision precision, struct adele_device **out) {
    TRY(adele_device_open("cpu", precision, out));
    small_iface = *(*out)->iface;
    cpu_alloc = small_iface.alloc;
    small_iface.alloc = small_alloc;
    small_iface.alloc_pinned = small_alloc_pinned;
    small_iface.free_bytes = small_free_bytes;
    (*out)->iface = &small_iface;
    return ADELE_OK;
}

static adele_status run(void **state, const char *name, const char *const *sets) {
    struct config *config = tiny_run_config(state, sets);
    const char *folder = scratch_path(state, name);
    struct trainer_options options = {.config = config, .run_folder = folder, .device = "small"};
    struct trainer_result result;
    adele_status status = trainer_run(&options, &result);
    config_destroy(config);
    return status;
}

// The batch that the message names fits, and the next one does not.
static void the_largest_batch_is_named(void **state) {
    free_bytes = 0;
    assert_int_equal(run(state, "none", SETS("train.batch=3")), ADELE_NO_MEMORY);
    assert_non_null(strstr(adele_error_message(), "a batch of one image needs more than"));
    int named = 0;
    for (free_bytes = 1 << 16; named < 2; free_bytes += 1 << 16) {
        assert_true(free_bytes < (size_t)1 << 28);
        assert_int_equal(run(state, "many", SETS("train.batch=9")), ADELE_NO_MEMORY);
        const char *text = strstr(adele_error_message(), "the largest batch that fits is ");
        named = text ? atoi(text + strlen("the largest batch that fits is ")) : 0;
    }
    free_bytes -= 1 << 16;
    char fits[32], too_large[32];
    snprintf(fits, sizeof fits, "train.batch=%d", named);
    snprintf(too_large, sizeof too_large, "train.batch=%d", named + 1);
    assert_int_equal(run(state, "large", SETS(too_large, "train.epochs=1")), ADELE_NO_MEMORY);
    check_ok(run(state, "fits", SETS(fits, "train.epochs=1")));
}

static void images_that_do_not_fit_stay_on_the_host(void **state) {
    free_bytes = SIZE_MAX;
    n_pinned = 0;
    check_ok(run(state, "all", NULL));
    assert_int_equal(n_pinned, 0);
    // The images come first; label maps have as many bytes.
    refused_bytes = (size_t)TINY_SET_TRAIN * 32 * 28;
    check_ok(run(state, "pinned", NULL));
    assert_int_equal(n_pinned, 1);
    tiny_run_assert_same(state, "all", "pinned");
    refused_bytes = (size_t)TINY_SET_TRAIN * 32 * 28;
    assert_int_equal(run(state, "refused", SETS("data.residency=device")), ADELE_NO_MEMORY);
}

// Where it is the plans that do not fit, images make room, of those splits that are larger than
// what stays of them.
static void images_make_room_for_the_plans(void **state) {
    free_bytes = SIZE_MAX;
    n_pinned = 0;
    is_cramped = true;
    check_ok(run(state, "cramped", NULL));
    assert_int_equal(n_pinned, 1);
    tiny_run_assert_same(state, "all", "cramped");
    n_pinned = 0;
    assert_int_equal(run(state, "device", SETS("data.residency=device")), ADELE_NO_MEMORY);
    assert_int_equal(n_pinned, 0);
    assert_non_null(strstr(adele_error_hint(), "data.residency"));
    is_cramped = false;
}

static int setup(void **state) {
    adele_device_provide("small", open_small);
    return tiny_run_setup(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_batch_is_named),
        cmocka_unit_test(images_that_do_not_fit_stay_on_the_host),
        cmocka_unit_test(images_make_room_for_the_plans),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
