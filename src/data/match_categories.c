// SPDX-License-Identifier: MIT
// Matches the categories of a data set with those of a model by name, because two data sets may
// number the same categories differently.
#include "data/dataset.h"

#include "base/fail.h"
#include "data/label_lookup.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

// Whether names are equal except for letter case, spaces and underscores: "_background_" is
// labelme's background.
static bool is_same_name(const char *a, const char *b) {
    for (;; a++, b++) {
        while (*a == '_' || *a == ' ')
            a++;
        while (*b == '_' || *b == ' ')
            b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (*a == '\0')
            return true;
    }
}

static int find_name(int n, char *const *names, const char *name) {
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    for (int i = 0; i < n; i++)
        if (is_same_name(names[i], name))
            return i;
    return -1;
}

static void join_names(int n, char *const *names, char out[512]) {
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < n && used < 480; i++)
        used += (size_t)snprintf(out + used, 512 - used, "%s%.64s", i > 0 ? ", " : "", names[i]);
    if (used >= 480)
        memcpy(out + 480, "...", 4);
}

static adele_status fail_names(const struct dataset *dataset, int n, char *const *names) {
    char own[512], of_model[512];
    join_names(dataset->n_categories, dataset->category_names, own);
    join_names(n, names, of_model);
    return FAIL(ADELE_DATA,
                "Give the classes of both one set of names (the order does not count), in the "
                "data set's list of names or by data.label_map.",
                "%s has %d classes, the model has %d%s: %s; the model's: %s", dataset->root,
                dataset->n_categories, n, dataset->n_categories == n ? ", of other names" : "", own,
                of_model);
}

// A label_map maps values, and its names replace those of the data set, so that values with another
// meaning here would go unnoticed.
static adele_status check_map(const struct dataset *dataset) {
    const struct label_map *map = &dataset->map;
    for (int i = 0; i < map->n; i++) {
        int value = map->from[i], category = map->to[i];
        if (value < 0 || value >= dataset->own_names.n || category >= dataset->n_categories)
            continue;
        const char *mapped = dataset->category_names[category];
        int named = find_name(dataset->own_names.n, dataset->own_names.names, mapped), n_values = 0;
        for (int k = 0; k < map->n; k++)
            n_values += map->to[k] == category;
        if (n_values == 1 && named >= 0 && named != value)
            return FAIL(ADELE_DATA,
                        "Evaluate with a label_map for this data set's values, or give both sets "
                        "the same values.",
                        "%s: data.label_map makes the value %d \"%s\", but here it is \"%s\", and "
                        "\"%s\" is %d",
                        dataset->root, value, mapped, dataset->own_names.names[value], mapped,
                        named);
    }
    return ADELE_OK;
}

adele_status dataset_match_categories(struct dataset *dataset, int n, char *const *names) {
    int place[256];
    bool is_taken[256] = {false}, is_same = true;
    if (dataset->n_categories != n || n > LABEL_MAX_CATEGORIES)
        return fail_names(dataset, n, names);
    for (int c = 0; c < n; c++) {
        place[c] = find_name(n, names, dataset->category_names[c]);
        if (place[c] < 0 || is_taken[place[c]])
            return fail_names(dataset, n, names);
        is_taken[place[c]] = true;
        is_same = is_same && place[c] == c;
    }
    TRY(check_map(dataset));
    if (is_same)
        return ADELE_OK;
    struct label_lookup *lookup = dataset->lookup;
    int32_t values[256];
    for (int value = 0; value <= LABEL_MAX_VALUE; value++)
        if (lookup->category[value] >= 0 && lookup->category[value] < n)
            lookup->category[value] = (int16_t)place[lookup->category[value]];
    for (int i = 0; i < lookup->n_others; i++)
        if (lookup->others[i].category >= 0 && lookup->others[i].category < n)
            lookup->others[i].category = (int16_t)place[lookup->others[i].category];
    if (lookup->unnamed >= 0 && lookup->unnamed < n)
        lookup->unnamed = (int16_t)place[lookup->unnamed];
    memcpy(values, lookup->value, sizeof values);
    for (int c = 0; c < n; c++)
        lookup->value[place[c]] = values[c];
    return label_names_set(dataset, n, (const char *const *)names);
}
