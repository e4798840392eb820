// SPDX-License-Identifier: MIT
// Packs the weights of a network: as many 3 x 3 convolutions as make up its weights. The check: a
// convolution gives the same result with packed weights as without.
#include "bench.h"

#include "base/fail.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

#define CHANNELS  512
#define MAX_ITEMS 64

static struct adele_conv2d_desc one_convolution(int channels) {
    struct adele_conv2d_desc desc = {.n = 1,
                                     .c_in = channels,
                                     .h_in = 6,
                                     .w_in = 5,
                                     .c_out = channels,
                                     .kernel = 3,
                                     .stride = 1,
                                     .pad = 1,
                                     .dilation = 1,
                                     .needs_d_src = true,
                                     .is_training = true};
    return desc;
}

static adele_status compare(const struct adele_device *device, const void *got, const void *want,
                            size_t bytes) {
    unsigned char *host = memory_calloc(2, bytes);
    TRY(CHECK_MEMORY(host));
    adele_status status = device->iface->download(device, host, got, bytes);
    if (status == ADELE_OK)
        status = device->iface->download(device, host + bytes, want, bytes);
    if (status == ADELE_OK && memcmp(host, host + bytes, bytes) != 0)
        status = FAIL(ADELE_NUMERIC, "", "a convolution with packed weights gives other results");
    memory_free(host);
    return status;
}

// The result with packed weights, then the one of an op that packs them itself.
static adele_status check_pack(struct instance *instance, const struct problem *full,
                               char text[48]) {
    (void)full;
    struct adele_device *device = instance->device;
    struct adele_conv2d_desc desc = one_convolution(40);
    struct problem problem;
    struct instance packed = {0}, plain = {0};
    adele_status status;
    problem_conv2d(&desc, &problem);
    TRY_GOTO(instance_open(device, &problem, &packed), done);
    TRY_GOTO(instance_open(device, &problem, &plain), done);
    plain.args.conv2d.packed_weight = NULL;
    TRY_GOTO(instance_run(&packed, false), done);
    TRY_GOTO(instance_run(&plain, false), done);
    TRY_GOTO(instance_run(&packed, true), done);
    TRY_GOTO(instance_run(&plain, true), done);
    TRY_GOTO(device->iface->synchronize(device), done);
    size_t bytes = device->iface->tensor_bytes(device, (struct adele_shape){1, 40, 6, 5});
    TRY_GOTO(compare(device, packed.args.conv2d.dst, plain.args.conv2d.dst, bytes), done);
    TRY_GOTO(compare(device, packed.args.conv2d.d_src, plain.args.conv2d.d_src, bytes), done);
    (void)strcpy(text, "same as unpacked");
done:
    instance_close(&packed);
    instance_close(&plain);
    return status;
}

// Bytes that the device packs a convolution's weights into; 0: it reads the plain weights.
static int64_t packed_bytes(struct bench *bench, const struct adele_conv2d_desc *desc) {
    struct adele_op *op = NULL;
    if (bench->device->iface->conv2d_create(bench->device, desc, &op) != ADELE_OK)
        return 0;
    int64_t bytes = (int64_t)op->packed_bytes;
    bench->device->iface->op_destroy(op);
    return bytes;
}

void bench_pack(struct bench *bench, const char *pipeline, int64_t n_weights) {
    struct adele_conv2d_desc desc = one_convolution(bench_extent(bench, CHANNELS));
    desc.precision = bench_is_bf16(bench->device) ? ADELE_PRECISION_BF16 : ADELE_PRECISION_FP32;
    int64_t bytes = packed_bytes(bench, &desc), count = (int64_t)desc.c_out * desc.c_in * 9;
    if (bytes == 0)
        return;
    int64_t room = (bytes + ADELE_PACK_ALIGNMENT - 1) / ADELE_PACK_ALIGNMENT * ADELE_PACK_ALIGNMENT;
    struct adele_pack_item items[MAX_ITEMS];
    int n_items = (int)(n_weights / (9 * CHANNELS * CHANNELS));
    for (int i = 0; i < n_items && i < MAX_ITEMS; i++)
        items[i] = (struct adele_pack_item){i * count, i * room, bytes, desc.c_out, desc.c_in, 3};
    struct adele_pack_desc pack = {n_items < MAX_ITEMS ? n_items : MAX_ITEMS, items,
                                   desc.precision};
    struct problem full;
    char name[64];
    problem_pack(&pack, &full);
    (void)snprintf(name, sizeof name, "pack/%s", pipeline);
    struct bench_case c = {.name = name, .full = &full, .check = check_pack};
    (void)snprintf(c.shape, sizeof c.shape, "%d x %dx%dx3x3", pack.n_items, desc.c_out, desc.c_in);
    bench_run_case(bench, &c);
}
