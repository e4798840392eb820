// SPDX-License-Identifier: MIT
#include "adele/train.h"
#include "cli/cli.h"
#include "cli/train_screen.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SETS 256

struct arguments {
    struct adele_train_options options;
    const char *sets[MAX_SETS];
    bool is_dry_run;
};

#define KEY_PROFILE 256
#define KEY_DRY_RUN 257

static const struct argp_option option_table[] = {
    {"set", 's', "KEY=VALUE", 0, "Override a key of the configuration (may be repeated)", 0},
    {"run", 'r', "DIR", 0, "Folder of the run (default: runs/CONFIG-NAME)", 0},
    {"resume", 'c', 0, 0, "Continue the run from its last checkpoint", 0},
    {"device", 'd', CLI_DEVICE_VALUES, 0, CLI_DEVICE_HELP, 0},
    {"dry-run", KEY_DRY_RUN, 0, 0,
     "Begin no run and write nothing: show what it would be, and the memory and the time of a step "
     "for growing batches",
     0},
    {"profile", KEY_PROFILE, "N", 0,
     "Stop after N steps, without a checkpoint, and name the ops for a profiler (tools/profile)",
     0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    struct adele_train_options *options = &arguments->options;
    char *end;
    switch (key) {
    case 's':
        if (options->n_sets == MAX_SETS)
            argp_error(state, "more than %d --set", MAX_SETS);
        arguments->sets[options->n_sets++] = value;
        return 0;
    case 'r':
        options->run_folder = value;
        return 0;
    case 'c':
        options->resume = 1;
        return 0;
    case 'd':
        options->device = value;
        return 0;
    case KEY_PROFILE:
        options->n_profile_steps = strtol(value, &end, 10);
        if (end == value || *end || options->n_profile_steps < 1)
            argp_error(state, "--profile '%s' is not a number of steps", value);
        return 0;
    case KEY_DRY_RUN:
        arguments->is_dry_run = true;
        return 0;
    case ARGP_KEY_ARG:
        if (options->config)
            argp_error(state, "one CONFIG.yaml only; unexpected argument '%s'", value);
        options->config = value;
        return 0;
    case ARGP_KEY_END:
        if (!options->config)
            argp_error(state, "name a configuration file");
        if (options->resume && options->run_folder)
            options->resume = 2; // a folder that is named must hold a run
        if (arguments->is_dry_run && (options->resume || options->n_profile_steps > 0))
            argp_error(state, "--dry-run cannot be used with --%s",
                       options->resume ? "resume" : "profile");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// Where the text after the options names the keys that may change.
#define KEYS_MARK "@KEYS@"

static char *fill_in_keys(int part, const char *text, void *input) {
    (void)input;
    const char *mark = part == ARGP_KEY_HELP_POST_DOC ? strstr(text, KEYS_MARK) : NULL;
    char *filled = NULL;
    size_t bytes;
    FILE *to = mark != NULL ? open_memstream(&filled, &bytes) : NULL;
    if (to == NULL)
        return (char *)text;
    fprintf(to, "%.*s", (int)(mark - text), text);
    struct adele_config_key key;
    for (int i = 0; adele_config_key(i, &key); i++)
        if (key.may_change)
            fprintf(to, "%s, ", key.name);
    fputs(mark + strlen(KEYS_MARK), to);
    return fclose(to) == 0 ? filled : (char *)text;
}

const struct argp train_argp = {
    option_table,
    parse,
    "CONFIG.yaml",
    "Trains a network on noisy labels and corrects them.\vThe run's folder gets the resolved "
    "configuration, metrics, checkpoints and labels. configs/KEYS.md explains every key.\n\n"
    "--resume names the settings that differ from the run's. These may differ: " KEYS_MARK
    "and --device. Any other would make the result a mixture of two runs and is refused.\n\n"
    "`mpirun -n 4 adele train CONFIG.yaml --set train.parts=4` trains with four processes, on one "
    "machine or several that see the same files: each takes a GPU of its host, or its share of "
    "the cores, and the first one writes the run. The result does not depend on their number. "
    "SIGUSR1 saves and ends, as Ctrl-C does; mpirun passes it on and waits, while after Ctrl-C it "
    "ends the processes after a second, saved or not.\n\n"
    "Results are the same bytes for the same instruction set, see ADELE_CPU_ISA in adele(1). On a "
    "GPU that is new to this build the kernels are tested first, see `adele selftest`; "
    "ADELE_SELFTEST=off skips the test.",
    0,
    fill_in_keys,
    0};

// What the run was, or how to go on with it.
static void show_end(const struct arguments *arguments, const struct train_screen *screen,
                     const struct adele_train_result *result, adele_status status) {
    const struct adele_train_options *options = &arguments->options;
    if (status == ADELE_INTERRUPTED && !arguments->is_dry_run && options->n_profile_steps == 0)
        train_screen_show_resume(options, result);
    else if (status == ADELE_OK && arguments->is_dry_run)
        train_screen_end_batches(screen);
    else if (status == ADELE_OK && options->n_profile_steps > 0)
        printf("profiled; no checkpoint was written\n");
    else if (status == ADELE_OK)
        train_screen_end(screen, result);
}

static adele_status train(struct arguments *arguments, struct train_screen *screen,
                          struct adele_train_result *result) {
    struct adele_train_options *options = &arguments->options;
    bool is_quiet = adele_ranks_index(options->ranks) > 0;
    if (options->n_profile_steps > 0)
        (void)setenv("ADELE_NVTX", "1", 0); // the CUDA device reads it when it opens
    options->sets = arguments->sets;
    options->keep_log = 1;
    options->selftest_program = "/proc/self/exe";
    progress_init(&screen->progress);
    if (options->ranks != NULL)
        progress_join_ranks(&screen->progress, is_quiet);
    train_screen_init(screen, options);
    adele_status status = arguments->is_dry_run ? adele_train_dry_run(options, train_screen_batch)
                                                : adele_train(options, result);
    progress_deinit(&screen->progress);
    return status;
}

// All ranks end with the same exit code. Whatever this process has to say is said before it leaves,
// because a launcher may end all when the first process ends with an error.
int verb_train(int argc, char **argv) {
    struct arguments arguments = {0};
    struct train_screen screen = {0};
    struct adele_train_result result = {0};
    struct adele_ranks *ranks = NULL;
    int code = CLI_OK;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&train_argp, argc, argv, 0, 0, &arguments);
    adele_status status = adele_ranks_join(&ranks);
    arguments.options.ranks = ranks;
    if (status == ADELE_OK)
        status = train(&arguments, &screen, &result);
    if (status != ADELE_OK)
        code = status == ADELE_INTERRUPTED ? CLI_INTERRUPTED : CLI_FAILED;
    if (status != ADELE_OK && adele_ranks_should_report(ranks, status)) {
        (void)cli_report_failure(status);
        if (status == ADELE_RUN_EXISTS) // --resume goes on with it
            train_screen_show_resume(&arguments.options, &result);
    }
    if (adele_ranks_index(ranks) == 0)
        show_end(&arguments, &screen, &result, status);
    (void)fflush(stdout);
    adele_ranks_leave(ranks, status);
    return code;
}
