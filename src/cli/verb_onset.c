// SPDX-License-Identifier: MIT
// adele onset: the onset of memorization in recorded IoU series, of a file of series or of a run's
// own onset.json.
#include "adele/onset.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/print_json.h"

#include <argp.h>
#include <stdio.h>

struct onset_arguments {
    const char *path;
    int is_json;
};

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "Print a JSON array: onset_epoch, a, b, c (null = not yet)", 0}, {0}};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct onset_arguments *arguments = state->input;
    const struct argument rows[] = {{ARGP_KEY_ARG, "FILE.json", .text = &arguments->path,
                                     .required = "name the file of the series"},
                                    {'j', .flag = &arguments->is_json}};
    return ARGUMENTS_STORE(rows, key, value, state);
}

static void print_line(int index, const struct adele_onset_series *series) {
    const struct adele_onset *onset = &series->onset;
    printf("%4d  %-7s n=%-4d ", index, series->pipeline, series->n);
    if (onset->is_known)
        printf("a=%-8.6f b=%-8.6f c=%-12.6g onset %d", onset->a, onset->b, onset->c, onset->epoch);
    else
        printf("not yet");
    printf("%s%s\n", series->name ? "  " : "", series->name ? series->name : "");
}

static bool add_onset(cJSON *results, const struct adele_onset *onset) {
    cJSON *item = print_json_object(results);
    const char *const keys[] = {"onset_epoch", "a", "b", "c"};
    const double values[] = {onset->epoch, onset->a, onset->b, onset->c};
    bool is_fine = true;
    for (int i = 0; i < 4 && is_fine; i++)
        is_fine = onset->is_known ? cJSON_AddNumberToObject(item, keys[i], values[i]) != NULL
                                  : cJSON_AddNullToObject(item, keys[i]) != NULL;
    return is_fine;
}

static int print_list(const struct adele_onset_list *list) {
    cJSON *results = cJSON_CreateArray();
    bool is_fine = results != NULL;
    for (int i = 0; i < list->n && is_fine; i++)
        is_fine = add_onset(results, &list->series[i].onset);
    return print_json(results, is_fine);
}

const struct argp onset_argp = {
    .options = options,
    .parser = parse,
    .args_doc = "FILE.json",
    .doc = "Fits each recorded IoU series and prints the epoch at which its class starts to be "
           "memorized.\vThe file is a run's onset.json, or an array of objects: pipeline "
           "(segthor or voc), iou (the values), and optionally name, r, n_epochs, "
           "interval_iterations, iterations_per_epoch, smooth, min_points, while_rising. Exit "
           "code: 0 done, 1 failed, 2 wrong usage."};

int verb_onset(int argc, char **argv) {
    struct onset_arguments arguments = {0};
    argp_parse(&onset_argp, argc, argv, 0, NULL, &arguments);
    struct adele_onset_list *list = NULL;
    adele_status status = adele_onset_read(arguments.path, &list);
    if (status != ADELE_OK)
        return cli_report_failure(status);
    int code = CLI_OK;
    if (arguments.is_json)
        code = print_list(list);
    for (int i = 0; i < list->n && !arguments.is_json; i++)
        print_line(i, &list->series[i]);
    adele_onset_list_destroy(list);
    return code;
}
