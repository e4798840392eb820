// SPDX-License-Identifier: MIT
#include "selftest/trial.h"

#include "base/fail.h"
#include "base/half.h"
#include "base/memory.h"

#include <string.h>

void trial_open(struct trial *trial, const struct adele_device *device,
                enum adele_precision rounding, enum adele_precision precision) {
    memset(trial, 0, sizeof *trial);
    trial->device = device;
    trial->rounding = rounding;
    trial->precision = precision;
}

bool trial_check(struct trial *trial, adele_status status) {
    if (trial->status == ADELE_OK)
        trial->status = status;
    return trial->status == ADELE_OK;
}

// ---- memory -------------------------------------------------------------------------------------

// On the device, all bytes 0xff.
void *trial_block(struct trial *trial, size_t bytes) {
    const struct adele_device_iface *iface = trial->device->iface;
    void *block = NULL;
    if (trial->status != ADELE_OK)
        return NULL;
    if (trial->n_blocks == TRIAL_MAX_BLOCKS) {
        trial->status = FAIL_NO_MEMORY(bytes);
        return NULL;
    }
    if (!trial_check(trial, iface->alloc(trial->device, bytes, &block)))
        return NULL;
    trial->blocks[trial->n_blocks++] = block;
    return trial_check(trial, iface->fill(trial->device, block, 0xff, bytes)) ? block : NULL;
}

void *trial_upload(struct trial *trial, const void *host, size_t bytes) {
    void *block = trial_block(trial, bytes);
    if (block != NULL)
        (void)trial_check(trial, trial->device->iface->upload(trial->device, block, host, bytes));
    return block;
}

void *trial_workspace(struct trial *trial) {
    return trial->op == NULL || trial->op->workspace_bytes == 0
               ? NULL
               : trial_block(trial, trial->op->workspace_bytes);
}

void trial_clear(struct trial *trial, void *block, size_t bytes) {
    if (trial->status == ADELE_OK)
        (void)trial_check(trial, trial->device->iface->fill(trial->device, block, 0, bytes));
}

static size_t shape_count(struct adele_shape shape) {
    return (size_t)shape.n * (size_t)shape.c * (size_t)shape.h * (size_t)shape.w;
}

// ---- random numbers -----------------------------------------------------------------------------

// SplitMix64: fast enough for millions of values per case.
static uint64_t next_word(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// Rounds to fewer bits of mantissa: 10 for TF32, 7 for bf16.
static float rounded(float value, enum adele_precision rounding) {
    if (rounding == ADELE_PRECISION_FP32)
        return value;
    uint32_t bits, half = rounding == ADELE_PRECISION_TF32 ? 0x1000u : 0x8000u;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + half) & ~(2 * half - 1);
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float *random_array(struct trial *trial, size_t count, double low, double high) {
    uint64_t state = (++trial->n_seeds) << 32;
    float *values = NULL;
    if (trial->status != ADELE_OK || !trial_check(trial, ALLOCATE(&values, count)))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        double unit = (double)(next_word(&state) >> 40) * 0x1p-24;
        values[i] = rounded((float)(low + (high - low) * unit), trial->rounding);
    }
    return values;
}

void *trial_tensor(struct trial *trial, struct adele_shape shape, double low, double high) {
    const struct adele_device_iface *iface = trial->device->iface;
    OWNED float *values = random_array(trial, shape_count(shape), low, high);
    void *block =
        values == NULL ? NULL : trial_block(trial, iface->tensor_bytes(trial->device, shape));
    if (block != NULL)
        (void)trial_check(trial, iface->tensor_upload(trial->device, block, shape, values));
    return block;
}

float *trial_floats(struct trial *trial, size_t count, double low, double high) {
    OWNED float *values = random_array(trial, count, low, high);
    return values == NULL ? NULL : trial_upload(trial, values, count * sizeof *values);
}

uint16_t *trial_halves(struct trial *trial, size_t count, double low, double high) {
    OWNED float *values = random_array(trial, count, low, high);
    OWNED uint16_t *halves = NULL;
    if (values == NULL || !trial_check(trial, ALLOCATE(&halves, count)))
        return NULL;
    for (size_t i = 0; i < count; i++)
        halves[i] = half_from_float(values[i]);
    return trial_upload(trial, halves, count * sizeof *halves);
}

