// SPDX-License-Identifier: MIT
#include "support/config_pages.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"
#include "base/number.h"
#include "config/key_table.h"

#include <string.h>

// ---- the type of a key --------------------------------------------------------------------------

static adele_status put_range(struct buffer *out, const struct config_key *key) {
    char low[32], high[32];
    number_print(key->low, 10, low);
    number_print(key->high, 10, high);
    return buffer_printf(out, ", \"%s\": %s, \"maximum\": %s",
                         key->is_above_low ? "exclusiveMinimum" : "minimum", low, high);
}

static adele_status put_number(struct buffer *out, const struct config_key *key, const char *type) {
    TRY(buffer_printf(out, "\"type\": \"%s\"", type));
    return put_range(out, key);
}

static adele_status put_list(struct buffer *out, const struct config_key *key, const char *type,
                             int low, int high) {
    TRY(buffer_printf(out, "\"type\": \"array\", \"minItems\": %d, \"maxItems\": %d, \"items\": {",
                      low, high));
    TRY(put_number(out, key, type));
    return buffer_text(out, "}");
}

// In YAML true and false are truth values, also where a key takes other words beside them.
static adele_status put_name(struct buffer *out, const char *name) {
    bool is_truth = strcmp(name, "true") == 0 || strcmp(name, "false") == 0;
    return is_truth ? buffer_text(out, name) : buffer_json_string(out, name);
}

static adele_status put_names(struct buffer *out, const struct config_key *key) {
    TRY(buffer_text(out, "\"enum\": ["));
    for (int i = 0; key->names[i] != NULL; i++) {
        TRY(buffer_text(out, i > 0 ? ", " : ""));
        TRY(put_name(out, key->names[i]));
    }
    return buffer_text(out, "]");
}

static adele_status put_type(struct buffer *out, const struct config_key *key) {
    switch (key->kind) {
    case CONFIG_TEXT:
        return buffer_text(out, "\"type\": \"string\"");
    case CONFIG_INT:
    case CONFIG_INT64:
        return put_number(out, key, "integer");
    case CONFIG_SEED:
        return buffer_text(out, "\"type\": \"integer\", \"minimum\": 0");
    case CONFIG_REAL:
        return put_number(out, key, "number");
    case CONFIG_BOOL:
        return buffer_text(out, "\"type\": \"boolean\"");
    case CONFIG_ENUM:
        return put_names(out, key);
    case CONFIG_INT_PAIR:
        return put_list(out, key, "integer", 2, 2);
    case CONFIG_REAL_PAIR:
        return put_list(out, key, "number", 2, 2);
    case CONFIG_SCALES:
        return put_list(out, key, "number", 1, ADELE_MAX_SCALES);
    case CONFIG_WEIGHTS:
        TRY(buffer_text(out, "\"anyOf\": [{\"enum\": [\"inverse\"]}, {"));
        TRY(put_list(out, key, "number", 0, ADELE_MAX_CATEGORIES));
        return buffer_text(out, "}]");
    case CONFIG_LABEL_MAP:
        return buffer_text(out,
                           "\"type\": \"array\", \"items\": {\"type\": \"object\", "
                           "\"additionalProperties\": false, \"required\": [\"from\", \"to\"], "
                           "\"properties\": {\"from\": {\"type\": [\"integer\", \"array\"], "
                           "\"items\": {\"type\": \"integer\"}}, \"to\": {\"type\": \"integer\", "
                           "\"minimum\": 0, \"maximum\": 255}, \"name\": {\"type\": \"string\"}}}");
    }
    return ADELE_OK;
}

// ---- the key ------------------------------------------------------------------------------------

// Numbers, lists and truth values are written the same way in YAML and in JSON.
static adele_status put_default(struct buffer *out, const struct config_key *key) {
    if (key->fallback[0] == '\0')
        return ADELE_OK;
    TRY(buffer_text(out, ", \"default\": "));
    if (key->kind == CONFIG_ENUM)
        return put_name(out, key->fallback);
    return key->kind == CONFIG_TEXT ? buffer_json_string(out, key->fallback)
                                    : buffer_text(out, key->fallback);
}

static adele_status put_meaning(struct buffer *out, const struct config_key *key) {
    CLEANUP(buffer_deinit) struct buffer text = {0};
    TRY(buffer_text(&text, key->meaning));
    if (key->fallback_voc != NULL)
        TRY(buffer_printf(&text, " With correction.pipeline voc the default is %s.",
                          key->fallback_voc));
    if (key->fallback_ensemble != NULL)
        TRY(buffer_printf(&text, " With correction.method ensemble the default is %s.",
                          key->fallback_ensemble));
    TRY(buffer_text(out, ", \"description\": "));
    return buffer_json_string(out, text.data);
}

static adele_status put_key(struct buffer *out, const struct config_key *key) {
    TRY(buffer_text(out, "{"));
    TRY(put_type(out, key));
    TRY(put_default(out, key));
    TRY(put_meaning(out, key));
    return buffer_text(out, "}");
}

// ---- groups -------------------------------------------------------------------------------------

// The end of the keys that share the first n bytes of the path of key `first`.
static int group_end(int first, int end, size_t n) {
    const char *path = config_keys[first].path;
    int i = first;
    while (i < end && strncmp(config_keys[i].path, path, n) == 0)
        i++;
    return i;
}

