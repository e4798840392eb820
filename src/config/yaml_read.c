// SPDX-License-Identifier: MIT
// YAML to texts, from libyaml's events. All values stay texts here, so numbers are read and checked
// in one place (value.c), and a key that is written can be told from one that is not.
#include "config/key_table.h"

#include "base/fail.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define MAX_LIST 65536 // entries of a list
#define MAX_PATH 256   // bytes of a key's path
#define MAX_SET  100   // bytes of a --set in messages

struct config_raw {
    struct config_slot slots[CONFIG_N_KEYS];
    char **sets; // "--set KEY=VALUE", which slots name
    unsigned n_sets;
};

struct reader {
    const char *name; // of the text, in messages
    const char *set;  // where the text is that of one --set, which has no lines; else NULL
    const char *text;
    size_t bytes;
    struct config_raw *raw;
    yaml_parser_t parser;
    yaml_event_t event; // the current one
};

const struct config_slot *config_raw_slot(const struct config_raw *raw, int i_key) {
    return &raw->slots[i_key];
}

static void slot_deinit(struct config_slot *slot, enum config_kind kind) {
    for (unsigned i = 0; i < slot->n_items; i++) {
        if (kind != CONFIG_LABEL_MAP) {
            memory_free(((char **)slot->items)[i]);
            continue;
        }
        struct config_raw_map *entry = (struct config_raw_map *)slot->items + i;
        for (unsigned k = 0; k < entry->n_from; k++)
            memory_free(entry->from[k]);
        memory_free(entry->from);
        memory_free(entry->to);
        memory_free(entry->name);
    }
    memory_free(slot->items);
    memory_free(slot->text);
    memset(slot, 0, sizeof *slot);
}

void config_raw_destroy(struct config_raw *raw) {
    for (int i = 0; raw != NULL && i < CONFIG_N_KEYS; i++)
        slot_deinit(&raw->slots[i], config_keys[i].kind);
    for (unsigned i = 0; raw != NULL && i < raw->n_sets; i++)
        memory_free(raw->sets[i]);
    if (raw != NULL)
        memory_free(raw->sets);
    memory_free(raw);
}
OWNER(config_raw_destroy, struct config_raw)

// ---- errors -------------------------------------------------------------------------------------

#define HINT "Compare with an example in configs/; all keys are in configs/KEYS.md."

// `line` counts from 0.
static void print_place(const struct reader *reader, size_t line, char out[512]) {
    if (reader->set != NULL)
        (void)snprintf(out, 512, "%s", reader->name);
    else
        (void)snprintf(out, 512, "%s:%zu", reader->name, line + 1);
}

static adele_status fail_at_event(const struct reader *reader, const char *path, const char *what) {
    char place[512];
    print_place(reader, reader->event.start_mark.line, place);
    return FAIL(ADELE_CONFIG, HINT, "%s: %s%s%s", place, path, path[0] != '\0' ? ": " : "", what);
}

static adele_status fail_unknown(const char *place, const char *path) {
    char hint[256];
    const char *nearest = config_nearest(path);
    (void)snprintf(hint, sizeof hint, "Did you mean %s? All keys are in configs/KEYS.md.", nearest);
    return FAIL(ADELE_CONFIG, hint, "%s: unknown key %s; the nearest is %s", place, path, nearest);
}

static adele_status fail_unknown_key(const struct reader *reader, const char *path) {
    char place[512];
    print_place(reader, reader->event.start_mark.line, place);
    return fail_unknown(place, path);
}

// A file has no second way to write a key, so that a key which is given twice is seen.
static adele_status fail_dotted_key(const struct reader *reader, const char *path) {
    char place[512];
    print_place(reader, reader->event.start_mark.line, place);
    return FAIL(ADELE_CONFIG,
                "Write the part behind each dot on a line of its own, indented below the part "
                "before it; only --set takes keys with dots.",
                "%s: unknown key %s; a file's keys have no dots", place, path);
}

// ---- events -------------------------------------------------------------------------------------

