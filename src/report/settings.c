// SPDX-License-Identifier: MIT
#include "report/settings.h"

#include "base/fail.h"
#include "base/memory.h"

#include <stdbool.h>
#include <string.h>

#define MAX_DEPTH 8
#define MAX_KEY   128
#define MADE_BY   "# made by "

void settings_deinit(struct settings *settings) {
    for (int i = 0; i < settings->n; i++) {
        memory_free(settings->items[i].key);
        memory_free(settings->items[i].value);
    }
    memory_free(settings->items);
    memory_free(settings->made_by);
    *settings = (struct settings){0};
}

const char *settings_find(const struct settings *settings, const char *key) {
    for (int i = 0; i < settings->n; i++)
        if (strcmp(settings->items[i].key, key) == 0)
            return settings->items[i].value;
    return NULL;
}

// The names of the levels above the current line, and of the line itself.
struct path {
    char names[MAX_DEPTH][MAX_KEY];
};

static char *join_path(const struct path *path, size_t depth) {
    const char *names[MAX_DEPTH];
    for (size_t i = 0; i <= depth; i++)
        names[i] = path->names[i];
    char *joined = memory_join_lines((int)depth + 1, names);
    for (char *c = joined; c != NULL && *c != '\0'; c++)
        *c = *c == '\n' ? '.' : *c;
    return joined;
}

static adele_status parse_line(const char *line, size_t n, struct path *path,
                               struct settings *out) {
    size_t n_blanks = strspn(line, " "), depth = n_blanks / 2;
    const char *colon = memchr(line, ':', n);
    size_t n_key = colon != NULL ? (size_t)(colon - line) - n_blanks : 0;
    if (colon == NULL || (size_t)(colon - line) < n_blanks || depth >= MAX_DEPTH || n_key == 0 ||
        n_key >= MAX_KEY || line[n_blanks] == '#' || line[n_blanks] == '-')
        return ADELE_OK;
    memcpy(path->names[depth], line + n_blanks, n_key);
    path->names[depth][n_key] = '\0';
    const char *value = colon + 1 + strspn(colon + 1, " ");
    size_t n_value = value < line + n ? (size_t)(line + n - value) : 0;
    TRY(GROW(&out->items, out->n));
    struct setting *setting = &out->items[out->n++];
    setting->key = join_path(path, depth);
    setting->value = memory_printf("%.*s", (int)n_value, value);
    TRY(CHECK_MEMORY(setting->key));
    return CHECK_MEMORY(setting->value);
}

adele_status settings_parse(const char *text, struct settings *out) {
    struct path path = {0};
    *out = (struct settings){0};
    size_t n_mark = strlen(MADE_BY);
    bool is_marked = text != NULL && strncmp(text, MADE_BY, n_mark) == 0;
    out->made_by = is_marked
                       ? memory_printf("%.*s", (int)strcspn(text + n_mark, "\n"), text + n_mark)
                       : memory_strdup("");
    TRY(CHECK_MEMORY(out->made_by));
    for (const char *line = text; line != NULL && *line != '\0';) {
        size_t n = strcspn(line, "\n");
        TRY(parse_line(line, n, &path, out));
        line += n + (line[n] == '\n');
    }
    return ADELE_OK;
}
