// SPDX-License-Identifier: MIT
// What a person sees while a verb works: log lines, and on a terminal a bar with the time left.
// The first Ctrl-C (or SIGTERM, or SIGUSR1, which Slurm can send before a job's time is over)
// prints a line at once and makes the work save and end; the second ends the program.
#ifndef ADELE_CLI_PROGRESS_H
#define ADELE_CLI_PROGRESS_H

#include <stdbool.h>

#define PROGRESS_LINE_BYTES 320
#define PROGRESS_TIME_BYTES 32

struct progress {
    bool is_terminal;
    bool bar_is_drawn;
    double started, drawn;         // seconds of a monotonic clock
    double first_done;             // share that was done when the bar began (resume)
    char bar[PROGRESS_LINE_BYTES]; // the last one that was drawn
};

// Until progress_deinit, log lines go to stdout, warnings to stderr, and the signals INT, TERM and
// USR1 are handled.
void progress_init(struct progress *progress);
// Beside other ranks: a second signal does nothing, because a launcher passes on the terminal's
// signal with one of its own, and ends processes that take too long by itself. `is_quiet`: nothing
// is shown, because another rank does.
void progress_join_ranks(struct progress *progress, bool is_quiet);
void progress_deinit(struct progress *progress);
// `done`: the share of the work that is done, 0 .. 1; `text` says what is at work, and stands
// before the bar, `more` behind it.
void progress_draw(struct progress *progress, double done, const char *text, const char *more);
// The time left is computed from now on.
void progress_restart(struct progress *progress);
// Removes the bar, for lines on standard output; the next progress_draw draws it again.
void progress_clear(struct progress *progress);
double progress_seconds(void); // of a monotonic clock
// The time that is left, by the pace since the first progress_draw.
void progress_format_left(const struct progress *progress, double done,
                          char out[PROGRESS_TIME_BYTES]);
void progress_format_time(double seconds, char out[PROGRESS_TIME_BYTES]); // "1:02:03"
// 1 once a signal has come. The context is not used.
int progress_should_stop(void *context);
#endif
