// SPDX-License-Identifier: MIT
#include "scores/score_summary.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert((int)ADELE_N_MEASURES == (int)SCORE_N_MEASURES &&
                   (int)ADELE_BOUNDARY_IOU == (int)SCORE_boundary_iou,
               "both lists name the same measures");
#define MEAN_FOREGROUND "mean foreground"

// ---- summary ------------------------------------------------------------------------------------

static adele_status copy_names(const struct case_scores *scores, struct file_list *out) {
    for (int c = 0; c <= scores->n_classes; c++) {
        const char *name = c < scores->n_classes ? scores->class_names[c] : MEAN_FOREGROUND;
        TRY(file_list_add(out, name, strlen(name)));
    }
    return ADELE_OK;
}

struct summary {
    struct adele_case_scores scores; // first, so that both have one address
    struct file_list names;
    struct adele_class_scores *classes;
};

void score_summary_destroy(struct adele_case_scores *scores) {
    struct summary *self = (struct summary *)scores;
    if (self == NULL)
        return;
    file_list_deinit(&self->names);
    memory_free(self->classes);
    memory_free(self);
}
OWNER(score_summary_destroy, struct adele_case_scores)

static adele_status summarize_class(const struct case_scores *scores, int c,
                                    struct adele_class_scores *out) {
    struct lesion_counts lesions = case_scores_lesions(scores, c);
    out->n_lesions_found = lesions.found;
    out->n_lesions_false = lesions.falses;
    out->n_lesions_missed = lesions.missed;
    for (int m = 0; m < SCORE_N_MEASURES; m++) {
        struct statistic s;
        TRY(case_scores_statistic(scores, c, (enum score_measure)m, &s));
        out->measures[m] = (struct adele_statistic){s.n, s.mean, s.median, s.low, s.high};
    }
    return ADELE_OK;
}

adele_status case_scores_summarize(const struct case_scores *scores,
                                   struct adele_case_scores **out) {
    struct summary *self = NULL;
    *out = NULL;
    TRY(ALLOCATE(&self, 1));
    OWNED_BY(score_summary_destroy) struct adele_case_scores *owned = &self->scores;
    self->scores = (struct adele_case_scores){.n_cases = scores->n_cases,
                                              .n_classes = scores->n_classes,
                                              .unit = case_scores_unit(scores)};
    TRY(copy_names(scores, &self->names));
    TRY(ALLOCATE(&self->classes, (size_t)scores->n_classes + 1));
    self->scores.classes = self->classes;
    for (int c = 0; c <= scores->n_classes; c++) {
        self->classes[c].name = self->names.names[c];
        TRY(summarize_class(scores, c, &self->classes[c]));
    }
    *out = owned;
    owned = NULL;
    return ADELE_OK;
}

static bool add_number(cJSON *json, const char *key, double value) {
    return json_add(json, key, isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

static bool add_class(cJSON *array, const struct adele_class_scores *class) {
    cJSON *json = cJSON_CreateObject();
    if (!json_append(array, json) || !json_add(json, "class", cJSON_CreateString(class->name)))
        return false;
    for (int m = 0; m < SCORE_N_MEASURES; m++) {
        const struct adele_statistic *s = &class->measures[m];
        cJSON *measure = cJSON_CreateObject();
        if (!json_add(json, score_measure_names[m], measure) || !add_number(measure, "n", s->n) ||
            !add_number(measure, "mean", s->mean) || !add_number(measure, "median", s->median) ||
            !add_number(measure, "low", s->low) || !add_number(measure, "high", s->high))
            return false;
    }
    return add_number(json, "lesion_tp", (double)class->n_lesions_found) &&
           add_number(json, "lesion_fp", (double)class->n_lesions_false) &&
           add_number(json, "lesion_fn", (double)class->n_lesions_missed);
}

cJSON *case_scores_to_json(const struct adele_case_scores *scores) {
    cJSON *json = cJSON_CreateObject();
    cJSON *classes = cJSON_CreateArray();
    bool is_fine = json_add(json, "classes", classes) && add_number(json, "n", scores->n_cases) &&
                   json_add(json, "unit", cJSON_CreateString(scores->unit));
    for (int c = 0; c <= scores->n_classes && is_fine; c++)
        is_fine = add_class(classes, &scores->classes[c]);
    if (is_fine)
        return json;
    cJSON_Delete(json);
    return NULL;
}

// ---- comparison ---------------------------------------------------------------------------------

struct comparison {
    struct adele_comparison result; // first, so that both have one address
    struct file_list names;
    struct adele_class_difference *classes;
};

void score_comparison_destroy(struct adele_comparison *comparison) {
    struct comparison *self = (struct comparison *)comparison;
    if (self == NULL)
        return;
    file_list_deinit(&self->names);
    memory_free(self->classes);
    memory_free(self);
}
OWNER(score_comparison_destroy, struct adele_comparison)

// The scores of a run lie in its folder.
static adele_status read_scores(const char *path, struct case_scores *out) {
    if (!file_is_directory(path))
        return case_scores_read(path, out);
    char hint[512];
    OWNED char *file = file_join(path, "scores.csv");
    TRY(CHECK_MEMORY(file));
    (void)snprintf(hint, sizeof hint, "Write it: adele evaluate %.200s --csv %.200s/scores.csv",
                   path, path);
    return file_exists(file) ? case_scores_read(file, out)
                             : FAIL(ADELE_IO, hint, "%s: not there", file);
}

static adele_status compare_class(const struct case_scores sides[2], const int *match, int c,
                                  struct adele_class_difference *out) {
    for (int m = 0; m < SCORE_N_MEASURES; m++) {
        struct score_difference d;
        TRY(score_difference(&sides[0], &sides[1], match, c, (enum score_measure)m, &d));
        out->measures[m] = (struct adele_difference){
            d.b_minus_a.n,      d.mean_a,        d.mean_b,        d.b_minus_a.mean,
            d.b_minus_a.median, d.b_minus_a.low, d.b_minus_a.high};
    }
    return ADELE_OK;
}

static adele_status compare_all(const struct case_scores sides[2], const int *match,
                                struct adele_comparison **out) {
    struct comparison *self = NULL;
    TRY(ALLOCATE(&self, 1));
    OWNED_BY(score_comparison_destroy) struct adele_comparison *owned = &self->result;
    self->result = (struct adele_comparison){.n_cases = sides[0].n_cases,
                                             .n_classes = sides[0].n_classes,
                                             .unit = case_scores_unit(&sides[0])};
    TRY(copy_names(&sides[0], &self->names));
    TRY(ALLOCATE(&self->classes, (size_t)sides[0].n_classes + 1));
    self->result.classes = self->classes;
    for (int c = 0; c <= sides[0].n_classes; c++) {
        self->classes[c].name = self->names.names[c];
        TRY(compare_class(sides, match, c, &self->classes[c]));
    }
    *out = owned;
    owned = NULL;
    return ADELE_OK;
}

static void deinit_sides(struct case_scores (*sides)[2]) {
    case_scores_deinit(&(*sides)[0]);
    case_scores_deinit(&(*sides)[1]);
}

adele_status score_compare_files(const char *a, const char *b, struct adele_comparison **out) {
    CLEANUP(deinit_sides) struct case_scores sides[2] = {{0}};
    OWNED int *match = NULL;
    *out = NULL;
    TRY(read_scores(a, &sides[0]));
    TRY(read_scores(b, &sides[1]));
    TRY(ALLOCATE(&match, sides[0].n_cases));
    TRY(score_match(&sides[0], a, &sides[1], b, match));
    return compare_all(sides, match, out);
}
