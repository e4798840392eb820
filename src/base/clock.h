// SPDX-License-Identifier: MIT
#ifndef ADELE_BASE_CLOCK_H
#define ADELE_BASE_CLOCK_H

#ifdef __cplusplus
extern "C" {
#endif

// Seconds since a fixed moment, by a clock that nobody sets: only differences mean something.
double clock_seconds(void);

#ifdef __cplusplus
}
#endif
#endif
