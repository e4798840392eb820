// SPDX-License-Identifier: MIT
#include "audit/audit_table.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

adele_status audit_table_init(struct audit_table *out, int n_categories, int max_regions) {
    *out = (struct audit_table){.n_categories = n_categories, .max_regions = max_regions};
    adele_status status = ALLOCATE(&out->regions, max_regions > 0 ? max_regions : 1);
    if (status == ADELE_OK)
        status = ALLOCATE(&out->pairs, (size_t)n_categories * (size_t)n_categories);
    if (status != ADELE_OK)
        audit_table_deinit(out);
    return status;
}

void audit_table_deinit(struct audit_table *table) {
    for (int i = 0; i < table->n_rows; i++)
        memory_free(table->rows[i].name);
    memory_free(table->rows);
    memory_free(table->overlaps);
    memory_free(table->regions);
    memory_free(table->pairs);
    memset(table, 0, sizeof *table);
}

// ---- adding -------------------------------------------------------------------------------------

adele_status audit_table_add_image(struct audit_table *table, const char *name, int slice,
                                   const struct doubt_score *score) {
    size_t n_overlaps = (size_t)table->n_rows * (size_t)table->n_categories;
    for (int c = 0; c < table->n_categories; c++) {
        TRY(GROW(&table->overlaps, n_overlaps));
        table->overlaps[n_overlaps++] = score->overlap[c];
    }
    TRY(GROW(&table->rows, table->n_rows));
    struct audit_row *row = &table->rows[table->n_rows];
    *row = (struct audit_row){.name = memory_strdup(name),
                              .slice = slice,
                              .order = table->n_rows,
                              .score = score->score,
                              .first_score = score->score,
                              .worst_score = score->worst_score,
                              .worst_class = score->worst_class,
                              .n_pixels = score->n_pixels};
    TRY(CHECK_MEMORY(row->name));
    table->n_rows++;
    for (int c = 0; c < table->n_categories; c++) {
        struct audit_class *class = &table->classes[c];
        class->n_pixels += score->overlap[c].n_labelled;
        class->n_predicted += score->overlap[c].n_predicted;
        class->n_images += !isnan(score->of_class[c]);
    }
    audit_table_add_scores(table, score);
    return ADELE_OK;
}

void audit_table_add_scores(struct audit_table *table, const struct doubt_score *score) {
    for (int c = 0; c < table->n_categories; c++)
        if (!isnan(score->of_class[c]))
            table->classes[c].score_sum += llrint(score->of_class[c] * AUDIT_SCORE_UNITS);
}

static bool is_more_doubtful(const struct audit_region *a, const struct audit_region *b) {
    if (a->region.doubt != b->region.doubt)
        return a->region.doubt > b->region.doubt;
    return a->order < b->order;
}

static void swap(struct audit_region *a, struct audit_region *b) {
    struct audit_region other = *a;
    *a = *b;
    *b = other;
}

static void sift_up(struct audit_region *heap, int i) {
    while (i > 0 && is_more_doubtful(&heap[(i - 1) / 2], &heap[i])) {
        swap(&heap[(i - 1) / 2], &heap[i]);
        i = (i - 1) / 2;
    }
}