// Of a parser that has failed. For bytes that are no text libyaml tells the offset alone.
static size_t problem_line(const struct reader *reader) {
    const yaml_parser_t *parser = &reader->parser;
    if (parser->error != YAML_READER_ERROR)
        return parser->problem_mark.line;
    size_t n = 0;
    for (size_t i = 0; i < parser->problem_offset && i < reader->bytes; i++)
        n += reader->text[i] == '\n';
    return n;
}

static adele_status next_event(struct reader *reader) {
    char place[512];
    yaml_event_delete(&reader->event);
    if (yaml_parser_parse(&reader->parser, &reader->event))
        return ADELE_OK;
    memset(&reader->event, 0, sizeof reader->event);
    if (reader->parser.error == YAML_MEMORY_ERROR)
        return FAIL(ADELE_NO_MEMORY, "Close other programs.", "%s: cannot allocate its values",
                    reader->name);
    print_place(reader, problem_line(reader), place);
    return FAIL(ADELE_CONFIG, HINT, "%s: %s", place,
                reader->parser.problem != NULL ? reader->parser.problem : "not YAML");
}

static const char *event_name(yaml_event_type_t type) {
    switch (type) {
    case YAML_ALIAS_EVENT:
        return "an alias";
    case YAML_SCALAR_EVENT:
        return "a single value";
    case YAML_SEQUENCE_START_EVENT:
        return "a list";
    case YAML_MAPPING_START_EVENT:
        return "a group of keys";
    default:
        return "an end";
    }
}

static adele_status expect(struct reader *reader, yaml_event_type_t type, const char *path) {
    char what[128];
    if (reader->event.type == type)
        return ADELE_OK;
    (void)snprintf(what, sizeof what, "%s is expected here, not %s", event_name(type),
                   event_name(reader->event.type));
    return fail_at_event(reader, path, what);
}

static const char *scalar(const struct reader *reader) {
    return (const char *)reader->event.data.scalar.value;
}

// The current event is a text without a NUL character.
static adele_status expect_text(struct reader *reader, const char *path) {
    TRY(expect(reader, YAML_SCALAR_EVENT, path));
    return strlen(scalar(reader)) == reader->event.data.scalar.length
               ? ADELE_OK
               : fail_at_event(reader, path, "a NUL character");
}

// A copy of the current event's text.
static adele_status read_text(struct reader *reader, const char *path, char **out) {
    TRY(expect_text(reader, path));
    *out = memory_strdup(scalar(reader));
    return CHECK_MEMORY(*out);
}

// A key of `group` ("train.optimizer", "" at the top), as its path.
static adele_status read_key(struct reader *reader, const char *group, char path[MAX_PATH]) {
    TRY(expect_text(reader, group));
    int n = snprintf(path, MAX_PATH, "%s%s%s", group, group[0] != '\0' ? "." : "", scalar(reader));
    if (strchr(scalar(reader), '.') != NULL)
        return fail_dotted_key(reader, path);
    return n < MAX_PATH ? ADELE_OK : fail_unknown_key(reader, path);
}

// ---- values -------------------------------------------------------------------------------------

static adele_status read_texts(struct reader *reader, const char *path, char ***items,
                               unsigned *n_items) {
    TRY(next_event(reader));
    while (reader->event.type != YAML_SEQUENCE_END_EVENT) {
        if (*n_items == MAX_LIST)
            return fail_at_event(reader, path, "the list is too long");
        TRY(GROW(items, *n_items));
        TRY(read_text(reader, path, &(*items)[*n_items]));
        ++*n_items;
        TRY(next_event(reader));
    }
    return ADELE_OK;
}

