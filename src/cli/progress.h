// SPDX-License-Identifier: MIT
// What a person sees while a verb works: log lines, and on a terminal a bar with the time left.
// The first Ctrl-C (or SIGTERM) prints a line at once and makes the work save and end; the second
// ends the program.
#ifndef ADELE_CLI_PROGRESS_H
#define ADELE_CLI_PROGRESS_H

#include <stdbool.h>

struct progress {
    bool is_terminal;
    bool bar_is_drawn;
    double started, drawn; // seconds of a monotonic clock
    double first_done;     // share that was done when the bar began (resume)
};

// Until progress_deinit, log lines go to stdout, warnings to stderr, and the signals INT and TERM
// are handled.
void progress_init(struct progress *progress);
void progress_deinit(struct progress *progress);
// `done`: the share of the work that is done, 0 .. 1; `text` says what is at work.
void progress_draw(struct progress *progress, double done, const char *text);
// 1 once a signal has come. The context is not used.
int progress_should_stop(void *context);
#endif
