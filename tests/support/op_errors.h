// SPDX-License-Identifier: MIT
// Ops that cannot be created from a descriptor, struct adele_<op>_desc. Every failure fails the
// running CMocka test.
#ifndef ADELE_TESTS_OP_ERRORS_H
#define ADELE_TESTS_OP_ERRORS_H

#include "device/device.h"

// An argument is invalid, and there is no op.
void op_check_refused(struct adele_device *device, enum adele_op_kind kind, const void *desc);
// Creating it with the 1st, 2nd, ... allocation failing leaves no op and says so, until one attempt
// meets no failure.
void op_check_allocations(struct adele_device *device, enum adele_op_kind kind, const void *desc);
#endif
