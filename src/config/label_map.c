// SPDX-License-Identifier: MIT
// data.label_map: values of label files to categories.
#include "config/key_table.h"

#include "base/fail.h"
#include "base/memory.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool parse_int(const char *text, int low, int high, int *out) {
    size_t n_sign = text[0] == '-';
    if (!isdigit((unsigned char)text[n_sign]))
        return false;
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (*end != '\0' || errno != 0 || value < low || value > high)
        return false;
    *out = (int)value;
    return true;
}

static bool has_name(const struct config_raw_map *entry) {
    return entry->name != NULL && entry->name[0] != '\0';
}

// When one class has a name, every class gets one, because reports list them all.
static adele_status store_names(int n_entries, const struct config_raw_map *entries, const int *to,
                                struct config *config) {
    int last = 0;
    bool is_any_named = false;
    for (int i = 0; i < n_entries; i++) {
        is_any_named = is_any_named || (has_name(&entries[i]) && to[i] < ADELE_IGNORE);
        if (to[i] < ADELE_IGNORE && to[i] > last)
            last = to[i];
    }
    if (!is_any_named)
        return ADELE_OK;
    TRY(ALLOCATE(&config->data.map_names, (size_t)last + 1));
    config->data.n_map_names = last + 1;
    for (int c = 0; c <= last; c++) {
        char *name = NULL;
        for (int i = 0; i < n_entries && name == NULL; i++) {
            if (to[i] == c && has_name(&entries[i]))
                name = memory_strdup(entries[i].name);
        }
        if (name == NULL)
            name = c == 0 ? memory_strdup("background") : memory_printf("category_%d", c);
        TRY(CHECK_MEMORY(name));
        config->data.map_names[c] = name;
    }
    return ADELE_OK;
}

static int compare_ints(const void *a, const void *b) {
    const int *x = a;
    const int *y = b;
    return (*x > *y) - (*x < *y);
}

// A value that is listed twice would silently be mapped by the first entry.
static adele_status check_unique(const char *name, int n, const int *from) {
    OWNED int *sorted = NULL;
    TRY(ALLOCATE(&sorted, n));
    if (n > 0)
        memcpy(sorted, from, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, compare_ints);
    for (int i = 1; i < n; i++) {
        if (sorted[i] == sorted[i - 1])
            return FAIL(ADELE_CONFIG, "Name each value once.",
                        "%s: data.label_map has the value %d twice", name, sorted[i]);
    }
    return ADELE_OK;
}

static adele_status store_pairs(const char *name, int n_entries,
                                const struct config_raw_map *entries, int *to,
                                struct config *config) {
    int n = 0;
    bool is_used[256] = {false};
    for (int i = 0; i < n_entries; i++) {
        if (!parse_int(entries[i].to, 0, 255, &to[i]))
            return FAIL(ADELE_CONFIG, "Write a class from 0 to 254, or 255 for ignored pixels.",
                        "%s: data.label_map: to is \"%s\"; allowed: 0 to 255", name, entries[i].to);
        // One entry a category, so that a written map reads back in the same order.
        if (is_used[to[i]])
            return FAIL(ADELE_CONFIG, "Put all its values into one entry's from.",
                        "%s: data.label_map has class %d twice", name, to[i]);
        is_used[to[i]] = true;
        for (unsigned k = 0; k < entries[i].n_from; k++) {
            if (!parse_int(entries[i].from[k], INT_MIN, INT_MAX, &config->data.map_from[n]))
                return FAIL(ADELE_CONFIG, "Write the whole numbers that the label files hold.",
                            "%s: data.label_map: from has \"%s\"; allowed: whole numbers", name,
                            entries[i].from[k]);
            config->data.map_to[n++] = (uint8_t)to[i];
        }
    }
    return check_unique(name, n, config->data.map_from);
}

adele_status config_map_store(const char *name, const struct config_slot *slot,
                              struct config *config) {
    const struct config_raw_map *entries = slot->items;
    int n_entries = (int)slot->n_items;
    if (n_entries == 0)
        return ADELE_OK;
    size_t n_pairs = 0;
    for (int i = 0; i < n_entries; i++)
        n_pairs += entries[i].n_from;
    if (n_pairs > INT_MAX / 8)
        return FAIL(ADELE_CONFIG, "", "%s: data.label_map has %zu values", name, n_pairs);
    OWNED int *to = NULL;
    TRY(ALLOCATE(&config->data.map_from, n_pairs));
    TRY(ALLOCATE(&config->data.map_to, n_pairs));
    TRY(ALLOCATE(&to, n_entries));
    config->data.n_label_map = (int)n_pairs;
    TRY(store_pairs(name, n_entries, entries, to, config));
    return store_names(n_entries, entries, to, config);
}
