// SPDX-License-Identifier: MIT
// The JSON schema of a configuration, for editors: names, types, ranges, defaults and meanings from
// the table of keys.
#include "config/key_table.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"
#include "base/number.h"

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

static adele_status put_names(struct buffer *out, const struct config_key *key) {
    TRY(buffer_text(out, "\"enum\": ["));
    for (int i = 0; key->names[i] != NULL; i++) {
        TRY(buffer_text(out, i > 0 ? ", " : ""));
        TRY(buffer_json_string(out, key->names[i]));
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
    bool is_text = key->kind == CONFIG_TEXT || key->kind == CONFIG_ENUM;
    if (key->fallback[0] == '\0')
        return ADELE_OK;
    TRY(buffer_text(out, ", \"default\": "));
    return is_text ? buffer_json_string(out, key->fallback) : buffer_text(out, key->fallback);
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

adele_status config_write_schema(char **out) {
    struct buffer text = {0};
    adele_status status =
        buffer_text(&text, "{\"$schema\": \"http://json-schema.org/draft-07/schema#\", "
                           "\"title\": \"Configuration of adele\", ");
    if (status == ADELE_OK)
        status = put_group(&text, 0, CONFIG_N_KEYS, 0, 2);
    if (status == ADELE_OK)
        status = buffer_text(&text, "}\n");
    *out = status == ADELE_OK ? text.data : NULL;
    if (status != ADELE_OK)
        buffer_deinit(&text);
    return status;
}
