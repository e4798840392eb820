// SPDX-License-Identifier: MIT
#include "cli/progress.h"

#include "adele/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH 28

static volatile sig_atomic_t signal_came;

static volatile sig_atomic_t is_one_of_several, is_quiet_rank;

static const int stop_signals[] = {SIGINT, SIGTERM, SIGUSR1};
#define N_STOP_SIGNALS (sizeof stop_signals / sizeof *stop_signals)

static void handle_stop_signals(void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < N_STOP_SIGNALS; i++)
        sigaction(stop_signals[i], &action, NULL);
}

// A step may take long, so a line is written here and now, with nothing but what a signal handler
// may call. A second signal does what it does to any program: it ends it at once. Files are written
// whole or not at all, so that the last checkpoint stays as it is.
static void on_signal(int number) {
    static const char text[] = "\nfinishing this step; once more to stop without saving\n";
    static const char text_of_ranks[] = "\nfinishing this step\n";
    int code = errno;
    if (is_one_of_several) {
        bool tells = !signal_came && !is_quiet_rank;
        signal_came = 1;
        ssize_t n = tells ? write(STDERR_FILENO, text_of_ranks, sizeof text_of_ranks - 1) : 0;
        (void)n;
        errno = code;
        return;
    }
    if (signal_came) { // delivered together with the first
        handle_stop_signals(SIG_DFL);
        (void)raise(number); // takes effect when this handler returns
        return;
    }
    signal_came = 1;
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    (void)n; // the terminal may be gone
    handle_stop_signals(SIG_DFL);
    errno = code;
}

double progress_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void progress_clear(struct progress *progress) {
    if (!progress->bar_is_drawn)
        return;
    fputs("\r\033[K", stderr);
    progress->bar_is_drawn = false;
}

static void show_bar(struct progress *progress) {
    fprintf(stderr, "\r\033[K%s", progress->bar);
    fflush(stderr);
    progress->bar_is_drawn = true;
}

static void print_line(void *context, enum adele_log_level level, const char *line) {
    struct progress *progress = context;
    bool is_warning = level == ADELE_LOG_WARNING;
    FILE *to = is_warning ? stderr : stdout;
    if (level == ADELE_LOG_DETAIL)
        return;
    bool had_bar = progress->bar_is_drawn;
    progress_clear(progress);
    fprintf(to, "%s%s\n", is_warning ? "warning: " : "", line);
    fflush(to);
    if (had_bar)
        show_bar(progress);
}

void progress_init(struct progress *progress) {
    memset(progress, 0, sizeof *progress);
    progress->is_terminal = isatty(STDERR_FILENO);
    progress_restart(progress);
    adele_log_to(print_line, progress);
    signal_came = is_one_of_several = is_quiet_rank = 0;
    handle_stop_signals(on_signal);
}

void progress_join_ranks(struct progress *progress, bool is_quiet) {
    is_one_of_several = 1;
    is_quiet_rank = is_quiet;
    if (!is_quiet)
        return;
    progress->is_terminal = false;
    adele_log_to(NULL, NULL);
}

void progress_deinit(struct progress *progress) {
    // Rank 0 may still be saving: a signal that comes late must not end the ranks that wait for it.
    handle_stop_signals(is_one_of_several ? SIG_IGN : SIG_DFL);
    progress_clear(progress);
    adele_log_to(NULL, NULL);
    memset(progress, 0, sizeof *progress);
}

void progress_restart(struct progress *progress) {
    progress->started = progress_seconds();
    progress->first_done = -1.0;
}

void progress_format_time(double seconds, char out[PROGRESS_TIME_BYTES]) {
    unsigned whole = seconds > 0.0 && seconds < 1e9 ? (unsigned)(seconds + 0.5) : 0;
    if (whole >= 3600)
        snprintf(out, PROGRESS_TIME_BYTES, "%u:%02u:%02u", whole / 3600, whole / 60 % 60,
                 whole % 60);
    else
        snprintf(out, PROGRESS_TIME_BYTES, "%u:%02u", whole / 60, whole % 60);
}

void progress_format_left(const struct progress *progress, double done,
                          char out[PROGRESS_TIME_BYTES]) {
    double share = progress->first_done < 0.0 ? 0.0 : done - progress->first_done;
    if (share > 0.0)
        progress_format_time((progress_seconds() - progress->started) * (1.0 - done) / share, out);
    else
        snprintf(out, PROGRESS_TIME_BYTES, "-:--");
}

// A line that is wider than the terminal could not be removed again.
static int terminal_columns(void) {
    struct winsize size;
    bool is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    int columns = is_known ? size.ws_col : 80;
    return columns < PROGRESS_LINE_BYTES ? columns : PROGRESS_LINE_BYTES;
}

static void write_bar(struct progress *progress, double done, const char *text, const char *tail) {
    int columns = terminal_columns(), width = columns - 1 - (int)(strlen(text) + strlen(tail) + 3);
    char marks[BAR_WIDTH + 1];
    if (width > BAR_WIDTH)
        width = BAR_WIDTH;
    if (width < 0)
        width = 0;
    for (int i = 0; i < width; i++)
        marks[i] = i < (int)(done * width) ? '#' : '.';
    marks[width] = '\0';
    snprintf(progress->bar, (size_t)columns, "%s [%s]%s", text, marks, tail);
}

void progress_draw(struct progress *progress, double done, const char *text, const char *more) {
    double now = progress_seconds();
    if (progress->first_done < 0.0) {
        progress->first_done = done;
        progress->started = now;
    }
    if (!progress->is_terminal || (done < 1.0 && now - progress->drawn < 0.1))
        return;
    progress->drawn = now;
    char left[PROGRESS_TIME_BYTES], tail[160];
    progress_format_left(progress, done, left);
    snprintf(tail, sizeof tail, " %3d %%%s  ETA %s", (int)(done * 100.0), more, left);
    write_bar(progress, done, text, tail);
    show_bar(progress);
}

int progress_should_stop(void *context) {
    (void)context;
    return signal_came != 0;
}
