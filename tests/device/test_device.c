// SPDX-License-Identifier: MIT
// What holds of a device beside its ops.
#include "device/device.h"
#include "runtime/cuda_device.h"
#include "support/devices.h"
#include "support/scratch.h"
#include "support/tiny_run.h"

#include "base/fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_ok(adele_status status) {
    if (status != ADELE_OK)
        fail_msg("status %d: %s", (int)status, adele_error_message());
}

// ---- a step of which an op failed ---------------------------------------------------------------

// A device that records steps runs none of the ops of one that failed; the others have run them by
// then.
static bool records_steps(const struct adele_device *device) {
    const char *graphs = getenv("ADELE_CUDA_GRAPHS");
    return strcmp(device->iface->name, "cpu") != 0 && getenv("ADELE_CUDA_SYNCHRONOUS") == NULL &&
           (graphs == NULL || strcmp(graphs, "0") != 0);
}

static void fill_in_step(struct adele_device *device, void *block, int byte, bool is_whole) {
    assert_ok(device->iface->step_begin(device, 0));
    assert_ok(device->iface->fill(device, block, byte, 64));
    assert_ok(device->iface->step_end(device, is_whole));
}

static void assert_bytes(struct adele_device *device, const void *block, int byte) {
    unsigned char bytes[64];
    assert_ok(device->iface->synchronize(device));
    assert_ok(device->iface->download(device, bytes, block, sizeof bytes));
    for (size_t i = 0; i < sizeof bytes; i++)
        assert_int_equal(bytes[i], byte);
}

// After a block of other bytes is released, so that the zeroed one may lie in its place.
static void check_alloc_zeroed(struct adele_device *device) {
    void *block = NULL;
    assert_ok(device->iface->alloc(device, 64, &block));
    assert_ok(device->iface->fill(device, block, 0xff, 64));
    device->iface->release(device, block);
    assert_ok(adele_device_alloc_zeroed(device, 64, "a test", &block));
    assert_bytes(device, block, 0);
    device->iface->release(device, block);
    assert_int_equal(adele_device_alloc_zeroed(device, SIZE_MAX / 4, "a test", &block),
                     ADELE_NO_MEMORY);
    assert_null(block);
    assert_non_null(strstr(adele_error_message(), "device memory for a test"));
}
ON_EACH_DEVICE(alloc_zeroed)

static void check_failed_step(struct adele_device *device) {
    void *block = NULL;
    assert_ok(device->iface->alloc(device, 64, &block));
    // The first step of a kind may run launch by launch; the second may make the record.
    for (int byte = 1; byte <= 3; byte++) {
        fill_in_step(device, block, byte, true);
        assert_bytes(device, block, byte);
    }
    fill_in_step(device, block, 4, false);
    assert_bytes(device, block, records_steps(device) ? 3 : 4);
    // Also when the step fails that would have made the record.
    fill_in_step(device, block, 5, true);
    assert_bytes(device, block, 5);
    device->iface->release(device, block);
}
ON_EACH_DEVICE(failed_step)

static void check_failed_second_step(struct adele_device *device) {
    void *block = NULL;
    assert_ok(device->iface->alloc(device, 64, &block));
    fill_in_step(device, block, 1, true);
    fill_in_step(device, block, 2, false);
    assert_bytes(device, block, records_steps(device) ? 1 : 2);
    fill_in_step(device, block, 3, true);
    assert_bytes(device, block, 3);
    device->iface->release(device, block);
}
ON_EACH_DEVICE(failed_second_step)

// The trainer says which steps are whole. A device whose loss fails in the third one.
static struct adele_device_iface failing_iface;
static adele_status (*loss_forward)(struct adele_op *op, const struct adele_loss_args *args);
static adele_status (*end)(const struct adele_device *device, bool is_whole);
static int n_losses, n_begun, n_whole, n_failed;

static adele_status failing_loss(struct adele_op *op, const struct adele_loss_args *args) {
    if (++n_losses == 3)
        return FAIL(ADELE_DEVICE, "", "the third loss fails");
    return loss_forward(op, args);
}

static adele_status counted_end(const struct adele_device *device, bool is_whole) {
    n_begun++;
    n_whole += is_whole;
    n_failed += !is_whole;
    return end(device, is_whole);
}

static adele_status open_failing(enum adele_precision precision, struct adele_device **out) {
    (void)precision;
    *out = devices_open_first();
    if (*out == NULL)
        return FAIL(ADELE_DEVICE, "", "no device to test on");
    failing_iface = *(*out)->iface;
    loss_forward = failing_iface.loss_forward;
    end = failing_iface.step_end;
    failing_iface.loss_forward = failing_loss;
    failing_iface.step_end = counted_end;
    (*out)->iface = &failing_iface;
    return ADELE_OK;
}

static void test_trainer_names_failed_steps(void **state) {
    struct adele_device *device = devices_open_first();
    if (device == NULL)
        skip();
    adele_device_close(device);
    struct config *config = tiny_run_config(state, SETS("train.evaluate_test=false"));
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, "run"), .device = "failing"};
    struct trainer_result result;
    adele_device_provide("failing", open_failing);
    assert_int_equal(trainer_run(&options, &result), ADELE_DEVICE);
    assert_non_null(strstr(adele_error_message(), "the third loss fails"));
    adele_device_provide("failing", NULL);
    assert_int_equal(n_begun, 3);
    assert_int_equal(n_whole, 2);
    assert_int_equal(n_failed, 1);
    config_destroy(config);
}

