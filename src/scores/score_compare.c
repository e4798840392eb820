// SPDX-License-Identifier: MIT
// Two sets of scores of the same cases: the paired differences.
#include "scores/score_cases.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_NAMED = 5 }; // cases that a message names on each side

// ---- the same cases -----------------------------------------------------------------------------

static adele_status check_classes(const struct case_scores *a, const char *path_a,
                                  const struct case_scores *b, const char *path_b) {
    if (a->is_in_mm != b->is_in_mm)
        return FAIL(ADELE_DATA, "Compare scores of the same files.",
                    "%s has distances in %s, %s in %s", path_a, case_scores_unit(a), path_b,
                    case_scores_unit(b));
    if (a->n_classes != b->n_classes)
        return FAIL(ADELE_DATA, "Compare scores of the same data set.",
                    "%s has %d classes, %s has %d", path_a, a->n_classes, path_b, b->n_classes);
    for (int c = 0; c < a->n_classes; c++)
        if (strcmp(a->class_names[c], b->class_names[c]) != 0)
            return FAIL(ADELE_DATA, "Compare scores of the same data set.",
                        "class %d is '%s' in %s and '%s' in %s", c, a->class_names[c], path_a,
                        b->class_names[c], path_b);
    return ADELE_OK;
}

struct named_case {
    const char *name;
    int i;
};

static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct named_case *)a)->name, ((const struct named_case *)b)->name);
}

static adele_status sort_cases(const struct case_scores *scores, const char *path,
                               struct named_case **out) {
    TRY(ALLOCATE(out, (size_t)scores->n_cases + 1));
    for (int i = 0; i < scores->n_cases; i++)
        (*out)[i] = (struct named_case){scores->cases[i].name, i};
    qsort(*out, (size_t)scores->n_cases, sizeof **out, compare_names);
    for (int i = 1; i < scores->n_cases; i++)
        if (strcmp((*out)[i - 1].name, (*out)[i].name) == 0)
            return FAIL(ADELE_DATA, "Let `adele evaluate --csv` write it again.",
                        "%s has case '%s' twice", path, (*out)[i].name);
    return ADELE_OK;
}

// Cases without a partner on one side, of which the first few are named.
struct unmatched {
    int n;
    struct buffer names;
};

static adele_status add_unmatched(struct unmatched *side, const char *name) {
    side->n++;
    if (side->n > N_NAMED)
        return ADELE_OK;
    return buffer_printf(&side->names, "%s%.60s", side->n > 1 ? ", " : "", name);
}

static adele_status match_sorted(const struct case_scores *a, const struct named_case *of_a,
                                 const struct case_scores *b, const struct named_case *of_b,
                                 struct unmatched sides[2], int *match) {
    int i = 0, k = 0;
    while (i < a->n_cases || k < b->n_cases) {
        int order = i == a->n_cases ? 1 : k == b->n_cases ? -1 : strcmp(of_a[i].name, of_b[k].name);
        if (order == 0)
            match[of_a[i++].i] = of_b[k++].i;
        else if (order < 0)
            TRY(add_unmatched(&sides[0], of_a[i++].name));
        else
            TRY(add_unmatched(&sides[1], of_b[k++].name));
    }
    return ADELE_OK;
}

static adele_status fail_unmatched(const char *path_a, const char *path_b,
                                   const struct unmatched sides[2]) {
    char text[2][512] = {"", ""};
    for (int k = 0; k < 2; k++)
        if (sides[k].n > 0)
            (void)snprintf(text[k], sizeof text[k], "%s%d case%s in %s alone: %s%s",
                           k == 1 && sides[0].n > 0 ? "; " : "", sides[k].n,
                           sides[k].n == 1 ? "" : "s", k == 0 ? path_a : path_b,
                           sides[k].names.data, sides[k].n > N_NAMED ? ", ..." : "");
    return FAIL(ADELE_DATA, "Evaluate both on the same split of the same data set.", "%s%s",
                text[0], text[1]);
}

static void deinit_unmatched(struct unmatched (*sides)[2]) {
    buffer_deinit(&(*sides)[0].names);
    buffer_deinit(&(*sides)[1].names);
}

adele_status score_match(const struct case_scores *a, const char *path_a,
                         const struct case_scores *b, const char *path_b, int *match) {
    OWNED struct named_case *of_a = NULL, *of_b = NULL;
    CLEANUP(deinit_unmatched) struct unmatched sides[2] = {{0}};
    TRY(check_classes(a, path_a, b, path_b));
    TRY(sort_cases(a, path_a, &of_a));
    TRY(sort_cases(b, path_b, &of_b));
    TRY(match_sorted(a, of_a, b, of_b, sides, match));
    return sides[0].n + sides[1].n > 0 ? fail_unmatched(path_a, path_b, sides) : ADELE_OK;
}

// ---- differences --------------------------------------------------------------------------------

adele_status score_difference(const struct case_scores *a, const struct case_scores *b,
                              const int *match, int c, enum score_measure m,
                              struct score_difference *out) {
    OWNED double *differences = NULL;
    double sums[2] = {0.0, 0.0};
    int n = 0;
    TRY(ALLOCATE(&differences, (size_t)a->n_cases + 1));
    for (int i = 0; i < a->n_cases; i++) {
        double of_a = case_scores_value(a, i, c, m), of_b = case_scores_value(b, match[i], c, m);
        if (isnan(of_a) || isnan(of_b))
            continue;
        differences[n++] = of_b - of_a;
        sums[0] += of_a;
        sums[1] += of_b;
    }
    out->mean_a = n > 0 ? sums[0] / n : NAN;
    out->mean_b = n > 0 ? sums[1] / n : NAN;
    return statistic_compute(differences, n, &out->b_minus_a);
}
