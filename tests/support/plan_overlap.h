// SPDX-License-Identifier: MIT
// What a plan of memory must keep: blocks that live at the same time have bytes of their own.
#ifndef ADELE_TESTS_PLAN_OVERLAP_H
#define ADELE_TESTS_PLAN_OVERLAP_H

#include "nn/plan.h"

#include <stddef.h>

// Fails the running CMocka test where two blocks that live together share a byte.
void plan_assert_no_overlap(const struct plan *plan);
// The most bytes of shared blocks that live at one time: no plan can take less.
size_t plan_live_peak(const struct plan *plan);
// The bytes of all shared blocks, as if each had its own.
size_t plan_shared_sum(const struct plan *plan);

#endif
