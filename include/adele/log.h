// SPDX-License-Identifier: MIT
// Lines for people. The library never prints: it hands each line to a function of the program.
#ifndef ADELE_LOG_H
#define ADELE_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

enum adele_log_level {
    ADELE_LOG_DETAIL, // for a log file: memory plans, layers, timings
    ADELE_LOG_INFO,   // what a person at a terminal wants to read
    ADELE_LOG_WARNING // the work goes on, but its result may not be what was meant
};

// `line` is one line of plain text without a newline, borrowed during the call. Called by one
// thread at a time; must not call the library.
typedef void (*adele_log_function)(void *context, enum adele_log_level level, const char *line);

// From now on the lines of all threads go to `function`, with `context`. NULL drops them (the
// default). Set it before other threads use the library.
void adele_log_to(adele_log_function function, void *context);

#ifdef __cplusplus
}
#endif
#endif
