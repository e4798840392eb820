// SPDX-License-Identifier: MIT
// Named ranges of time for a profiler. Nothing happens, and no name is formatted, unless a hook is
// installed.
#ifndef ADELE_BASE_TRACE_H
#define ADELE_BASE_TRACE_H

#include "adele/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// `name` is borrowed during the call. Ranges nest; each pop ends the last that was pushed. Install
// before other threads trace. Both NULL: no hook.
void trace_to(void (*push)(const char *name), void (*pop)(void));
void trace_push(const char *format, ...) ADELE_PRINTF(1, 2); // cut after 200 characters
void trace_pop(void);

#ifdef __cplusplus
}
#endif
#endif
