// SPDX-License-Identifier: MIT
// For tests of the kernels of Hopper (compute capability 9.0): the emulator becomes such a GPU; the
// interpreter is one where PTX_SM is 90; a real GPU is what it is.
#ifndef ADELE_TESTS_HOPPER_H
#define ADELE_TESTS_HOPPER_H

#include "support/devices.h"

// Calls `body` with each device of such a GPU, and with none on the CPU. Says so where the GPU is
// another one.
void hopper_each(void (*body)(struct adele_device *device));
#define ON_EACH_HOPPER(name)                                                                       \
    static void test_##name(void **state) {                                                        \
        (void)state;                                                                               \
        hopper_each(check_##name);                                                                 \
    }
// Whether the device has kernels of Hopper: its tensors are bf16, and not all kernels are plain.
bool hopper_is_tuned(const struct adele_device *device);

// Ops that are created have the tile of that name, on so many blocks; until hopper_choose_nothing.
void hopper_choose(const char *tile, const char *blocks);
void hopper_choose_nothing(void);

#endif
