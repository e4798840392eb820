// SPDX-License-Identifier: MIT
// U-Nets on the first device of ADELE_TEST_DEVICES. Every failure fails the running
// CMocka test.
#ifndef ADELE_TESTS_SMALL_UNET_H
#define ADELE_TESTS_SMALL_UNET_H

#include "nn/network.h"

#include <stdint.h>

// CMocka's group fixture opens and closes the device.
extern struct adele_device *small_unet_device;
int small_unet_setup(void **state);
int small_unet_teardown(void **state);

struct network *small_unet_create(int n_channels, int n_categories, int width, uint64_t seed);
// n floats of the device; free() them.
float *small_unet_download(const float *arena, int64_t n);
// Weights and running statistics are the same bits.
void small_unet_assert_same(struct network *a, struct network *b);

#endif
