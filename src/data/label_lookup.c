// SPDX-License-Identifier: MIT
// The tables between values of label files and categories.
#include "data/label_lookup.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/name_list.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// Names are written into tables and metrics, and to terminals.
static adele_status check_name(const struct dataset *dataset, int i, const char *name) {
    for (const char *c = name; *c != '\0'; c++)
        if (iscntrl((unsigned char)*c))
            return FAIL(ADELE_DATA, "Name the class in plain text.",
                        "%s: the name of class %d, \"%.64s\", contains a control character "
                        "(byte %zu is 0x%02x)",
                        dataset->root, i, name, (size_t)(c - name), (unsigned)(unsigned char)*c);
    return ADELE_OK;
}

adele_status label_names_set(struct dataset *dataset, int n, const char *const *names) {
    CLEANUP(file_list_deinit) struct file_list copies = {0};
    for (int i = 0; i < n; i++)
        TRY(check_name(dataset, i, names[i]));
    for (int i = 0; i < n; i++)
        TRY(file_list_add(&copies, names[i], strlen(names[i])));
    const struct file_list old = {dataset->category_names,
                                  dataset->category_names != NULL ? dataset->n_categories : 0};
    dataset->category_names = copies.names;
    dataset->n_categories = n;
    copies = old;
    return ADELE_OK;
}

// Lists of labelme begin with "__ignore__", the name of value -1, which is 255 in its label maps.
static adele_status set_lines(struct dataset *dataset, const char *path,
                              const struct file_list *lines) {
    int first = strcmp(lines->names[0], "__ignore__") == 0;
    for (int i = 0; i < lines->n; i++) {
        if (i > 0 && strcmp(lines->names[i], "__ignore__") == 0)
            return FAIL(ADELE_DATA,
                        "Put __ignore__ first (value -1, 255 in masks), or take it out; "
                        "data.label_map can map a value to 255.",
                        "%s: line %d is __ignore__, which labelme writes first", path, i + 1);
        if (i > first && dataset->map.n == 0 &&
            (strcasecmp(lines->names[i], "background") == 0 ||
             strcasecmp(lines->names[i], "_background_") == 0))
            return FAIL(ADELE_DATA,
                        "Put the background first if its value is 0; else exchange the values by "
                        "data.label_map: [{from: VALUE, to: 0, name: background}, ...].",
                        "%s: line %d names value %d \"%s\"; the background is value 0, which "
                        "scores and correction leave out",
                        path, i + 1, i - first, lines->names[i]);
    }
    return label_names_set(dataset, lines->n - first, (const char *const *)lines->names + first);
}

adele_status label_names_read(struct dataset *dataset, const char *path) {
    CLEANUP(file_list_deinit) struct file_list lines = {0};
    TRY(name_list_read(path, &lines));
    if (lines.n == 0 || lines.n > LABEL_MAX_CATEGORIES)
        return FAIL(ADELE_DATA, "Write one name a line; the first line names value 0.",
                    "%s: %d class names; between 1 and %d are needed", path, lines.n,
                    LABEL_MAX_CATEGORIES);
    TRY(set_lines(dataset, path, &lines));
    if (dataset->n_categories < 2 && dataset->map.n == 0)
        return FAIL(ADELE_DATA, "Name the background and at least one other class, one a line.",
                    "%s: %d class%s; at least 2 are needed", path, dataset->n_categories,
                    dataset->n_categories == 1 ? "" : "es");
    return ADELE_OK;
}

// ---- label_map ----------------------------------------------------------------------------------

// Refuses a value that the map assigns to two categories. `named` has (LABEL_MAX_VALUE + 1)
// entries: 0, or 1 + the category of a value that the map names. A table, because a map may name
// thousands of values.
static adele_status check_pair(const struct label_map *map, int i, uint16_t *named) {
    int value = map->from[i], before = -1;
    if (value >= 0 && value <= LABEL_MAX_VALUE) {
        before = (int)named[value] - 1;
        named[value] = (uint16_t)(map->to[i] + 1);
    } else {
        for (int k = 0; k < i && before < 0; k++)
            before = map->from[k] == value ? map->to[k] : -1;
    }
    if (before >= 0 && before != map->to[i])
        return FAIL(ADELE_CONFIG, "Name each value once.",
                    "data.label_map: value %d goes to both %d and %d", value, before, map->to[i]);
    return ADELE_OK;
}

