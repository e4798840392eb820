// SPDX-License-Identifier: MIT
// adele check: the problems of a data set, one line each with a hint, and a summary. Exit code 1
// when there is an error, 0 when there are only warnings.
#include "base/fail.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "config/config.h"
#include "data/check.h"
#include "data/check_groups.h"

#include <argp.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    struct dataset_config dataset;
    const char *data;   // NULL: the configuration's data.root
    const char *config; // NULL: none
    bool is_json;
};

static const struct argp_option options[] = {
    {"layout", OPTION_LAYOUT, "NAME", 0, "auto (default), nnunet, voc or img_ann", 0},
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

static error_t parse_layout(struct argp_state *state, const char *text, enum dataset_layout *out) {
    for (int layout = LAYOUT_AUTO; layout <= LAYOUT_IMG_ANN; layout++) {
        if (strcmp(text, dataset_layout_name(layout)) == 0) {
            *out = layout;
            return 0;
        }
    }
    argp_error(state, "--layout: '%s' is none of auto, nnunet, voc, img_ann", text);
    return EINVAL;
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
    struct check_arguments *arguments = state->input;
    switch (key) {
    case OPTION_LAYOUT:
        return parse_layout(state, text, &arguments->dataset.layout);
    case OPTION_JSON:
        arguments->is_json = true;
        return 0;
    case OPTION_NOISY:
        arguments->dataset.noisy_labels = text;
        return 0;
    case OPTION_TRUE:
        arguments->dataset.true_labels = text;
        return 0;
    case OPTION_CONFIG:
        arguments->config = text;
        return 0;
    case OPTION_TRAIN:
    case OPTION_VAL:
    case OPTION_TEST:
        arguments->dataset.split[key - OPTION_TRAIN] = text;
        return 0;
    case OPTION_LINKS:
        arguments->dataset.follow_links = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->data != NULL)
            argp_error(state, "one data set at a time, but there is also '%s'", text);
        arguments->data = text;
        return 0;
    case ARGP_KEY_END:
        if (arguments->data == NULL && arguments->config == NULL)
            argp_error(state, "name the data set's folder");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// What the command line says wins over what the configuration says.
static adele_status merge_config(struct check_arguments *arguments, struct config **out) {
    char set[4200];
    const char *sets[] = {set};
    if (arguments->data != NULL &&
        snprintf(set, sizeof set, "data.root=%s", arguments->data) >= (int)sizeof set)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use a shorter path.", "%.64s...: the path is too long",
                    arguments->data);
    TRY(config_load(arguments->config, arguments->data != NULL ? 1 : 0, sets, out));
    struct dataset_config merged = {0};
    const struct dataset_config *given = &arguments->dataset;
    config_dataset(*out, &merged);
    if (given->layout != LAYOUT_AUTO)
        merged.layout = given->layout;
    if (given->noisy_labels != NULL)
        merged.noisy_labels = given->noisy_labels;
    if (given->true_labels != NULL)
        merged.true_labels = given->true_labels;
    merged.follow_links = merged.follow_links || given->follow_links;
    for (int split = 0; split < SPLIT_COUNT; split++)
        if (given->split[split] != NULL)
            merged.split[split] = given->split[split];
    arguments->dataset = merged;
    return ADELE_OK;
}

static int count_errors(const struct check_report *report) {
    int n = 0;
    for (int i = 0; i < report->n_problems; i++)
        n += report->problems[i].is_error;
    return n;
}

static adele_status print_lines(const struct check_report *report, const char *root) {
    int n_errors = count_errors(report), n_warnings = report->n_problems - n_errors, n_groups = 0;
    struct check_group *groups = NULL;
    TRY(check_groups_make(report, &groups, &n_groups));
    for (int i = 0; i < n_groups; i++) {
        const struct check_problem *problem = groups[i].first;
        char text[4200];
        check_group_text(&groups[i], text, sizeof text);
        printf("%s: %s: %s\n", problem->is_error ? "error" : "warning",
               check_kind_name(problem->kind), text);
        if (problem->hint[0] != '\0')
            printf("  hint: %s\n", problem->hint);
    }
    memory_free(groups);
    printf("%s: %d files looked at, %d error%s, %d warning%s\n", root, report->n_files, n_errors,
           n_errors == 1 ? "" : "s", n_warnings, n_warnings == 1 ? "" : "s");
    if (n_groups < report->n_problems)
        printf("each of them: --json\n");
    return ADELE_OK;
}

static bool add_problem(cJSON *problems, const struct check_problem *problem) {
    cJSON *item = cJSON_CreateObject();
    if (item == NULL || !cJSON_AddItemToArray(problems, item)) {
        cJSON_Delete(item);
        return false;
    }
    return cJSON_AddStringToObject(item, "severity", problem->is_error ? "error" : "warning") &&
           cJSON_AddStringToObject(item, "kind", check_kind_name(problem->kind)) &&
           cJSON_AddStringToObject(item, "text", problem->text) &&
           cJSON_AddStringToObject(item, "hint", problem->hint);
}

static adele_status print_json(const struct check_report *report, const char *root) {
    cJSON *json = cJSON_CreateObject();
    int n_errors = count_errors(report);
    bool is_fine = cJSON_AddStringToObject(json, "data", root) &&
                   cJSON_AddNumberToObject(json, "files", report->n_files) &&
                   cJSON_AddNumberToObject(json, "errors", n_errors) &&
                   cJSON_AddNumberToObject(json, "warnings", report->n_problems - n_errors);
    cJSON *problems = cJSON_AddArrayToObject(json, "problems");
    for (int i = 0; is_fine && problems != NULL && i < report->n_problems; i++)
        is_fine = add_problem(problems, &report->problems[i]);
    char *text = is_fine && problems != NULL ? cJSON_Print(json) : NULL;
    cJSON_Delete(json);
    if (text == NULL)
        return FAIL_NO_MEMORY(4096);
    puts(text);
    cJSON_free(text);
    return ADELE_OK;
}

const struct argp check_argp = {
    options,
    parse_option,
    "DATA",
    "Reads every file of a data set and prints what is wrong: file, pixel, value, and what to "
    "do.\vExit code: 0 when there are at most warnings, 1 when there is an error, 2 for wrong "
    "usage.",
    NULL,
    NULL,
    NULL};

int verb_check(int argc, char **argv) {
    struct check_arguments arguments = {.dataset = {.map = {.other = -1}}};
    struct check_report report = {0};
    struct config *config = NULL;
    int code = CLI_FAILED;
    adele_status status = ADELE_OK;
    argp_err_exit_status = CLI_USAGE;
    if (argp_parse(&check_argp, argc, argv, 0, NULL, &arguments) != 0)
        return CLI_USAGE;
    if (arguments.config != NULL)
        TRY_GOTO(merge_config(&arguments, &config), fail);
    else
        arguments.dataset.root = arguments.data;
    TRY_GOTO(check_run(&arguments.dataset, &report), fail);
    if (arguments.is_json)
        TRY_GOTO(print_json(&report, arguments.dataset.root), fail);
    else
        TRY_GOTO(print_lines(&report, arguments.dataset.root), fail);
    code = count_errors(&report) > 0 ? CLI_FAILED : CLI_OK;
    if (fflush(stdout) != 0) {
        status = FAIL(ADELE_IO, "Check where the output goes.", "cannot write the report");
        goto fail;
    }
    goto done;
fail:
    code = cli_report_failure(status);
done:
    check_report_deinit(&report);
    config_destroy(config);
    return code;
}
