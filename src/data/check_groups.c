// SPDX-License-Identifier: MIT
#include "data/check_groups.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A problem, and its text without the parts that differ from file to file.
struct keyed {
    const struct check_problem *problem;
    int i;     // in the report
    int n;     // at the first of a group in the order of keys: the size of the group
    char *key; // owned
    const struct check_problem *next[CHECK_GROUP_NAMES - 1]; // of the group, at its first
};

// File names are at the beginning, up to ": ", and words with a '/'. Names of cases follow the word
// "case". Numbers are values, positions and sizes.
static char *key_of(const char *text) {
    const char *message = strstr(text, ": ");
    char *key = memory_strdup(message != NULL ? message : text);
    size_t to = 0;
    bool is_case = false; // the previous word is "case"
    for (size_t from = 0; key != NULL && key[from] != '\0';) {
        size_t n = strcspn(key + from, " ");
        bool is_name = is_case || memchr(key + from, '/', n) != NULL;
        is_case = n == 4 && strncmp(key + from, "case", n) == 0;
        for (size_t i = 0; i < n && !is_name; i++)
            if (!isdigit((unsigned char)key[from + i]))
                key[to++] = key[from + i];
        from += n;
        if (key[from] != '\0')
            key[to++] = key[from++];
    }
    if (key != NULL)
        key[to] = '\0';
    return key;
}

static int compare_keys(const void *left, const void *right) {
    const struct keyed *a = left, *b = right;
    if (a->problem->kind != b->problem->kind)
        return a->problem->kind < b->problem->kind ? -1 : 1;
    if (a->problem->is_error != b->problem->is_error)
        return a->problem->is_error ? -1 : 1;
    int order = strcmp(a->key, b->key);
    return order != 0 ? order : (a->i > b->i) - (a->i < b->i);
}

static int compare_places(const void *left, const void *right) {
    const struct keyed *a = left, *b = right;
    return (a->i > b->i) - (a->i < b->i);
}

static bool is_alike(const struct keyed *a, const struct keyed *b) {
    return a->problem->kind == b->problem->kind && a->problem->is_error == b->problem->is_error &&
           strcmp(a->key, b->key) == 0;
}

// n = 0: this one is part of an earlier group.
static void count_alike(struct keyed *items, int n) {
    qsort(items, (size_t)n, sizeof *items, compare_keys);
    for (int first = 0, next; first < n; first = next) {
        next = first + 1;
        while (next < n && is_alike(&items[first], &items[next]))
            next++;
        bool is_group = next - first >= CHECK_GROUP_MIN;
        for (int i = first; i < next; i++)
            items[i].n = is_group ? 0 : 1;
        if (!is_group)
            continue;
        items[first].n = next - first;
        for (int i = first + 1; i < next && i < first + CHECK_GROUP_NAMES; i++)
            items[first].next[i - first - 1] = items[i].problem;
    }
    qsort(items, (size_t)n, sizeof *items, compare_places);
}

adele_status check_groups_make(const struct check_report *report, struct check_group **out,
                               int *n_out) {
    int n = report->n_problems;
    *n_out = 0;
    *out = memory_calloc((size_t)n + 1, sizeof **out);
    struct keyed *items = memory_calloc((size_t)n + 1, sizeof *items);
    bool has_all = *out != NULL && items != NULL;
    for (int i = 0; has_all && i < n; i++) {
        items[i] = (struct keyed){
            .problem = &report->problems[i], .i = i, .key = key_of(report->problems[i].text)};
        has_all = items[i].key != NULL;
    }
    if (has_all) {
        count_alike(items, n);
        for (int i = 0; i < n; i++)
            if (items[i].n > 0) {
                struct check_group *group = &(*out)[(*n_out)++];
                *group = (struct check_group){.first = items[i].problem, .n = items[i].n};
                memcpy(group->next, items[i].next, sizeof group->next);
            }
    }
    for (int i = 0; items != NULL && i < n; i++)
        memory_free(items[i].key);
    memory_free(items);
    if (has_all)
        return ADELE_OK;
    memory_free(*out);
    *out = NULL;
    return CHECK_MEMORY(NULL);
}

// ---- one line for a group -----------------------------------------------------------------------

struct part {
    const char *text; // borrowed
    int n;            // bytes
};

// The path is the beginning of a file's message.
static struct part path_of(const char *text) {
    const char *end = strstr(text, ": ");
    return (struct part){text, end != NULL ? (int)(end - text) : 0};
}

static struct part file_name_of(const char *text) {
    struct part path = path_of(text);
    int n = 0;
    while (n < path.n && path.text[path.n - n - 1] != '/')
        n++;
    return (struct part){path.text + path.n - n, n};
}

// The name behind the word "case"; it may have spaces, so it ends where the sentence goes on.
static struct part case_name_of(const char *text) {
    static const char *const ends[] = {" of the ", " is in ", " occurs "};
    const char *name = text + path_of(text).n;
    name = strncmp(name, "case ", 5) == 0 ? name : strstr(name, " case ");
    if (name == NULL)
        return (struct part){0};
    name = strchr(name + 1, ' ') + 1;
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const char *end = strstr(name, ends[i]);
        n = end != NULL && (size_t)(end - name) < n ? (size_t)(end - name) : n;
    }
    return (struct part){name, (int)n};
}

static bool is_same(struct part a, struct part b) {
    return a.n == b.n && strncmp(a.text, b.text, (size_t)a.n) == 0;
}

// Problems of one path, as those of a data set's cases, are not problems of as many files.
static bool is_of_files(const struct check_group *group) {
    struct part path = path_of(group->first->text);
    return path.n > 0 && !is_same(path, path_of(group->next[0]->text));
}

static adele_status put_group(const struct check_group *group, struct buffer *out) {
    const char *first = group->first->text;
    bool has_files = is_of_files(group), has_cases = !has_files && case_name_of(first).n > 0;
    const char *what = has_files ? "files" : has_cases ? "cases" : "problems";
    TRY(buffer_printf(out, "%d %s (first: %s", group->n, what, first));
    if (!has_files && !has_cases)
        return buffer_text(out, ")");
    for (int i = 0; i < CHECK_GROUP_NAMES - 1 && group->next[i] != NULL; i++) {
        const char *text = group->next[i]->text;
        struct part name = has_files ? file_name_of(text) : case_name_of(text);
        TRY(buffer_printf(out, "%s%.*s", i == 0 ? "; also " : ", ", name.n, name.text));
    }
    return buffer_text(out, group->n > CHECK_GROUP_NAMES ? ", ...)" : ")");
}

void check_group_text(const struct check_group *group, char *out, size_t bytes) {
    CLEANUP(buffer_deinit) struct buffer line = {0};
    bool is_whole = group->n > 1 && put_group(group, &line) == ADELE_OK;
    (void)snprintf(out, bytes, "%s", is_whole ? (const char *)line.data : group->first->text);
}
