// SPDX-License-Identifier: MIT
// The training pass's predictions where other ranks have some of them.
#include "predict/prediction.h"

#include "support/devices.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

// A process on its own is rank 0.
static void predictions_of_others_are_cleared(void **state) {
    enum { N = 4, H = 3, W = 5, MAP = H * W };
    static const int owners[N] = {0, 1, 2, 0};
    const struct adele_device *device = *state;
    struct run_data data = {.device = device};
    struct prediction prediction = {.n = N};
    uint8_t category[N * MAP];
    float confidence[2][N * MAP];
    data.resident[SPLIT_TRAIN].set = (struct adele_sample_set){.n_images = N, .h = H, .w = W};
    for (int k = 0; k < N * MAP; k++) {
        category[k] = 1;
        confidence[0][k] = 0.75f;
        confidence[1][k] = 0.5f;
    }
    float **blocks[] = {&prediction.confidence_foreground, &prediction.confidence_background};
    check_ok(device->iface->alloc(device, sizeof category, (void **)&prediction.category));
    check_ok(device->iface->upload(device, prediction.category, category, sizeof category));
    for (int b = 0; b < 2; b++) {
        check_ok(device->iface->alloc(device, sizeof confidence[b], (void **)blocks[b]));
        check_ok(device->iface->upload(device, *blocks[b], confidence[b], sizeof confidence[b]));
    }
    check_ok(prediction_clear_others(&data, &prediction, owners));
    check_ok(prediction_gather(&data, &prediction, owners)); // nothing to gather
    check_ok(device->iface->synchronize(device));
    check_ok(device->iface->download(device, category, prediction.category, sizeof category));
    for (int b = 0; b < 2; b++)
        check_ok(device->iface->download(device, confidence[b], *blocks[b], sizeof confidence[b]));
    for (int k = 0; k < N * MAP; k++) {
        bool is_mine = owners[k / MAP] == 0;
        assert_int_equal(category[k], is_mine ? 1 : 255);
        assert_true(confidence[0][k] == (is_mine ? 0.75f : 0.0f));
        assert_true(confidence[1][k] == (is_mine ? 0.5f : 0.0f));
    }
    device->iface->release(device, prediction.category);
    for (int b = 0; b < 2; b++)
        device->iface->release(device, *blocks[b]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictions_of_others_are_cleared),
    };
    return cmocka_run_group_tests(tests, devices_setup_cpu, devices_teardown);
}
