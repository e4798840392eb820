// SPDX-License-Identifier: MIT
#include "audit/audit_gather.h"

#include "base/fail.h"
#include "base/memory.h"
#include "ranks/gather.h"

#include <string.h>

// ---- the tables ---------------------------------------------------------------------------------

// Rows and regions get the numbers that they have in one process.
static adele_status renumber(struct ranks *ranks, struct audit_table *table, int *out_first) {
    int64_t mine[2] = {table->n_rows, table->n_found}, first[2] = {0, 0}, *all = NULL;
    TRY(ALLOCATE(&all, 2 * (size_t)ranks_count(ranks)));
    adele_status status = ranks_gather(ranks, mine, sizeof mine, all);
    table->n_found = 0;
    for (int r = 0; r < ranks_count(ranks); r++) {
        table->n_found += all[2 * r + 1];
        for (int k = 0; k < 2 && r < ranks_index(ranks); k++)
            first[k] += all[2 * r + k];
    }
    memory_free(all);
    for (int i = 0; i < table->n_rows; i++)
        table->rows[i].order += (int)first[0];
    for (int i = 0; i < table->n_regions; i++) {
        table->regions[i].i_row += (int)first[0];
        table->regions[i].order += first[1];
    }
    *out_first = (int)first[0];
    return status;
}

static void free_rows(struct audit_table *table) {
    for (int i = 0; i < table->n_rows; i++)
        memory_free(table->rows[i].name);
    memory_free(table->rows);
    table->rows = NULL;
    table->n_rows = 0;
}

static adele_status take_rows(struct audit_table *table, struct audit_row *rows, int n,
                              const char *names) {
    free_rows(table);
    table->rows = rows;
    for (int i = 0; i < n; i++, names = gather_next_name(names)) {
        rows[i].name = memory_strdup(names);
        TRY(CHECK_MEMORY(rows[i].name));
        table->n_rows++;
    }
    return ADELE_OK;
}

static adele_status gather_rows(struct ranks *ranks, struct audit_table *table) {
    struct audit_row *rows = NULL; // the table owns them in the end
    OWNED char *names = NULL;
    struct buffer buffer = {0};
    size_t bytes;
    adele_status status = ADELE_OK;
    for (int i = 0; i < table->n_rows && status == ADELE_OK; i++)
        status = gather_add_name(&buffer, table->rows[i].name);
    TRY(gather_names(ranks, &buffer, status, &names));
    TRY(gather_blocks(ranks, table->rows, (size_t)table->n_rows * sizeof *rows, (void **)&rows,
                      &bytes));
    return take_rows(table, rows, (int)(bytes / sizeof *rows), names);
}

static adele_status gather_overlaps(struct ranks *ranks, struct audit_table *table) {
    struct doubt_overlap *all = NULL;
    size_t bytes, row = (size_t)table->n_categories * sizeof *all;
    TRY(gather_blocks(ranks, table->overlaps, (size_t)table->n_rows * row, (void **)&all, &bytes));
    memory_free(table->overlaps);
    table->overlaps = all;
    return ADELE_OK;
}

// Each rank has kept its most doubtful ones, among which are those of all.
static adele_status gather_regions(struct ranks *ranks, struct audit_table *table) {
    OWNED struct audit_region *all = NULL;
    size_t bytes;
    TRY(gather_blocks(ranks, table->regions, (size_t)table->n_regions * sizeof *all, (void **)&all,
                      &bytes));
    table->n_regions = 0;
    for (size_t i = 0; i < bytes / sizeof *all; i++)
        audit_table_keep_region(table, &all[i]);
    return ADELE_OK;
}

