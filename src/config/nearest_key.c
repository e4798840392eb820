// SPDX-License-Identifier: MIT
// The key that a misspelt one most likely means.
#include "config/key_table.h"

#include "base/edit_distance.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define MAX_PATH EDIT_DISTANCE_MAX

// Keys of the entries of a list, which are not in the table.
#define INNER_GROUP "data.label_map."
static const char *const inner_keys[] = {INNER_GROUP "from", INNER_GROUP "to", INNER_GROUP "name"};

static const char *last_part(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot != NULL ? dot + 1 : path;
}

// A right name in the wrong group has distance one: train.lr means train.optimizer.lr. A distance
// that is not below `limit` need not be exact.
static int distance(const char *path, const char *key, int limit) {
    const char *a = last_part(path), *b = last_part(key);
    int least = 1 + 2 * edit_distance_least(a, b), whole = 2 * edit_distance_least(path, key);
    if (least < limit)
        least = 1 + 2 * edit_distance(a, b, EDIT_SWAP_TWO);
    if (whole < limit && whole < least)
        whole = 2 * edit_distance(path, key, EDIT_SWAP_TWO);
    return whole < least ? whole : least;
}

static const char *nearest_inner(const char *path) {
    const char *best = inner_keys[0];
    for (size_t i = 1; i < sizeof inner_keys / sizeof inner_keys[0]; i++) {
        if (edit_distance(path, inner_keys[i], EDIT_SWAP_TWO) <
            edit_distance(path, best, EDIT_SWAP_TWO))
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
