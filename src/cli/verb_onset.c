// SPDX-License-Identifier: MIT
// adele onset: the onset of memorization in recorded IoU series, of a file of series or of a run's
// own onset.json.
#include "base/fail.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "method/onset.h"

#include <argp.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_EPOCHS 1000000

struct onset_arguments {
    const char *path;
    bool is_json;
};

// One recorded series.
struct series {
    struct onset_config config;
    const char *name; // of the category; NULL: none is given
    int n;
    double *iou; // (n)
};

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "Print a JSON array: onset_epoch, a, b, c (null = not yet)", 0}, {0}};

static error_t parse_option(int key, char *text, struct argp_state *state) {
    struct onset_arguments *arguments = state->input;
    switch (key) {
    case 'j':
        arguments->is_json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->path != NULL)
            argp_error(state, "one file at a time, but there is also '%s'", text);
        arguments->path = text;
        return 0;
    case ARGP_KEY_END:
        if (arguments->path == NULL)
            argp_error(state, "name the file of the series");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// The number `key` of the series when it is there; it must lie within [low, high].
static adele_status read_number(const cJSON *item, int index, const char *key, double low,
                                double high, double *value) {
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(item, key);
    if (number == NULL)
        return ADELE_OK;
    if (!cJSON_IsNumber(number) || !(number->valuedouble >= low && number->valuedouble <= high))
        return FAIL(ADELE_DATA, "", "series %d: \"%s\" is not a number from %g to %g", index, key,
                    low, high);
    *value = number->valuedouble;
    return ADELE_OK;
}

static adele_status read_whole(const cJSON *item, int index, const char *key, double low,
                               int *value) {
    double number = *value;
    TRY(read_number(item, index, key, low, MAX_EPOCHS, &number));
    if (number != floor(number))
        return FAIL(ADELE_DATA, "", "series %d: \"%s\" is %g, not a whole number", index, key,
                    number);
    *value = (int)number;
    return ADELE_OK;
}

static adele_status read_config(const cJSON *item, int index, struct onset_config *out) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "pipeline"));
    if (text == NULL || (strcmp(text, "segthor") != 0 && strcmp(text, "voc") != 0))
        return FAIL(ADELE_DATA, "Say \"pipeline\": \"segthor\" or \"voc\".",
                    "series %d: the pipeline is %s%s%s", index, text ? "\"" : "",
                    text ? text : "missing", text ? "\"" : "");
    onset_config_init(out, strcmp(text, "voc") == 0 ? ONSET_VOC : ONSET_SEGTHOR);
    TRY(read_number(item, index, "r", 0, 1, &out->r));
    TRY(read_number(item, index, "iterations_per_epoch", 1e-3, 1e9, &out->iterations_per_epoch));
    TRY(read_whole(item, index, "interval_iterations", 1, &out->interval_iterations));
    TRY(read_whole(item, index, "n_epochs", 1, &out->n_epochs));
    TRY(read_whole(item, index, "min_points", 1, &out->min_points));
    const cJSON *rising = cJSON_GetObjectItemCaseSensitive(item, "while_rising");
    if (rising != NULL && !cJSON_IsBool(rising))
        return FAIL(ADELE_DATA, "", "series %d: \"while_rising\" is not true or false", index);
    out->while_rising = rising == NULL || cJSON_IsTrue(rising);
    return read_whole(item, index, "smooth", 1, &out->smooth);
}

// A value that is null (JSON's NaN) makes the series one whose onset is not known.
// `rule` holds the settings: the item itself, or the whole file, of a run.
static adele_status read_series(const cJSON *rule, const cJSON *item, int index,
                                struct series *out) {
    const cJSON *iou = cJSON_GetObjectItemCaseSensitive(item, "iou"), *value;
    TRY(read_config(rule, index, &out->config));
    out->name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
    if (!cJSON_IsArray(iou))
        return FAIL(ADELE_DATA, "Give the values, oldest first: \"iou\": [0.1, 0.3].",
                    "series %d has no array \"iou\"", index);
    int n = cJSON_GetArraySize(iou);
    out->n = 0;
    out->iou = memory_calloc((size_t)n + 1, sizeof *out->iou);
    if (out->iou == NULL)
        return FAIL_NO_MEMORY(((size_t)n + 1) * sizeof *out->iou);
    cJSON_ArrayForEach(value, iou) {
        if (!cJSON_IsNumber(value) && !cJSON_IsNull(value)) {
            memory_free(out->iou);
            return FAIL(ADELE_DATA, "", "series %d: value %d of \"iou\" is not a number", index,
                        out->n);
        }
        out->iou[out->n++] = cJSON_IsNull(value) ? NAN : value->valuedouble;
    }
    return ADELE_OK;
}

