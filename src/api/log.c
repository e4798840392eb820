// SPDX-License-Identifier: MIT
#include "api/log.h"

#include "adele/log.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

// ---- the program's function ---------------------------------------------------------------------

static adele_log_function program_function;
static void *program_context;

static void forward_line(void *context, enum log_level level, const char *line) {
    (void)context;
    if (program_function != NULL)
        program_function(program_context, (enum adele_log_level)level, line);
}

void adele_log_to(adele_log_function function, void *context) {
    log_set_sink(NULL, NULL); // no line is on its way while the two change
    program_function = function;
    program_context = context;
    log_set_sink(forward_line, NULL);
}

// ---- log.txt ------------------------------------------------------------------------------------

struct train_log {
    FILE *file; // NULL: it could not be written any more
    double started;
};

static double now_seconds(void) {
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// A log that cannot be written is no reason to lose a run, but it is said, once.
static void stop_writing(struct train_log *log, const char *reason) {
    char line[256];
    (void)snprintf(line, sizeof line, "log.txt cannot be written any more: %s", reason);
    forward_line(NULL, LOG_WARNING, line);
    (void)fclose(log->file);
    log->file = NULL;
}

static void write_line(void *context, enum log_level level, const char *line) {
    struct train_log *log = context;
    forward_line(NULL, level, line);
    if (log->file == NULL)
        return;
    (void)fprintf(log->file, "%9.1f s  %s%s\n", now_seconds() - log->started,
                  level == LOG_WARNING ? "warning: " : "", line);
    if (fflush(log->file) != 0)
        stop_writing(log, strerror(errno));
}

adele_status train_log_open(const char *run_folder, struct train_log **out) {
    struct train_log *log = NULL;
    char *path = file_join(run_folder, "log.txt");
    adele_status status;
    *out = NULL;
    TRY_GOTO(CHECK_MEMORY(path), done);
    TRY_GOTO(ALLOCATE(&log, 1), done);
    log->started = now_seconds();
    log->file = fopen(path, "a");
    if (log->file == NULL) {
        status = FAIL(ADELE_IO, file_hint(errno), "cannot write %s: %s", path, strerror(errno));
        memory_free(log);
        goto done;
    }
    log_set_sink(write_line, log);
    *out = log;
done:
    memory_free(path);
    return status;
}

void train_log_close(struct train_log *log) {
    if (log == NULL)
        return;
    log_set_sink(forward_line, NULL);
    if (log->file != NULL)
        (void)fclose(log->file);
    memory_free(log);
}
