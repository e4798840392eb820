// SPDX-License-Identifier: MIT
// The self-test of a GPU's kernels, before the first training with this GPU, driver and build. The
// program starts itself as a child process, which compares every kernel family (device/families.h)
// with the plain kernels on the device and with the CPU device. A family that is wrong, crashes or
// hangs is disabled, and the next best is used. The verdict is stored (device/verdict.h), and
// adele_device_open reads it.
//
// Only a program that can act as the child can do this: the command line. A program that embeds the
// library runs no test; it uses a stored verdict of the same library.
//
// The parent does not open the device, so that a crash of the child does not affect it.
#ifndef ADELE_SELFTEST_SELFTEST_H
#define ADELE_SELFTEST_SELFTEST_H

#include "device/families.h"

#define SELFTEST_SECONDS       20.0 // in total
#define SELFTEST_STALL_SECONDS 5.0  // to wait for the kernels of one case, which take milliseconds

struct selftest_options {
    // Started as `PROGRAM selftest --child --device NAME ...`; the command line itself:
    // "/proc/self/exe".
    const char *program;
    const char *device; // as for adele_device_open
    const char *config; // of the training, for the shapes of its network; NULL: none
    const char *const *sets;
    int n_sets;
    double seconds, stall_seconds;
    uint64_t only; // the families to test; ~0: all
};

enum selftest_fault { SELFTEST_WRONG, SELFTEST_CRASHED, SELFTEST_HUNG };
struct selftest_finding {
    enum family family;
    enum selftest_fault fault;
    char text[512]; // what was run, and how far wrong results are off
};
struct selftest_result {
    bool is_complete;  // false: the time limit was reached
    uint64_t left_out; // including those that an earlier, incomplete test found
    uint64_t tested;
    int n_findings;
    struct selftest_finding findings[ADELE_FAMILY_COUNT];
};

// Runs the test and stores its verdict, unless `only` selects some families. ADELE_UNSUPPORTED for
// a device that has no families, ADELE_DEVICE when the child ends before it has run a kernel,
// ADELE_INTERRUPTED when a signal ends it.
ADELE_MUST_CHECK adele_status selftest_run(const struct selftest_options *options,
                                           struct selftest_result *out);

// Before a training: runs the test where the device is a GPU and has no complete verdict, and logs
// one warning for each family that is disabled. Environment variable ADELE_SELFTEST: "off" neither
// tests nor reads verdicts; "on" also tests devices that are no GPU (the emulator); a number is
// "on" with this number of seconds. A device that cannot be opened is no error here: opening it
// reports it.
ADELE_MUST_CHECK adele_status selftest_before_training(const struct selftest_options *options);

// "wrong", "crashed" or "hung".
const char *selftest_fault_name(enum selftest_fault fault);
#endif
