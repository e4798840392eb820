// SPDX-License-Identifier: MIT
// Log lines. The library never prints: it passes each line to the sink that the program has set.
#ifndef ADELE_BASE_LOG_H
#define ADELE_BASE_LOG_H
#include "adele/status.h"
enum log_level { LOG_DETAIL, LOG_INFO, LOG_WARNING };
// `line` has no newline; borrowed during the call. Called from one thread at a time.
typedef void (*log_sink)(void *context, enum log_level level, const char *line);
void log_set_sink(log_sink sink, void *context); // NULL = drop lines
void log_line(enum log_level level, const char *format, ...) ADELE_PRINTF(2, 3);
#endif
