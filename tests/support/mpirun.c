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

struct command {
    const char *argv[MPIRUN_MOST_ARGUMENTS + 6];
    char count[16], n_first[16];
};

static bool is_for_two(const char *const *argv) {
    for (; *argv != NULL; argv++)
        if (strcmp(*argv, MPIRUN_NEXT) == 0)
            return true;
    return false;
}

// Settings of Open MPI 4 (OMPI_MCA) and 5 (PRTE_MCA) are variables, which another MPI does not
// read.
static void make_command(int n_ranks, const char *const *argv, struct command *out) {
    static const char *const settings[][2] = {
        {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
        {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
        {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
        {"OMPI_MCA_hwloc_base_binding_policy", "none"},
        {"PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"},
        {"PRTE_MCA_hwloc_default_binding_policy", "none"}};
    int n = 0;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        assert_int_equal(setenv(settings[i][0], settings[i][1], 1), 0);
    bool is_divided = is_for_two(argv);
    (void)snprintf(out->n_first, sizeof out->n_first, "%d", n_ranks);
    (void)snprintf(out->count, sizeof out->count, "%d", n_ranks + (is_divided ? 1 : 0));
    out->argv[n++] = ADELE_MPIRUN;
    out->argv[n++] = "-n";
    out->argv[n++] = out->count;
    if (is_divided) {
        out->argv[n++] = ADELE_PER_RANK;
        out->argv[n++] = out->n_first;
    }
    for (int i = 0; argv[i] != NULL; i++) {
        assert_in_range(i, 0, MPIRUN_MOST_ARGUMENTS - 1);
        out->argv[n++] = argv[i];
    }
    out->argv[n] = NULL;
}

void mpirun_run(int n_ranks, const char *const *argv, struct program_result *out) {
    struct command command;
    make_command(n_ranks, argv, &command);
    program_run(command.argv, out);
}

pid_t mpirun_start(int n_ranks, const char *const *argv, FILE *err) {
    struct command command;
    make_command(n_ranks, argv, &command);
    return program_start_heard(command.argv, err);
}
