// SPDX-License-Identifier: MIT
// A folder of its own for each test, as CMocka's fixture: *state holds the path.
#ifndef ADELE_TESTS_SCRATCH_H
#define ADELE_TESTS_SCRATCH_H

#include "adele/status.h"

int scratch_setup(void **state);
int scratch_teardown(void **state); // removes the folder and what is in it
// FOLDER/NAME; borrowed until the eighth call after this one.
const char *scratch_path(void *const *state, const char *name);
// The file `to` becomes a copy of `from`.
ADELE_MUST_CHECK adele_status scratch_copy(const char *from, const char *to);

#endif