static void print_line(int index, const struct series *series, const struct onset_result *onset) {
    printf("%4d  %-7s n=%-4d ", index, series->config.pipeline == ONSET_VOC ? "voc" : "segthor",
           series->n);
    if (onset->known)
        printf("a=%-8.6f b=%-8.6f c=%-12.6g onset %d", onset->fit.a, onset->fit.b, onset->fit.c,
               onset->epoch);
    else
        printf("not yet");
    char name[256];
    (void)snprintf(name, sizeof name, "%s", series->name ? series->name : "");
    text_make_plain(name);
    printf("%s%s\n", series->name ? "  " : "", name);
}

static bool add_result(cJSON *results, const struct onset_result *onset) {
    cJSON *item = cJSON_CreateObject();
    if (item == NULL || !cJSON_AddItemToArray(results, item)) {
        cJSON_Delete(item);
        return false;
    }
    const char *const keys[] = {"onset_epoch", "a", "b", "c"};
    const double values[] = {onset->epoch, onset->fit.a, onset->fit.b, onset->fit.c};
    bool is_fine = true;
    for (int i = 0; i < 4 && is_fine; i++)
        is_fine = onset->known ? cJSON_AddNumberToObject(item, keys[i], values[i]) != NULL
                               : cJSON_AddNullToObject(item, keys[i]) != NULL;
    return is_fine;
}

// Every series of the file; results go to the array, or, where that is NULL, to standard output.
static adele_status answer_all(const cJSON *file, cJSON *results) {
    const cJSON *item;
    int index = 0;
    bool is_run = cJSON_IsObject(file);
    const cJSON *items = file;
    if (is_run)
        items = cJSON_GetObjectItemCaseSensitive(file, "categories");
    cJSON_ArrayForEach(item, items) {
        struct series series;
        struct onset_result onset;
        TRY(read_series(is_run ? file : item, item, index, &series));
        onset_find(&series.config, series.n, series.iou, &onset);
        bool is_fine = true;
        if (results != NULL)
            is_fine = add_result(results, &onset);
        else
            print_line(index, &series, &onset);
        memory_free(series.iou);
        if (!is_fine)
            return FAIL_NO_MEMORY(sizeof(cJSON));
        index++;
    }
    return ADELE_OK;
}

static adele_status run(const struct onset_arguments *arguments) {
    cJSON *file = NULL, *results = NULL;
    char *text = NULL;
    adele_status status;
    TRY(json_read(arguments->path, &file));
    if (!cJSON_IsArray(file) &&
        !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(file, "categories"))) {
        status = FAIL(ADELE_DATA,
                      "Write [{\"pipeline\": \"segthor\", \"iou\": [...]}], or name the onset.json "
                      "of a run.",
                      "the file is neither an array of series nor a run's onset.json");
        goto done;
    }
    if (arguments->is_json && (results = cJSON_CreateArray()) == NULL) {
        status = FAIL_NO_MEMORY(sizeof *results);
        goto done;
    }
    TRY_GOTO(answer_all(file, results), done);
    if (results != NULL) {
        text = cJSON_Print(results);
        if (text == NULL) {
            status = FAIL_NO_MEMORY(4096);
            goto done;
        }
        puts(text);
    }
    if (fflush(stdout) != 0)
        status = FAIL(ADELE_IO, "Check where the output goes.", "cannot write the onsets");
done:
    cJSON_free(text);
    cJSON_Delete(results);
    cJSON_Delete(file);
    return status == ADELE_OK ? ADELE_OK : fail_context(status, "%s", arguments->path);
}

const struct argp onset_argp = {
    options,
    parse_option,
    "FILE.json",
    "Fits each recorded IoU series and prints the epoch at which its category starts to be "
    "memorized.\vThe file is a run's onset.json, or an array of objects: pipeline (segthor or "
    "voc), iou (the values), and optionally name, r, n_epochs, interval_iterations, "
    "iterations_per_epoch, smooth, min_points, while_rising. Exit code: 0 done, 1 failed, 2 wrong "
    "usage.",
    NULL,
    NULL,
    NULL};

int verb_onset(int argc, char **argv) {
    struct onset_arguments arguments = {0};
    argp_err_exit_status = CLI_USAGE;
    if (argp_parse(&onset_argp, argc, argv, 0, NULL, &arguments) != 0)
        return CLI_USAGE;
    adele_status status = run(&arguments);
    return status == ADELE_OK ? CLI_OK : cli_report_failure(status);
}
