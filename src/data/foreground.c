// SPDX-License-Identifier: MIT
#include "data/foreground.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/label_lookup.h"
#include "data/label_values.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// With more categories than this, a hint does not list them.
#define MAX_HINT_CATEGORIES 8

void foreground_count(struct foreground_counts *counts, const char *path, bool has_foreground,
                      bool has_ignored) {
    counts->n++;
    counts->n_both += has_foreground && has_ignored;
    if (has_foreground)
        return;
    if (counts->n_empty++ == 0)
        counts->first_empty = path;
    if (has_ignored && counts->n_empty_ignored++ == 0)
        counts->first_empty_ignored = path;
}

// ---- the hint -----------------------------------------------------------------------------------

struct hint {
    char *text;
    size_t used;
    bool is_lines;
};

__attribute__((format(printf, 2, 3))) static void hint_add(struct hint *hint, const char *format,
                                                           ...) {
    va_list arguments;
    va_start(arguments, format);
    int n =
        vsnprintf(hint->text + hint->used, FOREGROUND_TEXT_BYTES - hint->used, format, arguments);
    va_end(arguments);
    if (n > 0)
        hint->used += (size_t)n;
    if (hint->used >= FOREGROUND_TEXT_BYTES)
        hint->used = FOREGROUND_TEXT_BYTES - 1;
}

