// SPDX-License-Identifier: MIT
// One op, run once on one device with generated inputs: the same inputs for the same calls on every
// device, so that the results of two devices, or of two kernels of one, can be compared. The
// function of a case (selftest/cases.h) calls these functions; after the first failure, which is
// kept in `status`, they do nothing and return NULL.
#ifndef ADELE_SELFTEST_TRIAL_H
#define ADELE_SELFTEST_TRIAL_H

#include "device/device.h"

#define TRIAL_MAX_BLOCKS  64
#define TRIAL_MAX_OUTPUTS 32

enum trial_type { TRIAL_TENSOR, TRIAL_FLOAT, TRIAL_HALF, TRIAL_DOUBLE, TRIAL_INT64, TRIAL_BYTE };
struct trial_output {
    const char *name; // static
    enum trial_type type;
    size_t count;             // of elements
    struct adele_shape shape; // TENSOR
    const void *at;           // on the device
    void *values;             // on the host, after it was read back; a tensor as plain floats
};
struct trial {
    const struct adele_device *device;
    // The precision to which inputs are rounded, so that products are exact (TF32, BF16) and a
    // reference in float uses the same numbers.
    enum adele_precision rounding;
    enum adele_precision precision; // for the descriptors of convolutions; FP32 on the reference
    // How many whole numbers may differ: pixels on the edge of a decision, which rounding changes.
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
// Reports that all kernels are launched and that only the device works from now on, so that a long
// wait means that a kernel hangs. Before, the driver may compile kernels for a GPU that is newer
// than the program, for a minute. So a case uploads everything before it runs its op.
void trial_wait(const struct trial *trial);
// Waits, reads the outputs back, then frees the device memory; the outputs stay. Returns the first
// failure of the trial.
ADELE_MUST_CHECK adele_status trial_finish(struct trial *trial);
void trial_close(struct trial *trial); // frees the outputs too

// Whether `status` and all before it were ADELE_OK; keeps the first failure.
bool trial_check(struct trial *trial, adele_status status);

// Inputs: random numbers from [low, high), a new array with each call.
void *trial_tensor(struct trial *trial, struct adele_shape shape, double low, double high);
float *trial_floats(struct trial *trial, size_t count, double low, double high);
uint16_t *trial_halves(struct trial *trial, size_t count, double low, double high);
uint8_t *trial_bytes(struct trial *trial, size_t count, int n_values); // of 0 .. n_values - 1
void *trial_upload(struct trial *trial, const void *host, size_t bytes);
// Memory of all 0xff: NaN in every float; trial_workspace: of the op's workspace_bytes.
void *trial_block(struct trial *trial, size_t bytes);
void *trial_workspace(struct trial *trial);
void trial_clear(struct trial *trial, void *block, size_t bytes); // to zeros
// Outputs start as 0xff, so that an element that is not written is detected; `sum`: as random
// numbers (halves from 0 to 1, zeros for whole numbers), to which the op adds.
void *trial_tensor_out(struct trial *trial, const char *name, struct adele_shape shape);
void *trial_tensor_sum(struct trial *trial, const char *name, struct adele_shape shape);
void *trial_out(struct trial *trial, const char *name, enum trial_type type, size_t count);
void *trial_sum(struct trial *trial, const char *name, enum trial_type type, size_t count);

// Compares the outputs of the two trials of one case, only `wants` if it is not NULL. False
// if they differ by more than rounding; `text` then describes where and by how much.
bool trial_agrees(const struct trial *got, const struct trial *want,
                  bool (*wants)(const char *name, const void *context), const void *context,
                  char *text, size_t bytes);
#endif
