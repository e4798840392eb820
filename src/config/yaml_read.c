// SPDX-License-Identifier: MIT
// YAML to texts, by libcyaml. The schema is built from the table of keys: every scalar is a string
// there, so that a written key shows as such, and all numbers are read and checked in one place.
#include "config/key_table.h"

#include "base/fail.h"
#include "base/memory.h"

#include <cyaml/cyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS (3 * CONFIG_N_KEYS) // keys, groups, and one end mark a group
#define MAX_LIST   65536               // entries of a list
#define MAX_NAME   32                  // bytes of a group's own name
#define LOG_BYTES  1024

struct config_raw {
    struct config_slot *slots;               // [CONFIG_N_KEYS], libcyaml's; NULL for an empty text
    cyaml_schema_field_t fields[MAX_FIELDS]; // of all groups, one after another
    char names[MAX_FIELDS][MAX_NAME];
    int n_fields;
    cyaml_schema_value_t top;
    char log[LOG_BYTES]; // what libcyaml said last
};

static const cyaml_schema_value_t text_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, CYAML_UNLIMITED)};

static const cyaml_schema_field_t map_fields[] = {
    CYAML_FIELD_STRING_PTR("to", CYAML_FLAG_POINTER, struct config_raw_map, to, 0, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config_raw_map,
                           name, 0, CYAML_UNLIMITED),
    CYAML_FIELD_SEQUENCE_COUNT("from", CYAML_FLAG_POINTER, struct config_raw_map, from, n_from,
                               &text_schema, 1, MAX_LIST),
    CYAML_FIELD_END};

static const cyaml_schema_value_t map_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_map, map_fields)};

// ---- schema -------------------------------------------------------------------------------------

static bool is_list(enum config_kind kind) {
    return kind == CONFIG_INT_PAIR || kind == CONFIG_REAL_PAIR || kind == CONFIG_SCALES ||
           kind == CONFIG_LABEL_MAP;
}

static void leaf_field(const struct config_key *key, const char *name, uint32_t offset,
                       cyaml_schema_field_t *out) {
    *out = (cyaml_schema_field_t){.key = name, .data_offset = offset};
    out->value.flags = CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER;
    if (is_list(key->kind)) {
        bool is_map = key->kind == CONFIG_LABEL_MAP;
        out->data_offset = offset + (uint32_t)offsetof(struct config_slot, items);
        out->count_offset = offset + (uint32_t)offsetof(struct config_slot, n_items);
        out->count_size = sizeof(unsigned);
        out->value.type = CYAML_SEQUENCE;
        out->value.data_size = is_map ? sizeof(struct config_raw_map) : sizeof(char *);
        out->value.sequence.entry = is_map ? &map_schema : &text_schema;
        out->value.sequence.min = 0;
        out->value.sequence.max = MAX_LIST;
    } else {
        out->data_offset = offset + (uint32_t)offsetof(struct config_slot, text);
        out->value.type = CYAML_STRING;
        out->value.data_size = sizeof(char);
        out->value.string.min = 0;
        out->value.string.max = CYAML_UNLIMITED;
    }
}

// The keys behind `first` that share its first n_path bytes, "data.noise." say: one group.
static int group_end(int first, size_t n_path) {
    int end = first + 1;
    while (end < CONFIG_N_KEYS &&
           strncmp(config_keys[end].path, config_keys[first].path, n_path) == 0)
        end++;
    return end;
}

// Builds the fields of the group of keys first..end-1, whose common path has n_path bytes with its
// last dot. The fields of one group are neighbours, so they are reserved before the subgroups'.
static const cyaml_schema_field_t *build_group(struct config_raw *raw, int first, int end,
                                               size_t n_path) {
    int n_children = 0;
    for (int i = first; i < end; n_children++) {
        const char *dot = strchr(config_keys[i].path + n_path, '.');
        i = dot == NULL ? i + 1 : group_end(i, (size_t)(dot - config_keys[i].path) + 1);
    }
    cyaml_schema_field_t *fields = &raw->fields[raw->n_fields];
    char(*names)[MAX_NAME] = &raw->names[raw->n_fields];
    raw->n_fields += n_children + 1; // the end mark is all zero
    int i_child = 0;
    for (int i = first; i < end; i_child++) {
        const char *name = config_keys[i].path + n_path;
        const char *dot = strchr(name, '.');
        uint32_t offset = (uint32_t)((size_t)(i - first) * sizeof(struct config_slot));
        if (dot == NULL) {
            leaf_field(&config_keys[i], name, offset, &fields[i_child]);
            i++;
            continue;
        }
        size_t n_prefix = (size_t)(dot - config_keys[i].path) + 1;
        int i_end = group_end(i, n_prefix);
        (void)snprintf(names[i_child], MAX_NAME, "%.*s", (int)(dot - name), name);
        cyaml_schema_field_t *field = &fields[i_child];
        *field = (cyaml_schema_field_t){.key = names[i_child], .data_offset = offset};
        field->value.type = CYAML_MAPPING;
        field->value.flags = CYAML_FLAG_OPTIONAL;
        field->value.data_size = (uint32_t)((size_t)(i_end - i) * sizeof(struct config_slot));
        field->value.mapping.fields = build_group(raw, i, i_end, n_prefix);
        i = i_end;
    }
    return fields;
}

