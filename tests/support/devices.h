// SPDX-License-Identifier: MIT
// Runs a test on every device of the build, and allocates memory for it: device buffers between
// guard bytes that are checked at the end, and host arrays of seeded random numbers.
#ifndef ADELE_TESTS_DEVICES_H
#define ADELE_TESTS_DEVICES_H

#include "device/device.h"

// Calls `body` with each device of the kind that the environment's ADELE_TEST_DEVICES names. cpu
// (the default): with blocks of 8 and of 16 channels, each with float and with bf16 tensors. simt,
// cuda: with both types, each with the tuned and with the plain kernels. Fails the running CMocka
// test when a device does not open, and prints which device a failure belongs to.
void devices_each(void (*body)(struct adele_device *device));
// And once for each engine that uses libraries, auto, cudnn and cublas, with float and with bf16
// tensors: for the tests of convolutions. Prints which library is missing. The emulator has
// stand-ins of them, and omits auto.
void devices_each_engine(void (*body)(struct adele_device *device));
// The same as devices_each with float tensors alone. cpu: the device that users get, and blocks of
// 16 and of 8 channels without Winograd convolutions (users get blocks of 8 without AVX-512). simt,
// cuda: the tuned and the plain kernels. is_quick leaves out the block that the instruction set is
// not made for.
void devices_each_fp32(bool is_quick, void (*body)(struct adele_device *device));
// The test test_NAME that runs check_NAME(device) on each; the second one with three CPU threads,
// so that work is cut into parts on every machine (include <omp.h>).
#define ON_EACH_DEVICE(name)                                                                       \
    static void test_##name(void **state) {                                                        \
        (void)state;                                                                               \
        devices_each(check_##name);                                                                \
    }
#define ON_EACH_DEVICE_3_THREADS(name)                                                             \
    static void test_##name(void **state) {                                                        \
        (void)state;                                                                               \
        omp_set_num_threads(3);                                                                    \
        devices_each(check_##name);                                                                \
    }
#define ON_EACH_ENGINE(name)                                                                       \
    static void test_##name(void **state) {                                                        \
        (void)state;                                                                               \
        devices_each_engine(check_##name);                                                         \
    }
// One device of that kind, the one that users get (float tensors, tuned kernels); for tests of what
// lies above the ops. NULL when it does not open. Close with adele_device_close.
struct adele_device *devices_open_first(void);
// A group's setup and teardown: *state is the CPU device that users get. Blocks of another width
// are slow on a processor that has none that wide, and the tests of the ops run those.
int devices_setup_cpu(void **state);
int devices_teardown(void **state);
// True when ADELE_TEST_DEVICES names the CPU: for cases of the CPU only.
bool devices_are_cpu(void);
// True when the device keeps tensors in bf16: what it writes is rounded by up to 2^-9 of it.
bool device_is_bf16(const struct adele_device *device);
// `tolerance`, or what the rounding of one stored bf16 result asks for where that is more.
double device_tolerance(const struct adele_device *device, double tolerance);

// True where a device that was opened for a library's engine leaves the op to our own kernels: the
// other devices have tested those.
bool device_leaves_op(const struct adele_device *device, const struct adele_op *op);
// What a convolution by a library may be off beside the rounding of its sums, as the root mean
// square of a normal error: sums of n_terms products of values from [-1, 1] have the variance
// n_terms / 9, and bf16 results of them are rounded by up to 2^-8 of it before a bias or what was
// there before is added. Where float tensors are to be multiplied in bf16, the library may round
// operands itself, in its own manner, or not at all: up to 2^-8 of each. 0 for our own kernels.
double device_library_rounding(const struct adele_device *device, const struct adele_op *op,
                               enum adele_precision precision, double n_terms);

#define ARENA_MAX_BUFFERS 128

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
// Fails the test when a guard byte was overwritten; then frees all memory of the arena.
void arena_close(struct arena *arena);

bool arena_is_bf16(const struct arena *arena);

// Host arrays: zeros, or uniform in [low, high) from a seed, rounded to bf16 when the device stores
// that, so that what goes into an op is the same for its reference.
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
#endif
