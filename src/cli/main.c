// SPDX-License-Identifier: MIT
// adele VERB ...: finds the verb.
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct verb {
    const char *name, *help;
    int (*run)(int argc, char **argv);
};

static const struct verb verbs[] = {
#define VERB_ROW(name, help) {#name, help, verb_##name},
    CLI_VERBS(VERB_ROW)
#undef VERB_ROW
};
#define N_VERBS (sizeof verbs / sizeof *verbs)

static void print_help(FILE *to) {
    fprintf(to, "Usage: adele VERB [OPTION...]\n"
                "Trains segmentation networks on labels that are partly wrong, and corrects the "
                "labels.\n\n");
    for (size_t i = 0; i < N_VERBS; i++)
        fprintf(to, "  %-10s %s\n", verbs[i].name, verbs[i].help);
    fprintf(to, "\n`adele VERB --help` explains a verb. Exit codes: 0 done, 1 failed, 2 wrong "
                "usage, 130 interrupted after saving.\n");
}

// OpenMP's threads spin while they wait, unless told otherwise before the program is loaded; beside
// any other work on the machine that makes training several times slower. So the program starts
// itself again, once, with the policy set; a user's own setting stays.
static void wait_passively(char **argv) {
    if (getenv("OMP_WAIT_POLICY") || setenv("OMP_WAIT_POLICY", "passive", 1) != 0)
        return;
    execv("/proc/self/exe", argv); // comes back only when it failed: then it is slower, no more
}

// What was printed and did not arrive, in a full disk for instance, is a failure.
static int finish(int code) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (code == CLI_OK)
        fprintf(stderr, "adele: error: the output could not be written\n"
                        "  hint: Check where the output goes, and the space there.\n");
    return code == CLI_OK ? CLI_FAILED : code;
}

int main(int argc, char **argv) {
    wait_passively(argv);
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("adele %s\n", ADELE_VERSION);
        return CLI_OK;
    }
    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(argv[1], verbs[i].name) == 0) {
            char name[64];
            snprintf(name, sizeof name, "adele %s", verbs[i].name);
            argv[1] = name; // argp names the program by argv[0]
            return finish(verbs[i].run(argc - 1, argv + 1));
        }
    fprintf(stderr, "adele: error: unknown verb '%s'\n  hint: `adele --help` lists the verbs.\n",
            argv[1]);
    return CLI_USAGE;
}

int cli_report_failure(adele_status status) {
    const char *hint = adele_error_hint();
    fprintf(stderr, "adele: error: %s\n", adele_error_message());
    if (hint[0])
        fprintf(stderr, "  hint: %s\n", hint);
    return status == ADELE_INTERRUPTED ? CLI_INTERRUPTED : CLI_FAILED;
}
