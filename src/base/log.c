// SPDX-License-Identifier: MIT
// The log sink of the process. A mutex serializes the threads; a sink must not log, because it
// would deadlock.
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#define LINE_BYTES 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static log_sink current_sink;
static void *current_context;

void log_set_sink(log_sink sink, void *context) {
    (void)pthread_mutex_lock(&lock);
    current_sink = sink;
    current_context = context;
    (void)pthread_mutex_unlock(&lock);
}

void log_line(enum log_level level, const char *format, ...) {
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (n < 0)
        return;
    // One call is one line: names from files may hold a newline, and logs are read by line.
    for (char *c = line; *c != '\0'; c++) {
        if (*c == '\n' || *c == '\r')
            *c = ' ';
        else if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
            *c = '?'; // no escape sequences for the terminal either
    }
    (void)pthread_mutex_lock(&lock);
    if (current_sink != NULL)
        current_sink(current_context, level, line);
    (void)pthread_mutex_unlock(&lock);
}
