// SPDX-License-Identifier: MIT
#include "support/program.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char thread_count[16] = "2";

void program_set_threads(int n_threads) {
    (void)snprintf(thread_count, sizeof thread_count, "%d", n_threads);
}

// In the child: only calls that are allowed between fork and exec, but for setenv, which a child of
// a process without other threads at work may call.
static void become(const char *const *argv, int out, int err) {
    if (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
        _exit(126);
    if (setenv("OMP_NUM_THREADS", thread_count, 1) != 0 ||
        setenv("OMP_WAIT_POLICY", "passive", 1) != 0)
        _exit(126);
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

static pid_t start(const char *const *argv, int out, int err) {
    pid_t pid = fork();
    if (pid == 0)
        become(argv, out, err);
    assert_true(pid > 0);
    return pid;
}

int program_wait(pid_t pid) {
    int status = 0;
    pid_t done;
    do
        done = waitpid(pid, &status, 0);
    while (done < 0 && errno == EINTR);
    assert_int_equal(done, pid);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    assert_int_not_equal(code, 126);
    assert_int_not_equal(code, 127); // the program is not there
    return code;
}

int program_is_running(pid_t pid) {
    siginfo_t info = {0};
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
    return info.si_pid == 0;
}

pid_t program_start(const char *const *argv) {
    return program_start_heard(argv, NULL);
}

pid_t program_start_heard(const char *const *argv, FILE *err) {
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(nowhere >= 0);
    pid_t pid = start(argv, nowhere, err ? fileno(err) : nowhere);
    (void)close(nowhere);
    return pid;
}

// The whole of a temporary file, from its beginning. Files, not pipes: a child never waits for us.
char *program_read_back(FILE *file) {
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long bytes = ftell(file);
    assert_true(bytes >= 0);
    rewind(file);
    char *text = calloc((size_t)bytes + 1, 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)bytes, file), (size_t)bytes);
    (void)fclose(file);
    return text;
}

void program_run(const char *const *argv, struct program_result *out) {
    FILE *standard = tmpfile(), *errors = tmpfile();
    assert_non_null(standard);
    assert_non_null(errors);
    out->code = program_wait(start(argv, fileno(standard), fileno(errors)));
    out->out = program_read_back(standard);
    out->err = program_read_back(errors);
}

void program_result_deinit(struct program_result *result) {
    free(result->out);
    free(result->err);
    memset(result, 0, sizeof *result);
}

int count_of(const char *text, const char *part) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        n++;
    return n;
}

double seconds_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void seconds_sleep(double seconds) {
    struct timespec left = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}