static void sift_down(struct audit_region *heap, int n, int i) {
    for (;;) {
        int least = i;
        for (int child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (is_more_doubtful(&heap[least], &heap[child]))
                least = child;
        if (least == i)
            return;
        swap(&heap[least], &heap[i]);
        i = least;
    }
}

void audit_table_keep_region(struct audit_table *table, const struct audit_region *region) {
    if (table->n_regions < table->max_regions) {
        table->regions[table->n_regions] = *region;
        sift_up(table->regions, table->n_regions++);
    } else if (table->n_regions > 0 && is_more_doubtful(region, &table->regions[0])) {
        table->regions[0] = *region;
        sift_down(table->regions, table->n_regions, 0);
    }
}

void audit_table_add_region(struct audit_table *table, const struct doubt_region *region) {
    struct audit_row *row = &table->rows[table->n_rows - 1];
    struct audit_region item = {.i_row = row->order, .order = table->n_found++, .region = *region};
    row->n_regions++;
    row->n_doubtful += region->n_pixels;
    table->classes[region->from].n_doubtful += region->n_pixels;
    table->pairs[region->from * table->n_categories + region->to] += region->n_pixels;
    audit_table_keep_region(table, &item);
}

double audit_table_class_score(const struct audit_table *table, int category) {
    const struct audit_class *class = &table->classes[category];
    return class->n_images > 0 ? (double)class->score_sum / AUDIT_SCORE_UNITS / class->n_images
                               : (double)NAN;
}

// ---- files --------------------------------------------------------------------------------------

static adele_status add_fixed(struct buffer *csv, double value) {
    TRY(buffer_text(csv, ","));
    return buffer_fixed(csv, value, 6);
}

static adele_status add_name(struct buffer *csv, const char *name) {
    TRY(buffer_text(csv, ","));
    return buffer_csv_field(csv, name);
}

bool audit_row_is_before(double score, int order, double other_score, int other_order) {
    return score != other_score ? score < other_score : order < other_order;
}

static int compare_rows(const void *left, const void *right) {
    const struct audit_row *a = left, *b = right;
    return audit_row_is_before(a->score, a->order, b->score, b->order) ? -1 : 1;
}

static int compare_first(const void *left, const void *right) {
    const struct audit_row *a = *(struct audit_row *const *)left,
                           *b = *(struct audit_row *const *)right;
    return audit_row_is_before(a->first_score, a->order, b->first_score, b->order) ? -1 : 1;
}

static int compare_last(const void *left, const void *right) {
    return compare_rows(*(struct audit_row *const *)left, *(struct audit_row *const *)right);
}

adele_status audit_table_number_pictures(struct audit_table *table, int n_pictures, int n_kept) {
    OWNED struct audit_row **rows = NULL;
    size_t n = (size_t)table->n_rows;
    if (n == 0)
        return ADELE_OK;
    TRY(ALLOCATE(&rows, n));
    for (size_t i = 0; i < n; i++)
        rows[i] = &table->rows[i];
    qsort(rows, n, sizeof(struct audit_row *), compare_first); // picture: 1 if it was kept
    for (int i = 0; i < table->n_rows; i++)
        rows[i]->picture = i < n_kept;
    qsort(rows, n, sizeof(struct audit_row *), compare_last);
    for (int i = 0; i < table->n_rows; i++)
        rows[i]->picture = i < n_pictures && rows[i]->picture ? i + 1 : 0;
    return ADELE_OK;
}

static adele_status add_row(struct buffer *csv, const struct audit_row *row, int rank,
                            char *const *names) {
    TRY(buffer_printf(csv, "%d", rank));
    TRY(add_name(csv, row->name));
    TRY(buffer_printf(csv, ",%d", row->slice));
    TRY(add_fixed(csv, row->score));
    TRY(add_name(csv, row->worst_class >= 0 ? names[row->worst_class] : ""));
    TRY(add_fixed(csv, row->worst_score));
    TRY(buffer_printf(csv, ",%" PRId64 ",%" PRId64, row->n_pixels, row->n_doubtful));
    TRY(add_fixed(csv, row->n_pixels > 0 ? (double)row->n_doubtful / (double)row->n_pixels : 0.0));
    TRY(buffer_printf(csv, ",%d,", row->n_regions));
    return row->picture > 0 ? buffer_printf(csv, "overlays/%04d\n", row->picture)
                            : buffer_text(csv, "\n");
}

static adele_status save_images(struct audit_table *table, char *const *names, const char *folder) {
    CLEANUP(buffer_deinit) struct buffer csv = {0};
    if (table->n_rows > 0)
        qsort(table->rows, (size_t)table->n_rows, sizeof *table->rows, compare_rows);
    TRY(buffer_text(&csv,
                    "rank,case,slice,score,worst_class,worst_class_score,pixels,doubtful_pixels,"
                    "doubtful_fraction,regions,overlay\n"));
    for (int i = 0; i < table->n_rows; i++)
        TRY(add_row(&csv, &table->rows[i], i + 1, names));
    return buffer_save(&csv, folder, "audit.csv");
}

static int compare_regions(const void *left, const void *right) {
    return is_more_doubtful(left, right) ? -1 : 1;
}

// The rows must be in the order in which they were added.
static adele_status save_regions(struct audit_table *table, char *const *names,
                                 const char *folder) {
    CLEANUP(buffer_deinit) struct buffer csv = {0};
    if (table->n_regions > 0)
        qsort(table->regions, (size_t)table->n_regions, sizeof *table->regions, compare_regions);
    TRY(buffer_text(&csv, "rank,case,slice,x,y,width,height,from,to,pixels,confidence,doubt\n"));
    for (int i = 0; i < table->n_regions; i++) {
        const struct doubt_region *region = &table->regions[i].region;
        const struct audit_row *row = &table->rows[table->regions[i].i_row];
        TRY(buffer_printf(&csv, "%d", i + 1));
        TRY(add_name(&csv, row->name));
        TRY(buffer_printf(&csv, ",%d,%d,%d,%d,%d", row->slice, region->x, region->y, region->width,
                          region->height));
        TRY(add_name(&csv, names[region->from]));
        TRY(add_name(&csv, names[region->to]));
        TRY(buffer_printf(&csv, ",%" PRId64, region->n_pixels));
        TRY(add_fixed(&csv, region->confidence));
        TRY(add_fixed(&csv, region->doubt));
        TRY(buffer_text(&csv, "\n"));
    }
    return buffer_save(&csv, folder, "regions.csv");
}

struct class_row {
    int category;
    double score; // NaN: in no image
};

static int compare_classes(const void *left, const void *right) {
    const struct class_row *a = left, *b = right;
    if (isnan(a->score) != isnan(b->score))
        return isnan(a->score) ? 1 : -1;
    if (!isnan(a->score) && a->score != b->score)
        return a->score < b->score ? -1 : 1;
    return a->category - b->category;
}

// The class that is predicted most often in the doubtful regions of class c; -1: none.
static int find_most_often(const struct audit_table *table, int c) {
    int found = -1;
    int64_t most = 0;
    for (int to = 0; to < table->n_categories; to++) {
        int64_t n = table->pairs[c * table->n_categories + to];
        if (n > most) {
            most = n;
            found = to;
        }
    }
    return found;
}

static adele_status add_class(struct buffer *csv, const struct audit_table *table,
                              const struct class_row *row, char *const *names) {
    const struct audit_class *class = &table->classes[row->category];
    int most_often = find_most_often(table, row->category);
    double fraction =
        class->n_pixels > 0 ? (double)class->n_doubtful / (double)class->n_pixels : 0.0;
    TRY(buffer_csv_field(csv, names[row->category]));
    TRY(isnan(row->score) ? buffer_text(csv, ",") : add_fixed(csv, row->score));
    TRY(buffer_printf(csv, ",%d,%" PRId64 ",%" PRId64, class->n_images, class->n_pixels,
                      class->n_doubtful));
    TRY(add_fixed(csv, fraction));
    TRY(add_name(csv, most_often >= 0 ? names[most_often] : ""));
    return buffer_text(csv, "\n");
}

static adele_status save_classes(const struct audit_table *table, char *const *names,
                                 const char *folder) {
    CLEANUP(buffer_deinit) struct buffer csv = {0};
    struct class_row rows[DOUBT_MAX_CATEGORIES] = {{0}};
    for (int c = 0; c < table->n_categories; c++)
        rows[c] = (struct class_row){c, audit_table_class_score(table, c)};
    qsort(rows, (size_t)table->n_categories, sizeof *rows, compare_classes);
    TRY(buffer_text(&csv,
                    "class,score,images,pixels,doubtful_pixels,doubtful_fraction,most_often\n"));
    for (int i = 0; i < table->n_categories; i++)
        TRY(add_class(&csv, table, &rows[i], names));
    return buffer_save(&csv, folder, "classes.csv");
}

adele_status audit_table_save(struct audit_table *table, char *const *names, const char *folder) {
    TRY(save_regions(table, names, folder));
    TRY(save_classes(table, names, folder));
    return save_images(table, names, folder);
}