// One field of an entry of data.label_map. "from: 255" means "from: [255]".
static adele_status read_map_field(struct reader *reader, const char *path,
                                   struct config_raw_map *entry) {
    const char *name = strrchr(path, '.') + 1;
    bool is_from = strcmp(name, "from") == 0, is_to = strcmp(name, "to") == 0;
    if (!is_from && !is_to && strcmp(name, "name") != 0)
        return fail_unknown_key(reader, path);
    char **text = is_to ? &entry->to : &entry->name;
    if (is_from ? entry->n_from > 0 : *text != NULL)
        return fail_at_event(reader, path, "given twice");
    TRY(next_event(reader));
    if (!is_from)
        return read_text(reader, path, text);
    if (reader->event.type == YAML_SEQUENCE_START_EVENT) {
        TRY(read_texts(reader, path, &entry->from, &entry->n_from));
        return entry->n_from > 0 ? ADELE_OK : fail_at_event(reader, path, "the list is empty");
    }
    TRY(GROW(&entry->from, 0));
    TRY(read_text(reader, path, &entry->from[0]));
    entry->n_from = 1;
    return ADELE_OK;
}

static adele_status read_map_entry(struct reader *reader, const char *group,
                                   struct config_raw_map *entry) {
    char path[MAX_PATH];
    TRY(expect(reader, YAML_MAPPING_START_EVENT, group));
    TRY(next_event(reader));
    while (reader->event.type != YAML_MAPPING_END_EVENT) {
        TRY(read_key(reader, group, path));
        TRY(read_map_field(reader, path, entry));
        TRY(next_event(reader));
    }
    if (entry->to == NULL || entry->n_from == 0)
        return fail_at_event(reader, group, "an entry needs `from` and `to`");
    return ADELE_OK;
}

static adele_status read_label_map(struct reader *reader, const char *path,
                                   struct config_slot *slot) {
    TRY(next_event(reader));
    while (reader->event.type != YAML_SEQUENCE_END_EVENT) {
        struct config_raw_map *entries = slot->items;
        if (slot->n_items == MAX_LIST)
            return fail_at_event(reader, path, "the list is too long");
        adele_status status = GROW(&entries, slot->n_items);
        slot->items = entries;
        TRY(status);
        memset(&entries[slot->n_items], 0, sizeof *entries);
        slot->n_items++;
        TRY(read_map_entry(reader, path, &entries[slot->n_items - 1]));
        TRY(next_event(reader));
    }
    return ADELE_OK;
}

// The current event begins the value of the key.
static adele_status read_value(struct reader *reader, const struct config_key *key,
                               struct config_slot *slot) {
    slot_deinit(slot, key->kind);
    slot->set = reader->set;
    bool is_word = key->kind == CONFIG_WEIGHTS && reader->event.type == YAML_SCALAR_EVENT;
    if (!config_is_list(key->kind) || is_word)
        return read_text(reader, key->path, &slot->text);
    TRY(expect(reader, YAML_SEQUENCE_START_EVENT, key->path));
    if (key->kind == CONFIG_LABEL_MAP)
        return read_label_map(reader, key->path, slot);
    char **items = NULL;
    adele_status status = read_texts(reader, key->path, &items, &slot->n_items);
    slot->items = items;
    return status;
}

// ---- groups -------------------------------------------------------------------------------------

// Marks the key, or all keys of the group, in the flags; false when it was marked before.
static bool mark_seen(bool is_seen[CONFIG_N_KEYS], const char *path) {
    size_t n = strlen(path);
    bool is_first = true;
    for (int i = 0; i < CONFIG_N_KEYS; i++)
        if (strncmp(config_keys[i].path, path, n) == 0 &&
            (config_keys[i].path[n] == '\0' || config_keys[i].path[n] == '.')) {
            is_first = is_first && !is_seen[i];
            is_seen[i] = true;
        }
    return is_first;
}

static adele_status read_group(struct reader *reader, const char *path);

// `i_key`: -1 for a group.
static adele_status read_key_value(struct reader *reader, const char *path, int i_key) {
    return i_key < 0 ? read_group(reader, path)
                     : read_value(reader, &config_keys[i_key], &reader->raw->slots[i_key]);
}

