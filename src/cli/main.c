// SPDX-License-Identifier: MIT
// adele VERB ...: runs the verb.
#include "adele/adele.h"
#include "cli/cli.h"
#include "cli/misspelt.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int refuse_verb(const char *name) {
    const char *nearest = misspelt_nearest_verb(name);
    fprintf(stderr, "adele: error: no command '%s'", name);
    if (nearest != NULL)
        fprintf(stderr, "; did you mean '%s'?", nearest);
    fprintf(stderr, "\n  hint: `adele --help` lists the commands.\n");
    return CLI_USAGE;
}

static const struct argp_option options[] = {
    {"help", 'h', 0, 0, "List the commands", 0}, {"version", 0, 0, 0, "Print the version", 0}, {0}};

const struct argp cli_argp = {
    options,
    0,
    "COMMAND [ARGUMENT...]",
    "Trains segmentation networks on labels that are partly wrong, and corrects the labels.",
    0,
    0,
    0};

static void print_help(FILE *to) {
    fprintf(to, "Usage: adele COMMAND [OPTION...]\n%s\n\n", cli_argp.doc);
    for (size_t i = 0; i < cli_n_verbs; i++)
        fprintf(to, "  %-10s %s\n", cli_verbs[i].name, cli_verbs[i].help);
    fprintf(to, "\n`adele COMMAND --help` explains a command. Exit codes: " CLI_EXIT_CODES ".\n");
}

void cli_print_help(void) {
    print_help(stdout);
}

// Waking a thread takes as long as many layers of a small network: where threads never spin, a
// step takes up to twice as long. Where they spin as long as OpenMP's library does by itself, it
// takes many times as long beside any other work on the machine. So they spin for some 20
// microseconds. The library reads these variables when it is loaded: the program starts itself
// again, once. A user's own setting stays.
static void wait_briefly(char **argv) {
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") ||
        setenv("OMP_WAIT_POLICY", "passive", 1) != 0 || setenv("GOMP_SPINCOUNT", "1000", 1) != 0)
        return;
    execv("/proc/self/exe", argv); // comes back only when it failed: then it is slower, no more
}

// Output that could not be written, to a full disk for instance, is a failure.
static int finish(int code) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "adele: error: the output could not be written\n"
                    "  hint: Check where the output goes, and the space there.\n");
    return code == CLI_OK ? CLI_FAILED : code;
}

// Verbs with a progress bar replace this function while they work. Standard output is left to the
// result of a verb (JSON, for example).
static void print_log_line(void *context, enum adele_log_level level, const char *line) {
    (void)context;
    if (level != ADELE_LOG_DETAIL)
        fprintf(stderr, "%s%s\n", level == ADELE_LOG_WARNING ? "warning: " : "", line);
}

// What a verb does where a launcher has started several processes.
enum with_ranks { REFUSE, WORK_TOGETHER, FIRST_ALONE };

static enum with_ranks find_with_ranks(const struct cli_verb *verb) {
    static const struct {
        const char *name;
        enum with_ranks with_ranks;
    } rows[] = {{"train", WORK_TOGETHER}, {"evaluate", WORK_TOGETHER}, {"predict", WORK_TOGETHER},
                {"audit", WORK_TOGETHER}, {"labels", FIRST_ALONE},     {"info", FIRST_ALONE},
                {"help", FIRST_ALONE},    {"selftest", WORK_TOGETHER}}; // the child of a training
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(verb->name, rows[i].name) == 0)
            return rows[i].with_ranks;
    return REFUSE;
}

// That error once, and the exit code.
static int refuse_ranks(const char *command) {
    (void)adele_ranks_should_report(NULL, ADELE_UNSUPPORTED); // the first process tells it first
    fprintf(stderr,
            "adele: error: `adele %s` is one process, and a launcher has started %d\n"
            "  hint: Start it without mpirun or srun; `adele train`, `evaluate`, `predict` and "
            "`audit` work with them.\n",
            command, adele_ranks_launched());
    return CLI_FAILED;
}

int main(int argc, char **argv) {
    wait_briefly(argv);
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    bool is_first = adele_ranks_launched_index() == 0;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        if (is_first)
            print_help(stdout);
        return finish(CLI_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        if (is_first)
            printf("adele %s\n", adele_version());
        return finish(CLI_OK);
    }
    const struct cli_verb *verb = cli_verb_find(argv[1]);
    if (verb == NULL)
        return refuse_verb(argv[1]);
    if (adele_ranks_launched() > 1) {
        enum with_ranks with_ranks = find_with_ranks(verb);
        if (with_ranks == REFUSE)
            return refuse_ranks(verb->name);
        if (with_ranks == FIRST_ALONE && !is_first)
            return CLI_OK;
    }
    if (!misspelt_check_options(verb, argc - 2, argv + 2))
        return CLI_USAGE;
    char name[64];
    snprintf(name, sizeof name, "adele %s", verb->name);
    adele_log_to(print_log_line, NULL);
    argv[1] = name; // argp names the program by argv[0]
    argp_err_exit_status = CLI_USAGE;
    return finish(verb->run(argc - 1, argv + 1));
}

int cli_report_failure(adele_status status) {
    const char *hint = adele_error_hint();
    // What the user has asked for is no error.
    const char *kind = status == ADELE_INTERRUPTED ? "" : "error: ";
    fprintf(stderr, "adele: %s%s\n", kind, adele_error_message());
    if (hint[0])
        fprintf(stderr, "  hint: %s\n", hint);
    return status == ADELE_INTERRUPTED ? CLI_INTERRUPTED : CLI_FAILED;
}
