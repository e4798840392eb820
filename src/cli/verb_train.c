// SPDX-License-Identifier: MIT
#include "adele/train.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/together.h"
#include "cli/train_screen.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct adele_train_options options;
    struct argument_sets sets;
    int is_dry_run;
    struct train_screen screen;
    struct adele_train_result result;
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
    const struct argument rows[] = {{ARGP_KEY_ARG, "CONFIG.yaml", .text = &options->config,
                                     .required = "name a configuration file"},
                                    {'s', .sets = &arguments->sets},
                                    {'r', .text = &options->run_folder},
                                    {'c', .flag = &options->resume},
                                    {'d', .text = &options->device},
                                    {KEY_PROFILE, .large = &options->n_profile_steps, .low = 1},
                                    {KEY_DRY_RUN, .flag = &arguments->is_dry_run}};
    if (key == ARGP_KEY_END) {
        if (options->resume && options->run_folder)
            options->resume = 2; // a folder that is named must hold a run
        if (arguments->is_dry_run && (options->resume || options->n_profile_steps > 0))
            argp_error(state, "--dry-run cannot be used with --%s",
                       options->resume ? "resume" : "profile");
    }
    return ARGUMENTS_STORE(rows, key, value, state);
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
    .options = option_table,
    .parser = parse,
    .args_doc = "CONFIG.yaml",
    .help_filter = fill_in_keys,
    .doc = "Trains a network on noisy labels and corrects them.\vThe run's folder gets the "
           "resolved configuration, metrics, checkpoints and labels. configs/KEYS.md explains "
           "every key.\n\n"
           "--resume names the settings that differ from the run's. These may differ: " KEYS_MARK
           "and --device. Any other would make the result a mixture of two runs and is "
           "refused.\n\n"
           "`mpirun -n 4 adele train CONFIG.yaml --set train.parts=4` trains with four "
           "processes, on one machine or several that see the same files: each takes a GPU of "
           "its host, or its share of the cores, and the first one writes the run. The result "
           "does not depend on their number. SIGUSR1 saves and ends, as Ctrl-C does; mpirun "
           "passes it on and waits, while after Ctrl-C it ends the processes after a second, "
           "saved or not.\n\n"
           "Results are the same bytes for the same instruction set, see ADELE_CPU_ISA in "
           "adele(1). On a GPU that is new to this build the kernels are tested first, see "
           "`adele selftest`; ADELE_SELFTEST=off skips the test."};

// What the run was, or how to go on with it.
static void show_end(adele_status status, void *context) {
    struct arguments *arguments = context;
    const struct adele_train_options *options = &arguments->options;
    const bool is_training = !arguments->is_dry_run && options->n_profile_steps == 0;
    // --resume goes on with a run that exists, too.
    if (status == ADELE_RUN_EXISTS || (status == ADELE_INTERRUPTED && is_training))
        train_screen_show_resume(options, &arguments->result);
    else if (status == ADELE_OK && arguments->is_dry_run)
        train_screen_end_batches(&arguments->screen);
    else if (status == ADELE_OK && options->n_profile_steps > 0)
        printf("profiled; no checkpoint was written\n");
    else if (status == ADELE_OK)
        train_screen_end(&arguments->screen, &arguments->result);
}

static adele_status train(struct adele_ranks *ranks, void *context) {
    struct arguments *arguments = context;
    struct adele_train_options *options = &arguments->options;
    if (options->n_profile_steps > 0)
        (void)setenv("ADELE_NVTX", "1", 0); // the CUDA device reads it when it opens
    options->ranks = ranks;
    options->keep_log = 1;
    options->selftest_program = "/proc/self/exe";
    train_screen_init(&arguments->screen, options);
    return arguments->is_dry_run ? adele_train_dry_run(options, train_screen_batch)
                                 : adele_train(options, &arguments->result);
}

int verb_train(int argc, char **argv) {
    struct arguments arguments = {0};
    argp_parse(&train_argp, argc, argv, 0, 0, &arguments);
    arguments.options.sets = arguments.sets.texts;
    arguments.options.n_sets = arguments.sets.n;
    return together_run(&arguments.screen.progress, train, show_end, &arguments);
}
