// SPDX-License-Identifier: MIT
// A device of another kind that gets ops for a convolution at several scales, which run the
// device's own ops one after the other: the results are the same bytes. Every failure fails the
// running CMocka test.
#ifndef ADELE_TESTS_SCALES_DEVICE_H
#define ADELE_TESTS_SCALES_DEVICE_H

#include "device/device.h"

// What the device has done since scales_device_wrap, which sets it to zero, and what a test asks of
// it after that. One device at a time.
extern struct scales_device {
    int n_created, n_forward, n_backward; // calls
    int n_ops;                            // that are alive
    // The workspace that the calls were given, from its lowest to its highest address.
    const char *workspace_first, *workspace_end;
    int i_failing_create, i_failing_forward, i_failing_backward; // of the calls, from 1; 0: none
} scales_device;

// Every other convolution gets no such op; stays as a test sets it.
extern bool scales_device_leaves_out;

// Gives the device an interface of its own, which has these ops beside all that it had.
void scales_device_wrap(struct adele_device *device);
// The CPU, wrapped: for adele_device_provide.
adele_status scales_device_open(enum adele_precision precision, struct adele_device **out);
// The largest workspace of the ops that are alive.
size_t scales_device_workspace_bytes(void);
#endif
