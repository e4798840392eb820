// SPDX-License-Identifier: MIT
// Problems of the op aspp, on a device and by the reference. Every failure fails the running CMocka
// test.
#ifndef ADELE_TESTS_ASPP_PROBLEM_H
#define ADELE_TESTS_ASPP_PROBLEM_H

#include "support/op_run.h"

// Gradients begin with random values.
void aspp_open(struct op_run *run, struct adele_device *device, struct adele_aspp_desc desc,
               bool accumulate);

// Forward and, for training, backward on the device agree with the reference.
void aspp_check(struct adele_device *device, struct adele_aspp_desc desc, bool accumulate);
// The op's text on what runs it contains `engine`.
void aspp_check_engine(struct adele_device *device, struct adele_aspp_desc desc,
                       const char *engine);

#endif
