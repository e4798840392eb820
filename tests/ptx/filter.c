// SPDX-License-Identifier: MIT
// Linked into a test: of its cases only those run that PTX_TEST_FILTER names ("test_t*").
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void set_filter(void) {
    if (getenv("PTX_TEST_FILTER") != NULL)
        cmocka_set_test_filter(getenv("PTX_TEST_FILTER"));
}
