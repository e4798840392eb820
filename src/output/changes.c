// SPDX-License-Identifier: MIT
// Counts of changed pixels, and changes.csv.
#include "output/changes.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"
#include "data/label_lookup.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS ((size_t)256 * 256)

adele_status changes_init(struct changes *out) {
    *out = (struct changes){0};
    adele_status status = ALLOCATE(&out->totals, PAIRS);
    if (status == ADELE_OK)
        status = ALLOCATE(&out->counts, PAIRS);
    if (status != ADELE_OK)
        changes_deinit(out);
    return status;
}

void changes_deinit(struct changes *changes) {
    for (int i = 0; i < changes->n; i++)
        memory_free(changes->rows[i].counts);
    memory_free(changes->rows);
    memory_free(changes->totals);
    memory_free(changes->counts);
    *changes = (struct changes){0};
}

// Moves the counts into a list of the row, because a full table for each of ten thousand rows would
// need gigabytes. changes->counts is all 0 afterwards.
static adele_status move_counts(struct changes *changes, struct change_row *row, int n_counts) {
    if (n_counts == 0)
        return ADELE_OK;
    TRY(ALLOCATE(&row->counts, n_counts));
    for (size_t pair = 0; pair < PAIRS; pair++) {
        if (changes->counts[pair] == 0)
            continue;
        row->counts[row->n_counts++] =
            (struct change_count){.pair = (int)pair, .n = changes->counts[pair]};
        changes->totals[pair] += changes->counts[pair];
        changes->counts[pair] = 0;
    }
    return ADELE_OK;
}

adele_status changes_add(struct changes *changes, const char *name, int slice,
                         const uint8_t *before, const uint8_t *after, size_t n) {
    TRY(GROW(&changes->rows, changes->n));
    struct change_row *row = &changes->rows[changes->n++];
    *row = (struct change_row){.name = name, .slice = slice, .n_pixels = (int64_t)n};
    int n_counts = 0;
    for (size_t i = 0; i < n; i++) {
        if (before[i] == after[i])
            continue;
        n_counts += changes->counts[(size_t)before[i] * 256 + after[i]]++ == 0;
        row->n_changed++;
    }
    return move_counts(changes, row, n_counts);
}

adele_status changes_append(struct changes *changes, const struct change_row *row,
                            const struct change_count *counts) {
    TRY(GROW(&changes->rows, changes->n));
    struct change_row *own = &changes->rows[changes->n++];
    *own = *row;
    own->counts = NULL;
    own->n_counts = 0;
    if (row->n_counts == 0)
        return ADELE_OK;
    TRY(ALLOCATE(&own->counts, row->n_counts));
    for (; own->n_counts < row->n_counts; own->n_counts++) {
        own->counts[own->n_counts] = counts[own->n_counts];
        changes->totals[counts[own->n_counts].pair] += counts[own->n_counts].n;
    }
    return ADELE_OK;
}

struct changes_sum changes_sum(const struct changes *changes) {
    struct changes_sum sum = {0};
    bool is_counted = false; // the case of the previous row is counted as changed
    for (int i = 0; i < changes->n; i++) {
        const struct change_row *row = &changes->rows[i];
        if (i == 0 || strcmp(row->name, row[-1].name) != 0) {
            sum.n_names++;
            is_counted = false;
        }
        sum.n_pixels += row->n_pixels;
        sum.n_changed += row->n_changed;
        sum.n_changed_names += row->n_changed > 0 && !is_counted;
        is_counted = is_counted || row->n_changed > 0;
    }
    return sum;
}

static int compare_rows(const void *left, const void *right) {
    const struct change_row *a = left, *b = right;
    double fraction_a = (double)a->n_changed / (double)a->n_pixels;
    double fraction_b = (double)b->n_changed / (double)b->n_pixels;
    if (fraction_a != fraction_b)
        return fraction_a > fraction_b ? -1 : 1;
    int order = strcmp(a->name, b->name);
    if (order != 0)
        return order;
    return (a->slice > b->slice) - (a->slice < b->slice);
}

// ",FROM->TO", by the categories' names.
static adele_status add_pair_name(struct buffer *csv, size_t pair, int n_categories,
                                  char *const *names) {
    char text[2][128];
    for (int side = 0; side < 2; side++) {
        int category = (int)(side == 0 ? pair / 256 : pair % 256);
        if (category < n_categories)
            (void)snprintf(text[side], sizeof text[side], "%s", names[category]);
        else if (category == LABEL_IGNORE)
            (void)snprintf(text[side], sizeof text[side], "ignore");
        else
            (void)snprintf(text[side], sizeof text[side], "category_%d", category);
    }
    char both[280];
    (void)snprintf(both, sizeof both, "%s->%s", text[0], text[1]);
    TRY(buffer_text(csv, ","));
    return buffer_csv_field(csv, both);
}

static adele_status add_row(struct buffer *csv, const struct changes *changes,
                            const struct change_row *row) {
    TRY(buffer_csv_field(csv, row->name));
    TRY(buffer_printf(csv, ",%d,%" PRId64 ",", row->slice, row->n_changed));
    TRY(buffer_fixed(csv, (double)row->n_changed / (double)row->n_pixels, 6));
    int i = 0; // of the row's counts, which are in the order of the columns
    for (size_t pair = 0; pair < PAIRS; pair++) {
        if (changes->totals[pair] == 0)
            continue;
        bool is_here = i < row->n_counts && row->counts[i].pair == (int)pair;
        TRY(buffer_printf(csv, ",%" PRId64, is_here ? row->counts[i].n : 0));
        i += is_here;
    }
    return buffer_text(csv, "\n");
}

adele_status changes_save(struct changes *changes, int n_categories, char *const *names,
                          const char *folder) {
    CLEANUP(buffer_deinit) struct buffer csv = {0};
    if (changes->n > 0)
        qsort(changes->rows, (size_t)changes->n, sizeof *changes->rows, compare_rows);
    TRY(buffer_text(&csv, "case,slice,changed_pixels,changed_fraction"));
    for (size_t pair = 0; pair < PAIRS; pair++)
        if (changes->totals[pair] > 0)
            TRY(add_pair_name(&csv, pair, n_categories, names));
    TRY(buffer_text(&csv, "\n"));
    for (int i = 0; i < changes->n; i++)
        TRY(add_row(&csv, changes, &changes->rows[i]));
    return buffer_save(&csv, folder, "changes.csv");
}
