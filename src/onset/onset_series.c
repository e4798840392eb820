// SPDX-License-Identifier: MIT
#include "onset/onset_series.h"

#include "base/fail.h"
#include "base/json.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

#define MAX_EPOCHS 1000000

struct adele_onset onset_describe(const struct onset_result *result) {
    return (struct adele_onset){.is_known = result->known,
                                .epoch = result->known ? result->epoch : 0,
                                .a = result->fit.a,
                                .b = result->fit.b,
                                .c = result->fit.c};
}

// ---- the file -----------------------------------------------------------------------------------

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

static adele_status read_whole(const cJSON *item, int index, const char *key, int *value) {
    double number = *value;
    TRY(read_number(item, index, key, 1, MAX_EPOCHS, &number));
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
    TRY(read_whole(item, index, "interval_iterations", &out->interval_iterations));
    TRY(read_whole(item, index, "n_epochs", &out->n_epochs));
    TRY(read_whole(item, index, "min_points", &out->min_points));
    const cJSON *rising = cJSON_GetObjectItemCaseSensitive(item, "while_rising");
    if (rising != NULL && !cJSON_IsBool(rising))
        return FAIL(ADELE_DATA, "", "series %d: \"while_rising\" is not true or false", index);
    out->while_rising = rising == NULL || cJSON_IsTrue(rising);
    return read_whole(item, index, "smooth", &out->smooth);
}

// The values of a series; null is JSON's NaN, and makes the series one whose onset is not known.
static adele_status read_values(const cJSON *item, int index, double **out, int *n_out) {
    const cJSON *iou = cJSON_GetObjectItemCaseSensitive(item, "iou"), *value;
    if (!cJSON_IsArray(iou))
        return FAIL(ADELE_DATA, "Give the values, oldest first: \"iou\": [0.1, 0.3].",
                    "series %d has no array \"iou\"", index);
    int n = 0;
    TRY(ALLOCATE(out, cJSON_GetArraySize(iou) + 1));
    cJSON_ArrayForEach(value, iou) {
        if (!cJSON_IsNumber(value) && !cJSON_IsNull(value))
            return FAIL(ADELE_DATA, "", "series %d: value %d of \"iou\" is not a number", index, n);
        (*out)[n++] = cJSON_IsNull(value) ? NAN : value->valuedouble;
    }
    *n_out = n;
    return ADELE_OK;
}

// The public list comes first, so that its address is that of the whole.
struct onset_list {
    struct adele_onset_list list;
    struct adele_onset_series *series;
    cJSON *file; // owns the names
};

void onset_list_destroy(struct adele_onset_list *list) {
    struct onset_list *self = (struct onset_list *)list;
    if (self == NULL)
        return;
    cJSON_Delete(self->file);
    memory_free(self->series);
    memory_free(self);
}

// `rule` holds the settings: the item itself, or the whole file, of a run.
static adele_status read_series(const cJSON *rule, const cJSON *item, int index,
                                struct adele_onset_series *out) {
    struct onset_config config;
    struct onset_result onset;
    OWNED double *iou = NULL;
    TRY(read_config(rule, index, &config));
    TRY(read_values(item, index, &iou, &out->n));
    onset_find(&config, out->n, iou, &onset);
    char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
    if (name != NULL)
        text_make_plain(name);
    out->name = name;
    out->pipeline = config.pipeline == ONSET_VOC ? "voc" : "segthor";
    out->onset = onset_describe(&onset);
    return ADELE_OK;
}

static adele_status read_list(struct onset_list *self) {
    bool is_run = cJSON_IsObject(self->file);
    const cJSON *items = self->file, *item;
    if (is_run)
        items = cJSON_GetObjectItemCaseSensitive(self->file, "categories");
    if (!cJSON_IsArray(items))
        return FAIL(ADELE_DATA,
                    "Write [{\"pipeline\": \"segthor\", \"iou\": [...]}], or name the onset.json "
                    "of a run.",
                    "the file is neither an array of series nor a run's onset.json");
    TRY(ALLOCATE(&self->series, cJSON_GetArraySize(items) + 1));
    self->list.series = self->series;
    cJSON_ArrayForEach(item, items) {
        TRY(read_series(is_run ? self->file : item, item, self->list.n,
                        &self->series[self->list.n]));
        self->list.n++;
    }
    return ADELE_OK;
}

adele_status onset_series_read(const char *path, struct adele_onset_list **out) {
    struct onset_list *self = NULL;
    *out = NULL;
    TRY(ALLOCATE(&self, 1));
    adele_status status = json_read(path, &self->file);
    if (status == ADELE_OK) {
        status = read_list(self);
        if (status != ADELE_OK)
            (void)fail_context(status, "%s", path);
    }
    if (status == ADELE_OK)
        *out = &self->list;
    else
        onset_list_destroy(&self->list);
    return status;
}
