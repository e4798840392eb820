// SPDX-License-Identifier: MIT
#include "init/init_choices.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "data/patient_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// One case in so many is for validation.
#define N_PARTS 5

// Cases of one patient, or one case.
struct group {
    int first, n; // of the sorted cases
};

struct named_case {
    struct dataset_case item;
    size_t bytes; // of the patient in its name; 0: none
};

// By patient, then by name, so that the cases of a patient are neighbours.
static int compare_cases(const void *left, const void *right) {
    const struct named_case *a = left, *b = right;
    const char *name_a = a->item.name, *name_b = b->item.name;
    int order = strncmp(name_a, name_b, a->bytes < b->bytes ? a->bytes : b->bytes);
    if (order == 0)
        order = (a->bytes > b->bytes) - (a->bytes < b->bytes);
    return order != 0 ? order : strcmp(name_a, name_b);
}

// In one folder with the images, a_mask.png is found as an image too.
static bool is_mask(const struct dataset *dataset, enum dataset_split split,
                    const struct dataset_case *item) {
    const char *suffix = dataset_mask_suffix(dataset);
    const char *images = dataset->image_folders[split], *masks = dataset->label_folders[split];
    size_t n = strlen(suffix), bytes = strlen(item->name);
    return n > 0 && bytes > n && strcmp(item->name + bytes - n, suffix) == 0 && images != NULL &&
           masks != NULL && strcmp(images, masks) == 0;
}

static void leave_out_incomplete(struct dataset *dataset, enum dataset_split split,
                                 struct split_guess *out) {
    int n = 0;
    for (int i = 0; i < dataset->n_cases[split]; i++) {
        struct dataset_case *item = &dataset->cases[split][i];
        if (item->image_path[0] != NULL && dataset_label_source(item, split) != NULL) {
            dataset->cases[split][n++] = *item;
            continue;
        }
        bool has_image = item->image_path[0] != NULL && !is_mask(dataset, split, item);
        if (has_image && out->n_without_mask++ == 0)
            (void)snprintf(out->first_without_mask, sizeof out->first_without_mask, "%s",
                           file_base_name(item->image_path[0]));
        if (item->image_path[0] == NULL && out->n_absent++ == 0)
            (void)snprintf(out->first_absent, sizeof out->first_absent, "%s", item->name);
        dataset_case_deinit(item);
        out->n_left_out++;
    }
    dataset->n_cases[split] = n;
}

static bool is_same_patient(const struct named_case *a, const struct named_case *b) {
    return a->bytes > 0 && a->bytes == b->bytes &&
           strncmp(a->item.name, b->item.name, a->bytes) == 0;
}

static int find_groups(const struct named_case *cases, int n, bool is_by_patient,
                       struct group *out) {
    int n_groups = 0;
    for (int i = 0; i < n; i++) {
        if (is_by_patient && i > 0 && is_same_patient(&cases[i - 1], &cases[i]))
            out[n_groups - 1].n++;
        else
            out[n_groups++] = (struct group){i, 1};
    }
    return n_groups;
}

// Sorts the cases of training. Caller frees *out with memory_free; the cases stay the data set's.
static adele_status sort_by_patient(struct dataset *dataset, struct named_case **out) {
    struct dataset_case *cases = dataset->cases[SPLIT_TRAIN];
    int n = dataset->n_cases[SPLIT_TRAIN];
    OWNED struct named_case *sorted = NULL;
    OWNED const char **names = NULL;
    enum patient_rule rule;
    TRY(ALLOCATE(&sorted, n));
    TRY(ALLOCATE(&names, n));
    for (int i = 0; i < n; i++)
        names[i] = cases[i].name;
    TRY(patient_rule_choose(names, n, &rule));
    for (int i = 0; i < n; i++)
        sorted[i] = (struct named_case){cases[i], patient_name_bytes(rule, names[i])};
    qsort(sorted, (size_t)n, sizeof *sorted, compare_cases);
    for (int i = 0; i < n; i++)
        cases[i] = sorted[i].item;
    *out = sorted;
    sorted = NULL;
    return ADELE_OK;
}

// Marks the cases of validation: whole groups in a drawn order, until a fifth is reached. At least
// one group stays for training.
static void draw(const struct group *groups, int n_groups, const int *order, int n, bool *is_val) {
    int n_val = 0, n_wanted = (n + N_PARTS / 2) / N_PARTS;
    for (int i = 0; i < n_groups - 1 && (n_val == 0 || n_val < n_wanted); i++) {
        const struct group *group = &groups[order[i]];
        // A patient with most of the cases is better for training.
        if (n_val + group->n > n / 2 && i + 1 < n_groups - 1)
            continue;
        for (int k = 0; k < group->n; k++)
            is_val[group->first + k] = true;
        n_val += group->n;
    }
}

static adele_status move_cases(struct dataset *dataset, const bool *is_val) {
    struct dataset_case *cases = dataset->cases[SPLIT_TRAIN];
    int n = dataset->n_cases[SPLIT_TRAIN], n_train = 0;
    adele_status status = ADELE_OK;
    for (int i = 0; i < n; i++) {
        if (is_val[i] && status == ADELE_OK)
            status = GROW(&dataset->cases[SPLIT_VAL], dataset->n_cases[SPLIT_VAL]);
        if (is_val[i] && status == ADELE_OK)
            dataset->cases[SPLIT_VAL][dataset->n_cases[SPLIT_VAL]++] = cases[i];
        else
            cases[n_train++] = cases[i];
    }
    dataset->n_cases[SPLIT_TRAIN] = n_train;
    return status;
}

static adele_status divide(struct dataset *dataset, uint64_t seed, struct split_guess *out) {
    int n = dataset->n_cases[SPLIT_TRAIN];
    OWNED struct named_case *cases = NULL;
    OWNED struct group *groups = NULL;
    OWNED int *order = NULL;
    OWNED bool *is_val = NULL;
    TRY(sort_by_patient(dataset, &cases));
    TRY(ALLOCATE(&groups, n));
    TRY(ALLOCATE(&order, n));
    TRY(ALLOCATE(&is_val, n));
    int n_groups = find_groups(cases, n, true, groups);
    bool is_by_patient = n_groups > 1 && n_groups < n;
    if (!is_by_patient)
        n_groups = find_groups(cases, n, false, groups);
    out->n_patients = is_by_patient ? n_groups : 0;
    random_permutation(seed, RANDOM_SPLIT, 0, n_groups, order);
    draw(groups, n_groups, order, n, is_val);
    TRY(move_cases(dataset, is_val));
    out->has_lists = out->is_drawn = true;
    return ADELE_OK;
}

adele_status split_guess(struct dataset *dataset, uint64_t seed, struct split_guess *out) {
    memset(out, 0, sizeof *out);
    leave_out_incomplete(dataset, SPLIT_TRAIN, out);
    leave_out_incomplete(dataset, SPLIT_VAL, out);
    out->has_lists = out->n_left_out > 0;
    int n_train = dataset->n_cases[SPLIT_TRAIN], n_val = dataset->n_cases[SPLIT_VAL];
    if (n_train + n_val < 2 || n_train == 0)
        return FAIL(ADELE_DATA,
                    "Give every image a mask of the same name; at least one case is for training "
                    "and one for validation.",
                    "%s: %d training and %d validation cases have image and mask (%d cases lack "
                    "one of them)",
                    dataset->root, n_train, n_val, out->n_left_out);
    return n_val == 0 ? divide(dataset, seed, out) : ADELE_OK;
}
