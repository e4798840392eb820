// SPDX-License-Identifier: MIT
// The self-test itself. It runs in a child process, because a faulty kernel may crash the process
// or never end.
#ifndef ADELE_SELFTEST_CHILD_H
#define ADELE_SELFTEST_CHILD_H

#include "device/families.h"
#include "selftest/network_cases.h"

struct child_options {
    const char *device;                  // as for adele_device_open; an engine behind it is ignored
    uint64_t left_out;                   // known to be faulty, and not run
    uint64_t only;                       // families to test
    double seconds;                      // no case of the network's shapes starts later
    const struct network_cases *network; // NULL: the small shapes only
    // Called before a family runs a case, when from then on only the device works (trial_wait),
    // when it has finished, and when its results are wrong; `text` describes the case, or the
    // difference.
    void (*on_run)(enum family family, const char *text);
    void (*on_wait)(void);
    void (*on_back)(void);
    void (*on_wrong)(enum family family, const char *text);
};

// ADELE_OK if all cases ran, with right or wrong results. ADELE_DEVICE if the device is lost for
// this process: the family of the last on_run is the cause.
ADELE_MUST_CHECK adele_status child_run(const struct child_options *options);
#endif
