// SPDX-License-Identifier: MIT
#include "support/scales_problem.h"

#include "reference/reference.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

const struct scales_case scales_small = {
    {1, 64, 64, 3, 1, 1, 1}, 2, {{5, 3}, {4, 7}}, NULL, NULL, NULL};

struct adele_conv2d_desc scales_desc_of(const struct scales_case *row, int i) {
    const int *of = row->layer, *size = row->sizes[i];
    const int whole[] = {of[0], of[1], size[0], size[1], of[2], of[3], of[4], of[5], of[6]};
    struct adele_conv2d_desc desc = conv2d_desc_of(whole);
    desc.precision = ADELE_PRECISION_BF16;
    return desc;
}

adele_status scales_create_joint(struct scales *scales, struct adele_op **out) {
    const struct adele_device *device = scales->runs[0].arena.device;
    return device->iface->conv2d_scales_create(device, scales->n, scales->ops, out);
}

void scales_open(struct scales *scales, struct adele_device *device, const struct scales_case *row,
                 bool has_bias, bool accumulate) {
    *scales = (struct scales){.n = row->n_scales};
    for (int i = 0; i < scales->n; i++) {
        struct op_run *run = &scales->runs[i];
        struct adele_conv2d_desc desc = scales_desc_of(row, i);
        desc.has_bias = has_bias;
        conv2d_open(run, device, desc, accumulate);
        for (int j = 0; j < 2; j++) {
            struct adele_conv2d_args *args = j == 0 ? &run->host.conv2d : &run->device.conv2d;
            const struct adele_conv2d_args *first =
                j == 0 ? &scales->runs[0].host.conv2d : &scales->runs[0].device.conv2d;
            args->weight = first->weight;
            args->bias = first->bias;
            args->d_weight = first->d_weight;
            args->d_bias = first->d_bias;
        }
        scales->ops[i] = run->op;
        scales->args[i] = &run->device.conv2d;
    }
    check_ok(scales_create_joint(scales, &scales->joint));
    if (scales->joint == NULL)
        fail_msg("no joint op where the first one's engine is \"%s\"", scales->ops[0]->engine);
    scales->workspace = arena_workspace(&scales->runs[0].arena, scales->joint);
}

void scales_close(struct scales *scales) {
    scales->runs[0].arena.device->iface->op_destroy(scales->joint);
    for (int i = 0; i < scales->n; i++)
        op_close(&scales->runs[i]);
}

void scales_start(struct scales *scales) {
    for (int i = 0; i < scales->n; i++) {
        struct op_run *run = &scales->runs[i];
        const struct adele_device *device = run->arena.device;
        const struct adele_conv2d_args *args = &run->device.conv2d;
        check_ok(device->iface->fill(device, args->dst, 0xff,
                                     device->iface->tensor_bytes(device, op_shape(run, "dst"))));
        if (args->accumulate_d_src)
            op_set(run, "d_src", NULL);
        else
            check_ok(
                device->iface->fill(device, args->d_src, 0xff,
                                    device->iface->tensor_bytes(device, op_shape(run, "d_src"))));
    }
    op_set(&scales->runs[0], "d_weight", NULL);
    if (scales->args[0]->d_bias != NULL)
        op_set(&scales->runs[0], "d_bias", NULL);
}

void scales_run(struct scales *scales) {
    const struct adele_device *device = scales->runs[0].arena.device;
    const struct adele_device_iface *iface = device->iface;
    struct adele_op *joint = scales->joint;
    check_ok(iface->fill(device, scales->workspace, 0xff, joint->workspace_bytes));
    check_ok(iface->conv2d_scales_forward(joint, scales->args, scales->workspace));
    check_ok(iface->fill(device, scales->workspace, 0xff, joint->workspace_bytes));
    check_ok(iface->conv2d_scales_backward(joint, scales->args, scales->workspace));
}

void scales_compare(struct scales *scales) {
    double n_pixels = 0.0;
    for (int i = 0; i < scales->n; i++) {
        struct op_run *run = &scales->runs[i];
        reference_conv2d_forward(&run->problem.desc.conv2d, &run->host.conv2d);
        reference_conv2d_backward(&run->problem.desc.conv2d, &run->host.conv2d);
        conv2d_compare_dst(run);
        conv2d_compare_d_src(run);
        n_pixels += conv2d_n_pixels(run);
    }
    conv2d_compare_gradients(&scales->runs[0], n_pixels);
}
