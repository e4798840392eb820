// SPDX-License-Identifier: MIT
// The self-test itself, which opens the device: what a child process runs, because a faulty kernel
// may crash it or never end.
#ifndef ADELE_SELFTEST_CHILD_H
#define ADELE_SELFTEST_CHILD_H

#include "device/families.h"
#include "selftest/network_cases.h"

struct child_options {
    const char *device; // as for adele_device_open; an engine behind it is not heeded
    uint64_t left_out;  // known to be faulty: not run
    uint64_t only;      // families to test
    double seconds;     // no case of the network's shapes begins later than that
    const struct network_cases *network; // NULL: the small shapes alone
    // Called before a family runs a case, when from then on only the device works (trial_wait),
    // when it has answered, and when its answers are wrong; `text` says what is run, or what is
    // wrong.
    void (*on_run)(enum family family, const char *text);
    void (*on_wait)(void);
    void (*on_back)(void);
    void (*on_wrong)(enum family family, const char *text);
};

// Tests. ADELE_OK when all cases ran, whatever their answers. ADELE_DEVICE when the device is lost
// for this process: the family of the last on_run has done it.
ADELE_MUST_CHECK adele_status child_run(const struct child_options *options);
#endif
