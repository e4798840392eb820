// SPDX-License-Identifier: MIT
#include "support/op_create.h"

adele_status op_create(struct adele_device *device, enum adele_op_kind kind, const void *desc,
                       struct adele_op **out) {
    switch (kind) {
#define CREATE_CASE(name, has_backward)                                                            \
    case ADELE_OP_##name:                                                                          \
        return device->iface->name##_create(device, (const struct adele_##name##_desc *)desc, out);
        ADELE_OPS(CREATE_CASE)
#undef CREATE_CASE
    default:
        return ADELE_UNSUPPORTED;
    }
}