// The current event begins the value of the group `path`. Groups are no deeper than in the table of
// keys.
static adele_status read_group(struct reader *reader, const char *path) {
    bool is_seen[CONFIG_N_KEYS] = {false};
    char key[MAX_PATH];
    int i_key = -1;
    TRY(expect(reader, YAML_MAPPING_START_EVENT, path));
    TRY(next_event(reader));
    while (reader->event.type != YAML_MAPPING_END_EVENT) {
        TRY(read_key(reader, path, key));
        if (!config_is_known(key, &i_key))
            return fail_unknown_key(reader, key);
        if (!mark_seen(is_seen, key))
            return fail_at_event(reader, key, "given twice");
        TRY(next_event(reader));
        TRY(read_key_value(reader, key, i_key));
        TRY(next_event(reader));
    }
    return ADELE_OK;
}

// ---- documents ----------------------------------------------------------------------------------

// The text's one document is the value of the key or group `path`.
static adele_status read_document(struct reader *reader, const char *path, int i_key) {
    TRY(next_event(reader)); // the stream begins
    TRY(next_event(reader));
    if (reader->event.type == YAML_STREAM_END_EVENT)
        return ADELE_OK; // nothing but comments
    TRY(next_event(reader));
    TRY(read_key_value(reader, path, i_key));
    TRY(next_event(reader)); // the document ends
    TRY(next_event(reader));
    return reader->event.type == YAML_STREAM_END_EVENT
               ? ADELE_OK
               : fail_at_event(reader, "", "only one document is read");
}

static adele_status read_yaml(struct config_raw *raw, const char *name, const char *set,
                              const char *text, size_t bytes, const char *path, int i_key) {
    struct reader reader = {.name = name, .set = set, .text = text, .bytes = bytes, .raw = raw};
    if (!yaml_parser_initialize(&reader.parser))
        return FAIL(ADELE_NO_MEMORY, "Close other programs.", "%s: cannot read it", name);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, bytes);
    adele_status status = read_document(&reader, path, i_key);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return status;
}

adele_status config_raw_parse(const char *name, const char *text, size_t bytes,
                              struct config_raw **out) {
    OWNED_BY(config_raw_destroy) struct config_raw *raw = NULL;
    *out = NULL;
    TRY(ALLOCATE(&raw, 1));
    TRY(read_yaml(raw, name, NULL, text, bytes, "", -1));
    *out = raw;
    raw = NULL;
    return ADELE_OK;
}

// The text that messages name. A long value is cut, so that there is room for what is wrong with
// it.
static adele_status keep_set(struct config_raw *raw, const char *set, const char **out) {
    const bool is_long = strlen(set) > MAX_SET;
    TRY(GROW(&raw->sets, raw->n_sets));
    char *text = memory_printf("--set %.*s%s", MAX_SET, set, is_long ? ".." : "");
    TRY(CHECK_MEMORY(text));
    raw->sets[raw->n_sets++] = text;
    *out = text;
    return ADELE_OK;
}

adele_status config_raw_set(struct config_raw *raw, const char *set) {
    char path[MAX_PATH];
    int i_key = -1;
    const char *equals = strchr(set, '='), *name = NULL;
    if (equals == NULL || equals == set || (size_t)(equals - set) >= sizeof path)
        return FAIL(ADELE_CONFIG, "Write --set train.epochs=50, for example.",
                    "--set %s: not of the form key=value", set);
    (void)snprintf(path, sizeof path, "%.*s", (int)(equals - set), set);
    TRY(keep_set(raw, set, &name));
    if (!config_is_known(path, &i_key))
        return fail_unknown(name, path);
    if (strpbrk(equals, "\r\n") != NULL)
        return FAIL(ADELE_CONFIG, "Write lists as [1, 2].", "%s: more than one line", name);
    // Behind "---" an empty text is an empty value, as it is behind "key:".
    OWNED char *text = memory_printf("--- %s\n", equals + 1);
    TRY(CHECK_MEMORY(text));
    return read_yaml(raw, name, name, text, strlen(text), path, i_key);
}
