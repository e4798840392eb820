// SPDX-License-Identifier: MIT
#include "support/inside.h"

#include "support/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

// In the child: everything up to the exit, where a leak would change the code.
static void become(const char *const *argv, enum fault_kind kind, long i, long *n_calls) {
    int argc = 0;
    while (argv[argc])
        argc++;
    char **words = calloc((size_t)argc + 1, sizeof *words); // main may write into it
    if (!words)
        _exit(126);
    for (int k = 0; k < argc; k++)
        words[k] = strdup(argv[k]);
    char *verb = words[1];
    fault_arm(kind, i);
    int code = adele_main(argc, words);
    for (int k = 0; k < FAULT_COUNT; k++)
        n_calls[k] = fault_calls((enum fault_kind)k);
    fault_arm(kind, -1);
    words[1] = verb; // where main named the program
    for (int k = 0; k < argc; k++)
        free(words[k]);
    free(words);
    exit(code);
}

void inside_run(const char *const *argv, enum fault_kind kind, long i, struct inside_result *out) {
    FILE *standard = tmpfile(), *errors = tmpfile();
    assert_non_null(standard);
    assert_non_null(errors);
    assert_int_equal(setenv("OMP_WAIT_POLICY", "passive", 1), 0); // or main starts itself anew
    long *n_calls =
        mmap(NULL, sizeof out->n_calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(n_calls, MAP_FAILED);
    for (int k = 0; k < FAULT_COUNT; k++)
        n_calls[k] = -1;
    (void)fflush(NULL); // or the child prints it again
    pid_t pid = fork();
    if (pid == 0) {
        const char *full = getenv("ADELE_FAULTS_OUT"); // a file that takes nothing
        FILE *to = full ? fopen(full, "w") : standard;
        if (!to || dup2(fileno(to), STDOUT_FILENO) < 0 || dup2(fileno(errors), STDERR_FILENO) < 0)
            _exit(126);
        become(argv, kind, i, n_calls);
    }
    assert_true(pid > 0);
    out->code = program_wait(pid);
    memcpy(out->n_calls, n_calls, sizeof out->n_calls);
    out->out = program_read_back(standard);
    out->err = program_read_back(errors);
    (void)munmap(n_calls, sizeof out->n_calls);
}

void inside_result_deinit(struct inside_result *result) {
    free(result->out);
    free(result->err);
    memset(result, 0, sizeof *result);
}
