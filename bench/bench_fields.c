// SPDX-License-Identifier: MIT
// Makes the op of a problem on a device, with memory and values for all that it reads.
#include "bench.h"

#include "base/fail.h"
#include "base/half.h"
#include "base/memory.h"
#include "support/op_create.h"

#include <string.h>

// Plain arrays repeat after this number of elements, which saves time on the host.
#define PLAIN_PERIOD ((size_t)1 << 22)

// ---- values -------------------------------------------------------------------------------------

bool field_is_filled(const struct field *field) {
    return field_is_input(field) && !(field->low == 0.0 && field->high == 0.0);
}

static size_t image_elements(struct adele_shape shape) {
    return (size_t)shape.c * (size_t)shape.h * (size_t)shape.w;
}

static uint32_t mix(uint64_t i) {
    i = (i ^ (i >> 31)) * 0x7fb5d329728ea185ULL;
    i = (i ^ (i >> 27)) * 0x81dadef4bc2dd44dULL;
    return (uint32_t)(i >> 32);
}

static double number_at(const struct field *field, size_t i) {
    uint32_t bits = mix(i * 64 + field->offset + 1) >> 24; // 0..255
    return field->low + (field->high - field->low) * ((double)bits / 256.0);
}

float field_value(const struct field *field, size_t i_image, size_t i) {
    if (field->type == FIELD_TENSOR)
        return (float)number_at(field, i_image % 2 * image_elements(field->shape) + i);
    return (float)number_at(field, i % PLAIN_PERIOD);
}

// Ids follow each other; labels come in runs, as in images.
void field_fill_host(const struct field *field, void *block, size_t count) {
    int low = (int)field->low, n = (int)field->high - low + 1;
    for (size_t i = 0; i < count; i++)
        switch (field->type) {
        case FIELD_HALVES:
            ((uint16_t *)block)[i] = half_from_float(field_value(field, 0, i));
            break;
        case FIELD_BYTES:
            ((uint8_t *)block)[i] =
                (uint8_t)(low + (int)(mix(i / 48 + field->offset) % (unsigned)n));
            break;
        case FIELD_INTS:
            ((int32_t *)block)[i] = low + (int)(i % (size_t)n);
            break;
        case FIELD_COUNTS:
            ((int64_t *)block)[i] = 0;
            break;
        case FIELD_DOUBLES:
            ((double *)block)[i] = 0.0;
            break;
        default:
            ((float *)block)[i] = field_value(field, 0, i);
        }
}

// ---- on the device ------------------------------------------------------------------------------

void *instance_pointer(const struct instance *instance, size_t offset) {
    return args_pointer(&instance->args, offset);
}

static adele_status lend(struct instance *instance, size_t bytes, void **out) {
    TRY(adele_device_alloc_zeroed(instance->device, bytes, "an op", out));
    instance->blocks[instance->n_blocks++] = *out;
    return ADELE_OK;
}

// The first two images come from the host; the others are copies of them.
static adele_status fill_tensor(const struct adele_device *device, const struct field *field,
                                void *block) {
    struct adele_shape one = field->shape;
    one.n = 1;
    size_t bytes = device->iface->tensor_bytes(device, one), n = image_elements(one);
    if (device->iface->tensor_bytes(device, field->shape) != bytes * (size_t)field->shape.n)
        return FAIL(ADELE_UNSUPPORTED, "", "images of a tensor do not lie one behind the other");
    float *image = memory_calloc(n, sizeof *image);
    TRY(CHECK_MEMORY(image));
    adele_status status = ADELE_OK;
    for (int i = 0; i < field->shape.n && status == ADELE_OK; i++) {
        char *to = (char *)block + bytes * (size_t)i;
        if (i >= 2) {
            status = device->iface->copy(device, to, to - 2 * bytes, bytes);
            continue;
        }
        for (size_t j = 0; j < n; j++)
            image[j] = field_value(field, (size_t)i, j);
        status = device->iface->tensor_upload(device, to, one, image);
    }
    memory_free(image);
    return status;
}

static adele_status fill_plain(const struct adele_device *device, const struct field *field,
                               void *block) {
    size_t bytes = field_element_bytes(field->type);
    size_t period = field->count < PLAIN_PERIOD ? field->count : PLAIN_PERIOD;
    void *host = memory_calloc(period, bytes);
    TRY(CHECK_MEMORY(host));
    field_fill_host(field, host, period);
    adele_status status = device->iface->upload(device, block, host, period * bytes);
    for (size_t i = period; i < field->count && status == ADELE_OK; i += period) {
        size_t n = field->count - i < period ? field->count - i : period;
        status = device->iface->copy(device, (char *)block + i * bytes, block, n * bytes);
    }
    memory_free(host);
    return status;
}

