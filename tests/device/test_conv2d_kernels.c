// SPDX-License-Identifier: MIT
// Convolutions by the tuned kernels of GPUs, each asked for by name: every tile, ResNet's stem, and
// the kernels of Hopper; and which of them is chosen.
#include "device/families.h"
#include "runtime/cuda_device.h"
#include "support/conv2d_problem.h"
#include "support/devices.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

static void check_engine_of(struct adele_device *device, struct adele_conv2d_desc desc,
                            const char *engine) {
    struct adele_op *op = NULL;
    check_ok(device->iface->conv2d_create(device, &desc, &op));
    if (strstr(op->engine, engine) == NULL)
        fail_msg("kernel %d, precision %d: \"%s\" instead of \"%s\"", desc.kernel,
                 (int)desc.precision, op->engine, engine);
    device->iface->op_destroy(op);
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
        check_engine_of(device, of_stem, "plain");
        return;
    }
    if (!device_is_bf16(device)) {
        check_engine_of(device, of_stem, "direct: first layer fp32");
        of_stem.precision = ADELE_PRECISION_TF32;
        check_engine_of(device, of_stem, "direct: mma tf32");
    }
    of_stem.precision = ADELE_PRECISION_BF16;
    check_engine_of(device, of_stem, "direct: mma bf16");
    of_stem.needs_d_src = true;
    check_engine_of(device, of_stem, "d_src mma bf16");
    struct adele_conv2d_desc of_large = conv2d_desc_of(large);
    check_engine_of(device, of_large, "direct: plain");
}

// For the kernels of Hopper, which take channels in multiples of 64: boxes of pixels over one and
// over several images, more steps than stages, taps and whole tiles in the padding, channels that
// do not fill the last tile.
static const int hopper_cases[][9] = {
    {1, 64, 9, 7, 64, 3, 1, 1, 1},      {2, 128, 13, 11, 64, 3, 1, 2, 2},
    {5, 64, 14, 13, 128, 3, 1, 6, 6},   {1, 64, 8, 16, 256, 1, 1, 0, 1},
    {2, 64, 15, 17, 192, 3, 1, 12, 12}, {5, 64, 25, 3, 64, 3, 1, 24, 24},
    {1, 256, 5, 5, 64, 3, 1, 1, 1},     {2, 64, 9, 15, 320, 1, 1, 0, 1},
    {1, 64, 6, 5, 64, 3, 1, 0, 1},      {1, 64, 5, 7, 64, 5, 1, 4, 2},
    {1, 64, 4, 4, 64, 3, 1, 12, 2},
};

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

static void check_hopper(struct adele_device *device) {
    static const char *const tiles[] = {"128x64", "128x128", "128x256"};
    if (!device_is_bf16(device) || strcmp(device->engine, "plain") == 0)
        return;
    // All tiles at the first three shapes, then one after the other.
    for (size_t i = 0; i < sizeof hopper_cases / sizeof hopper_cases[0]; i++)
        for (size_t j = 0; j < sizeof tiles / sizeof tiles[0]; j++) {
            struct adele_conv2d_desc desc = conv2d_desc_of(hopper_cases[i]);
            if (i >= 3 && i % 3 != j)
                continue;
            char engine[32];
            desc.precision = ADELE_PRECISION_BF16;
            desc.has_bias = (i + j) % 2 == 0;
            (void)snprintf(engine, sizeof engine, "direct: wgmma bf16 %s", tiles[j]);
            setenv("ADELE_CONV2D_TILE", tiles[j], 1);
            setenv("ADELE_CONV2D_BLOCKS", "4", 1); // so that each takes several tiles
            check_engine_of(device, desc, engine);
            conv2d_check(device, desc, (i + j) % 3 == 0);
            unsetenv("ADELE_CONV2D_TILE");
            unsetenv("ADELE_CONV2D_BLOCKS");
        }
}

// What the family leaves to others, and what takes over where it is disabled.
static void check_hopper_choice(struct adele_device *device) {
    static const struct {
        int shape[9];
        const char *engine;
    } rows[] = {
        {{1, 64, 9, 9, 64, 3, 1, 1, 1}, "direct: wgmma bf16 128x64"},
        {{1, 64, 9, 9, 128, 3, 2, 1, 1}, "direct: mma bf16"},
        {{1, 72, 9, 9, 64, 3, 1, 1, 1}, "direct: mma bf16"},
        {{1, 64, 9, 9, 40, 3, 1, 1, 1}, "direct: mma bf16"},
        {{1, 64, 9, 9, 64, 7, 1, 3, 1}, "direct: mma bf16"},
        {{4, 64, 65, 67, 256, 3, 1, 1, 1}, "dst wgmma bf16 128x256"},
    };
    struct adele_conv2d_desc desc = conv2d_desc_of(rows[0].shape);
    if (strcmp(device->engine, "plain") == 0)
        return;
    desc.precision = ADELE_PRECISION_BF16;
    if (!device_is_bf16(device)) {
        check_engine_of(device, desc, "direct: mma bf16");
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_engine_of(device, conv2d_desc_of(rows[i].shape), rows[i].engine);
    device->disabled_families = family_bit(ADELE_FAMILY_conv2d_hopper);
    check_engine_of(device, desc, "direct: mma bf16");
    device->disabled_families = family_bit(ADELE_FAMILY_conv2d_mma);
    check_engine_of(device, desc, "direct: wgmma bf16");
    device->disabled_families = 0;
}

// The emulator becomes a GPU of compute capability 9.0. The interpreter is one where PTX_SM is 90,
// and a real GPU is what it is: on others the family does not run.
static void test_hopper(void **state) {
    (void)state;
    const char *kind = getenv("ADELE_TEST_DEVICES");
    if (devices_are_cpu())
        return;
    if (kind != NULL && strcmp(kind, "simt") == 0) {
        setenv("SIMT_DEVICE", "hopper", 1);
    } else if (!is_real_hopper()) {
        print_message("SKIPPED: not a GPU of compute capability 9.0\n");
        return;
    }
    devices_each(check_hopper);
    devices_each(check_hopper_choice);
    unsetenv("SIMT_DEVICE");
}

ON_EACH_DEVICE(tiles)
ON_EACH_DEVICE(engines)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_engines),
        cmocka_unit_test(test_hopper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
