// SPDX-License-Identifier: MIT
// Convolutions by the tuned kernels of GPUs, each asked for by name: every tile, ResNet's stem; and
// which of them is chosen. test_conv2d_hopper has those of Hopper.
#include "support/conv2d_problem.h"
#include "support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// For the tiled kernels of the GPU, of 64 and 128 pixels and of 32, 64 and 128 channels: one below,
// at and above these, sums of fewer and of more steps than are under way at a time, tiles whose
// pixels differ in their live taps.
static const int tile_cases[][9] = {
    {1, 9, 9, 7, 31, 3, 1, 1, 1},    {1, 16, 8, 8, 64, 3, 1, 1, 1},
    {1, 33, 5, 13, 65, 1, 1, 0, 1},  {1, 8, 1, 127, 32, 3, 1, 1, 1},
    {2, 24, 8, 8, 63, 1, 1, 0, 1},   {1, 40, 3, 43, 33, 3, 1, 1, 1},
    {1, 64, 9, 9, 129, 1, 1, 0, 1},  {1, 31, 16, 9, 127, 1, 1, 0, 1},
    {2, 12, 13, 14, 40, 3, 1, 6, 6}, {1, 65, 17, 16, 34, 3, 2, 1, 1},
    {3, 128, 2, 3, 128, 3, 1, 2, 2},
};

// The tile is chosen from the shape, large ones for more work than a test has time for: so each is
// asked for by name.
static void check_tiles(struct adele_device *device) {
    static const char *const tiles[] = {"128x128", "128x64", "128x32", "64x64"};
    static const enum adele_precision precisions[] = {ADELE_PRECISION_FP32, ADELE_PRECISION_TF32,
                                                      ADELE_PRECISION_BF16};
    for (size_t i = 0; i < sizeof tile_cases / sizeof tile_cases[0]; i++)
        for (size_t j = 0; j < sizeof tiles / sizeof tiles[0]; j++) {
            struct adele_conv2d_desc desc = conv2d_desc_of(tile_cases[i]);
            desc.precision = precisions[(i + j) % 3];
            setenv("ADELE_CONV2D_TILE", tiles[j], 1);
            conv2d_check(device, desc, (i + j) % 2 == 0);
            unsetenv("ADELE_CONV2D_TILE");
            if (devices_are_cpu())
                break; // has no tiles
        }
}

// ResNet's stem of 7 x 7 has tuned kernels: the first layer's with float products, tensor cores
// otherwise. What has still more taps runs on the plain one.
static void check_engines(struct adele_device *device) {
    static const int stem[] = {2, 3, 64, 64, 64, 7, 2, 3, 1};
    static const int large[] = {1, 3, 32, 32, 16, 9, 2, 4, 1};
    if (devices_are_cpu())
        return;
    struct adele_conv2d_desc of_stem = conv2d_desc_of(stem);
    of_stem.needs_d_src = false;
    if (strcmp(device->engine, "plain") == 0) {
        conv2d_check_engine(device, of_stem, "plain");
        return;
    }
    if (!device_is_bf16(device)) {
        conv2d_check_engine(device, of_stem, "direct: first layer fp32");
        of_stem.precision = ADELE_PRECISION_TF32;
        conv2d_check_engine(device, of_stem, "direct: mma tf32");
    }
    of_stem.precision = ADELE_PRECISION_BF16;
    conv2d_check_engine(device, of_stem, "direct: mma bf16");
    of_stem.needs_d_src = true;
    conv2d_check_engine(device, of_stem, "d_src mma bf16");
    struct adele_conv2d_desc of_large = conv2d_desc_of(large);
    conv2d_check_engine(device, of_large, "direct: plain");
}

ON_EACH_DEVICE(tiles)
ON_EACH_DEVICE(engines)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_engines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
