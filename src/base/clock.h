// SPDX-License-Identifier: MIT
// Time that has passed.
#ifndef ADELE_BASE_CLOCK_H
#define ADELE_BASE_CLOCK_H

#ifdef __cplusplus
extern "C" {
#endif

// Seconds since a fixed moment, by a clock that is never set back or forward: only differences
// have a meaning.
double clock_seconds(void);

#ifdef __cplusplus
}
#endif
#endif
