// SPDX-License-Identifier: MIT
#include "selftest/process.h"

#include "base/clock.h"
#include "base/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int spawn(const char *path, const char *const *arguments, int output, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return error;
    error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (error == 0)
        error = posix_spawn(pid, path, &actions, NULL, (char *const *)arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
}

adele_status process_start(const char *path, const char *const *arguments, struct process *out) {
    int ends[2];
    memset(out, 0, sizeof *out);
    if (pipe(ends) != 0)
        return FAIL(ADELE_IO, "Close other programs.", "a pipe cannot be made: %s",
                    strerror(errno));
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    int error = spawn(path, arguments, ends[1], &out->pid);
    (void)close(ends[1]);
    out->output = ends[0];
    if (error == 0)
        return ADELE_OK;
    (void)close(ends[0]);
    return FAIL(ADELE_IO, "Close other programs, or check the limit of processes (ulimit -u).",
                "%s cannot be started: %s", path, strerror(error));
}

// Returns the first line of the buffer, or all of a full buffer; false if there is none.
static bool take_line(struct process *process, char *line) {
    char *end = memchr(process->buffer, '\n', process->n_read);
    size_t length = end != NULL ? (size_t)(end - process->buffer) : process->n_read;
    if (end == NULL && process->n_read < sizeof process->buffer)
        return false;
    size_t used = end != NULL ? length + 1 : length;
    if (length >= PROCESS_LINE_BYTES)
        length = PROCESS_LINE_BYTES - 1;
    memcpy(line, process->buffer, length);
    line[length] = '\0';
    process->n_read -= used;
    memmove(process->buffer, process->buffer + used, process->n_read);
    return true;
}

enum process_event process_read(struct process *process, double deadline,
                                char line[PROCESS_LINE_BYTES]) {
    while (!take_line(process, line)) {
        double left = deadline - clock_seconds();
        if (left <= 0.0)
            return PROCESS_LATE;
        struct pollfd output = {.fd = process->output, .events = POLLIN};
        int n = poll(&output, 1, left > 1.0 ? 1000 : (int)(left * 1000.0) + 1);
        if (n <= 0)
            continue;
        ssize_t got = read(process->output, process->buffer + process->n_read,
                           sizeof process->buffer - process->n_read);
        if (got > 0)
            process->n_read += (size_t)got;
        else if (got == 0 || errno != EINTR)
            return PROCESS_END;
    }
    return PROCESS_LINE;
}

int process_stop(struct process *process, bool is_killed) {
    int status = 0;
    double deadline = clock_seconds() + 2.0;
    (void)close(process->output);
    if (is_killed)
        (void)kill(process->pid, SIGKILL);
    while (clock_seconds() < deadline) {
        pid_t done = waitpid(process->pid, &status, WNOHANG);
        if (done == process->pid)
            return status;
        if (done < 0 && errno != EINTR)
            return 0;
        (void)poll(NULL, 0, 2);
    }
    // It has closed its output and still runs: its driver cleans up, or hangs.
    (void)kill(process->pid, SIGKILL);
    return waitpid(process->pid, &status, WNOHANG) == process->pid ? status : 0;
}
