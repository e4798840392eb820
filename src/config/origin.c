// SPDX-License-Identifier: MIT
// Where values were written: what a message about them names.
#include "config/key_table.h"

#include "base/fail.h"

#include <ctype.h>
#include <string.h>

const char *config_slot_origin(const struct config_slot *slot, const char *file) {
    return slot->set != NULL ? slot->set : file;
}

// Whether the text at `end` goes on with the name of a longer key.
static bool goes_on(const char *end) {
    return isalnum((unsigned char)*end) || *end == '_' ||
           (*end == '.' && isalpha((unsigned char)end[1]));
}

// Where the message names the key, or NULL.
static const char *find_key(const char *message, const char *key) {
    size_t n = strlen(key);
    for (const char *at = strstr(message, key); at != NULL; at = strstr(at + 1, key))
        if (!goes_on(at + n))
            return at;
    return NULL;
}

// --set where it wrote one of the keys that the message names, the first of them; else the file.
static const char *config_origin(const struct config *config, const char *message) {
    const char *origin = config->source_path, *first = NULL;
    for (int i = 0; config->raw != NULL && i < CONFIG_N_KEYS; i++) {
        const struct config_slot *slot = config_raw_slot(config->raw, i);
        const char *at = slot->set != NULL ? find_key(message, config_keys[i].path) : NULL;
        if (at != NULL && (first == NULL || at < first)) {
            first = at;
            origin = slot->set;
        }
    }
    return origin;
}

adele_status config_name_origin(const struct config *config, adele_status status) {
    return status == ADELE_OK
               ? status
               : fail_context(status, "%s", config_origin(config, adele_error_message()));
}
