// SPDX-License-Identifier: MIT
// Runs on a device that is the CPU with less memory.
#include "support/tiny_run.h"

#include "base/fail.h"
#include "device/device.h"
#include "run/trainer_state.h"
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
static bool is_shared;       // its memory is the host's, as the CPU's own is
static size_t counted_bytes; // requests of this size are counted
static int n_counted;

static size_t small_free_bytes(const struct adele_device *device) {
    (void)device;
    return is_cramped && n_pinned == 0 ? 0 : free_bytes;
}

static adele_status small_alloc(const struct adele_device *device, size_t bytes, void **out) {
    n_counted += bytes == counted_bytes;
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
    small_iface.alloc_pinned = is_shared ? small_alloc : small_alloc_pinned;
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
    assert_non_null(strstr(adele_error_message(), "a batch of 3 needs "));
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

// A plan that does not fit is refused while no memory of the network is taken.
static void parameters_wait_for_the_check(void **state) {
    struct config *config = tiny_run_config(state, NULL);
    struct network_config network;
    struct graph graph;
    config_network(config, &network);
    network.n_channels = 1;
    network.n_categories = 3;
    graph_init(&graph);
    check_ok(network_build_graph(&network, &graph));
    counted_bytes = (size_t)graph.n_weights * sizeof(float);
    graph_deinit(&graph);
    config_destroy(config);
    free_bytes = 1 << 16;
    n_counted = 0;
    assert_int_equal(run(state, "early", NULL), ADELE_NO_MEMORY);
    assert_int_equal(n_counted, 0);
    free_bytes = SIZE_MAX;
    check_ok(run(state, "later", SETS("train.epochs=1")));
    assert_true(n_counted >= 3); // weights, gradients, momenta
    counted_bytes = 0;
}

// The last batch of an epoch has plans of its own, so that memory does not always shrink with the
// batch: of 18 images a batch of 9 or 6 leaves none, one of 8 leaves 2 and one of 7 leaves 4, and
// those two take more than one of 9.
static void the_rest_of_an_epoch_counts(void **state) {
    int last = 0;
    for (free_bytes = (size_t)4 << 20; run(state, "rest", SETS("train.batch=9", "train.epochs=1"));
         free_bytes += free_bytes / 4) {
        assert_true(free_bytes < (size_t)1 << 28);
        const char *text = strstr(adele_error_message(), "the largest batch that fits is ");
        int named = text ? atoi(text + strlen("the largest batch that fits is ")) : 0;
        assert_true(named >= last && named <= 6);
        if (named > last && named > 1) { // one image so small leaves batch norms no variance
            char fits[32], run_name[32];
            snprintf(fits, sizeof fits, "train.batch=%d", named);
            snprintf(run_name, sizeof run_name, "rest%d", named);
            check_ok(run(state, run_name, SETS(fits, "train.epochs=1")));
        }
        last = named;
    }
    assert_int_equal(last, 6);
}

// Moving images would free nothing there, so the hint does not suggest it.
static void images_stay_where_memory_is_the_hosts(void **state) {
    is_shared = true;
    free_bytes = 1 << 16;
    assert_int_equal(run(state, "shared", NULL), ADELE_NO_MEMORY);
    assert_null(strstr(adele_error_hint(), "data.residency"));
    assert_int_equal(run(state, "shared", SETS("data.residency=device")), ADELE_NO_MEMORY);
    assert_null(strstr(adele_error_hint(), "data.residency"));
    free_bytes = SIZE_MAX;
    check_ok(run(state, "shared_all", NULL));
    refused_bytes = (size_t)TINY_SET_TRAIN * 32 * 28;
    assert_int_equal(run(state, "shared_refused", NULL), ADELE_NO_MEMORY);
    is_shared = false;
}

static void the_cpu_refuses_what_is_not_there(void **state) {
    (void)state;
    struct adele_device *device = NULL;
    void *block = NULL;
    check_ok(adele_device_open("cpu", ADELE_PRECISION_FP32, &device));
    size_t bytes = device->iface->free_bytes(device);
    if (bytes == SIZE_MAX) // the system does not say
        skip();
    // More than the machine has, whatever else runs on it.
    assert_int_equal(device->iface->alloc(device, SIZE_MAX / 4, &block), ADELE_NO_MEMORY);
    assert_null(block);
    assert_non_null(strstr(adele_error_message(), " MB are free on cpu: "));
    check_ok(device->iface->alloc(device, (size_t)20 << 20, &block));
    device->iface->release(device, block);
    adele_device_close(device);
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

// ---- the method ensemble ------------------------------------------------------------------------

#define ENSEMBLE                                                                                   \
    "correction.method=ensemble", "correction.gate=false", "loss.form=plain", "train.epochs=2"
// Of five batches of four images of three classes, in half precision.
#define MAP_BYTES ((size_t)5 * 4 * 3 * 32 * 28 * 2)

static struct memory_need need_of(void *const *state, const char *const *sets) {
    struct config *config = tiny_run_config(state, sets);
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, "need"), .device = "small"};
    struct trainer *trainer = NULL;
    check_ok(trainer_create(&options, &trainer));
    struct memory_need need = trainer->memory;
    trainer_destroy(trainer);
    config_destroy(config);
    return need;
}

