// SPDX-License-Identifier: MIT
// The one table of configuration keys. The parser, the writer of resolved configurations and the
// page of keys all read it, so they always have the same keys.
#ifndef ADELE_CONFIG_KEY_TABLE_H
#define ADELE_CONFIG_KEY_TABLE_H

#include "config/config.h"

enum config_kind {
    CONFIG_TEXT,  // char *, NULL when it is not given
    CONFIG_INT,   // int
    CONFIG_INT64, // int64_t
    CONFIG_SEED,  // uint64_t
    CONFIG_REAL,  // double
    CONFIG_BOOL,  // bool
    CONFIG_ENUM,  // an enum whose values are the positions in `names`
    // Lists:
    CONFIG_INT_PAIR,  // two neighbouring ints
    CONFIG_REAL_PAIR, // two neighbouring doubles
    CONFIG_SCALES,    // double[ADELE_MAX_SCALES] and an int count
    CONFIG_WEIGHTS,   // double[ADELE_MAX_CATEGORIES] and an int count; the word inverse is count -1
    CONFIG_LABEL_MAP  // the label map's five fields of struct config
};

static inline bool config_is_list(enum config_kind kind) {
    return kind >= CONFIG_INT_PAIR;
}

struct config_key {
    const char *path; // "train.optimizer.lr"
    enum config_kind kind;
    size_t offset;                 // of the value in struct config
    size_t count_offset;           // CONFIG_SCALES, CONFIG_WEIGHTS: of the count
    const char *fallback;          // the default as YAML; "" = none
    const char *fallback_voc;      // of the voc pipeline; NULL = the same
    const char *fallback_ensemble; // of the method ensemble; NULL = the same. No key has both.
    double low, high;              // of each number, both allowed
    bool is_above_low;             // then low itself is not allowed
    bool is_required;
    const char *const *names; // CONFIG_ENUM: ends with NULL
    const char *meaning;
};

#define CONFIG_N_KEYS 121

extern const struct config_key config_keys[CONFIG_N_KEYS]; // keys of one group are neighbours

// ---- yaml_read.c: YAML -> texts -----------------------------------------------------------------
struct config_raw_map { // one entry of data.label_map
    char *to;
    char *name;
    char **from;
    unsigned n_from;
};

// What was written for a key, before it is interpreted.
struct config_slot {
    char *text;  // scalars; NULL when the key is absent
    void *items; // lists: char *[n_items], label map: struct config_raw_map[n_items]
    unsigned n_items;
    const char *set; // "--set KEY=VALUE" where that wrote it, else NULL; borrowed from config_raw
};

struct config_raw; // owns the slots, and the texts of --set
// Structure only: known keys, scalars where scalars belong. `name` names the text in messages.
ADELE_MUST_CHECK adele_status config_raw_parse(const char *name, const char *text, size_t bytes,
                                               struct config_raw **out);
// Overrides what was written: "key.path=value".
ADELE_MUST_CHECK adele_status config_raw_set(struct config_raw *raw, const char *set);
void config_raw_destroy(struct config_raw *raw); // NULL is legal
const struct config_slot *config_raw_slot(const struct config_raw *raw, int i_key);

// ---- nearest_key.c ------------------------------------------------------------------------------
// The key or group that `path` most likely means; borrowed until the next call on this thread.
const char *config_nearest(const char *path);
// True for a key, and for a group of keys such as "train.optimizer". *i_key is -1 for a group.
bool config_is_known(const char *path, int *i_key);

// ---- value.c ------------------------------------------------------------------------------------
// Stores what was written for the key, or its default, in `config`; checks its range.
ADELE_MUST_CHECK adele_status config_value_store(const char *file, const struct config_key *key,
                                                 const struct config_slot *slot,
                                                 struct config *config);
// NULL, or YAML's null in any spelling: the key counts as absent.
bool config_is_null(const char *text);
// "a number, above 0, at most 1", "constant, poly"...: what the key allows.
void config_value_allowed(const struct config_key *key, char *out, size_t out_bytes);

// ---- yaml_write.c -------------------------------------------------------------------------------
// The key's value as config_to_yaml writes it; "" for a text that is not given. Caller frees *out
// with memory_free.
ADELE_MUST_CHECK adele_status config_value_text(const struct config_key *key,
                                                const struct config *config, char **out);

// ---- origin.c -----------------------------------------------------------------------------------
// What a message about the slot names: "--set KEY=VALUE", or else the file.
const char *config_slot_origin(const struct config_slot *slot, const char *file);
// Puts the place before the recorded message of a failure, which is about one or more keys; returns
// `status`.
adele_status config_name_origin(const struct config *config, adele_status status);

// ---- unused_keys.c ------------------------------------------------------------------------------
// Whether the key's value is the default that it has beside the config's pipeline and method. Only
// for keys of numbers, pairs of numbers, switches and enums.
ADELE_MUST_CHECK adele_status config_is_default(const struct config_key *key,
                                                const struct config *config, bool *out);
// ADELE_CONFIG for a key that is written but has no effect. The message does not name the file.
ADELE_MUST_CHECK adele_status config_check_unused(const struct config_raw *raw,
                                                  const struct config *config);

// ---- label_map.c --------------------------------------------------------------------------------
ADELE_MUST_CHECK adele_status config_map_store(const char *name, const struct config_slot *slot,
                                               struct config *config);
#endif
