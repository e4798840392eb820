// SPDX-License-Identifier: MIT
#include "data/split_guess.h"

#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"
#include "data/patient_name.h"

#include <stdlib.h>
#include <string.h>

// One case in so many is for validation.
#define N_PARTS 5

// Cases of one patient, or one case.
struct group {
    int first, n; // of the sorted cases
};

// By patient, then by name, so that the cases of a patient are neighbours.
static int compare_cases(const void *left, const void *right) {
    const struct dataset_case *a = left, *b = right;
    size_t n_a = patient_name_bytes(a->name), n_b = patient_name_bytes(b->name);
    int order = strncmp(a->name, b->name, n_a < n_b ? n_a : n_b);
    if (order == 0 && n_a != n_b)
        order = n_a < n_b ? -1 : 1;
    return order != 0 ? order : strcmp(a->name, b->name);
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
        dataset_case_deinit(item);
        out->n_left_out++;
    }
    dataset->n_cases[split] = n;
}

static bool is_same_patient(const struct dataset_case *a, const struct dataset_case *b) {
    size_t n = patient_name_bytes(a->name);
    return n > 0 && n == patient_name_bytes(b->name) && strncmp(a->name, b->name, n) == 0;
}

static int find_groups(const struct dataset_case *cases, int n, bool is_by_patient,
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
    struct dataset_case *cases = dataset->cases[SPLIT_TRAIN];
    int n = dataset->n_cases[SPLIT_TRAIN];
    struct group *groups = NULL;
    int *order = NULL;
    bool *is_val = NULL;
    adele_status status;
    qsort(cases, (size_t)n, sizeof *cases, compare_cases);
    TRY_GOTO(ALLOCATE(&groups, n), done);
    TRY_GOTO(ALLOCATE(&order, n), done);
    TRY_GOTO(ALLOCATE(&is_val, n), done);
    int n_groups = find_groups(cases, n, true, groups);
    bool is_by_patient = n_groups > 1 && n_groups < n;
    if (!is_by_patient)
        n_groups = find_groups(cases, n, false, groups);
    out->n_patients = is_by_patient ? n_groups : 0;
    random_permutation(seed, RANDOM_SPLIT, 0, n_groups, order);
    draw(groups, n_groups, order, n, is_val);
    status = move_cases(dataset, is_val);
    out->has_lists = out->is_drawn = true;
done:
    memory_free(groups);
    memory_free(order);
    memory_free(is_val);
    return status;
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