static adele_status lend_field(struct instance *instance, const struct field *field) {
    const struct adele_device *device = instance->device;
    size_t bytes = field->type == FIELD_TENSOR ? device->iface->tensor_bytes(device, field->shape)
                                               : field->count * field_element_bytes(field->type);
    void *block = NULL;
    TRY(lend(instance, bytes > 0 ? bytes : 1, &block));
    args_set_pointer(&instance->args, field->offset, block);
    if (!field_is_filled(field))
        return ADELE_OK;
    return field->type == FIELD_TENSOR ? fill_tensor(device, field, block)
                                       : fill_plain(device, field, block);
}

static adele_status create_op(struct instance *instance, const struct problem *problem) {
    struct adele_device *device = instance->device;
    TRY(op_create(device, problem->kind, &problem->desc, &instance->op));
    if (problem->workspace_offset == NO_WORKSPACE)
        return ADELE_OK;
    void *workspace = NULL;
    TRY(lend(instance, instance->op->workspace_bytes + 64, &workspace));
    args_set_pointer(&instance->args, problem->workspace_offset, workspace);
    return ADELE_OK;
}

// The weights of a convolution are packed before, as in a step.
static adele_status lend_packed(struct instance *instance, const struct problem *problem) {
    const struct adele_device *device = instance->device;
    const struct adele_conv2d_desc *desc = &problem->desc.conv2d;
    size_t bytes = instance->op->packed_bytes;
    if (problem->kind != ADELE_OP_conv2d || bytes == 0)
        return ADELE_OK;
    struct adele_pack_item item = {0, 0, (int64_t)bytes, desc->c_out, desc->c_in, desc->kernel};
    struct adele_pack_desc pack = {1, &item, desc->precision};
    struct adele_pack_args args = {.weights = instance->args.conv2d.weight};
    struct adele_op *op = NULL;
    TRY(lend(instance, bytes, &args.packed));
    TRY(device->iface->pack_create(device, &pack, &op));
    adele_status status = device->iface->pack_forward(op, &args);
    if (status == ADELE_OK)
        status = device->iface->synchronize(device);
    device->iface->op_destroy(op);
    instance->args.conv2d.packed_weight = args.packed;
    return status;
}

adele_status instance_open(struct adele_device *device, const struct problem *problem,
                           struct instance *out) {
    *out = (struct instance){.device = device, .args = problem->args};
    adele_status status;
    TRY_GOTO(create_op(out, problem), fail);
    for (int i = 0; i < problem->n_fields; i++)
        TRY_GOTO(lend_field(out, &problem->fields[i]), fail);
    TRY_GOTO(lend_packed(out, problem), fail);
    return ADELE_OK;
fail:
    instance_close(out);
    return status;
}

adele_status instance_share(struct adele_device *device, const struct problem *problem,
                            const struct instance *with, struct instance *out) {
    *out = (struct instance){.device = device, .args = with->args};
    adele_status status = create_op(out, problem);
    if (status != ADELE_OK)
        instance_close(out);
    else if (problem->kind == ADELE_OP_conv2d && out->op->packed_bytes > with->op->packed_bytes)
        out->args.conv2d.packed_weight = NULL; // the op packs them itself
    return status;
}

void instance_close(struct instance *instance) {
    if (instance->device == NULL)
        return;
    const struct adele_device_iface *iface = instance->device->iface;
    iface->op_destroy(instance->op);
    for (int i = 0; i < instance->n_blocks; i++)
        iface->release(instance->device, instance->blocks[i]);
    *instance = (struct instance){0};
}

adele_status instance_run(struct instance *instance, bool is_backward) {
    return problem_run(instance->device, instance->op, &instance->args, is_backward);
}

bool bench_is_bf16(const struct adele_device *device) {
    return device->iface->tensor_bytes(device, (struct adele_shape){1, 64, 8, 8}) == 64 * 64 * 2;
}

double problem_bytes(const struct problem *problem, struct adele_device *device, bool is_backward) {
    double bytes = 0.0;
    for (int i = 0; i < problem->n_fields; i++) {
        const struct field *field = &problem->fields[i];
        int role = is_backward ? field->role >> 2 : field->role & 3;
        size_t n = field->moved_count > 0 ? field->moved_count : field->count;
        double once = (double)n * (double)field_element_bytes(field->type);
        if (field->type == FIELD_TENSOR)
            once = (double)device->iface->tensor_bytes(device, field->shape);
        bytes += once * ((role & 1) + (role >> 1 & 1));
    }
    return bytes;
}