uint8_t *trial_bytes(struct trial *trial, size_t count, int n_values) {
    uint64_t state = (++trial->n_seeds) << 32;
    OWNED uint8_t *values = NULL;
    if (trial->status != ADELE_OK || !trial_check(trial, ALLOCATE(&values, count)))
        return NULL;
    for (size_t i = 0; i < count; i++)
        values[i] = (uint8_t)((next_word(&state) >> 40) % (uint64_t)n_values);
    return trial_upload(trial, values, count);
}

// ---- outputs ------------------------------------------------------------------------------------

static size_t element_bytes(enum trial_type type) {
    static const size_t bytes[] = {[TRIAL_TENSOR] = sizeof(float),  [TRIAL_FLOAT] = sizeof(float),
                                   [TRIAL_HALF] = sizeof(uint16_t), [TRIAL_DOUBLE] = sizeof(double),
                                   [TRIAL_INT64] = sizeof(int64_t), [TRIAL_BYTE] = 1};
    return bytes[type];
}

static void *add_output(struct trial *trial, struct trial_output output, void *at) {
    if (at == NULL)
        return NULL;
    output.at = at;
    if (trial->n_outputs < TRIAL_MAX_OUTPUTS)
        trial->outputs[trial->n_outputs++] = output;
    else
        (void)trial_check(trial, FAIL_NO_MEMORY(sizeof output));
    return at;
}

void *trial_tensor_out(struct trial *trial, const char *name, struct adele_shape shape) {
    struct trial_output output = {name, TRIAL_TENSOR, shape_count(shape), shape, NULL, NULL};
    size_t bytes = trial->device->iface->tensor_bytes(trial->device, shape);
    return add_output(trial, output, trial_block(trial, bytes));
}

void *trial_tensor_sum(struct trial *trial, const char *name, struct adele_shape shape) {
    struct trial_output output = {name, TRIAL_TENSOR, shape_count(shape), shape, NULL, NULL};
    return add_output(trial, output, trial_tensor(trial, shape, -1.0, 1.0));
}

void *trial_out(struct trial *trial, const char *name, enum trial_type type, size_t count) {
    struct trial_output output = {name, type, count, {0, 0, 0, 0}, NULL, NULL};
    return add_output(trial, output, trial_block(trial, count * element_bytes(type)));
}

void *trial_sum(struct trial *trial, const char *name, enum trial_type type, size_t count) {
    struct trial_output output = {name, type, count, {0, 0, 0, 0}, NULL, NULL};
    if (type == TRIAL_FLOAT)
        return add_output(trial, output, trial_floats(trial, count, -1.0, 1.0));
    if (type == TRIAL_HALF)
        return add_output(trial, output, trial_halves(trial, count, 0.0, 1.0));
    size_t bytes = count * element_bytes(type);
    void *block = trial_block(trial, bytes);
    trial_clear(trial, block, bytes);
    return add_output(trial, output, block);
}

static adele_status read_back(const struct trial *trial, struct trial_output *output) {
    const struct adele_device_iface *iface = trial->device->iface;
    size_t bytes = output->count * element_bytes(output->type);
    output->values = memory_calloc(output->count, element_bytes(output->type));
    TRY(CHECK_MEMORY(output->values));
    if (output->type == TRIAL_TENSOR)
        return iface->tensor_download(trial->device, output->values, output->at, output->shape);
    return iface->download(trial->device, output->values, output->at, bytes);
}

void trial_wait(const struct trial *trial) {
    if (trial->on_wait != NULL)
        trial->on_wait();
}

adele_status trial_finish(struct trial *trial) {
    const struct adele_device_iface *iface = trial->device->iface;
    trial_wait(trial);
    for (int i = 0; i < trial->n_outputs && trial->status == ADELE_OK; i++)
        (void)trial_check(trial, read_back(trial, &trial->outputs[i]));
    iface->op_destroy(trial->op);
    trial->op = NULL;
    for (int i = 0; i < trial->n_blocks; i++)
        iface->release(trial->device, trial->blocks[i]);
    trial->n_blocks = 0;
    return trial->status;
}

void trial_close(struct trial *trial) {
    for (int i = 0; i < trial->n_outputs; i++)
        memory_free(trial->outputs[i].values);
    trial->n_outputs = 0;
}
