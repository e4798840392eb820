// SPDX-License-Identifier: MIT
// The self-test of a GPU's kernels. Where a GPU, its driver and this build meet for the first time,
// nobody knows that the kernels are right there. So before a training the program starts itself as
// a child, which runs every kernel family (device/families.h) beside the plain kernels on the
// device and the reference on the CPU. A family that is wrong, crashes or hangs is left out, and
// the next best is taken. The verdict is kept (device/verdict.h), and adele_device_open heeds it.
//
// Only a program that can act as the child can do this: the command line. A program that embeds the
// library runs no test; it heeds a verdict that is there for the same library.
//
// The parent opens nothing on the device, so a child that crashes it harms nobody.
#ifndef ADELE_SELFTEST_SELFTEST_H
#define ADELE_SELFTEST_SELFTEST_H

#include "device/families.h"

#define SELFTEST_SECONDS       20.0 // all in all
#define SELFTEST_STALL_SECONDS 5.0  // of waiting for one case's kernels, which take milliseconds

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
    char text[512]; // what was run, and for a wrong answer by how much it is off
};
struct selftest_result {
    bool is_complete;  // false: the time was up before the end
    uint64_t left_out; // those that an earlier, incomplete test found, too
    uint64_t tested;
    int n_findings;
    struct selftest_finding findings[ADELE_FAMILY_COUNT];
};

// Runs the test and keeps its verdict, unless `only` leaves families out. ADELE_UNSUPPORTED for a
// device that has no families, ADELE_DEVICE when the child ends before it has run a kernel,
// ADELE_INTERRUPTED when a signal ends it.
ADELE_MUST_CHECK adele_status selftest_run(const struct selftest_options *options,
                                           struct selftest_result *out);

// Before a training: runs the test where the device is a GPU and has no complete verdict, and logs
// one warning for each family that is left out. ADELE_SELFTEST in the environment: "off" tests and
// heeds nothing; "on" tests devices that are no GPU as well (the emulator); a number is "on" with
// so many seconds. Devices that cannot be opened are left to whoever opens them.
ADELE_MUST_CHECK adele_status selftest_before_training(const struct selftest_options *options);

// "wrong", "crashed" or "hung".
const char *selftest_fault_name(enum selftest_fault fault);
#endif
