// SPDX-License-Identifier: MIT
#include "support/mpirun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

bool mpirun_is_there(void) {
    return ADELE_MPIRUN[0] != '\0';
}

static bool is_for_two(const char *const *argv) {
    for (; *argv != NULL; argv++)
        if (strcmp(*argv, MPIRUN_NEXT) == 0)
            return true;
    return false;
}

// Settings of Open MPI 4 (OMPI_MCA) and 5 (PRTE_MCA) are variables, which another MPI does not
// read.
static void set_variables(void) {
    static const char *const settings[][2] = {
        {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
        {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
        {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
        {"OMPI_MCA_hwloc_base_binding_policy", "none"},
        {"PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"},
        {"PRTE_MCA_hwloc_default_binding_policy", "none"}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        assert_int_equal(setenv(settings[i][0], settings[i][1], 1), 0);
}

static int add_all(struct mpirun_command *command, int n, const char *const *texts) {
    for (; *texts != NULL; texts++) {
        assert_in_range(n, 0, MPIRUN_MOST_ARGUMENTS - 1);
        command->argv[n++] = *texts;
    }
    return n;
}

void mpirun_command(int n_ranks, const char *const *options, const char *const *argv,
                    struct mpirun_command *out) {
    bool is_divided = is_for_two(argv);
    int n = 0;
    set_variables();
    (void)snprintf(out->n_first, sizeof out->n_first, "%d", n_ranks);
    (void)snprintf(out->n_ranks, sizeof out->n_ranks, "%d", n_ranks + (is_divided ? 1 : 0));
    out->argv[n++] = ADELE_MPIRUN;
    n = add_all(out, n, options);
    out->argv[n++] = "-n";
    out->argv[n++] = out->n_ranks;
    if (is_divided) {
        out->argv[n++] = ADELE_PER_RANK;
        out->argv[n++] = out->n_first;
    }
    n = add_all(out, n, argv);
    out->argv[n] = NULL;
}

static const char *const no_options[] = {NULL};

void mpirun_run(int n_ranks, const char *const *argv, struct program_result *out) {
    struct mpirun_command command;
    mpirun_command(n_ranks, no_options, argv, &command);
    program_run(command.argv, out);
}

pid_t mpirun_start(int n_ranks, const char *const *argv, FILE *err) {
    struct mpirun_command command;
    mpirun_command(n_ranks, no_options, argv, &command);
    return program_start_heard(command.argv, err);
}
