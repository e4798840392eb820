// SPDX-License-Identifier: MIT
// A persistent cache of measurements (which engine runs a shape fastest): a file of lines
// "key<TAB>value" in the user's cache folder. A file that is missing, damaged or cannot be written
// only costs new measurements, so nothing here fails.
#ifndef ADELE_DEVICE_ENGINE_CACHE_H
#define ADELE_DEVICE_ENGINE_CACHE_H

#ifdef __cplusplus
extern "C" {
#endif

struct engine_cache;

// $XDG_CACHE_HOME/adele/engines.txt, or ~/.cache/adele/engines.txt; NULL when neither is set or
// memory is out. Caller frees with memory_free.
char *engine_cache_path(void);
// The path of another file of the same format in that folder: "selftest.txt".
char *engine_cache_path_of(const char *name);
// Reads the file; `path` NULL: entries are kept in memory only. NULL when memory is out, which the
// other functions treat as an empty cache.
struct engine_cache *engine_cache_open(const char *path);
// NULL when the key is not there; borrowed until the next call with this cache.
const char *engine_cache_find(const struct engine_cache *cache, const char *key);
// Stores the pair (neither text may contain a tab or a newline) and writes the whole file, with the
// entries that other programs have added to it since.
void engine_cache_put(struct engine_cache *cache, const char *key, const char *value);
void engine_cache_close(struct engine_cache *cache); // NULL is legal

#ifdef __cplusplus
}
#endif
#endif
