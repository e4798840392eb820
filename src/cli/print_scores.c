// SPDX-License-Identifier: MIT
#include "cli/print_scores.h"

#include <math.h>
#include <stdio.h>

enum { NAME_WIDTH = 20, MEASURE_WIDTH = 12 };

static const char *const measures[ADELE_N_MEASURES] = {"IoU", "Dice", "HD95", "ASSD",
                                                       "boundary IoU"};

static int is_distance(int measure) {
    return measure == ADELE_HD95 || measure == ADELE_ASSD;
}

static void print_number(double value, int measure, int has_sign) {
    char text[40];
    int n_decimals = is_distance(measure) ? 3 : 4;
    if (!isfinite(value))
        (void)snprintf(text, sizeof text, "-");
    else
        (void)snprintf(text, sizeof text, has_sign ? "%+.*f" : "%.*f", n_decimals, value);
    printf("  %8s", text);
}

static void print_measure(const char *class, int measure, const char *unit) {
    char text[40];
    (void)snprintf(text, sizeof text, "%s%s%s", measures[measure], is_distance(measure) ? " " : "",
                   is_distance(measure) ? unit : "");
    printf("%-*s  %-*s", NAME_WIDTH, class, MEASURE_WIDTH, text);
}

// ---- one model ----------------------------------------------------------------------------------

// The background, class 0, has no distances and no lesions.
static void print_class(const struct adele_case_scores *scores, int c) {
    const struct adele_class_scores *class = &scores->classes[c];
    const char *name = class->name, *unit = scores->unit;
    for (int m = 0; m < (c == 0 ? ADELE_DICE + 1 : ADELE_N_MEASURES); m++) {
        const struct adele_statistic *s = &class->measures[m];
        print_measure(name, m, unit);
        printf("  %5d", s->n);
        print_number(s->mean, m, 0);
        print_number(s->low, m, 0);
        print_number(s->high, m, 0);
        print_number(s->median, m, 0);
        printf("\n");
        name = ""; // once for all of its lines
    }
    int64_t found = class->n_lesions_found, all = found + class->n_lesions_missed;
    if (c > 0)
        printf("%-*s  %-*s  %lld of %lld found, %lld false\n", NAME_WIDTH, "", MEASURE_WIDTH,
               "lesions", (long long)found, (long long)all, (long long)class->n_lesions_false);
}

void print_case_scores(const struct adele_case_scores *scores) {
    printf("\n%-*s  %-*s  %5s  %8s  %18s  %8s\n", NAME_WIDTH, "case by case", MEASURE_WIDTH, "",
           "cases", "mean", "95 % interval", "median");
    for (int c = 0; c <= scores->n_classes; c++)
        print_class(scores, c);
}

// ---- two models ---------------------------------------------------------------------------------

static void print_difference(const char *name, int m, const struct adele_difference *d,
                             const char *unit) {
    print_measure(name, m, unit);
    printf("  %5d", d->n);
    print_number(d->mean_a, m, 0);
    print_number(d->mean_b, m, 0);
    print_number(d->mean, m, 1);
    print_number(d->low, m, 1);
    print_number(d->high, m, 1);
    printf("\n");
}

void print_comparison(const struct adele_comparison *comparison) {
    printf("%-*s  %-*s  %5s  %8s  %8s  %8s  %18s\n", NAME_WIDTH, "", MEASURE_WIDTH, "", "cases",
           "A", "B", "B - A", "95 % interval");
    for (int c = 0; c <= comparison->n_classes; c++) {
        const struct adele_class_difference *class = &comparison->classes[c];
        const char *name = class->name;
        for (int m = 0; m < (c == 0 ? ADELE_DICE + 1 : ADELE_N_MEASURES); m++) {
            print_difference(name, m, &class->measures[m], comparison->unit);
            name = "";
        }
    }
}
