// SPDX-License-Identifier: MIT
#include "cli/progress.h"

#include "adele/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH 28

static volatile sig_atomic_t signal_came;

static const int stop_signals[] = {SIGINT, SIGTERM};
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
    int code = errno;
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

static double now_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void clear_bar(struct progress *progress) {
    if (!progress->bar_is_drawn)
        return;
    fputs("\r\033[K", stderr);
    progress->bar_is_drawn = false;
}

static void print_line(void *context, enum adele_log_level level, const char *line) {
    struct progress *progress = context;
    bool is_warning = level == ADELE_LOG_WARNING;
    FILE *to = is_warning ? stderr : stdout;
    clear_bar(progress);
    if (level != ADELE_LOG_DETAIL)
        fprintf(to, "%s%s\n", is_warning ? "warning: " : "", line);
    fflush(to);
}

void progress_init(struct progress *progress) {
    memset(progress, 0, sizeof *progress);
    progress->is_terminal = isatty(STDERR_FILENO);
    progress->started = now_seconds();
    progress->first_done = -1.0;
    adele_log_to(print_line, progress);
    signal_came = 0;
    handle_stop_signals(on_signal);
}

void progress_deinit(struct progress *progress) {
    handle_stop_signals(SIG_DFL);
    clear_bar(progress);
    adele_log_to(NULL, NULL);
    memset(progress, 0, sizeof *progress);
}

#define TIME_BYTES 32

static void format_time(double seconds, char out[TIME_BYTES]) {
    unsigned whole = seconds > 0.0 && seconds < 1e9 ? (unsigned)(seconds + 0.5) : 0;
    if (whole >= 3600)
        snprintf(out, TIME_BYTES, "%u:%02u:%02u", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(out, TIME_BYTES, "%u:%02u", whole / 60, whole % 60);
}

void progress_draw(struct progress *progress, double done, const char *text) {
    if (!progress->is_terminal)
        return;
    double now = now_seconds();
    if (progress->first_done < 0.0) {
        progress->first_done = done;
        progress->started = now;
    }
    if (done < 1.0 && now - progress->drawn < 0.1)
        return;
    progress->drawn = now;
    char left[TIME_BYTES] = "-:--", bar[BAR_WIDTH + 1];
    double share = done - progress->first_done;
    if (share > 0.0)
        format_time((now - progress->started) * (1.0 - done) / share, left);
    int filled = (int)(done * BAR_WIDTH);
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r\033[K%s [%s] %3d %%  ETA %s", text, bar, (int)(done * 100.0), left);
    fflush(stderr);
    progress->bar_is_drawn = true;
}

int progress_should_stop(void *context) {
    (void)context;
    return signal_came != 0;
}