static void average_and_maps_are_planned(void **state) {
    struct graph graph;
    struct network_config network;
    struct config *config = tiny_run_config(state, NULL);
    config_network(config, &network);
    network.n_channels = 1;
    network.n_categories = 3;
    graph_init(&graph);
    check_ok(network_build_graph(&network, &graph));
    size_t average = (size_t)(graph.n_weights + graph.n_buffers) * sizeof(float);
    graph_deinit(&graph);
    config_destroy(config);
    free_bytes = (size_t)1 << 30;
    size_t plain =
        need_of(state, SETS(ENSEMBLE, "correction.enabled=false", "train.average=false")).planned;
    size_t averaged = need_of(state, SETS(ENSEMBLE, "correction.enabled=false")).planned;
    size_t ensemble = need_of(state, SETS(ENSEMBLE)).planned;
    assert_int_equal(averaged - plain, average);
    assert_int_equal(ensemble - averaged, MAP_BYTES);
}

static void maps_that_do_not_fit_stay_on_the_host(void **state) {
    free_bytes = SIZE_MAX;
    n_pinned = 0;
    check_ok(run(state, "maps", SETS(ENSEMBLE)));
    assert_int_equal(n_pinned, 0);
    assert_true(tiny_run_metric(state, "maps", 1, "correction/changed_pixels") > 0.0);
    refused_bytes = MAP_BYTES;
    check_ok(run(state, "maps-pinned", SETS(ENSEMBLE)));
    assert_int_equal(n_pinned, 1);
    tiny_run_assert_same(state, "maps", "maps-pinned");
    refused_bytes = MAP_BYTES;
    assert_int_equal(run(state, "maps-refused", SETS(ENSEMBLE, "data.residency=device")),
                     ADELE_NO_MEMORY);
    n_pinned = 0;
    is_cramped = true; // the maps make room too
    check_ok(run(state, "maps-cramped", SETS(ENSEMBLE)));
    is_cramped = false;
    assert_int_equal(n_pinned, 2);
    tiny_run_assert_same(state, "maps", "maps-cramped");
}

static int setup(void **state) {
    adele_device_provide("small", open_small);
    return tiny_run_setup(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_batch_is_named),
        cmocka_unit_test(parameters_wait_for_the_check),
        cmocka_unit_test(the_rest_of_an_epoch_counts),
        cmocka_unit_test(images_stay_where_memory_is_the_hosts),
        cmocka_unit_test(the_cpu_refuses_what_is_not_there),
        cmocka_unit_test(images_that_do_not_fit_stay_on_the_host),
        cmocka_unit_test(images_make_room_for_the_plans),
        cmocka_unit_test(average_and_maps_are_planned),
        cmocka_unit_test(maps_that_do_not_fit_stay_on_the_host),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
