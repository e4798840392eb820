// SPDX-License-Identifier: MIT
// adele check: what a data set consists of, its problems, one line each with a hint, and a summary.
// Exit code 1 when there is an error, 0 when there are only warnings.
#include "adele/data.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/print_fingerprint.h"
#include "cli/print_json.h"

#include <argp.h>
#include <stdio.h>

enum check_option {
    OPTION_LAYOUT = 256,
    OPTION_JSON,
    OPTION_NOISY,
    OPTION_TRUE,
    OPTION_CONFIG,
    OPTION_TRAIN,
    OPTION_VAL,
    OPTION_TEST,
    OPTION_LINKS
};

struct check_arguments {
    struct adele_data data;
    int is_json;
};

static const struct argp_option options[] = {
    {"layout", OPTION_LAYOUT, CLI_LAYOUTS, 0, "Default: auto, which detects it", 0},
    {"json", OPTION_JSON, NULL, 0, "Print one JSON object instead of lines", 0},
    {"noisy-labels", OPTION_NOISY, "DIR", 0, "Also check the noisy labels of the training cases",
     0},
    {"true-labels", OPTION_TRUE, "DIR", 0, "Also check the true labels of the training cases", 0},
    {"config", OPTION_CONFIG, "FILE", 0,
     "Take the data section (label_map, splits, labels) from a configuration", 0},
    {"label-map", OPTION_CONFIG, "FILE", OPTION_ALIAS, NULL, 0},
    {"train", OPTION_TRAIN, "LIST", 0,
     "Training split: a list of the layout (fold1, trainaug), none, or a file NAMES.txt", 0},
    {"val", OPTION_VAL, "LIST", 0, "Validation split", 0},
    {"test", OPTION_TEST, "LIST", 0, "Test split", 0},
    {"follow-links", OPTION_LINKS, NULL, 0,
     "Symbolic links may lead out of the folder (data.follow_links)", 0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct check_arguments *arguments = state->input;
    struct adele_data *data = &arguments->data;
    const struct argument rows[] = {
        {ARGP_KEY_ARG, "DATA", .text = &data->root}, {OPTION_LAYOUT, .choice = &data->layout},
        {OPTION_JSON, .flag = &arguments->is_json},  {OPTION_NOISY, .text = &data->noisy_labels},
        {OPTION_TRUE, .text = &data->true_labels},   {OPTION_CONFIG, .text = &data->config},
        {OPTION_TRAIN, .text = &data->split[0]},     {OPTION_VAL, .text = &data->split[1]},
        {OPTION_TEST, .text = &data->split[2]},      {OPTION_LINKS, .flag = &data->follow_links}};
    if (key == ARGP_KEY_END && data->root == NULL && data->config == NULL)
        argp_error(state, "name the data set's folder");
    return ARGUMENTS_STORE(rows, key, value, state);
}

static void print_lines(const struct adele_check_report *report) {
    print_fingerprint(report->root, report->fingerprint);
    for (int i = 0; i < report->n_groups; i++) {
        const struct adele_problem *problem = &report->groups[i];
        printf("%s: %s: %s\n", problem->is_error ? "error" : "warning", problem->kind,
               problem->text);
        if (problem->hint[0] != '\0')
            printf("  hint: %s\n", problem->hint);
    }
    printf("%s: %d files looked at, %d error%s, %d warning%s\n", report->root, report->n_files,
           report->n_errors, report->n_errors == 1 ? "" : "s", report->n_warnings,
           report->n_warnings == 1 ? "" : "s");
    if (report->n_groups < report->n_problems)
        printf("each of them: --json\n");
}

static bool add_problem(cJSON *problems, const struct adele_problem *problem) {
    cJSON *item = print_json_object(problems);
    return cJSON_AddStringToObject(item, "severity", problem->is_error ? "error" : "warning") &&
           cJSON_AddStringToObject(item, "kind", problem->kind) &&
           cJSON_AddStringToObject(item, "text", problem->text) &&
           cJSON_AddStringToObject(item, "hint", problem->hint);
}

static int print_report(const struct adele_check_report *report) {
    cJSON *json = cJSON_CreateObject();
    bool is_fine = cJSON_AddStringToObject(json, "data", report->root) &&
                   cJSON_AddNumberToObject(json, "files", report->n_files) &&
                   cJSON_AddNumberToObject(json, "errors", report->n_errors) &&
                   cJSON_AddNumberToObject(json, "warnings", report->n_warnings);
    cJSON *problems = cJSON_AddArrayToObject(json, "problems");
    is_fine = is_fine && problems != NULL && print_fingerprint_add_json(json, report->fingerprint);
    for (int i = 0; is_fine && i < report->n_problems; i++)
        is_fine = add_problem(problems, &report->problems[i]);
    return print_json(json, is_fine);
}

const struct argp check_argp = {
    .options = options,
    .parser = parse,
    .args_doc = "DATA|--config=FILE",
    .doc = "Reads every file of a data set and prints what it consists of (sizes, intensities, "
           "classes, what is odd) and what is wrong: file, pixel, value, and what to do.\vExit "
           "code: 0 when there are at most warnings, 1 when there is an error, 2 for wrong "
           "usage."};

int verb_check(int argc, char **argv) {
    struct check_arguments arguments = {0};
    struct adele_check_report *report = NULL;
    argp_parse(&check_argp, argc, argv, 0, NULL, &arguments);
    adele_status status = adele_check(&arguments.data, &report);
    if (status != ADELE_OK)
        return cli_report_failure(status);
    int code = CLI_OK;
    if (arguments.is_json)
        code = print_report(report);
    else
        print_lines(report);
    if (report->n_errors > 0)
        code = CLI_FAILED;
    adele_check_report_destroy(report);
    return code;
}
