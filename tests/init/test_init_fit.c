// SPDX-License-Identifier: MIT
// Size, width and batch for devices with much and with little memory.
#include "init/init_choices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "support/scales_device.h"

static size_t free_now;

static size_t fake_free_bytes(const struct adele_device *device) {
    (void)device;
    return free_now;
}

// The CPU under another name, with so much memory.
struct fake {
    struct adele_device *cpu;
    struct adele_device_iface iface;
    struct adele_device device;
};

static void fake_open(struct fake *fake, const char *name) {
    assert_int_equal(adele_device_open("cpu", ADELE_PRECISION_FP32, &fake->cpu), ADELE_OK);
    fake->iface = *fake->cpu->iface;
    fake->iface.name = name;
    fake->iface.free_bytes = fake_free_bytes;
    fake->device = *fake->cpu;
    fake->device.iface = &fake->iface;
}

static struct adele_fingerprint found_of(int n_train, int width, int height, int n_slices) {
    struct adele_fingerprint found = {.n_channels = 1, .n_bits = 8, .is_volume = n_slices > 1};
    found.n_cases[0] = n_train;
    found.extents[0].median = width;
    found.extents[1].median = height;
    found.extents[2].median = n_slices;
    return found;
}

static struct init_fit fit_of(const struct fake *fake, const struct adele_fingerprint *found) {
    struct dataset dataset = {.root = "set", .n_channels = 1, .n_categories = 2};
    struct init_fit fit;
    dataset.n_cases[SPLIT_TRAIN] = found->n_cases[0];
    if (init_fit(&fake->device, &dataset, found, false, &fit) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return fit;
}

static void a_cpu_gets_a_small_network(void **state) {
    struct fake fake;
    (void)state;
    fake_open(&fake, "cpu");
    free_now = (size_t)64 << 30;
    struct adele_fingerprint found = found_of(40, 500, 250, 1);
    struct init_fit fit = fit_of(&fake, &found);
    assert_int_equal(fit.width, 128); // the shape of the files, in steps of 16
    assert_int_equal(fit.height, 64);
    assert_int_equal(fit.channels, 16);
    assert_int_equal(fit.batch, 5);
    assert_false(fit.is_gpu);
    assert_true(fit.needed_bytes > 50000000 && fit.needed_bytes < 1000000000);
    found = found_of(3, 70, 20, 1); // small files stay; no batch above the training cases
    fit = fit_of(&fake, &found);
    assert_int_equal(fit.width, 64);
    assert_int_equal(fit.height, 32);
    assert_int_equal(fit.batch, 3);
    found = found_of(2, 512, 512, 60); // the slices of two volumes are more than a batch
    fit = fit_of(&fake, &found);
    assert_int_equal(fit.batch, 5);
    adele_device_close(fake.cpu);
}

// Plans of scales that run together need their gradients at the same time.
static void scales_that_run_together_need_more(void **state) {
    struct fake fake;
    (void)state;
    fake_open(&fake, "cpu");
    free_now = (size_t)64 << 30;
    struct adele_fingerprint found = found_of(40, 500, 250, 1);
    const struct init_fit turns = fit_of(&fake, &found);
    scales_device_wrap(&fake.device);
    const struct init_fit together = fit_of(&fake, &found);
    assert_true(scales_device.n_created > 0);
    assert_int_equal(scales_device.n_ops, 0);
    assert_int_equal(together.channels, turns.channels);
    assert_int_equal(together.batch, turns.batch);
    assert_true(together.needed_bytes > turns.needed_bytes);
    adele_device_close(fake.cpu);
}

// Where whole images would become much smaller, at the files' own size.
static void large_images_get_patches(void **state) {
    struct fake fake;
    (void)state;
    fake_open(&fake, "cpu");
    free_now = (size_t)64 << 30;
    struct adele_fingerprint found = found_of(40, 1000, 500, 1);
    struct init_fit fit = fit_of(&fake, &found);
    assert_true(fit.is_patch);
    assert_int_equal(fit.width, 128);
    assert_int_equal(fit.height, 128);
    assert_int_equal(fit.whole_width, 128);
    assert_int_equal(fit.whole_height, 64);
    assert_int_equal(fit.batch, 5);
    assert_true(fit.needed_bytes > 40 * 1000 * 500 * 3); // all images, and their labels twice
    found = found_of(40, 1000, 70, 1);                   // no patch is longer than the images
    fit = fit_of(&fake, &found);
    assert_true(fit.is_patch && fit.width == 128 && fit.height == 64);
    found = found_of(40, 512, 512, 1);
    fit = fit_of(&fake, &found);
    assert_false(fit.is_patch);
    found = found_of(4, 640, 640, 50); // slices of volumes
    fit = fit_of(&fake, &found);
    assert_true(fit.is_patch);
    // Not all images fit into the memory at their own size, where one is much larger.
    free_now = (size_t)1 << 30;
    found = found_of(40, 1000, 500, 1);
    assert_true(fit_of(&fake, &found).is_patch);
    found.extents[0].high = 20000;
    found.extents[1].high = 20000;
    fit = fit_of(&fake, &found);
    assert_false(fit.is_patch);
    assert_true(fit.width == fit.whole_width && fit.height == fit.whole_height);
    adele_device_close(fake.cpu);
}

static void little_memory_means_less(void **state) {
    struct fake fake;
    (void)state;
    fake_open(&fake, "cpu");
    struct adele_fingerprint found = found_of(40, 512, 512, 1);
    free_now = SIZE_MAX; // not known
    struct init_fit whole = fit_of(&fake, &found), last = whole;
    assert_int_equal(whole.batch, 5);
    // Until not even the smallest is possible; how much that needs depends on the processor.
    struct dataset dataset = {.root = "set", .n_channels = 1, .n_categories = 2};
    struct init_fit fit;
    int n_less = 0;
    dataset.n_cases[SPLIT_TRAIN] = 40;
    for (free_now = whole.needed_bytes * 2;
         init_fit(&fake.device, &dataset, &found, false, &fit) == ADELE_OK; free_now /= 2) {
        assert_true(fit.needed_bytes <= free_now / 2); // the other half is for other programs
        assert_true(fit.needed_bytes <= last.needed_bytes);
        assert_true(fit.batch >= 2);
        n_less += fit.needed_bytes < last.needed_bytes;
        last = fit;
    }
    assert_in_range(n_less, 2, 32);
    assert_true(last.width < whole.width || last.channels < whole.channels ||
                last.batch < whole.batch);
    free_now = 1000000;
    assert_int_equal(init_fit(&fake.device, &dataset, &found, false, &fit), ADELE_NO_MEMORY);
    assert_non_null(strstr(adele_error_message(), "set: 1 MB are free on cpu"));
    assert_true(adele_error_hint()[0] != '\0');
    adele_device_close(fake.cpu);
}

static void a_gpu_gets_a_larger_one(void **state) {
    struct fake fake;
    (void)state;
    fake_open(&fake, "gpu");
    free_now = (size_t)400 << 30;
    struct adele_fingerprint found = found_of(100, 600, 300, 1);
    struct init_fit fit = fit_of(&fake, &found);
    assert_true(fit.is_gpu);
    assert_int_equal(fit.width, 512);
    assert_int_equal(fit.height, 256);
    assert_int_equal(fit.channels, 64);
    assert_int_equal(fit.batch, 16);
    assert_false(fit.is_patch);
    found = found_of(100, 2000, 1500, 1);
    fit = fit_of(&fake, &found);
    assert_true(fit.is_patch && fit.width == 512 && fit.height == 512);
    adele_device_close(fake.cpu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cpu_gets_a_small_network),
        cmocka_unit_test(scales_that_run_together_need_more),
        cmocka_unit_test(large_images_get_patches),
        cmocka_unit_test(little_memory_means_less),
        cmocka_unit_test(a_gpu_gets_a_larger_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