static bool is_required(int first, int end) {
    for (int i = first; i < end; i++)
        if (config_keys[i].is_required)
            return true;
    return false;
}

// Where the entry of key i, a key or a group of keys, ends; *n is the length of its name, which
// begins at byte `start` of the path.
static int entry_end(int i, int end, size_t start, size_t *n) {
    const char *name = config_keys[i].path + start;
    *n = strcspn(name, ".");
    return name[*n] == '.' ? group_end(i, end, start + *n + 1) : i + 1;
}

static adele_status put_required(struct buffer *out, int first, int end, size_t start) {
    bool has_any = false;
    size_t n;
    for (int i = first, next; i < end; i = next) {
        next = entry_end(i, end, start, &n);
        if (!is_required(i, next))
            continue;
        TRY(buffer_printf(out, "%s\"%.*s\"", has_any ? ", " : "\"required\": [", (int)n,
                          config_keys[i].path + start));
        has_any = true;
    }
    return has_any ? buffer_text(out, "], ") : ADELE_OK;
}

// The object of the keys first .. end - 1, whose names begin at byte `start` of their paths.
static adele_status put_group(struct buffer *out, int first, int end, size_t start, int indent) {
    size_t n;
    TRY(buffer_text(out, "\"type\": \"object\", \"additionalProperties\": false, "));
    TRY(put_required(out, first, end, start));
    TRY(buffer_text(out, "\"properties\": {"));
    for (int i = first, next; i < end; i = next) {
        next = entry_end(i, end, start, &n);
        TRY(buffer_printf(out, "%s\n%*s\"%.*s\": ", i > first ? "," : "", indent, "", (int)n,
                          config_keys[i].path + start));
        if (config_keys[i].path[start + n] == '\0') {
            TRY(put_key(out, &config_keys[i]));
            continue;
        }
        TRY(buffer_text(out, "{"));
        TRY(put_group(out, i, next, start + n + 1, indent + 2));
        TRY(buffer_text(out, "}"));
    }
    return buffer_text(out, "}");
}

static adele_status put_schema(struct buffer *out) {
    TRY(buffer_text(out, "{\"$schema\": \"http://json-schema.org/draft-07/schema#\", "
                         "\"title\": \"Configuration of adele\", "));
    TRY(put_group(out, 0, CONFIG_N_KEYS, 0, 2));
    return buffer_text(out, "}\n");
}

// The text of the buffer to *out, or nothing after an error.
static adele_status finish(struct buffer *text, adele_status status, char **out) {
    *out = status == ADELE_OK ? text->data : NULL;
    if (status != ADELE_OK)
        buffer_deinit(text);
    return status;
}

adele_status config_write_schema(char **out) {
    struct buffer text = {0};
    return finish(&text, put_schema(&text), out);
}

// ---- the page of keys ---------------------------------------------------------------------------

static adele_status put_page_default(struct buffer *out, const struct config_key *key) {
    if (key->is_required)
        TRY(buffer_text(out, "required"));
    else if (key->fallback[0] == '\0')
        TRY(buffer_text(out, "none"));
    else
        TRY(buffer_printf(out, "`%s`", key->fallback));
    if (key->fallback_ensemble != NULL)
        TRY(buffer_printf(out, "; ensemble: `%s`", key->fallback_ensemble));
    return key->fallback_voc != NULL ? buffer_printf(out, "; voc: `%s`", key->fallback_voc)
                                     : ADELE_OK;
}

static adele_status put_keys(struct buffer *out) {
    TRY(buffer_printf(
        out, "# Configuration keys\n\n"
             "Every key of a configuration file, with its default, the values it takes and its "
             "meaning. An unknown key\n"
             "is an error that names the nearest one. `--set key=value` overrides the file; the "
             "value is YAML, so lists are\n"
             "written `[1.0, 0.7]`. Where two defaults are given, the second is that of "
             "`correction.pipeline: voc`, or of\n"
             "`correction.method: ensemble`; a key that is written wins over both. The "
             "configuration with all defaults\n"
             "filled in is saved with each run as `config.resolved.yaml`.\n\n"
             "This page is written by the program's own table; a test compares the two.\n"));
    const char *section = NULL;
    size_t n_section = 0;
    for (int i = 0; i < CONFIG_N_KEYS; i++) {
        const struct config_key *key = &config_keys[i];
        size_t n = strcspn(key->path, ".");
        bool is_top = key->path[n] == '\0';
        if (section == NULL || n != n_section || strncmp(section, key->path, n) != 0)
            TRY(buffer_printf(
                out,
                "\n## %.*s\n\n| key | default | allowed | meaning |\n| --- | --- | --- | --- |\n",
                is_top ? 3 : (int)n, is_top ? "run" : key->path));
        section = key->path;
        n_section = n;
        char allowed[256];
        config_value_allowed(key, allowed, sizeof allowed);
        TRY(buffer_printf(out, "| `%s` | ", key->path));
        TRY(put_page_default(out, key));
        TRY(buffer_printf(out, " | %s | %s |\n", allowed, key->meaning));
    }
    return ADELE_OK;
}

adele_status config_write_keys(char **out) {
    struct buffer text = {0};
    return finish(&text, put_keys(&text), out);
}
