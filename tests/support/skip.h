// SPDX-License-Identifier: MIT
// A test program that needs what is not installed here.
#ifndef ADELE_TESTS_SKIP_H
#define ADELE_TESTS_SKIP_H

#include <stdio.h>

// What CTest shows as skipped (SKIP_RETURN_CODE). For main: `return skip_program("libspng")`.
static inline int skip_program(const char *needed) {
    (void)printf("skipped: needs %s\n", needed);
    return 77;
}

#endif