static adele_status sum_classes(struct ranks *ranks, struct audit_table *table) {
    enum { N_SUMS = 5 };
    int64_t sums[N_SUMS * DOUBT_MAX_CATEGORIES];
    size_t n = (size_t)table->n_categories;
    for (size_t c = 0; c < n; c++) {
        const struct audit_class *class = &table->classes[c];
        const int64_t of_class[N_SUMS] = {class->score_sum, class->n_images, class->n_pixels,
                                          class->n_doubtful, class->n_predicted};
        memcpy(sums + N_SUMS * c, of_class, sizeof of_class);
    }
    TRY(ranks_sum(ranks, sums, N_SUMS * n));
    for (size_t c = 0; c < n; c++) {
        const int64_t *sum = sums + N_SUMS * c;
        table->classes[c] = (struct audit_class){.score_sum = sum[0],
                                                 .n_images = (int)sum[1],
                                                 .n_pixels = sum[2],
                                                 .n_doubtful = sum[3],
                                                 .n_predicted = sum[4]};
    }
    return ranks_sum(ranks, table->pairs, n * n);
}

adele_status audit_gather_table(struct ranks *ranks, struct audit_table *table, int *out_first) {
    *out_first = 0;
    if (ranks_count(ranks) == 1)
        return ADELE_OK;
    TRY(renumber(ranks, table, out_first));
    TRY(gather_overlaps(ranks, table));
    TRY(gather_rows(ranks, table));
    TRY(gather_regions(ranks, table));
    return sum_classes(ranks, table);
}

// ---- changes of labels --------------------------------------------------------------------------

static adele_status flatten_changes(const struct changes *changes, struct buffer *names,
                                    struct buffer *counts) {
    for (int i = 0; i < changes->n; i++) {
        const struct change_row *row = &changes->rows[i];
        TRY(gather_add_name(names, row->name));
        TRY(buffer_add(counts, row->counts, (size_t)row->n_counts * sizeof *row->counts));
    }
    return ADELE_OK;
}

// Rows are in the order of the cases, and a case has one or more.
static adele_status take_changes(struct changes *changes, const struct dataset *dataset,
                                 enum dataset_split split, const struct change_row *rows, int n,
                                 const char *names, const struct change_count *counts) {
    int i_case = 0;
    changes_deinit(changes);
    TRY(changes_init(changes));
    for (int i = 0; i < n; i++, names = gather_next_name(names)) {
        struct change_row row = rows[i];
        while (i_case < dataset->n_cases[split] &&
               strcmp(dataset->cases[split][i_case].name, names) != 0)
            i_case++;
        if (i_case == dataset->n_cases[split])
            return FAIL(ADELE_DEVICE,
                        "All ranks must see the same data set, which must not change meanwhile.",
                        "another rank has changed labels of %s, which is no case of the %s split "
                        "here",
                        names, dataset_split_name(split));
        row.name = dataset->cases[split][i_case].name;
        TRY(changes_append(changes, &row, counts));
        counts += row.n_counts;
    }
    return ADELE_OK;
}

static adele_status gather_counts(struct ranks *ranks, struct buffer *counts,
                                  struct change_count **out) {
    size_t bytes;
    return gather_blocks(ranks, counts->data, counts->n_bytes, (void **)out, &bytes);
}

adele_status audit_gather_changes(struct ranks *ranks, const struct dataset *dataset,
                                  enum dataset_split split, struct changes *changes) {
    CLEANUP(buffer_deinit) struct buffer count_buffer = {0};
    struct buffer name_buffer = {0};
    OWNED struct change_row *rows = NULL;
    OWNED struct change_count *counts = NULL;
    OWNED char *names = NULL;
    size_t bytes;
    if (ranks_count(ranks) == 1)
        return ADELE_OK;
    adele_status status = flatten_changes(changes, &name_buffer, &count_buffer);
    TRY(gather_names(ranks, &name_buffer, status, &names));
    TRY(gather_counts(ranks, &count_buffer, &counts));
    TRY(gather_blocks(ranks, changes->rows, (size_t)changes->n * sizeof *rows, (void **)&rows,
                      &bytes));
    return take_changes(changes, dataset, split, rows, (int)(bytes / sizeof *rows), names, counts);
}
