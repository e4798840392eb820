// SPDX-License-Identifier: MIT
// adele table CONFIG...: trains configurations with several seeds, each run as a process of this
// program, and prints mean and deviation.
#include "adele/table.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/progress.h"

#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SEEDS = 1000, MAX_JOBS = 1000, MAX_NOISES = 64 };

struct arguments {
    struct adele_table_options options;
    struct argument_sets sets;
    uint64_t seeds[MAX_SEEDS];
    struct adele_table_noise noises[MAX_NOISES];
};

static const struct argp_option option_table[] = {
    {"seeds", 'S', "LIST", 0, "Seeds, as 0..4 or 0,1,7 (default: 0..2)", 0},
    {"noise", 'n', "LIST", 0,
     "Train every configuration with each of these kinds of noise, as under-over:0.6,boundary:0.6,"
     "none: data.noise.kind and, after a colon, data.noise.target_miou (default: the "
     "configuration's own noise)",
     0},
    {"jobs", 'j', "N", 0, "Runs at a time, which share the processors (default: 1)", 0},
    {"output", 'o', "DIR", 0,
     "Folder of the runs and of the table; made when it is not there (default: runs)", 0},
    {"set", 's', "KEY=VALUE", 0, "Override a key of every configuration (may be repeated)", 0},
    {"device", 'd', CLI_DEVICE_VALUES, 0, CLI_DEVICE_HELP, 0},
    {0}};

// ---- seeds --------------------------------------------------------------------------------------

static uint64_t parse_seed(struct argp_state *state, const char *text, const char **at) {
    char *end = NULL;
    errno = 0;
    uint64_t value = **at >= '0' && **at <= '9' ? strtoull(*at, &end, 10) : 0;
    if (end == NULL || errno != 0)
        argp_error(state, "--seeds %s: write 0..4 or 0,1,7", text);
    *at = end;
    return value;
}

static void parse_seeds(struct argp_state *state, const char *text, struct arguments *out) {
    const char *at = text;
    out->options.n_seeds = 0;
    do {
        uint64_t first = parse_seed(state, text, &at), last = first;
        if (strncmp(at, "..", 2) == 0) {
            at += 2;
            last = parse_seed(state, text, &at);
        }
        if (last < first || last - first >= MAX_SEEDS ||
            (int)(last - first) >= MAX_SEEDS - out->options.n_seeds)
            argp_error(state, "--seeds %s: 1 to %d seeds, from low to high", text, MAX_SEEDS);
        for (uint64_t i = 0; i <= last - first; i++)
            out->seeds[out->options.n_seeds++] = first + i;
    } while (*at == ',' && *++at != '\0');
    if (*at != '\0' || at[-1] == ',')
        argp_error(state, "--seeds %s: write 0..4 or 0,1,7", text);
}

// ---- noise --------------------------------------------------------------------------------------

// Cuts the option's own text into names. Whether a kind exists is checked where keys are.
static void parse_noises(struct argp_state *state, char *text, struct arguments *out) {
    int n = 0;
    for (char *next = text, *part; (part = strsep(&next, ",")) != NULL; n++) {
        char *target = strchr(part, ':'), *end = NULL;
        if (n == MAX_NOISES)
            argp_error(state, "--noise: more than %d kinds", MAX_NOISES);
        if (target != NULL)
            *target++ = '\0';
        double value = target != NULL ? strtod(target, &end) : 0;
        if (part[0] == '\0' ||
            (target != NULL && (end == target || *end != '\0' || !(value > 0 && value < 1))))
            argp_error(state,
                       "--noise: '%s%s%s' is not KIND or KIND:TARGET with a target between 0 and "
                       "1, as boundary:0.6",
                       part, target != NULL ? ":" : "", target != NULL ? target : "");
        out->noises[n] = (struct adele_table_noise){part, value};
    }
    out->options.n_noises = n;
}

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    struct adele_table_options *options = &arguments->options;
    const struct argument rows[] = {{'j', .whole = &options->n_jobs, .low = 1, .high = MAX_JOBS},
                                    {'o', .text = &options->output},
                                    {'s', .sets = &arguments->sets},
                                    {'d', .text = &options->device}};
    switch (key) {
    case 'S':
        parse_seeds(state, value, arguments);
        return 0;
    case 'n':
        parse_noises(state, value, arguments);
        return 0;
    case ARGP_KEY_ARGS:
        options->configs = (const char *const *)state->argv + state->next;
        options->n_configs = state->argc - state->next;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "name one configuration file or more");
        return 0;
    default:
        return ARGUMENTS_STORE(rows, key, value, state);
    }
}

const struct argp table_argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "CONFIG.yaml...",
    .doc =
        "Trains every configuration, with each kind of noise that is named, with every seed, "
        "and prints mean and deviation over the seeds.\vA seed is train.seed and "
        "data.noise.seed of its run, whose folder is DIR/CONFIG_seedN (with --noise "
        "DIR/CONFIG_KIND0.6_seedN); DIR/CONFIG_seedN.out is what it printed. Finished runs "
        "are kept, and what was stopped or killed goes on: the same command again makes the "
        "table complete. Runs that are there with other settings are an error before anything is "
        "trained or written. A run that fails is named, and the others go on; then the exit "
        "code is 1. DIR gets table.md, table.csv, table_classes.csv (IoU of each class), "
        "table_runs.csv (each run) and seconds.json. For curves and panels: adele report "
        "DIR/CONFIG_seed*.\n\n"
        "Rows are in the order of the configurations and, in each, of --noise. Values are mean and "
        "deviation of a sample (n - 1) over the seeds. \"best mIoU\" and \"last mIoU\" are the "
        "foreground mean on the split, of the best and the last epoch. The best epoch is chosen by "
        "the very images that are scored, so its value is optimistic: compare by the last one. "
        "\"labels\" is the foreground mIoU of the training labels, as corrected, against the truth "
        "after the last epoch. \"corrected\": in how many foreground classes labels were "
        "corrected, of how many; where seeds differ, their mean (lowest..highest). \"seconds\" are "
        "wall-clock time of a run's processes; runs at the same time (--jobs) slow each other "
        "down. Warnings name the rows in which correction was enabled and corrected no class, and "
        "classes that ended with an IoU below 0.05."};

