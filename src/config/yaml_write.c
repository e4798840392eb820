// SPDX-License-Identifier: MIT
// A configuration as YAML, and the page of all keys.
#include "config/key_table.h"

#include "base/fail.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A text that grows. After a failed allocation it stays as it is, and the end says so.
struct text {
    char *bytes;
    size_t used;
    size_t capacity;
    bool has_failed;
};

static void put_bytes(struct text *text, const char *bytes, size_t n) {
    if (text->has_failed)
        return;
    if (n + 1 > text->capacity - text->used) {
        size_t larger = text->capacity * 2 + n + 1024;
        char *grown = memory_realloc(text->bytes, larger, 1);
        if (grown == NULL) {
            text->has_failed = true;
            return;
        }
        text->bytes = grown;
        text->capacity = larger;
    }
    memcpy(text->bytes + text->used, bytes, n);
    text->used += n;
    text->bytes[text->used] = '\0';
}

static void put(struct text *text, const char *format, ...) ADELE_PRINTF(2, 3);

static void put(struct text *text, const char *format, ...) {
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= sizeof line)
        text->has_failed = true;
    else
        put_bytes(text, line, (size_t)n);
}

static adele_status finish(struct text *text, char **out) {
    if (!text->has_failed) {
        *out = text->bytes;
        return ADELE_OK;
    }
    *out = NULL;
    memory_free(text->bytes);
    return FAIL_NO_MEMORY(text->capacity);
}

// ---- values -------------------------------------------------------------------------------------

// The shortest decimal that reads back as the same number.
static void put_real(struct text *text, double value) {
    char digits[32];
    for (int precision = 1; precision <= 17; precision++) {
        (void)snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    put(text, "%s", digits);
}

// Always in quotes: a name such as "no", "1e3" or "a: b" would otherwise be something else.
static void put_quoted(struct text *text, const char *value) {
    put_bytes(text, "\"", 1);
    for (const char *c = value; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte == '"' || byte == '\\')
            put(text, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            put(text, "\\x%02x", byte);
        else
            put_bytes(text, c, 1);
    }
    put_bytes(text, "\"", 1);
}

static void put_reals(struct text *text, int n, const double *values) {
    put(text, "[");
    for (int i = 0; i < n; i++) {
        if (i > 0)
            put(text, ", ");
        put_real(text, values[i]);
    }
    put(text, "]");
}

static void put_label_map(struct text *text, const struct config *config, int indent) {
    int n = config->data.n_label_map;
    if (n == 0)
        put(text, "[]");
    for (int i = 0; i < n;) {
        int to = config->data.map_to[i];
        put(text, "\n%*s- {from: [%d", indent, "", config->data.map_from[i]);
        for (i++; i < n && config->data.map_to[i] == to; i++)
            put(text, ", %d", config->data.map_from[i]);
        put(text, "], to: %d", to);
        if (to < config->data.n_map_names) {
            put(text, ", name: ");
            put_quoted(text, config->data.map_names[to]);
        }
        put(text, "}");
    }
}

static void put_value(struct text *text, const struct config_key *key, const struct config *config,
                      int indent) {
    const void *value = (const char *)config + key->offset;
    const char *string;
    switch (key->kind) {
    case CONFIG_TEXT:
        string = *(char *const *)value;
        if (string != NULL)
            put_quoted(text, string);
        break;
    case CONFIG_INT:
        put(text, "%d", *(const int *)value);
        break;
    case CONFIG_INT64:
        put(text, "%" PRId64, *(const int64_t *)value);
        break;
    case CONFIG_SEED:
        put(text, "%" PRIu64, *(const uint64_t *)value);
        break;
    case CONFIG_REAL:
        put_real(text, *(const double *)value);
        break;
    case CONFIG_BOOL:
        put(text, *(const bool *)value ? "true" : "false");
        break;
    case CONFIG_ENUM: {
        int choice;
        memcpy(&choice, value, sizeof choice);
        put(text, "%s", key->names[choice]);
        break;
    }
    case CONFIG_CHOICE:
        put(text, "%s", key->fallback);
        break;
    case CONFIG_INT_PAIR:
        put(text, "[%d, %d]", ((const int *)value)[0], ((const int *)value)[1]);
        break;
    case CONFIG_REAL_PAIR:
        put_reals(text, 2, value);
        break;
    case CONFIG_SCALES:
        put_reals(text, *(const int *)((const char *)config + key->count_offset), value);
        break;
    case CONFIG_LABEL_MAP:
        put_label_map(text, config, indent + 2);
        break;
    }
}

adele_status config_value_text(const struct config_key *key, const struct config *config,
                               char **out) {
    struct text text = {0};
    put_bytes(&text, "", 0); // a text that is not given is an empty one, not none
    put_value(&text, key, config, 0);
    return finish(&text, out);
}

// ---- YAML ---------------------------------------------------------------------------------------

adele_status config_to_yaml(const struct config *config, char **out) {
    struct text text = {0};
    const char *previous = "";
    for (int i = 0; i < CONFIG_N_KEYS; i++) {
        const char *path = config_keys[i].path;
        const char *name = path;
        int indent = 0;
        // A line for each group that the key before was not in.
        for (const char *dot = strchr(path, '.'); dot != NULL; dot = strchr(name, '.')) {
            if (strncmp(previous, path, (size_t)(dot - path) + 1) != 0)
                put(&text, "%*s%.*s:\n", indent, "", (int)(dot - name), name);
            name = dot + 1;
            indent += 2;
        }
        put(&text, "%*s%s: ", indent, "", name);
        put_value(&text, &config_keys[i], config, indent);
        put(&text, "\n");
        previous = path;
    }
    return finish(&text, out);
}

// ---- the page of keys ---------------------------------------------------------------------------

static void put_default(struct text *text, const struct config_key *key) {
    if (key->is_required)
        put(text, "required");
    else if (key->fallback[0] == '\0')
        put(text, "none");
    else
        put(text, "`%s`", key->fallback);
    if (key->fallback_voc != NULL)
        put(text, "; voc: `%s`", key->fallback_voc);
}

adele_status config_write_keys(char **out) {
    struct text text = {0};
    put(&text, "# Configuration keys\n\n"
               "Every key of a configuration file, with its default, the values it takes and its "
               "meaning. An unknown key\n"
               "is an error that names the nearest one. `--set key=value` overrides the file; the "
               "value is YAML, so lists are\n"
               "written `[1.0, 0.7]`. Where two defaults are given, the second is that of "
               "`correction.pipeline: voc`; a key\n"
               "that is written wins over both. The configuration as it was understood, every key "
               "included, is saved with each\n"
               "run as `config.resolved.yaml`.\n\n"
               "This page is written by the program's own table; a test compares the two.\n");
    const char *section = NULL;
    size_t n_section = 0;
    for (int i = 0; i < CONFIG_N_KEYS; i++) {
        const struct config_key *key = &config_keys[i];
        size_t n = strcspn(key->path, ".");
        bool is_top = key->path[n] == '\0';
        if (section == NULL || n != n_section || strncmp(section, key->path, n) != 0)
            put(&text,
                "\n## %.*s\n\n| key | default | allowed | meaning |\n| --- | --- | --- | --- |\n",
                is_top ? 3 : (int)n, is_top ? "run" : key->path);
        section = key->path;
        n_section = n;
        char allowed[256];
        config_value_allowed(key, allowed, sizeof allowed);
        put(&text, "| `%s` | ", key->path);
        put_default(&text, key);
        put(&text, " | %s | %s |\n", allowed, key->meaning);
    }
    return finish(&text, out);
}
