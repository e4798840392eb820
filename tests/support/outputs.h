// SPDX-License-Identifier: MIT
// One hash of all that a test got back from its devices, printed when the program ends, if the
// environment has ADELE_TEST_OUTPUTS: so that another program can tell whether two runs of a test
// got the same bits.
#ifndef ADELE_TESTS_OUTPUTS_H
#define ADELE_TESTS_OUTPUTS_H

#include <stddef.h>

#define OUTPUTS_VARIABLE "ADELE_TEST_OUTPUTS"
#define OUTPUTS_LINE     "outputs: " // then the hash, in 16 digits, and the number of bytes

void outputs_add(const void *data, size_t bytes);
#endif
