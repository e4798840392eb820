// SPDX-License-Identifier: MIT
#include "run/run_log.h"

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// The program's function and the open log.txt change while other threads log. Lines come one at a
// time, because the sink's own mutex is held, and that is never locked while this one is.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static adele_log_function program_function;
static void *program_context;
static struct run_log *open_log; // NULL: no run keeps one

struct run_log {
    FILE *file; // NULL: it could not be written any more
    double started;
};

static void tell_program(enum log_level level, const char *line) {
    if (program_function != NULL)
        program_function(program_context, (enum adele_log_level)level, line);
}

// A log that cannot be written is no reason to lose a run, but it is said, once.
static void stop_writing(struct run_log *log, const char *reason) {
    char line[256];
    (void)snprintf(line, sizeof line, "log.txt cannot be written any more: %s", reason);
    tell_program(LOG_WARNING, line);
    (void)fclose(log->file);
    log->file = NULL;
}

static void write_line(struct run_log *log, enum log_level level, const char *line) {
    if (log->file == NULL)
        return;
    (void)fprintf(log->file, "%9.1f s  %s%s\n", clock_seconds() - log->started,
                  level == LOG_WARNING ? "warning: " : "", line);
    if (fflush(log->file) != 0)
        stop_writing(log, strerror(errno));
}

static void forward_line(void *context, enum log_level level, const char *line) {
    (void)context;
    (void)pthread_mutex_lock(&lock);
    tell_program(level, line);
    if (open_log != NULL)
        write_line(open_log, level, line);
    (void)pthread_mutex_unlock(&lock);
}

void run_log_forward_to(adele_log_function function, void *context) {
    (void)pthread_mutex_lock(&lock);
    program_function = function;
    program_context = context;
    (void)pthread_mutex_unlock(&lock);
    log_set_sink(forward_line, NULL);
}

// ---- log.txt ------------------------------------------------------------------------------------

static adele_status open_file(const char *path, struct run_log **out) {
    struct run_log *log = NULL;
    if (open_log != NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Train without keep_log, or after the other run.",
                    "%s: another run of this process keeps a log", path);
    TRY(ALLOCATE(&log, 1));
    log->started = clock_seconds();
    log->file = fopen(path, "a");
    if (log->file == NULL) {
        int error = errno;
        memory_free(log);
        return FAIL(ADELE_IO, file_hint(error), "cannot write %s: %s", path, strerror(error));
    }
    *out = open_log = log;
    return ADELE_OK;
}

static char *log_path(const char *run_folder, int rank) {
    return rank == 0 ? file_join(run_folder, "log.txt")
                     : memory_printf("%s/log.%d.txt", run_folder, rank);
}

adele_status run_log_open(const char *run_folder, int rank, struct run_log **out) {
    OWNED char *path = log_path(run_folder, rank);
    *out = NULL;
    TRY(CHECK_MEMORY(path));
    (void)pthread_mutex_lock(&lock);
    adele_status status = open_file(path, out);
    (void)pthread_mutex_unlock(&lock);
    TRY(status);
    log_set_sink(forward_line, NULL);
    return ADELE_OK;
}

void run_log_close(struct run_log *log) {
    if (log == NULL)
        return;
    (void)pthread_mutex_lock(&lock);
    open_log = NULL;
    (void)pthread_mutex_unlock(&lock);
    if (log->file != NULL)
        (void)fclose(log->file);
    memory_free(log);
}

void run_log_remove(const char *run_folder, int n_ranks) {
    for (int r = 0; r < n_ranks; r++) {
        OWNED char *path = log_path(run_folder, r);
        if (path != NULL)
            (void)unlink(path);
    }
}