// ---- memory -------------------------------------------------------------------------------------

// Kernels are loaded late: a run must not plan with all of a GPU's memory.
static void check_reserve(struct adele_device *device) {
    double total = 0.0;
    const char *text = strstr(device->description, ", ");
    if (devices_are_cpu())
        return;
    assert_non_null(text);
    assert_int_equal(sscanf(text, ", %lf GiB", &total), 1);
    double free_gib = (double)device->iface->free_bytes(device) / (1024.0 * 1024.0 * 1024.0);
    if (!(free_gib <= total + 0.05 - 0.25)) // the text is rounded to 0.1
        fail_msg("%g GiB of %g may be planned with", free_gib, total);
}
ON_EACH_DEVICE(reserve)

// ---- the GPU that a thread's calls go to --------------------------------------------------------

#ifdef ADELE_HAVE_SIMT
void simt_set_devices(int n);
int simt_make_current(int ordinal);

// The call of an entry of the device must have made number 1 the current one, from whatever thread
// it comes: each thread begins with number 0.
#define ASSERT_ON_ITS_OWN(call)                                                                    \
    do {                                                                                           \
        simt_make_current(0);                                                                      \
        call;                                                                                      \
        if (simt_make_current(0) != 1)                                                             \
            fail_msg("on the wrong GPU: %s", #call);                                               \
    } while (0)

static void call_all(struct adele_device *device) {
    const struct adele_device_iface *iface = device->iface;
    struct adele_conv2d_desc desc = {.n = 1,
                                     .c_in = 2,
                                     .h_in = 4,
                                     .w_in = 4,
                                     .c_out = 3,
                                     .kernel = 1,
                                     .stride = 1,
                                     .dilation = 1,
                                     .needs_d_src = true,
                                     .is_training = true};
    struct adele_shape in = {1, 2, 4, 4}, out = {1, 3, 4, 4};
    struct adele_op *op = NULL;
    struct arena arena;
    float values[64] = {0.0F};
    void *block = NULL, *pinned = NULL;
    ASSERT_ON_ITS_OWN(assert_ok(iface->alloc(device, 64, &block)));
    ASSERT_ON_ITS_OWN(assert_ok(iface->alloc_pinned(device, 64, &pinned)));
    ASSERT_ON_ITS_OWN((void)iface->free_bytes(device));
    ASSERT_ON_ITS_OWN(assert_ok(iface->upload(device, block, values, 64)));
    ASSERT_ON_ITS_OWN(assert_ok(iface->download(device, values, block, 64)));
    ASSERT_ON_ITS_OWN(assert_ok(iface->upload_begin(device, block, pinned, 64)));
    ASSERT_ON_ITS_OWN(assert_ok(iface->upload_fence(device)));
    ASSERT_ON_ITS_OWN(assert_ok(iface->fill(device, block, 0, 64)));
    ASSERT_ON_ITS_OWN(assert_ok(iface->copy(device, block, block, 64)));
    ASSERT_ON_ITS_OWN(assert_ok(iface->synchronize(device)));
    ASSERT_ON_ITS_OWN(assert_ok(iface->step_begin(device, 0)));
    ASSERT_ON_ITS_OWN(assert_ok(iface->step_end(device, true)));
    ASSERT_ON_ITS_OWN(iface->release(device, block));
    ASSERT_ON_ITS_OWN(iface->release(device, pinned));

    ASSERT_ON_ITS_OWN(assert_ok(iface->conv2d_create(device, &desc, &op)));
    arena_open(&arena, device);
    struct adele_conv2d_args args = {.src = arena_tensor(&arena, in, values),
                                     .weight = arena_upload(&arena, values, 6 * sizeof(float)),
                                     .dst = arena_tensor(&arena, out, NULL),
                                     .d_dst = arena_tensor(&arena, out, values),
                                     .d_src = arena_tensor(&arena, in, NULL),
                                     .d_weight = arena_upload(&arena, values, 6 * sizeof(float)),
                                     .workspace = arena_workspace(&arena, op)};
    ASSERT_ON_ITS_OWN(assert_ok(iface->conv2d_forward(op, &args)));
    ASSERT_ON_ITS_OWN(assert_ok(iface->conv2d_backward(op, &args)));
    ASSERT_ON_ITS_OWN(assert_ok(iface->tensor_upload(device, args.dst, out, values)));
    ASSERT_ON_ITS_OWN(assert_ok(iface->tensor_download(device, values, args.dst, out)));
    ASSERT_ON_ITS_OWN(iface->op_destroy(op));
    arena_close(&arena);
    ASSERT_ON_ITS_OWN(iface->destroy(device));
}
#endif

static void test_second_gpu(void **state) {
    (void)state;
#ifdef ADELE_HAVE_SIMT
    static const struct cuda_options options = {1, ADELE_PRECISION_FP32, CUDA_ENGINE_DIRECT};
    struct adele_device *device = NULL;
    simt_set_devices(2);
    assert_ok(simt_device_create(&options, &device));
    call_all(device);
    simt_set_devices(1);
#else
    print_message("this build has no emulator\n");
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_zeroed),
        cmocka_unit_test(test_failed_step),
        cmocka_unit_test(test_failed_second_step),
        cmocka_unit_test_setup_teardown(test_trainer_names_failed_steps, tiny_run_setup,
                                        scratch_teardown),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_second_gpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
