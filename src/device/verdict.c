// SPDX-License-Identifier: MIT
#include "device/verdict.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/program_hash.h"
#include "device/engine_cache.h"
#include "device/families.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "selftest.txt"

enum { MAX_KEY = 400, MAX_TEXT = 1200 };

static void write_key(const char *identity, char *key) {
    char program[HASH_HEX_BYTES];
    program_hash_hex(program);
    (void)snprintf(key, MAX_KEY, "%s, program %s", identity, program);
}

// "complete: conv2d_mma, loss_fused; HASH", with a hash of the key and of what stands before it.
static void write_value(const char *key, const struct verdict *verdict, char *value) {
    char families[MAX_TEXT - 64], text[MAX_KEY + MAX_TEXT], hash[HASH_HEX_BYTES];
    families_print(verdict->left_out, families, sizeof families);
    const char *state = verdict->is_complete ? "complete" : "incomplete";
    int n = snprintf(text, sizeof text, "%s %s: %s", key, state, families);
    hash_xxh3_hex(text, (size_t)n, hash);
    (void)snprintf(value, MAX_TEXT, "%s: %s; %s", state, families, hash);
}

static bool read_value(const char *key, const char *value, struct verdict *out) {
    char copy[MAX_TEXT], again[MAX_TEXT];
    (void)snprintf(copy, sizeof copy, "%s", value);
    char *families = strstr(copy, ": "), *end = strchr(copy, ';');
    if (families == NULL || end == NULL || end < families + 2)
        return false;
    *families = *end = '\0';
    out->is_complete = strcmp(copy, "complete") == 0;
    if (!families_parse(families + 2, &out->left_out))
        return false;
    write_value(key, out, again);
    return strcmp(again, value) == 0;
}

static struct engine_cache *open_file(void) {
    char *path = engine_cache_path_of(FILE_NAME);
    struct engine_cache *cache = engine_cache_open(path);
    memory_free(path);
    return cache;
}

bool verdict_find(const char *identity, struct verdict *out) {
    char key[MAX_KEY];
    write_key(identity, key);
    struct engine_cache *cache = open_file();
    const char *value = engine_cache_find(cache, key);
    bool is_there = value != NULL && read_value(key, value, out);
    engine_cache_close(cache);
    return is_there;
}

void verdict_put(const char *identity, const struct verdict *verdict) {
    char key[MAX_KEY], value[MAX_TEXT];
    write_key(identity, key);
    write_value(key, verdict, value);
    struct engine_cache *cache = open_file();
    engine_cache_put(cache, key, value);
    engine_cache_close(cache);
}

bool verdict_is_off(void) {
    const char *setting = getenv("ADELE_SELFTEST");
    return setting != NULL && strcmp(setting, "off") == 0;
}
