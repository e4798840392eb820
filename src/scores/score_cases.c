// SPDX-License-Identifier: MIT
#include "scores/score_cases.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/orientation.h"

#include <math.h>
#include <string.h>

void case_scores_deinit(struct case_scores *scores) {
    for (int c = 0; scores->class_names != NULL && c < scores->n_classes; c++)
        memory_free(scores->class_names[c]);
    memory_free(scores->class_names);
    for (int i = 0; i < scores->n_cases; i++) {
        memory_free(scores->cases[i].name);
        memory_free(scores->cases[i].classes);
    }
    memory_free(scores->cases);
    memset(scores, 0, sizeof *scores);
}

adele_status case_scores_init(struct case_scores *scores, int n_classes, char *const *class_names,
                              bool is_in_mm) {
    *scores = (struct case_scores){.n_classes = n_classes, .is_in_mm = is_in_mm};
    adele_status status = ALLOCATE(&scores->class_names, n_classes);
    for (int c = 0; c < n_classes && status == ADELE_OK; c++) {
        scores->class_names[c] = memory_strdup(class_names[c]);
        status = CHECK_MEMORY(scores->class_names[c]);
    }
    if (status != ADELE_OK)
        case_scores_deinit(scores);
    return status;
}

const char *case_scores_unit(const struct case_scores *scores) {
    return scores->is_in_mm ? "mm" : "px";
}

struct grid case_scores_grid(const struct dataset *dataset, const struct dataset_case *item,
                             const int extents[3]) {
    struct grid grid = {{extents[0], extents[1], extents[2]}, {1.0, 1.0, 1.0}};
    if (!dataset->is_volume || item->geometry.n[0] == 0)
        return grid;
    struct nifti_order order = orientation_of_image(dataset, &item->geometry);
    for (int i = 0; i < 3; i++) // x is the last axis of a grid and the first of a geometry
        grid.spacing[2 - i] = item->geometry.spacing[order.axis[i]];
    return grid;
}

adele_status case_scores_add(struct case_scores *scores, const char *name,
                             struct class_score **out) {
    TRY(GROW(&scores->cases, scores->n_cases));
    struct scored_case *item = &scores->cases[scores->n_cases];
    *item = (struct scored_case){0};
    item->name = memory_strdup(name);
    TRY(CHECK_MEMORY(item->name));
    scores->n_cases++; // the name is freed with the others from now on
    TRY(ALLOCATE(&item->classes, scores->n_classes));
    *out = item->classes;
    return ADELE_OK;
}

double case_scores_value(const struct case_scores *scores, int i, int c, enum score_measure m) {
    const struct class_score *classes = scores->cases[i].classes;
    if (c < scores->n_classes)
        return classes[c].measures[m];
    double sum = 0.0;
    int n = 0;
    for (int k = 1; k < scores->n_classes; k++)
        if (!isnan(classes[k].measures[m])) {
            sum += classes[k].measures[m];
            n++;
        }
    return n > 0 ? sum / n : NAN;
}

adele_status case_scores_statistic(const struct case_scores *scores, int c, enum score_measure m,
                                   struct statistic *out) {
    OWNED double *values = NULL;
    TRY(ALLOCATE(&values, (size_t)scores->n_cases + 1));
    for (int i = 0; i < scores->n_cases; i++)
        values[i] = case_scores_value(scores, i, c, m);
    return statistic_compute(values, scores->n_cases, out);
}

struct lesion_counts case_scores_lesions(const struct case_scores *scores, int c) {
    struct lesion_counts sum = {0};
    int first = c < scores->n_classes ? c : 1, end = c < scores->n_classes ? c + 1 : c;
    for (int i = 0; i < scores->n_cases; i++)
        for (int k = first; k < end; k++) {
            const struct lesion_counts *lesions = &scores->cases[i].classes[k].lesions;
            sum.found += lesions->found;
            sum.falses += lesions->falses;
            sum.missed += lesions->missed;
        }
    return sum;
}
