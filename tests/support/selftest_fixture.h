// SPDX-License-Identifier: MIT
// What the tests of the self-test share: a tiny configuration, a folder of verdicts that is empty
// when a case begins, and faults that are planted in the emulator's kernels. Every failure fails
// the running CMocka test.
#ifndef ADELE_TESTS_SELFTEST_FIXTURE_H
#define ADELE_TESTS_SELFTEST_FIXTURE_H

#include "device/device.h"
#include "device/families.h"
#include "device/verdict.h"
#include "selftest/selftest.h"

#include <stdint.h>

#define THIS_PROGRAM "/proc/self/exe"
#define NO_PROGRAM   "/nowhere/adele" // that a child is wanted shows in the failure to start it
#define ALL_FAMILIES (~(uint64_t)0)
#define LONG_SECONDS 600.0 // never reached

#define FAMILY_BIT(name) family_bit(ADELE_FAMILY_##name)

#ifdef ADELE_HAVE_SIMT
#define SKIP_WITHOUT_EMULATOR()
#else
#define SKIP_WITHOUT_EMULATOR() skip()
#endif

// A row of CMUnitTest. The case begins with nothing planted, no libraries, no verdict and no
// setting.
#define SELFTEST_CASE(name)                                                                        \
    cmocka_unit_test_setup_teardown(name, selftest_setup_case, selftest_teardown_case)
int selftest_setup_case(void **state);
int selftest_teardown_case(void **state);

// CMocka's group fixture: a scratch folder with "tiny.yaml" and its data set, which is the cache
// folder too; scratch.h removes it.
int selftest_setup(void **state);

// Warnings since the case began.
int selftest_n_warnings(void);

// "FAULT:FILE:KERNEL" (tests/simt/simt_plant.h), in the children too.
void plant(const char *fault);
// The stand-ins of cuDNN and cuBLAS, in the children too.
void install_libraries(void);
// The families `only`, on the emulator, by this program, without a limit of time.
struct selftest_options options_of(uint64_t only);
// A convolution that every engine has a kernel for.
extern const struct adele_conv2d_desc selftest_conv2d;
// Its engine on the device of that name is `before`, and `after` once the verdict on "simt" is put.
void assert_verdict_changes_engine(const char *device_name, const struct verdict *verdict,
                                   const char *before, const char *after);
// Changes the file of verdicts: the first `from` becomes `to`, which is as long.
void edit_verdicts(void *const *state, const char *from, const char *to);

#endif
