// SPDX-License-Identifier: MIT
#include "support/plan_tensor.h"
#include "support/devices.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

void plan_tensor_read(struct plan_tensor *tensor, const struct plan *plan, int i_node,
                      enum block_role role) {
    const struct plan_step *step = &plan->steps[i_node];
    struct adele_slice slice = plan_slice(plan, i_node);
    *tensor = (struct plan_tensor){.device = plan->network->device,
                                   .address = plan_block_address(plan, step->blocks[role]),
                                   .shape = step->shape,
                                   .whole = step->shape,
                                   .first = slice.first};
    assert_non_null(tensor->address);
    if (slice.of > 0)
        tensor->whole.c = slice.of;
    tensor->values = malloc(shape_count(tensor->whole) * sizeof *tensor->values);
    assert_non_null(tensor->values);
    check_ok(tensor->device->iface->synchronize(tensor->device));
    check_ok(tensor->device->iface->tensor_download(tensor->device, tensor->values, tensor->address,
                                                    tensor->whole));
}

void plan_tensor_free(struct plan_tensor *tensor) {
    free(tensor->values);
    tensor->values = NULL;
}

void plan_tensor_write(const struct plan_tensor *tensor) {
    check_ok(tensor->device->iface->tensor_upload(tensor->device, tensor->address, tensor->whole,
                                                  tensor->values));
}

float *plan_tensor_at(const struct plan_tensor *tensor, size_t i) {
    size_t plane = (size_t)tensor->shape.h * (size_t)tensor->shape.w;
    size_t image = (size_t)tensor->shape.c * plane;
    return tensor->values + i / image * (size_t)tensor->whole.c * plane +
           (size_t)tensor->first * plane + i % image;
}
