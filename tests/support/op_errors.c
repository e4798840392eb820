// SPDX-License-Identifier: MIT
#include "support/op_errors.h"

#include "base/memory.h"
#include "support/op_create.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

void op_check_refused(struct adele_device *device, enum adele_op_kind kind, const void *desc) {
    struct adele_op *op = (struct adele_op *)device;
    assert_int_equal(op_create(device, kind, desc, &op), ADELE_INVALID_ARGUMENT);
    assert_null(op);
}

void op_check_allocations(struct adele_device *device, enum adele_op_kind kind, const void *desc) {
    struct adele_op *op = NULL;
    adele_status status = ADELE_NO_MEMORY;
    long i = 0;
    for (; i < 100 && status != ADELE_OK; i++) {
        memory_fail_at(i);
        status = op_create(device, kind, desc, &op);
        memory_fail_at(-1);
        if (status != ADELE_OK) {
            assert_int_equal(status, ADELE_NO_MEMORY);
            assert_null(op);
        }
    }
    if (status != ADELE_OK)
        fail_msg("a hundred allocations for one op");
    assert_true(i > 1); // the first attempt met a failure
    device->iface->op_destroy(op);
}