static adele_status check_map(const struct label_map *map, uint16_t *named, int *n_categories) {
    int highest = map->other != LABEL_IGNORE ? map->other : -1;
    if (map->other < -1 || map->other > 255)
        return FAIL(ADELE_CONFIG, "Use -1 (an error), a class, or 255 (ignored).",
                    "data.label_map_other: %d is not in -1..255", map->other);
    for (int i = 0; i < map->n; i++) {
        if (map->from[i] <= -LABEL_LARGEST || map->from[i] >= LABEL_LARGEST)
            return FAIL(ADELE_CONFIG, "Renumber the labels.",
                        "data.label_map: value %d is not in %d..%d", map->from[i],
                        1 - LABEL_LARGEST, LABEL_LARGEST - 1);
        if (map->to[i] != LABEL_IGNORE && map->to[i] > highest)
            highest = map->to[i];
        TRY(check_pair(map, i, named));
    }
    if (map->n_names > 0 && map->n_names <= highest)
        return FAIL(ADELE_CONFIG, "Name every class, the background first.",
                    "data.label_map: %d names for classes 0..%d", map->n_names, highest);
    *n_categories = map->n_names > 0 ? map->n_names : highest + 1;
    return ADELE_OK;
}

// The one file value that becomes category c, or -1 when there are several or none.
static int only_value(const struct label_map *map, int c) {
    int value = -1;
    for (int i = 0; i < map->n; i++) {
        if (map->to[i] != c)
            continue;
        if (value >= 0)
            return -1;
        value = map->from[i];
    }
    return value;
}

static adele_status name_mapped(struct dataset *dataset, int n) {
    const struct label_map *map = &dataset->map;
    if (map->n_names > 0)
        return label_names_set(dataset, map->n_names, map->names);
    CLEANUP(file_list_deinit) struct file_list names = {0};
    for (int c = 0; c < n; c++) {
        char numbered[32];
        (void)snprintf(numbered, sizeof numbered, "category_%d", c);
        int value = only_value(map, c);
        const char *name = c == 0 ? "background" : numbered;
        if (value >= 0 && value < dataset->n_categories && c != map->other)
            name = dataset->category_names[value];
        TRY(file_list_add(&names, name, strlen(name)));
    }
    return label_names_set(dataset, n, (const char *const *)names.names);
}

// The lowest value that the map does not name; pixels with such values are read as `other`. -1: all
// values are named.
static int first_unnamed(const uint16_t *named) {
    for (int value = 0; value <= LABEL_MAX_VALUE; value++)
        if (value != LABEL_IGNORE && named[value] == 0)
            return value;
    return -1;
}

static void fill_values(struct label_lookup *lookup, const struct dataset *dataset,
                        const uint16_t *named) {
    const struct label_map *map = &dataset->map;
    for (int c = 0; c < 256; c++)
        lookup->value[c] = c;
    lookup->value[LABEL_IGNORE] = dataset->ignore_value;
    if (map->n == 0)
        return;
    int unnamed = first_unnamed(named);
    if (map->other >= 0 && map->other != LABEL_IGNORE && unnamed >= 0)
        lookup->value[map->other] = unnamed;
    for (int i = map->n - 1; i >= 0; i--)
        lookup->value[map->to[i]] = map->from[i];
    // Where the value for ignored pixels is that of a class, another one may be read as ignored.
    if (lookup->value[LABEL_IGNORE] == dataset->ignore_value && named[dataset->ignore_value] != 0 &&
        lookup->category[dataset->ignore_value] != LABEL_IGNORE)
        lookup->value[LABEL_IGNORE] =
            map->other == LABEL_IGNORE && unnamed >= 0 ? unnamed : LABEL_NOT_A_VALUE;
}

