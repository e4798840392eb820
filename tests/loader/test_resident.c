// SPDX-License-Identifier: MIT
// Images that stay on the host give the run that images on the device give, to the byte, on a
// device whose copies are as unpunctual as a device may have them: what is written to is spoilt
// when a copy begins, and comes only with the fence.
#include "loader/resident.h"

#include "runtime/cuda_device.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MAX_COPIES 64

struct copy {
    void *to;
    const void *from;
    size_t bytes;
};

static struct adele_device_iface late_iface;
static const struct adele_device_iface *cpu_iface;
static struct copy copies[MAX_COPIES];  // begun, and not there yet
static int n_copies, n_begun, n_beside; // n_beside: batches sampled while others were on their way

static adele_status late_upload_begin(const struct adele_device *device, void *to,
                                      const void *pinned, size_t bytes) {
    (void)device;
    assert_in_range(n_copies, 0, MAX_COPIES - 1);
    memset(to, 0xA5, bytes);
    copies[n_copies++] = (struct copy){to, pinned, bytes};
    n_begun++;
    return ADELE_OK;
}

static adele_status late_upload_fence(const struct adele_device *device) {
    (void)device;
    for (int i = 0; i < n_copies; i++)
        memcpy(copies[i].to, copies[i].from, copies[i].bytes);
    n_copies = 0;
    return ADELE_OK;
}

static adele_status late_sample_forward(struct adele_op *op, const struct adele_sample_args *args) {
    n_beside += n_copies > 0;
    return cpu_iface->sample_forward(op, args);
}

static adele_status open_late(enum adele_precision precision, struct adele_device **out) {
    adele_status status = adele_device_open("cpu", precision, out);
    if (status != ADELE_OK)
        return status;
    cpu_iface = (*out)->iface;
    late_iface = *cpu_iface;
    late_iface.upload_begin = late_upload_begin;
    late_iface.upload_fence = late_upload_fence;
    late_iface.sample_forward = late_sample_forward;
    (*out)->iface = &late_iface;
    n_copies = n_begun = n_beside = 0;
    return ADELE_OK;
}

static void run(void **state, const char *name, const char *const *sets) {
    struct config *config = tiny_run_config(state, sets);
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, name), .device = "late"};
    struct trainer_result result;
    check_ok(trainer_run(&options, &result));
    config_destroy(config);
}

// 18 images in batches of 4, so 5 batches in each of 5 epochs and for the examples, and of the 3
// images of val and of test one a pass.
static void a_run_is_the_same(void **state) {
    run(state, "device", SETS("data.residency=device"));
    assert_int_equal(n_begun, 0);
    run(state, "host", SETS("data.residency=host"));
    assert_int_equal(n_begun, 5 * (18 + 3 + 3) + 18);
    assert_int_equal(n_beside, 5 * 4); // all but the last of each epoch; examples come one by one
    tiny_run_assert_same(state, "device", "host");
}

// Augmentation draws for the images' true numbers; the correction predicts the whole set at two
// scales and mirrored, four times from one copy.
static void a_run_with_augmentation_is_the_same(void **state) {
#define AUGMENTED                                                                                  \
    "data.augment.enabled=true", "data.augment.flip=0.5", "correction.source=inference",           \
        "correction.scales=[1.0, 1.25]", "correction.flip=true"
    run(state, "device_augmented", SETS("data.residency=device", AUGMENTED));
    run(state, "host_augmented", SETS("data.residency=host", AUGMENTED));
    assert_true(n_begun > 5 * 24 + 18); // the correction's passes, too
    double changed = 0.0;
    for (int epoch = 1; epoch <= 5; epoch++) {
        double pixels =
            tiny_run_metric(state, "host_augmented", epoch, "correction/changed_pixels");
        changed += pixels > 0.0 ? pixels : 0.0;
    }
    assert_true(changed > 0.0);
    tiny_run_assert_same(state, "device_augmented", "host_augmented");
}

enum { N = 5, C = 2, MAP = 6, BATCH = 2, IMAGE = C * MAP };

// Row `row` of the current batch is image i.
static void assert_row(const struct resident *resident, const uint8_t *pixels, int row, int i) {
    uint8_t got[IMAGE];
    const uint8_t *batch = resident_batch(resident);
    assert_non_null(batch);
    const struct adele_device *device = resident->device;
    check_ok(device->iface->download(device, got, batch + (size_t)row * IMAGE, IMAGE));
    assert_memory_equal(got, pixels + (size_t)i * IMAGE, IMAGE);
}

// What lies where, and what is refused.
static void check_places(struct adele_device *device) {
    uint8_t pixels[N * IMAGE], labels[N * MAP] = {0};
    float ones[N * C];
    for (int i = 0; i < N * IMAGE; i++)
        pixels[i] = (uint8_t)i;
    for (int i = 0; i < N * C; i++)
        ones[i] = 1.0f;
    struct dataset_images images = {.n = N,
                                    .c = C,
                                    .h = 2,
                                    .w = 3,
                                    .images = pixels,
                                    .mean = ones,
                                    .inv_std = ones,
                                    .labels = labels};
    struct resident_options options = {
        .with_noisy = true, .residency = RESIDENCY_DEVICE, .batch = BATCH};
    struct resident resident;
    check_ok(resident_init(&resident, device, &images, &options));
    size_t others = 2 * N * MAP + 2 * N * C * sizeof(float);
    assert_int_equal(resident_device_bytes(&resident), N * IMAGE + others);
    assert_int_equal(resident_host_bytes(&resident), 0);
    assert_null(resident_batch(&resident));
    check_ok(resident_move_to_host(&resident));
    assert_null(resident.set.images);
    assert_int_equal(resident_device_bytes(&resident), 2 * BATCH * IMAGE + others);
    assert_int_equal(resident_host_bytes(&resident), N * IMAGE);
    const int32_t first[] = {4, 1}, second[] = {-1, 3}, many[] = {0, 1, 2};
    check_ok(resident_prefetch(&resident, first, 2));
    check_ok(resident_swap(&resident));
    const void *batch = resident_batch(&resident);
    check_ok(resident_prefetch(&resident, second, 2));
    assert_row(&resident, pixels, 0, 4);
    assert_row(&resident, pixels, 1, 1);
    check_ok(resident_swap(&resident));
    assert_ptr_not_equal(resident_batch(&resident), batch);
    assert_row(&resident, pixels, 1, 3);
    assert_int_equal(resident_prefetch(&resident, many, 3), ADELE_INVALID_ARGUMENT);
    resident_deinit(&resident);
}

static void images_lie_where_they_should(void **state) {
    (void)state;
    struct adele_device *device = NULL;
    check_ok(adele_device_open("cpu", ADELE_PRECISION_FP32, &device));
    check_places(device);
    adele_device_close(device);
#ifdef ADELE_HAVE_SIMT // whose copies are late, too
    const struct cuda_options options = {0, ADELE_PRECISION_FP32, CUDA_ENGINE_DIRECT};
    check_ok(simt_device_create(&options, &device));
    check_places(device);
    adele_device_close(device);
#endif
}

static int setup(void **state) {
    adele_device_provide("late", open_late);
    return tiny_run_setup(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(images_lie_where_they_should),
                                       cmocka_unit_test(a_run_is_the_same),
                                       cmocka_unit_test(a_run_with_augmentation_is_the_same)};
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
