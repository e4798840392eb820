// SPDX-License-Identifier: MIT
// What a person sees while a verb works: log lines, and on a terminal a bar with the time left.
// The first Ctrl-C (or SIGTERM) is answered at once, and asks the work to save and end; the second
// ends the program.
#ifndef ADELE_CLI_PROGRESS_H
#define ADELE_CLI_PROGRESS_H

#include "adele/status.h"
#include <stdbool.h>
#include <stdio.h>

struct progress {
    bool is_terminal;
    bool bar_is_drawn;
    double started, drawn; // seconds of a monotonic clock
    double first_done;     // share that was done when the bar began (resume)
    FILE *log;             // of the run; NULL = none
};

// Takes over the library's log lines (to stdout and, when not NULL, appended to `log_path`) and the
// signals INT and TERM until progress_deinit.
ADELE_MUST_CHECK adele_status progress_init(struct progress *progress, const char *log_path);
void progress_deinit(struct progress *progress);
// `done` of 1; `text` says what is at work.
void progress_draw(struct progress *progress, double done, const char *text);
// True once a signal has come. The context is not used.
bool progress_should_stop(void *context);
#endif
