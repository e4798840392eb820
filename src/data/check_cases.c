// SPDX-License-Identifier: MIT
// Problems that show in the names and the content hashes of files: the same case twice, the same
// picture under two names, one patient in two splits.
//
// A patient is read from the name of a case (patient_name.h); at least two patients must occur.
// When the name contains "patient", "case", "subject" or the like, sharing one between splits is an
// error, else a warning.
#include "data/check_cases.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "data/patient_name.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct named_case {
    const char *name;
    const char *path; // the first image
    size_t bytes;     // the part of the name that is compared: all of it, or the patient
    enum dataset_split split;
    uint64_t hash;
};

static int compare_names(const void *left, const void *right) {
    const struct named_case *a = left, *b = right;
    size_t common = a->bytes < b->bytes ? a->bytes : b->bytes;
    int order = strncmp(a->name, b->name, common);
    if (order != 0)
        return order;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? -1 : 1;
    if (a->split != b->split)
        return a->split < b->split ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int compare_hashes(const void *left, const void *right) {
    const struct named_case *a = left, *b = right;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return compare_names(left, right);
}

static bool is_same(const struct named_case *a, const struct named_case *b) {
    return a->bytes == b->bytes && strncmp(a->name, b->name, a->bytes) == 0;
}

static adele_status collect(const struct dataset *dataset, struct named_case **out, int *n_out) {
    int n = 0, at = 0;
    for (int split = 0; split < SPLIT_COUNT; split++)
        n += dataset->n_cases[split];
    struct named_case *cases = NULL;
    TRY(ALLOCATE(&cases, (size_t)n + 1));
    for (int split = 0; split < SPLIT_COUNT; split++)
        for (int i = 0; i < dataset->n_cases[split]; i++) {
            const struct dataset_case *item = &dataset->cases[split][i];
            cases[at++] = (struct named_case){.name = item->name,
                                              .path = item->image_path[0],
                                              .bytes = strlen(item->name),
                                              .split = split};
        }
    *out = cases;
    *n_out = n;
    return ADELE_OK;
}

// ---- names --------------------------------------------------------------------------------------

static adele_status check_same_names(const struct named_case *cases, int n,
                                     struct check_report *report) {
    for (int i = 1; i < n; i++) {
        const struct named_case *a = &cases[i - 1], *b = &cases[i];
        if (!is_same(a, b))
            continue;
        if (a->split == b->split)
            TRY(check_report_add(report, CHECK_DUPLICATE_CASE, true,
                                 "List it once; two files of one name need other names.",
                                 "case %s occurs twice in the %s split", a->name,
                                 dataset_split_name(a->split)));
        else
            TRY(check_report_add(report, CHECK_PATIENT_IN_TWO_SPLITS, true,
                                 "Take the case out of one of them.",
                                 "case %s is in both the %s and the %s split", a->name,
                                 dataset_split_name(a->split), dataset_split_name(b->split)));
    }
    return ADELE_OK;
}

static bool has_patient_word(const char *name) {
    static const char *const words[] = {"patient", "case", "subject", "subj",
                                        "sub-",    "pat_", "pid"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncasecmp(name, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

static adele_status check_patients(const struct named_case *cases, int n,
                                   struct check_report *report) {
    for (int i = 1; i < n; i++) {
        const struct named_case *a = &cases[i - 1], *b = &cases[i];
        // The same case in both splits has been reported under its full name.
        if (!is_same(a, b) || a->split == b->split || strcmp(a->name, b->name) == 0)
            continue;
        TRY(check_report_add(report, CHECK_PATIENT_IN_TWO_SPLITS, has_patient_word(a->name),
                             "Keep all images of a patient in one split, else the scores are too "
                             "good.",
                             "%.*s seems to be in both the %s split (%s) and the %s split (%s)",
                             (int)a->bytes, a->name, dataset_split_name(a->split), a->name,
                             dataset_split_name(b->split), b->name));
    }
    return ADELE_OK;
}

// Keeps the cases whose names show a patient; *n_out is their number.
static adele_status keep_patients(struct named_case *cases, int n, int *n_out) {
    OWNED const char **names = NULL;
    enum patient_rule rule;
    TRY(ALLOCATE(&names, (size_t)n + 1));
    for (int i = 0; i < n; i++)
        names[i] = cases[i].name;
    TRY(patient_rule_choose(names, n, &rule));
    *n_out = 0;
    for (int i = 0; i < n; i++) {
        struct named_case *kept = &cases[*n_out];
        *kept = cases[i];
        kept->bytes = patient_name_bytes(rule, kept->name);
        *n_out += kept->bytes > 0;
    }
    return ADELE_OK;
}

adele_status check_names(const struct dataset *dataset, struct check_report *report) {
    OWNED struct named_case *cases = NULL;
    int n = 0, n_patients = 0, n_kept = 0;
    TRY(collect(dataset, &cases, &n));
    qsort(cases, (size_t)n, sizeof *cases, compare_names);
    TRY(check_same_names(cases, n, report));
    TRY(keep_patients(cases, n, &n_kept));
    qsort(cases, (size_t)n_kept, sizeof *cases, compare_names);
    for (int i = 0; i < n_kept; i++)
        n_patients += i == 0 || !is_same(&cases[i - 1], &cases[i]);
    return n_patients > 1 ? check_patients(cases, n_kept, report) : ADELE_OK;
}

// ---- contents -----------------------------------------------------------------------------------

static adele_status hash_image(const struct dataset *dataset, struct named_case *item) {
    char *bytes = NULL;
    size_t n = 0;
    adele_status status = file_read(item->path, dataset_memory_limit(dataset), &bytes, &n);
    if (status == ADELE_OK)
        item->hash = hash_xxh3(bytes, n);
    else // already reported as unreadable
        item->path = NULL;
    memory_free(bytes);
    return status == ADELE_NO_MEMORY ? status : ADELE_OK;
}

adele_status check_contents(const struct dataset *dataset, struct check_report *report) {
    OWNED struct named_case *cases = NULL;
    int n = 0, n_hashed = 0;
    TRY(collect(dataset, &cases, &n));
    for (int i = 0; i < n; i++) {
        cases[n_hashed] = cases[i];
        if (cases[i].path == NULL)
            continue;
        TRY(hash_image(dataset, &cases[n_hashed]));
        n_hashed += cases[n_hashed].path != NULL;
    }
    qsort(cases, (size_t)n_hashed, sizeof *cases, compare_hashes);
    for (int i = 1; i < n_hashed; i++) {
        const struct named_case *a = &cases[i - 1], *b = &cases[i];
        if (a->hash == b->hash && !is_same(a, b))
            TRY(check_report_add(report, CHECK_DUPLICATE_CASE, true, "Remove one of them.",
                                 "%s (%s split) and %s (%s split) are the same picture", a->path,
                                 dataset_split_name(a->split), b->path,
                                 dataset_split_name(b->split)));
    }
    return ADELE_OK;
}
