// SPDX-License-Identifier: MIT
#include "sweep/job.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { EXIT_NOT_STARTED = 127 };

// In the child, where only functions are called that may be called between fork and exec of a
// program with threads.
static void become(const char *program, const char *const *arguments, char *const *environment,
                   int output, pid_t parent) {
    int input = open("/dev/null", O_RDONLY);
    (void)setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && input >= 0 &&
        dup2(input, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
        dup2(output, STDERR_FILENO) >= 0)
        (void)execve(program, (char *const *)arguments, environment);
    _exit(EXIT_NOT_STARTED);
}

// The environment with another number of threads; only the array is new.
static adele_status copy_environment(char *threads, char ***out) {
    int n = 0, n_copied = 0;
    while (environ[n] != NULL)
        n++;
    TRY(ALLOCATE(out, (size_t)n + 2));
    for (int i = 0; i < n; i++)
        if (strncmp(environ[i], "OMP_NUM_THREADS=", strlen("OMP_NUM_THREADS=")) != 0)
            (*out)[n_copied++] = environ[i];
    (*out)[n_copied] = threads;
    return ADELE_OK;
}

adele_status job_start(const char *program, const char *const *arguments, int n_threads,
                       const char *output, struct job *out) {
    char threads[40], **environment = NULL;
    pid_t parent = getpid();
    *out = (struct job){0};
    (void)snprintf(threads, sizeof threads, "OMP_NUM_THREADS=%d", n_threads);
    int file = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0)
        return FAIL_ERRNO("write", output, errno);
    adele_status status = copy_environment(threads, &environment);
    if (status == ADELE_OK) {
        out->pid = fork();
        if (out->pid == 0)
            become(program, arguments, environment, file, parent);
        if (out->pid < 0) {
            out->pid = 0;
            status =
                FAIL(ADELE_IO, "Close other programs, or check the limit of processes (ulimit -u).",
                     "%s cannot be started: %s", program, strerror(errno));
        }
    }
    (void)close(file);
    memory_free(environment);
    return status;
}

bool job_has_ended(struct job *job) {
    pid_t done = waitpid(job->pid, &job->status, WNOHANG);
    if (done == 0 || (done < 0 && errno == EINTR))
        return false;
    if (done < 0)
        job->status = EXIT_NOT_STARTED << 8; // another wait has taken its status
    job->pid = 0;
    return true;
}

void job_stop(const struct job *job) {
    if (job->pid > 0)
        (void)kill(job->pid, SIGTERM);
}

// A copy of the text from `begin` to the end of its line; NULL for none.
static adele_status copy_line(const char *begin, char **out) {
    size_t n = begin != NULL ? strcspn(begin, "\n") : 0;
    *out = memory_printf("%.*s", (int)n, begin != NULL ? begin : "");
    return CHECK_MEMORY(*out);
}

static const char *find_last(const char *text, const char *part) {
    const char *found = NULL;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        found = at + strlen(part);
    return found;
}

adele_status job_reason(const struct job *job, const char *output, char **message, char **hint) {
    char *text = NULL, other[120];
    size_t n_bytes = 0;
    *message = *hint = NULL;
    adele_status status = file_read(output, 0, &text, &n_bytes);
    if (status == ADELE_NO_MEMORY)
        return status;
    if (WIFSIGNALED(job->status))
        (void)snprintf(other, sizeof other, "ended by signal %d (%s)", WTERMSIG(job->status),
                       strsignal(WTERMSIG(job->status)));
    else
        (void)snprintf(other, sizeof other, "exit code %d", WEXITSTATUS(job->status));
    const char *error = text != NULL ? find_last(text, "adele: error: ") : NULL;
    status = copy_line(error != NULL ? error : other, message);
    if (status == ADELE_OK)
        status = copy_line(error != NULL ? find_last(error, "\n  hint: ") : NULL, hint);
    if (status != ADELE_OK) {
        memory_free(*message);
        *message = NULL;
    }
    memory_free(text);
    return status;
}
