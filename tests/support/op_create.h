// SPDX-License-Identifier: MIT
// Creates an op of any kind from its descriptor, struct adele_<op>_desc.
#ifndef ADELE_TESTS_OP_CREATE_H
#define ADELE_TESTS_OP_CREATE_H

#include "device/device.h"

ADELE_MUST_CHECK adele_status op_create(struct adele_device *device, enum adele_op_kind kind,
                                        const void *desc, struct adele_op **out);
#endif
