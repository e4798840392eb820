// SPDX-License-Identifier: MIT
// Whether a run fits into the device.
#ifndef ADELE_RUN_MEMORY_NEED_H
#define ADELE_RUN_MEMORY_NEED_H

#include "step/training_step.h"

// Of the device's memory.
struct memory_need {
    size_t planned;   // all that the run takes, with what it has allocated already
    size_t available; // what it may take, with what it has and without what the other ranks of its
                      // host will take; SIZE_MAX: not known
};
struct memory_need memory_need_of(const struct training_step *step);

// Before the network's memory is allocated: logs how much that will be. ADELE_NO_MEMORY names the
// largest batch that fits when this one does not.
ADELE_MUST_CHECK adele_status memory_need_check(const struct training_step *step);
#endif