// Plain words as they are, other names in quotes as in YAML.
static void hint_add_name(struct hint *hint, const char *name) {
    bool is_plain = isalpha((unsigned char)name[0]) || name[0] == '_';
    for (const char *c = name; *c != '\0'; c++)
        is_plain = is_plain && (isalnum((unsigned char)*c) || *c == '_' || *c == '-');
    if (is_plain) {
        hint_add(hint, "%s", name);
        return;
    }
    hint_add(hint, "\"");
    for (const char *c = name; *c != '\0'; c++)
        hint_add(hint, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
    hint_add(hint, "\"");
}

// data.label_map with 255 as category 1. `is_all`: no label map uses another value for category 1.
static void hint_add_map(struct hint *hint, const struct dataset *dataset, bool is_all) {
    hint_add(hint, hint->is_lines ? "\n    data:\n      label_map:" : " data.label_map: [");
    for (int c = 0; c < dataset->n_categories; c++) {
        hint_add(hint, hint->is_lines ? "\n        - " : c > 0 ? ", " : "");
        if (c == 1 && is_all)
            hint_add(hint, "{from: 255, to: 1, name: ");
        else if (c == 1)
            hint_add(hint, "{from: [1, 255], to: 1, name: ");
        else
            hint_add(hint, "{from: %d, to: %d, name: ", c, c);
        hint_add_name(hint, dataset->category_names[c]);
        hint_add(hint, "}");
    }
    hint_add(hint, hint->is_lines ? "" : "]");
}

static void write_hint(const struct dataset *dataset, bool is_all, bool is_lines, char *out) {
    struct hint hint = {.text = out, .is_lines = is_lines};
    const char *name = dataset->category_names[1];
    if (dataset->n_categories > MAX_HINT_CATEGORIES) {
        hint_add(&hint, "If 255 is a class here, name it in data.label_map.");
        return;
    }
    hint_add(&hint, "If 255 is \"%s\" here, write in the configuration:", name);
    hint_add_map(&hint, dataset, is_all);
    if (!is_all)
        hint_add(&hint,
                 "%sIf it is to be ignored, say so with the entry {from: 255, to: 255} and one "
                 "entry for each class.",
                 is_lines ? "\n    " : " ");
}

// ---- findings ----------------------------------------------------------------------------------

// Whether the user has defined 255: in a label_map, or as nnU-Net's "ignore".
static bool has_meaning_of_255(const struct dataset *dataset) {
    for (int i = 0; i < dataset->map.n; i++)
        if (dataset->map.from[i] == LABEL_IGNORE)
            return true;
    return dataset->has_ignore_label;
}

// The text is set already; the hint is about 255 when that is the reason.
static void fill_hints(const struct dataset *dataset, bool is_255, const char *other,
                       struct foreground_finding *out) {
    if (is_255) {
        write_hint(dataset, true, true, out->hint);
        write_hint(dataset, true, false, out->hint_line);
        return;
    }
    (void)snprintf(out->hint, sizeof out->hint, "%s", other);
    (void)snprintf(out->hint_line, sizeof out->hint_line, "%s", other);
}

static void describe_all_empty(const struct dataset *dataset, const char *split,
                               const struct foreground_counts *counts,
                               struct foreground_finding *out) {
    bool is_255 = counts->n_empty_ignored > 0 && !has_meaning_of_255(dataset);
    out->is_error = true;
    const char *first = is_255 ? counts->first_empty_ignored : counts->first_empty;
    if (dataset->is_volume)
        (void)snprintf(out->text, sizeof out->text, "%s: no slice of the %s split has foreground%s",
                       first, split, is_255 ? ", but 255, which means \"ignored\" here" : "");
    else
        (void)snprintf(out->text, sizeof out->text, "%s: %d of %d masks of the %s split %s", first,
                       counts->n_empty, counts->n, split,
                       is_255 ? "contain only background and 255, which means \"ignored\" here"
                              : "contain only background");
    fill_hints(dataset, is_255, "Check the masks, the names of the classes and data.label_map.",
               out);
}

void foreground_check_volume(const struct dataset *dataset, const char *path, bool has_ignored,
                             struct foreground_finding *out) {
    bool is_255 = has_ignored && !has_meaning_of_255(dataset);
    *out = (struct foreground_finding){.is_problem = true, .is_error = true};
    (void)snprintf(out->text, sizeof out->text, "%s: no slice has foreground%s", path,
                   is_255 ? ", but 255, which means \"ignored\" here" : "");
    fill_hints(dataset, is_255, "Take the case out of the split, or add its labels.", out);
}

static void describe_unnamed_255(const struct dataset *dataset, const char *split,
                                 const struct foreground_counts *counts,
                                 struct foreground_finding *out) {
    out->is_error = dataset->n_categories == 2;
    (void)snprintf(out->text, sizeof out->text,
                   "%s: contains only 0 and 255, as %d of %d masks of the %s split do; 255 "
                   "means \"ignored\" here, and no other of them contains it",
                   counts->first_empty_ignored, counts->n_empty_ignored, counts->n, split);
    write_hint(dataset, false, true, out->hint);
    write_hint(dataset, false, false, out->hint_line);
}

void foreground_check(const struct dataset *dataset, enum dataset_split split,
                      const struct foreground_counts *counts, struct foreground_finding *out) {
    const char *name = dataset_split_name(split);
    memset(out, 0, sizeof *out);
    out->is_problem = counts->n_empty > 0;
    if (!out->is_problem)
        return;
    if (counts->n_empty == counts->n) {
        describe_all_empty(dataset, name, counts, out);
        return;
    }
    // Slices without labels are usual in volumes.
    if (counts->n_empty_ignored > 0 && counts->n_both == 0 && !dataset->is_volume &&
        !has_meaning_of_255(dataset)) {
        describe_unnamed_255(dataset, name, counts, out);
        return;
    }
    (void)snprintf(out->text, sizeof out->text,
                   "%s: contains only background, as %d of %d masks of the %s split do",
                   counts->first_empty, counts->n_empty, counts->n, name);
    fill_hints(dataset, false, "Images with only background are fine if they are intended.", out);
}

adele_status foreground_scan(const struct dataset *dataset, const char *path,
                             const struct case_labels *labels, bool *has_foreground,
                             bool *has_ignored) {
    size_t n = (size_t)labels->height * (size_t)labels->width;
    OWNED uint8_t *map = NULL;
    TRY(ALLOCATE(&map, n));
    for (int slice = 0; slice < labels->n_slices; slice++) {
        TRY(case_labels_map(dataset, path, labels, slice, map));
        *has_ignored = *has_ignored || memchr(map, LABEL_IGNORE, n) != NULL;
        *has_foreground = *has_foreground || case_labels_has_foreground(dataset, labels, slice);
    }
    return ADELE_OK;
}

adele_status foreground_explain(const struct dataset *dataset, enum dataset_split split) {
    struct foreground_counts counts = {0};
    struct foreground_finding finding;
    for (int i = 0; i < dataset->n_cases[split]; i++) {
        const char *path = dataset_label_source(&dataset->cases[split][i], split);
        CLEANUP(case_labels_deinit) struct case_labels labels = {0};
        if (path == NULL)
            continue;
        TRY(case_labels_load(dataset, path, &labels));
        bool has_foreground = false, has_ignored = false;
        TRY(foreground_scan(dataset, path, &labels, &has_foreground, &has_ignored));
        foreground_count(&counts, path, has_foreground, has_ignored);
    }
    foreground_check(dataset, split, &counts, &finding);
    return FAIL(ADELE_DATA, finding.hint_line, "%s",
                finding.is_error ? finding.text : "no mask has foreground");
}

adele_status foreground_require(const struct dataset *dataset, enum dataset_split split,
                                const struct dataset_images *images) {
    struct foreground_counts counts = {0};
    struct foreground_finding finding;
    size_t plane = (size_t)images->h * (size_t)images->w;
    for (int i = 0; images->labels != NULL && i < images->n; i++) {
        const struct dataset_case *item = &dataset->cases[split][images->origin[i].i_case];
        const char *path = dataset_label_source(item, split);
        const uint8_t *map = images->labels + (size_t)i * plane;
        bool has_foreground = false, has_ignored = false;
        for (size_t k = 0; k < plane; k++) {
            has_ignored = has_ignored || map[k] == LABEL_IGNORE;
            has_foreground = has_foreground || (map[k] != 0 && map[k] != LABEL_IGNORE);
        }
        if (path != NULL)
            foreground_count(&counts, path, has_foreground, has_ignored);
    }
    foreground_check(dataset, split, &counts, &finding);
    if (finding.is_error)
        return FAIL(ADELE_DATA, finding.hint_line, "%s", finding.text);
    // Some images with only background are usual; only `adele check` reports them.
    if (finding.is_problem && counts.n_empty_ignored > 0 && counts.n_both == 0 &&
        !dataset->is_volume)
        log_line(LOG_WARNING, "%s", finding.text);
    return ADELE_OK;
}