static int compare_pairs(const void *left, const void *right) {
    const struct label_pair *a = left, *b = right;
    return (a->value > b->value) - (a->value < b->value);
}

int label_lookup_other(const struct label_lookup *lookup, int32_t value) {
    struct label_pair key = {.value = value};
    if (value == LABEL_NOT_A_VALUE)
        return -1;
    const struct label_pair *found = lookup->n_others > 0
                                         ? bsearch(&key, lookup->others, (size_t)lookup->n_others,
                                                   sizeof *lookup->others, compare_pairs)
                                         : NULL;
    return found != NULL ? found->category : lookup->unnamed;
}

void label_lookup_destroy(struct label_lookup *lookup) {
    if (lookup != NULL)
        memory_free(lookup->others);
    memory_free(lookup);
}

// Fills the table by doubling, because a loop over single values is slow and data sets are opened
// often.
static void set_all(int16_t category[LABEL_MAX_VALUE + 1], int16_t to) {
    _Static_assert(((LABEL_MAX_VALUE + 1) & LABEL_MAX_VALUE) == 0, "a power of two");
    category[0] = to;
    for (size_t done = 1; done <= LABEL_MAX_VALUE; done *= 2)
        memcpy(category + done, category, done * sizeof *category);
}

// Fills the tables of the data set; `named` comes from check_map.
static adele_status fill_lookup(struct dataset *dataset, int n, const uint16_t *named) {
    const struct label_map *map = &dataset->map;
    struct label_lookup *lookup = NULL;
    TRY(ALLOCATE(&lookup, 1));
    dataset->lookup = lookup;
    set_all(lookup->category, (int16_t)(map->n > 0 ? map->other : -1));
    for (int value = 0; value < n && map->n == 0; value++)
        lookup->category[value] = (int16_t)value;
    lookup->category[LABEL_IGNORE] = LABEL_IGNORE;
    lookup->category[dataset->ignore_value] = LABEL_IGNORE;
    lookup->unnamed = (int16_t)(map->n > 0 ? map->other : -1);
    TRY(ALLOCATE(&lookup->others, (size_t)map->n + 1));
    for (int i = 0; i < map->n; i++) {
        if (map->from[i] >= 0 && map->from[i] <= LABEL_MAX_VALUE)
            lookup->category[map->from[i]] = map->to[i];
        else
            lookup->others[lookup->n_others++] = (struct label_pair){map->from[i], map->to[i]};
    }
    qsort(lookup->others, (size_t)lookup->n_others, sizeof *lookup->others, compare_pairs);
    fill_values(lookup, dataset, named);
    if (map->n == 0)
        return ADELE_OK;
    for (int i = 0; i < dataset->n_categories; i++)
        TRY(file_list_add(&dataset->own_names, dataset->category_names[i],
                          strlen(dataset->category_names[i])));
    return name_mapped(dataset, n);
}

adele_status label_lookup_build(struct dataset *dataset) {
    const struct label_map *map = &dataset->map;
    if (dataset->n_categories > LABEL_MAX_CATEGORIES && map->n == 0)
        return FAIL(ADELE_DATA, "Merge classes with data.label_map.",
                    "%s: %d classes; at most %d can be told apart", dataset->root,
                    dataset->n_categories, LABEL_MAX_CATEGORIES);
    int n = dataset->n_categories;
    uint16_t *named = NULL;
    if (map->n > 0)
        TRY(ALLOCATE(&named, LABEL_MAX_VALUE + 1));
    adele_status status = map->n > 0 ? check_map(map, named, &n) : ADELE_OK;
    if (status == ADELE_OK)
        status = fill_lookup(dataset, n, named);
    memory_free(named);
    TRY(status);
    if (dataset->n_categories < 2)
        return FAIL(ADELE_DATA, "Name the background and at least one other class.",
                    "%s: %d class%s; at least 2 are needed", dataset->root, dataset->n_categories,
                    dataset->n_categories == 1 ? "" : "es");
    return ADELE_OK;
}
