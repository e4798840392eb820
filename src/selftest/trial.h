// SPDX-License-Identifier: MIT
// One op, run once on one device with made-up inputs: the same inputs for the same calls on every
// device, so that what two devices, or two kernels of one, answer can be compared. A function of a
// case (selftest/cases.h) calls these; after the first failure, which stays in `status`, they do
// nothing and answer NULL.
#ifndef ADELE_SELFTEST_TRIAL_H
#define ADELE_SELFTEST_TRIAL_H

#include "device/device.h"

#define TRIAL_MAX_BLOCKS  64
#define TRIAL_MAX_OUTPUTS 32

enum trial_type { TRIAL_TENSOR, TRIAL_FLOAT, TRIAL_DOUBLE, TRIAL_INT64, TRIAL_BYTE };
struct trial_output {
    const char *name; // static
    enum trial_type type;
    size_t count;             // of elements
    struct adele_shape shape; // TENSOR
    const void *at;           // on the device
    void *values;             // on the host, once it was read back; a tensor as plain floats
};
struct trial {
    const struct adele_device *device;
    // What the inputs are rounded to, so that products are exact (TF32, BF16) and a reference in
    // float computes from the same numbers.
    enum adele_precision rounding;
    enum adele_precision precision; // for the descriptors of convolutions; FP32 on the reference
    // Whole numbers that may differ: pixels on the edge of a decision that rounding moves.
    int n_loose;
    void (*on_wait)(void); // see trial_wait; NULL is legal
    adele_status status;
    struct adele_op *op;
    int n_blocks, n_outputs;
    void *blocks[TRIAL_MAX_BLOCKS];
    struct trial_output outputs[TRIAL_MAX_OUTPUTS];
    uint64_t n_seeds; // of random arrays so far
};

void trial_open(struct trial *trial, const struct adele_device *device,
                enum adele_precision rounding, enum adele_precision precision);
// Says that all kernels are launched and that from now on only the device works: what then takes
// long hangs. Before, the driver may be translating kernels for a GPU that is newer than the
// program, for a minute. So a case uploads everything before it runs its op.
void trial_wait(const struct trial *trial);
// Waits, reads the outputs back, then releases what lies on the device; the outputs stay. The first
// failure of the whole trial.
ADELE_MUST_CHECK adele_status trial_finish(struct trial *trial);
void trial_close(struct trial *trial); // the outputs too

// Whether `status` is ADELE_OK and all before was; keeps the first failure.
bool trial_goes(struct trial *trial, adele_status status);

// Inputs: random numbers from [low, high), another array with each call.
void *trial_tensor(struct trial *trial, struct adele_shape shape, double low, double high);
float *trial_floats(struct trial *trial, size_t count, double low, double high);
uint8_t *trial_bytes(struct trial *trial, size_t count, int n_values); // of 0 .. n_values - 1
void *trial_upload(struct trial *trial, const void *host, size_t bytes);
// Memory of all 0xff: NaN in every float; trial_workspace: of the op's workspace_bytes.
void *trial_block(struct trial *trial, size_t bytes);
void *trial_workspace(struct trial *trial);
// Outputs begin as 0xff, so that an element left unwritten shows; `sum`: as random numbers, or
// zeros where they are whole, that the op adds to.
void *trial_tensor_out(struct trial *trial, const char *name, struct adele_shape shape);
void *trial_tensor_sum(struct trial *trial, const char *name, struct adele_shape shape);
void *trial_out(struct trial *trial, const char *name, enum trial_type type, size_t count);
void *trial_sum(struct trial *trial, const char *name, enum trial_type type, size_t count);

// Compares the outputs of the two trials of one case, `wants` alone where it is not NULL. False
// when they differ by more than rounding; `text` then says where and by how much.
bool trial_agrees(const struct trial *got, const struct trial *want,
                  bool (*wants)(const char *name, const void *context), const void *context,
                  char *text, size_t bytes);
#endif