// ---- output -------------------------------------------------------------------------------------

static void print_event(void *context, const struct adele_table_run *run) {
    static const char *const texts[] = {"kept", "started", "done", "failed"};
    (void)context;
    printf("%s: %s (%d of %d)\n", run->name, texts[run->event], run->n_ended, run->n_runs);
    fflush(stdout);
    if (run->event != ADELE_RUN_FAILED)
        return;
    fprintf(stderr, "adele: error: %s: %s\n", run->name, run->message);
    if (run->hint[0] != '\0')
        fprintf(stderr, "  hint: %s\n", run->hint);
}

static void print_spread(const struct adele_spread *spread, int n_decimals, int width) {
    char text[40] = "-";
    if (spread->n == 1)
        (void)snprintf(text, sizeof text, "%.*f", n_decimals, spread->mean);
    else if (spread->n > 1)
        (void)snprintf(text, sizeof text, "%.*f +- %.*f", n_decimals, spread->mean, n_decimals,
                       spread->deviation);
    printf("  %*s", width, text);
}

static void print_corrected(const struct adele_table_corrected *corrected, int width) {
    char text[40] = "-";
    if (corrected->n > 0 && corrected->min == corrected->max)
        (void)snprintf(text, sizeof text, "%.0f/%d", corrected->mean, corrected->n_classes);
    else if (corrected->n > 0)
        (void)snprintf(text, sizeof text, "%.1f/%d (%.0f..%.0f)", corrected->mean,
                       corrected->n_classes, corrected->min, corrected->max);
    printf("  %*s", width, text);
}

// As wide as the longest of the names and the title. Without names, as without --noise: 0.
static int width_of(const char *title, const struct adele_table *table, bool is_noise) {
    size_t width = 0;
    for (int i = 0; i < table->n_rows; i++) {
        size_t n = strlen(is_noise ? table->rows[i].noise : table->rows[i].config);
        width = n > width ? n : width;
    }
    return (int)(width > 0 && width < strlen(title) ? strlen(title) : width);
}

static void print_table(const struct adele_table *table, const char *output) {
    int width = width_of("configuration", table, false), of_noise = width_of("noise", table, true);
    int gap = of_noise > 0 ? 2 : 0; // the column of the noise is left out without any
    int n_finished = 0;
    printf("\n%-*s%*s%-*s  %5s  %4s  %16s  %16s  %16s  %12s  %12s\n", width, "configuration", gap,
           "", of_noise, of_noise > 0 ? "noise" : "", "split", "runs", "best mIoU", "last mIoU",
           "labels", "corrected", "seconds");
    for (int i = 0; i < table->n_rows; i++) {
        const struct adele_table_row *row = &table->rows[i];
        printf("%-*s%*s%-*s  %5s  %4d", width, row->config, gap, "", of_noise, row->noise,
               row->n_runs > 0 ? row->split : "-", row->n_runs);
        print_spread(&row->best, 4, 16);
        print_spread(&row->last, 4, 16);
        print_spread(&row->labels, 4, 16);
        print_corrected(&row->corrected, 12);
        print_spread(&row->seconds, 0, 12);
        printf("\n");
        n_finished += row->n_runs;
    }
    if (n_finished == 0) {
        printf("No run has finished: no tables were written to %s, and those of an earlier call "
               "stay as they are.\n",
               output);
        return;
    }
    printf("Mean +- deviation over the seeds; %s/table.md explains the columns. Tables, also of "
           "classes and runs:\n%s/table.md, table.csv, table_classes.csv, table_runs.csv\n",
           output, output);
    fflush(stdout);
    for (int i = 0; i < table->n_notes; i++)
        fprintf(stderr, "warning: %s\n", table->notes[i]);
}

int verb_table(int argc, char **argv) {
    struct arguments arguments = {.options = {.n_seeds = 3, .output = "runs"}, .seeds = {0, 1, 2}};
    struct adele_table *table = NULL;
    struct progress progress;
    argp_parse(&table_argp, argc, argv, 0, 0, &arguments);
    struct adele_table_options *options = &arguments.options;
    options->sets = arguments.sets.texts;
    options->n_sets = arguments.sets.n;
    options->seeds = arguments.seeds;
    options->noises = arguments.noises;
    options->program = "/proc/self/exe";
    options->on_run = print_event;
    options->should_stop = progress_should_stop;
    options->context = &progress;
    progress_init(&progress);
    adele_status status = adele_table(options, &table);
    progress_deinit(&progress);
    if (status != ADELE_OK)
        return cli_report_failure(status);
    print_table(table, options->output);
    int n_failed = table->n_failed;
    adele_table_destroy(table);
    return n_failed == 0 ? CLI_OK : CLI_FAILED;
}
