// SPDX-License-Identifier: MIT
// A configuration as YAML.
#include "config/key_table.h"

#include "base/buffer.h"
#include "base/fail.h"

#include <inttypes.h>
#include <string.h>

// ---- values -------------------------------------------------------------------------------------

// Always in quotes, because YAML reads a name such as "no", "1e3" or "a: b" as something else.
static adele_status put_quoted(struct buffer *out, const char *value) {
    TRY(buffer_text(out, "\""));
    for (const char *c = value; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte == '"' || byte == '\\')
            TRY(buffer_printf(out, "\\%c", byte));
        else if (byte < 0x20 || byte == 0x7f)
            TRY(buffer_printf(out, "\\x%02x", byte));
        else
            TRY(buffer_add(out, c, 1));
    }
    return buffer_text(out, "\"");
}

static adele_status put_reals(struct buffer *out, int n, const double *values) {
    TRY(buffer_text(out, "["));
    for (int i = 0; i < n; i++) {
        if (i > 0)
            TRY(buffer_text(out, ", "));
        TRY(buffer_number(out, values[i], ""));
    }
    return buffer_printf(out, "]");
}

static adele_status put_weights(struct buffer *out, int n, const double *values) {
    return n == CLASS_WEIGHTS_INVERSE ? buffer_text(out, "inverse") : put_reals(out, n, values);
}

static adele_status put_label_map(struct buffer *out, const struct config *config, int indent) {
    int n = config->data.n_label_map;
    if (n == 0)
        return buffer_text(out, "[]");
    for (int i = 0; i < n;) {
        int to = config->data.map_to[i];
        TRY(buffer_printf(out, "\n%*s- {from: [%d", indent, "", config->data.map_from[i]));
        for (i++; i < n && config->data.map_to[i] == to; i++)
            TRY(buffer_printf(out, ", %d", config->data.map_from[i]));
        TRY(buffer_printf(out, "], to: %d", to));
        if (to < config->data.n_map_names) {
            TRY(buffer_text(out, ", name: "));
            TRY(put_quoted(out, config->data.map_names[to]));
        }
        TRY(buffer_text(out, "}"));
    }
    return ADELE_OK;
}

static adele_status put_value(struct buffer *out, const struct config_key *key,
                              const struct config *config, int indent) {
    const void *value = (const char *)config + key->offset;
    const char *string;
    switch (key->kind) {
    case CONFIG_TEXT:
        string = *(char *const *)value;
        return string != NULL ? put_quoted(out, string) : ADELE_OK;
    case CONFIG_INT:
        return buffer_printf(out, "%d", *(const int *)value);
    case CONFIG_INT64:
        return buffer_printf(out, "%" PRId64, *(const int64_t *)value);
    case CONFIG_SEED:
        return buffer_printf(out, "%" PRIu64, *(const uint64_t *)value);
    case CONFIG_REAL:
        return buffer_number(out, *(const double *)value, "");
    case CONFIG_BOOL:
        return buffer_text(out, *(const bool *)value ? "true" : "false");
    case CONFIG_ENUM: {
        int choice;
        memcpy(&choice, value, sizeof choice);
        return buffer_text(out, key->names[choice]);
    }
    case CONFIG_INT_PAIR:
        return buffer_printf(out, "[%d, %d]", ((const int *)value)[0], ((const int *)value)[1]);
    case CONFIG_REAL_PAIR:
        return put_reals(out, 2, value);
    case CONFIG_SCALES:
        return put_reals(out, *(const int *)((const char *)config + key->count_offset), value);
    case CONFIG_WEIGHTS:
        return put_weights(out, *(const int *)((const char *)config + key->count_offset), value);
    case CONFIG_LABEL_MAP:
        return put_label_map(out, config, indent + 2);
    }
    return ADELE_OK;
}

// The text of the buffer to *out, or nothing after an error.
static adele_status finish(struct buffer *text, adele_status status, char **out) {
    *out = status == ADELE_OK ? text->data : NULL;
    if (status != ADELE_OK)
        buffer_deinit(text);
    return status;
}

adele_status config_value_text(const struct config_key *key, const struct config *config,
                               char **out) {
    struct buffer text = {0};
    adele_status status = buffer_text(&text, ""); // a text that is not given is empty, not NULL
    if (status == ADELE_OK)
        status = put_value(&text, key, config, 0);
    return finish(&text, status, out);
}

// ---- YAML ---------------------------------------------------------------------------------------

static adele_status put_yaml(struct buffer *out, const struct config *config) {
    const char *previous = "";
    for (int i = 0; i < CONFIG_N_KEYS; i++) {
        const char *path = config_keys[i].path;
        const char *name = path;
        int indent = 0;
        // A line for each group that the key before was not in.
        for (const char *dot = strchr(path, '.'); dot != NULL; dot = strchr(name, '.')) {
            if (strncmp(previous, path, (size_t)(dot - path) + 1) != 0)
                TRY(buffer_printf(out, "%*s%.*s:\n", indent, "", (int)(dot - name), name));
            name = dot + 1;
            indent += 2;
        }
        TRY(buffer_printf(out, "%*s%s: ", indent, "", name));
        TRY(put_value(out, &config_keys[i], config, indent));
        TRY(buffer_text(out, "\n"));
        previous = path;
    }
    return ADELE_OK;
}

adele_status config_to_yaml(const struct config *config, char **out) {
    struct buffer text = {0};
    return finish(&text, put_yaml(&text, config), out);
}
