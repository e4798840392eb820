// SPDX-License-Identifier: MIT
// The self-test by hand, and, with --child, the child process that it starts: this program again.
#include "cli/arguments.h"
#include "cli/cli.h"
#include "selftest/child.h"
#include "selftest/selftest.h"

#include <argp.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

struct arguments {
    const char *device, *config;
    struct argument_sets sets;
    uint64_t only, left_out;
    double seconds;
    int is_child;
};

enum { KEY_ONLY = 256, KEY_SECONDS, KEY_CHILD, KEY_LEFT_OUT };

static const struct argp_option options[] = {
    {"device", 'd', "NAME", 0, "cuda or cuda:N (default: cuda)", 0},
    {"config", 'c', "FILE", 0, "Test the shapes of this configuration's network, too", 0},
    {"set", 's', "KEY=VALUE", 0, "Override a key of the configuration (may be repeated)", 0},
    {"only", KEY_ONLY, "LIST", 0,
     "Test these families alone, with commas between; no verdict is kept", 0},
    {"seconds", KEY_SECONDS, "N", 0, "Stop after so many seconds (default: 20)", 0},
    {"child", KEY_CHILD, 0, OPTION_HIDDEN, "Be the child process that runs the kernels", 0},
    {"left-out", KEY_LEFT_OUT, "LIST", OPTION_HIDDEN, "Families that are not to be run", 0},
    {0}};

static uint64_t parse_families(struct argp_state *state, const char *text) {
    uint64_t families;
    char known[1200];
    families_print(~(uint64_t)0, known, sizeof known);
    if (!families_parse(text, &families))
        argp_error(state, "'%s' is no list of families; there are: %s", text, known);
    return families;
}

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    const struct argument rows[] = {{ARGP_KEY_ARG},
                                    {'d', .text = &arguments->device},
                                    {'c', .text = &arguments->config},
                                    {'s', .sets = &arguments->sets},
                                    {KEY_CHILD, .flag = &arguments->is_child}};
    char *end;
    switch (key) {
    case KEY_ONLY:
        arguments->only = parse_families(state, value);
        return 0;
    case KEY_LEFT_OUT:
        arguments->left_out = parse_families(state, value);
        return 0;
    case KEY_SECONDS:
        arguments->seconds = strtod(value, &end);
        if (end == value || *end || !(arguments->seconds > 0.0))
            argp_error(state, "--seconds '%s' is not a number above 0", value);
        return 0;
    default:
        return ARGUMENTS_STORE(rows, key, value, state);
    }
}

const struct argp selftest_argp = {
    .options = options,
    .parser = parse,
    .doc = "Tests every kernel of a GPU beside simpler ones and the CPU.\vA training does this "
           "automatically where a GPU, its driver and this build meet for the first time (at "
           "most 20 seconds, once). What is wrong, crashes or hangs is left out from then on, "
           "and the next best, if any, is taken; `adele info` names it. ADELE_SELFTEST=off in "
           "the environment tests and leaves out nothing, ADELE_SELFTEST=60 gives a training's "
           "test so many seconds."};

// ---- the child ----------------------------------------------------------------------------------

// The parent must know of a line before the kernel runs that may be this process's last.
static void print_event(const char *word, enum family family, const char *text) {
    printf("%s %s %s\n", word, family_name(family), text);
    (void)fflush(stdout);
}

static bool has_run; // a kernel

static void say_run(enum family family, const char *text) {
    has_run = true;
    print_event("run", family, text);
}

static void say_wait(void) {
    printf("wait\n");
    (void)fflush(stdout);
}

static void say_back(void) {
    printf("back\n");
    (void)fflush(stdout);
}

static void say_wrong(enum family family, const char *text) {
    print_event("wrong", family, text);
}

static int be_child(const struct arguments *arguments) {
    struct network_cases network;
    struct child_options child = {.device = arguments->device,
                                  .left_out = arguments->left_out,
                                  .only = arguments->only,
                                  .seconds = arguments->seconds,
                                  .on_run = say_run,
                                  .on_wait = say_wait,
                                  .on_back = say_back,
                                  .on_wrong = say_wrong};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); // it must not outlive a parent that is killed
    memset(&network, 0, sizeof network);
    // A configuration that is wrong is the training's to refuse.
    if (arguments->config != NULL &&
        network_cases_init(arguments->config, arguments->sets.n, arguments->sets.texts, &network) ==
            ADELE_OK)
        child.network = &network;
    adele_status status = child_run(&child);
    if (status == ADELE_OK)
        printf("done\n");
    else if (has_run && status == ADELE_DEVICE) // the family of the last line has done it
        printf("lost %s\n", adele_error_message());
    else
        printf("error %s\t%s\n", adele_error_message(), adele_error_hint());
    network_cases_deinit(&network);
    return status == ADELE_OK ? CLI_OK : CLI_FAILED;
}

// ---- by hand ------------------------------------------------------------------------------------

static int count_families(uint64_t families) {
    int n = 0;
    for (; families != 0; families &= families - 1)
        n++;
    return n;
}

static void print_result(const struct selftest_result *result) {
    char names[1200];
    for (int i = 0; i < result->n_findings; i++)
        printf("%-8s %s: %s\n", selftest_fault_name(result->findings[i].fault),
               family_name(result->findings[i].family), result->findings[i].text);
    families_print(result->left_out, names, sizeof names);
    printf("%d kernel families tested, %d left out%s%s\n", count_families(result->tested),
           count_families(result->left_out), result->left_out != 0 ? ": " : "", names);
    if (!result->is_complete)
        printf("the time was up before the end: --seconds N\n");
}

int verb_selftest(int argc, char **argv) {
    struct arguments arguments = {
        .device = "cuda", .only = ~(uint64_t)0, .seconds = SELFTEST_SECONDS};
    argp_parse(&selftest_argp, argc, argv, 0, 0, &arguments);
    if (arguments.is_child)
        return be_child(&arguments);
    struct selftest_options test = {.program = "/proc/self/exe",
                                    .device = arguments.device,
                                    .config = arguments.config,
                                    .sets = arguments.sets.texts,
                                    .n_sets = arguments.sets.n,
                                    .seconds = arguments.seconds,
                                    .stall_seconds =
                                        fmin(arguments.seconds, SELFTEST_STALL_SECONDS),
                                    .only = arguments.only};
    struct selftest_result result;
    struct network_cases network;
    adele_status status = ADELE_OK;
    memset(&network, 0, sizeof network);
    if (arguments.config != NULL) // so that a mistake in it is named
        status =
            network_cases_init(arguments.config, arguments.sets.n, arguments.sets.texts, &network);
    network_cases_deinit(&network);
    if (status == ADELE_OK)
        status = selftest_run(&test, &result);
    if (status != ADELE_OK)
        return cli_report_failure(status);
    print_result(&result);
    return result.left_out == 0 && result.is_complete ? CLI_OK : CLI_FAILED;
}
