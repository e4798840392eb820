// SPDX-License-Identifier: MIT
#include "support/hopper.h"

#include "runtime/cuda_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Whether the CUDA device, interpreted or real, is a GPU of compute capability 9.0.
static bool is_real_hopper(void) {
    bool is_hopper = false;
#ifdef ADELE_HAVE_CUDA
    char identity[200];
    cuda_device_identity(0, identity, sizeof identity);
    is_hopper = strstr(identity, ", sm_90,") != NULL;
#endif
    return is_hopper;
}

void hopper_each(void (*body)(struct adele_device *device)) {
    const char *kind = getenv("ADELE_TEST_DEVICES");
    if (devices_are_cpu())
        return;
    if (kind != NULL && strcmp(kind, "simt") == 0) {
        setenv("SIMT_DEVICE", "hopper", 1);
    } else if (!is_real_hopper()) {
        print_message("SKIPPED: not a GPU of compute capability 9.0\n");
        return;
    }
    devices_each(body);
    unsetenv("SIMT_DEVICE");
}

bool hopper_is_tuned(const struct adele_device *device) {
    return device_is_bf16(device) && strcmp(device->engine, "plain") != 0;
}

void hopper_choose(const char *tile, const char *blocks) {
    setenv("ADELE_CONV2D_TILE", tile, 1);
    setenv("ADELE_CONV2D_BLOCKS", blocks, 1);
}

void hopper_choose_nothing(void) {
    unsetenv("ADELE_CONV2D_TILE");
    unsetenv("ADELE_CONV2D_BLOCKS");
}
