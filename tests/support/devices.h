// SPDX-License-Identifier: MIT
// Runs a test on every device of the build, and lends it memory: device buffers between guard bytes
// that are checked at the end, and host arrays of seeded random numbers.
#ifndef ADELE_TESTS_DEVICES_H
#define ADELE_TESTS_DEVICES_H

#include "device/device.h"

// Calls `body` with each device: the CPU with blocks of 8 and of 16 channels. Fails the running
// CMocka test when a device does not open, and prints which device a failure belongs to.
void devices_each(void (*body)(struct adele_device *device));

#define ARENA_MAX_BUFFERS 96

struct arena_buffer {
    unsigned char *block; // in device memory: guard, data, guard; NULL for a host array
    size_t bytes;         // of the data
    void *host;           // a host array, else NULL
};
struct arena {
    struct adele_device *device;
    int n_buffers;
    struct arena_buffer buffers[ARENA_MAX_BUFFERS];
};

void arena_open(struct arena *arena, struct adele_device *device);
// Fails the test when a guard byte was overwritten; then frees all that the arena lent.
void arena_close(struct arena *arena);

// Host arrays: zeros, or uniform in [low, high) from a seed.
float *arena_floats(struct arena *arena, size_t count);
float *arena_random(struct arena *arena, uint64_t seed, size_t count, double low, double high);

// Device buffers. Without a source every byte is 0xff, a NaN in every float, so that what an op
// fails to write shows up.
void *arena_upload(struct arena *arena, const void *from, size_t bytes);
void *arena_tensor(struct arena *arena, struct adele_shape shape, const float *nchw);
void *arena_workspace(struct arena *arena, const struct adele_op *op);

// Back to the host, into memory that the arena owns. The tensor form fails the test when a fill-up
// element of the device's layout is not zero.
float *arena_download(struct arena *arena, const void *from, size_t count);
float *arena_tensor_download(struct arena *arena, const void *tensor, struct adele_shape shape);

size_t shape_count(struct adele_shape shape); // n * c * h * w

// Creates op `name` with the 1st, 2nd, ... allocation failing, until one attempt meets no failure:
// each failed attempt answers ADELE_NO_MEMORY and leaves no op. A macro, for the entry of the op's
// own type; the test includes base/memory.h and cmocka.h.
#define ASSERT_CREATE_SURVIVES_FAILURES(device, name, desc)                                        \
    do {                                                                                           \
        struct adele_op *failing_op = NULL;                                                        \
        adele_status failing_status = ADELE_NO_MEMORY;                                             \
        long i_failing = 0;                                                                        \
        for (; i_failing < 100 && failing_status != ADELE_OK; i_failing++) {                       \
            memory_fail_at(i_failing);                                                             \
            failing_status = (device)->iface->name##_create((device), (desc), &failing_op);        \
            memory_fail_at(-1);                                                                    \
            if (failing_status != ADELE_OK) {                                                      \
                assert_int_equal(failing_status, ADELE_NO_MEMORY);                                 \
                assert_null(failing_op);                                                           \
            }                                                                                      \
        }                                                                                          \
        if (failing_status != ADELE_OK)                                                            \
            fail_msg("a hundred allocations for one op");                                          \
        assert_true(i_failing > 1); /* the first attempt met a failure */                          \
        (device)->iface->op_destroy(failing_op);                                                   \
    } while (0)
#endif
