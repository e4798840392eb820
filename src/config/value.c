// SPDX-License-Identifier: MIT
// One key's text to its value, checked against the key's range.
#include "config/key_table.h"

#include "base/fail.h"
#include "base/memory.h"
#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HINT_KEYS "Defaults and meanings are in configs/KEYS.md."

static size_t join_names(const struct config_key *key, const char *between, char *out,
                         size_t out_bytes) {
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; key->names[i] != NULL && used < out_bytes; i++)
        used += (size_t)snprintf(out + used, out_bytes - used, "%s%s", i > 0 ? between : "",
                                 key->names[i]);
    return used;
}

void config_value_allowed(const struct config_key *key, char *out, size_t out_bytes) {
    char range[96];
    char low[32], high[32];
    number_print(key->low, 10, low);
    number_print(key->high, 10, high);
    (void)snprintf(range, sizeof range, "%s %s, at most %s",
                   key->is_above_low ? "above" : "at least", low, high);
    switch (key->kind) {
    case CONFIG_TEXT:
        (void)snprintf(out, out_bytes, "text");
        break;
    case CONFIG_INT:
    case CONFIG_INT64:
        (void)snprintf(out, out_bytes, "a whole number, %s", range);
        break;
    case CONFIG_SEED:
        (void)snprintf(out, out_bytes, "a whole number, at least 0, below 2^64");
        break;
    case CONFIG_REAL:
        (void)snprintf(out, out_bytes, "a number, %s", range);
        break;
    case CONFIG_BOOL:
        (void)snprintf(out, out_bytes, "true or false");
        break;
    case CONFIG_ENUM:
        (void)join_names(key, ", ", out, out_bytes);
        break;
    case CONFIG_INT_PAIR:
        (void)snprintf(out, out_bytes, "two whole numbers, each %s", range);
        break;
    case CONFIG_REAL_PAIR:
        (void)snprintf(out, out_bytes, "two numbers, each %s", range);
        break;
    case CONFIG_SCALES:
        (void)snprintf(out, out_bytes, "1 to %d numbers, each %s", ADELE_MAX_SCALES, range);
        break;
    case CONFIG_WEIGHTS:
        (void)snprintf(out, out_bytes, "inverse, or 0 to %d numbers, each %s", ADELE_MAX_CATEGORIES,
                       range);
        break;
    case CONFIG_LABEL_MAP:
        (void)snprintf(out, out_bytes, "a list of {from: [values], to: 0 to 255, name: text}");
        break;
    }
}

static adele_status refuse(const char *name, const struct config_key *key, const char *text) {
    char allowed[256];
    config_value_allowed(key, allowed, sizeof allowed);
    return FAIL(ADELE_CONFIG, HINT_KEYS, "%s: %s is \"%s\"; allowed: %s", name, key->path, text,
                allowed);
}