static void build_schema(struct config_raw *raw) {
    raw->top = (cyaml_schema_value_t){.type = CYAML_MAPPING, .flags = CYAML_FLAG_POINTER};
    raw->top.data_size = CONFIG_N_KEYS * sizeof(struct config_slot);
    raw->top.mapping.fields = build_group(raw, 0, CONFIG_N_KEYS, 0);
}

// ---- libcyaml's doors to our memory and our errors ----------------------------------------------

static void *raw_memory(void *context, void *block, size_t bytes) {
    (void)context;
    if (bytes == 0) {
        memory_free(block);
        return NULL;
    }
    return memory_realloc(block, bytes, 1);
}

// Keeps the lines: they say which key it is and where, which the error code does not.
static void raw_log(cyaml_log_t level, void *context, const char *format, va_list arguments) {
    struct config_raw *raw = context;
    (void)level;
    size_t used = strlen(raw->log);
    (void)vsnprintf(raw->log + used, sizeof raw->log - used, format, arguments);
}

static cyaml_config_t raw_config(struct config_raw *raw) {
    return (cyaml_config_t){.log_fn = raw_log,
                            .log_ctx = raw,
                            .log_level = CYAML_LOG_WARNING,
                            .mem_fn = raw_memory,
                            .flags = CYAML_CFG_NO_ALIAS};
}

// The path of the mapping fields that the log's backtrace names, innermost first there:
// "train.optimizer".
static void path_of_log(const char *log, char *out, size_t out_bytes) {
    const char mark[] = "in mapping field '";
    const char *names[8]; // deeper than the table of keys goes
    int n = 0;
    for (const char *at = strstr(log, mark); at != NULL && n < 8; at = strstr(at, mark)) {
        at += sizeof mark - 1;
        names[n++] = at;
    }
    size_t used = 0;
    out[0] = '\0';
    while (n-- > 0 && used < out_bytes)
        used += (size_t)snprintf(out + used, out_bytes - used, "%s%.*s", used > 0 ? "." : "",
                                 (int)strcspn(names[n], "'"), names[n]);
}

static adele_status fail_unknown(const char *where, const char *path) {
    char hint[256];
    const char *nearest = config_nearest(path);
    (void)snprintf(hint, sizeof hint, "Did you mean %s? All keys are in configs/KEYS.md.", nearest);
    return FAIL(ADELE_CONFIG, hint, "%s: unknown key %s; the nearest is %s", where, path, nearest);
}

// The line of an unknown key: libcyaml knows only where the mapping begins that holds it.
static long line_of_key(const char *text, size_t bytes, long line, const char *key, size_t n_key) {
    const char *end = text + bytes;
    long i_line = 1;
    for (const char *c = text; c + n_key < end; c++) {
        bool is_word = c > text && c[-1] != ' ' && strchr("\n{,\"'", c[-1]) == NULL;
        if (i_line >= line && !is_word && memcmp(c, key, n_key) == 0 &&
            strchr(": \"'", c[n_key]) != NULL)
            return i_line;
        i_line += *c == '\n';
    }
    return line;
}

static adele_status fail_parse(const struct config_raw *raw, const char *name, const char *text,
                               size_t bytes, cyaml_err_t error) {
    const char unknown[] = "Unexpected key: ";
    const char *log = raw->log;
    char where[512];
    char path[512];
    if (error == CYAML_ERR_OOM)
        return FAIL(ADELE_NO_MEMORY, "Close other programs.", "%s: cannot allocate its values",
                    name);
    const char *at = strstr(log, "(line: ");
    long line = at != NULL ? strtol(at + 7, NULL, 10) : 1;
    const char *key = strstr(log, unknown);
    size_t n_key = 0;
    if (key != NULL) {
        key += sizeof unknown - 1;
        n_key = strcspn(key, "\n");
        line = line_of_key(text, bytes, line, key, n_key);
    }
    if (at != NULL && strncmp(name, "--set ", 6) != 0)
        (void)snprintf(where, sizeof where, "%s:%ld", name, line);
    else
        (void)snprintf(where, sizeof where, "%s", name);
    path_of_log(log, path, sizeof path);
    if (key != NULL) {
        size_t used = strlen(path);
        (void)snprintf(path + used, sizeof path - used, "%s%.*s", used > 0 ? "." : "", (int)n_key,
                       key);
        return fail_unknown(where, path);
    }
    const char load[] = "Load: ";
    if (strncmp(log, load, sizeof load - 1) == 0)
        log += sizeof load - 1;
    int n = (int)strcspn(log, "\n");
    return FAIL(
        ADELE_CONFIG, "Compare with an example in configs/; all keys are in configs/KEYS.md.",
        "%s: %s%s%.*s", where, path, path[0] != '\0' ? ": " : "",
        n > 0 ? n : (int)strlen(cyaml_strerror(error)), n > 0 ? log : cyaml_strerror(error));
}

