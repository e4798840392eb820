// SPDX-License-Identifier: MIT
// The key that a misspelt one most likely means.
#include "config/key_table.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define MAX_PATH 64 // longer texts are compared by their first bytes

// Keys of the entries of a list, which are not in the table.
#define INNER_GROUP "data.label_map."
static const char *const inner_keys[] = {INNER_GROUP "from", INNER_GROUP "to", INNER_GROUP "name"};

static int minimum(int a, int b) {
    return a < b ? a : b;
}

// Levenshtein's distance: insertions, deletions and replacements from a to b.
static int edit_distance(const char *a, const char *b) {
    int n_a = (int)strnlen(a, MAX_PATH);
    int n_b = (int)strnlen(b, MAX_PATH);
    int row[MAX_PATH + 1];
    for (int j = 0; j <= n_b; j++)
        row[j] = j;
    for (int i = 1; i <= n_a; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n_b; j++) {
            int replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = minimum(replaced, 1 + minimum(row[j], row[j - 1]));
        }
    }
    return row[n_b];
}

static const char *last_part(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot != NULL ? dot + 1 : path;
}

// A lower bound of the distance: the difference of the lengths.
static int least_distance(const char *a, const char *b) {
    int n_a = (int)strnlen(a, MAX_PATH), n_b = (int)strnlen(b, MAX_PATH);
    return n_a < n_b ? n_b - n_a : n_a - n_b;
}

// A right name in the wrong group has distance one: train.lr means train.optimizer.lr. A distance
// that is not below `limit` need not be exact.
static int distance(const char *path, const char *key, int limit) {
    const char *a = last_part(path), *b = last_part(key);
    int least = 1 + 2 * least_distance(a, b), whole = 2 * least_distance(path, key);
    if (least < limit)
        least = 1 + 2 * edit_distance(a, b);
    if (whole < limit && whole < least)
        whole = 2 * edit_distance(path, key);
    return minimum(whole, least);
}

static const char *nearest_inner(const char *path) {
    const char *best = inner_keys[0];
    for (size_t i = 1; i < sizeof inner_keys / sizeof inner_keys[0]; i++) {
        if (edit_distance(path, inner_keys[i]) < edit_distance(path, best))
            best = inner_keys[i];
    }
    return best;
}

const char *config_nearest(const char *path) {
    static _Thread_local char best[MAX_PATH];
    int best_distance = INT_MAX;
    char candidate[MAX_PATH];
    const char *previous = "";
    if (strncmp(path, INNER_GROUP, sizeof INNER_GROUP - 1) == 0)
        return nearest_inner(path);
    for (int i = 0; i < CONFIG_N_KEYS; i++) {
        const char *key = config_keys[i].path;
        // The key, and its groups that the key before it is not in.
        for (const char *c = key;; c++) {
            if (*c != '.' && *c != '\0')
                continue;
            size_t n = (size_t)(c - key);
            bool is_seen = *c == '.' && strncmp(previous, key, n + 1) == 0;
            (void)snprintf(candidate, sizeof candidate, "%.*s", (int)n, key);
            int d = is_seen ? INT_MAX : distance(path, candidate, best_distance);
            if (d < best_distance) {
                best_distance = d;
                memcpy(best, candidate, sizeof best);
            }
            if (*c == '\0')
                break;
        }
        previous = key;
    }
    return best;
}

bool config_is_known(const char *path, int *i_key) {
    size_t n = strlen(path);
    bool is_group = false;
    for (int i = 0; i < CONFIG_N_KEYS; i++) {
        const char *key = config_keys[i].path;
        if (strcmp(key, path) == 0) {
            *i_key = i;
            return true;
        }
        is_group = is_group || (n > 0 && strncmp(key, path, n) == 0 && key[n] == '.');
    }
    *i_key = -1;
    return is_group;
}