bool config_is_null(const char *text) {
    return text == NULL || text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

// ---- scalars ------------------------------------------------------------------------------------

static bool is_in_range(const struct config_key *key, double value) {
    bool is_high_enough = key->is_above_low ? value > key->low : value >= key->low;
    return is_high_enough && value <= key->high;
}

static bool parse_real(const struct config_key *key, const char *text, double *out) {
    // strtod also takes spaces, "inf", "nan" and hexadecimals.
    if (text[0] == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0')
        return false;
    char *end = NULL;
    double value = number_parse(text, &end);
    if (*end != '\0' || !isfinite(value) || !is_in_range(key, value))
        return false;
    *out = value == 0.0 ? 0.0 : value; // no negative zero
    return true;
}

static bool parse_integer(const struct config_key *key, const char *text, int64_t *out) {
    size_t n_sign = text[0] == '-' || text[0] == '+';
    if (!isdigit((unsigned char)text[n_sign]))
        return false;
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (*end != '\0' || errno != 0 || !is_in_range(key, (double)value))
        return false;
    *out = value;
    return true;
}

static bool parse_seed(const char *text, uint64_t *out) {
    if (!isdigit((unsigned char)text[0])) // strtoull would take "-1" for a large number
        return false;
    char *end = NULL;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0;
}

// Names that earlier versions wrote.
static const struct {
    const char *old, *current;
} renamed[] = {{"program", "official"}}; // loss.form

static bool parse_name(const struct config_key *key, const char *text, int *out) {
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++)
        if (strcmp(text, renamed[i].old) == 0)
            text = renamed[i].current;
    for (int i = 0; key->names[i] != NULL; i++) {
        if (strcmp(text, key->names[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool store_scalar(const struct config_key *key, const char *text, void *value) {
    int64_t integer = 0;
    int choice = 0;
    bool is_good = false;
    switch (key->kind) {
    case CONFIG_INT:
        is_good = parse_integer(key, text, &integer);
        *(int *)value = (int)integer;
        break;
    case CONFIG_INT64:
        is_good = parse_integer(key, text, value);
        break;
    case CONFIG_SEED:
        is_good = parse_seed(text, value);
        break;
    case CONFIG_REAL:
        is_good = parse_real(key, text, value);
        break;
    case CONFIG_BOOL:
        is_good = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
        *(bool *)value = text[0] == 't';
        break;
    case CONFIG_ENUM:
        is_good = parse_name(key, text, &choice);
        memcpy(value, &choice, sizeof choice); // some enum, of the size of int
        break;
    default:
        break;
    }
    return is_good;
}

static adele_status store_text(const char *name, const struct config_key *key, const char *text,
                               char **value) {
    if (config_is_null(text)) {
        if (key->is_required)
            return FAIL(ADELE_CONFIG, "Write it in the configuration, or give it with --set.",
                        "%s: %s is not given", name, key->path);
        return ADELE_OK;
    }
    *value = memory_strdup(text);
    return CHECK_MEMORY(*value);
}

// ---- lists --------------------------------------------------------------------------------------

// The texts of a list, of the slot or of a default such as "[1.0, 0.7]", which is split in
// `buffer`.
static int list_texts(const struct config_slot *slot, const char *fallback, char *buffer,
                      size_t buffer_bytes, int capacity, const char **out) {
    int n = 0;
    if (slot->n_items > 0) {
        char **items = slot->items;
        for (unsigned i = 0; i < slot->n_items && n < capacity; i++)
            out[n++] = items[i];
        return (int)slot->n_items;
    }
    (void)snprintf(buffer, buffer_bytes, "%s", fallback);
    char *rest = NULL;
    for (char *item = strtok_r(buffer, "[], ", &rest); item != NULL && n < capacity;
         item = strtok_r(NULL, "[], ", &rest))
        out[n++] = item;
    return n;
}

static adele_status store_list(const char *name, const struct config_key *key,
                               const struct config_slot *slot, const char *fallback,
                               struct config *config) {
    void *value = (char *)config + key->offset;
    char buffer[128];
    const char *texts[ADELE_MAX_SCALES];
    bool is_scales = key->kind == CONFIG_SCALES;
    int n = list_texts(slot, fallback, buffer, sizeof buffer, ADELE_MAX_SCALES, texts);
    if (is_scales ? n > ADELE_MAX_SCALES : n != 2) {
        char count[32];
        (void)snprintf(count, sizeof count, "a list of %d", n);
        return refuse(name, key, count);
    }
    for (int i = 0; i < n; i++) {
        int64_t integer = 0;
        bool is_good;
        if (key->kind == CONFIG_INT_PAIR) {
            is_good = parse_integer(key, texts[i], &integer);
            ((int *)value)[i] = (int)integer;
        } else {
            is_good = parse_real(key, texts[i], (double *)value + i);
        }
        if (!is_good)
            return refuse(name, key, texts[i]);
    }
    if (is_scales)
        *(int *)((char *)config + key->count_offset) = n;
    return ADELE_OK;
}

// A list, or the word inverse. The default is no weights.
static adele_status store_weights(const char *name, const struct config_key *key,
                                  const struct config_slot *slot, struct config *config) {
    void *value = (char *)config + key->offset, *count = (char *)config + key->count_offset;
    double *values = value;
    char *const *texts = slot->items;
    int *n = count;
    bool has_weight = slot->n_items == 0;
    *n = (int)slot->n_items;
    if (slot->n_items > ADELE_MAX_CATEGORIES)
        return refuse(name, key, "a longer list than there can be classes");
    for (unsigned i = 0; i < slot->n_items; i++) {
        if (!parse_real(key, texts[i], &values[i]))
            return refuse(name, key, texts[i]);
        has_weight = has_weight || values[i] > 0.0;
    }
    if (!has_weight)
        return refuse(name, key, "a list of zeros");
    if (config_is_null(slot->text))
        return ADELE_OK;
    *n = CLASS_WEIGHTS_INVERSE;
    return strcmp(slot->text, "inverse") == 0 ? ADELE_OK : refuse(name, key, slot->text);
}

adele_status config_value_store(const char *file, const struct config_key *key,
                                const struct config_slot *slot, struct config *config) {
    const char *name = config_slot_origin(slot, file);
    void *value = (char *)config + key->offset;
    bool is_voc = config->correction.pipeline == ONSET_VOC && key->fallback_voc != NULL;
    bool is_ensemble =
        config->correction.method == METHOD_ENSEMBLE && key->fallback_ensemble != NULL;
    const char *fallback = is_voc        ? key->fallback_voc
                           : is_ensemble ? key->fallback_ensemble
                                         : key->fallback;
    switch (key->kind) {
    case CONFIG_TEXT:
        return store_text(name, key, config_is_null(slot->text) ? fallback : slot->text, value);
    case CONFIG_LABEL_MAP:
        return config_map_store(name, slot, config);
    case CONFIG_WEIGHTS:
        return store_weights(name, key, slot, config);
    case CONFIG_INT_PAIR:
    case CONFIG_REAL_PAIR:
    case CONFIG_SCALES:
        return store_list(name, key, slot, fallback, config);
    default:
        break;
    }
    const char *text = config_is_null(slot->text) ? fallback : slot->text;
    return store_scalar(key, text, value) ? ADELE_OK : refuse(name, key, text);
}