// ---- parsing ------------------------------------------------------------------------------------

adele_status config_raw_parse(const char *name, const char *text, size_t bytes,
                              struct config_raw **out) {
    *out = NULL;
    struct config_raw *raw = memory_calloc(1, sizeof *raw);
    if (raw == NULL)
        return FAIL_NO_MEMORY(sizeof *raw);
    build_schema(raw);
    cyaml_config_t config = raw_config(raw);
    cyaml_data_t *data = NULL;
    size_t n_bracketed = 0;
    char *bracketed = config_bracket_from(text, bytes, &n_bracketed);
    if (bracketed == NULL) {
        config_raw_destroy(raw);
        return FAIL_NO_MEMORY(bytes);
    }
    cyaml_err_t error =
        cyaml_load_data((const uint8_t *)bracketed, n_bracketed, &config, &raw->top, &data, NULL);
    memory_free(bracketed);
    raw->slots = data;
    adele_status status = ADELE_OK;
    // A mere warning is that documents behind the first are ignored; ours ignores nothing.
    if (error != CYAML_OK || raw->log[0] != '\0')
        status = fail_parse(raw, name, text, bytes, error);
    else if (raw->slots == NULL &&
             (raw->slots = memory_calloc(CONFIG_N_KEYS, sizeof *raw->slots)) == NULL)
        status = FAIL_NO_MEMORY(CONFIG_N_KEYS * sizeof *raw->slots); // an empty text has no mapping
    if (status != ADELE_OK) {
        config_raw_destroy(raw);
        return status;
    }
    *out = raw;
    return ADELE_OK;
}

void config_raw_destroy(struct config_raw *raw) {
    if (raw == NULL)
        return;
    cyaml_config_t config = raw_config(raw);
    (void)cyaml_free(&config, &raw->top, raw->slots, 0);
    memory_free(raw);
}

const struct config_slot *config_raw_slot(const struct config_raw *raw, int i_key) {
    return &raw->slots[i_key];
}

// ---- overrides ----------------------------------------------------------------------------------

// "train.optimizer.lr=0.1" as a text of three lines; its value stays on its own line.
static char *set_document(const char *set, size_t n_path) {
    size_t n_set = strlen(set);
    // Each dot becomes a colon, a line end and an indent, no deeper than there are dots.
    char *text = memory_calloc(n_set + 4 + n_path * (n_path + 3), 1);
    if (text == NULL)
        return NULL;
    char *to = text;
    int depth = 0;
    for (size_t i = 0; i < n_path; i++) {
        if (set[i] != '.') {
            *to++ = set[i];
            continue;
        }
        *to++ = ':';
        *to++ = '\n';
        depth++;
        for (int k = 0; k < depth; k++)
            *to++ = ' ';
    }
    *to++ = ':';
    *to++ = ' ';
    memcpy(to, set + n_path + 1, n_set - n_path - 1);
    to[n_set - n_path - 1] = '\n';
    return text;
}

adele_status config_raw_set(struct config_raw *raw, const char *set) {
    char path[256];
    int i_key = -1;
    const char *equals = strchr(set, '=');
    if (equals == NULL || equals == set || (size_t)(equals - set) >= sizeof path)
        return FAIL(ADELE_CONFIG, "Write --set train.epochs=50, for example.",
                    "--set %s: not of the form key=value", set);
    size_t n_path = (size_t)(equals - set);
    memcpy(path, set, n_path);
    path[n_path] = '\0';
    char *where = memory_printf("--set %s", set);
    if (where == NULL)
        return FAIL_NO_MEMORY(strlen(set));
    adele_status status;
    char *text = NULL;
    struct config_raw *over = NULL;
    if (!config_is_known(path, &i_key)) {
        status = fail_unknown(where, path);
        goto done;
    }
    if (strpbrk(equals, "\r\n") != NULL) {
        status = FAIL(ADELE_CONFIG, "Write lists as [1, 2].", "%s: more than one line", where);
        goto done;
    }
    text = set_document(set, n_path);
    if (text == NULL) {
        status = FAIL_NO_MEMORY(strlen(set));
        goto done;
    }
    TRY_GOTO(config_raw_parse(where, text, strlen(text), &over), done);
    for (int i = 0; i < CONFIG_N_KEYS; i++) {
        // The key itself even when it is set to an empty list, which looks like an absent one.
        if (i != i_key && over->slots[i].text == NULL && over->slots[i].items == NULL)
            continue;
        struct config_slot old = raw->slots[i];
        raw->slots[i] = over->slots[i];
        over->slots[i] = old;
    }
done:
    config_raw_destroy(over);
    memory_free(text);
    memory_free(where);
    return status;
}
