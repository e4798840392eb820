// SPDX-License-Identifier: MIT
// What was measured once: which engine runs a shape fastest, remembered from run to run in a file
// of lines "key<TAB>value" in the user's cache folder. Only a memory: a file that is missing,
// broken or cannot be written costs new measurements and nothing else, so nothing here fails.
#ifndef ADELE_DEVICE_ENGINE_CACHE_H
#define ADELE_DEVICE_ENGINE_CACHE_H

#ifdef __cplusplus
extern "C" {
#endif

struct engine_cache;

// $XDG_CACHE_HOME/adele/engines.txt, or ~/.cache/adele/engines.txt; NULL when neither is set or
// memory is out. Caller frees with memory_free.
char *engine_cache_path(void);
// The same for another file beside it, which has the same form: "selftest.txt".
char *engine_cache_path_of(const char *name);
// Reads the file; `path` NULL: remembers in memory only. NULL when memory is out, which the other
// functions take for an empty cache.
struct engine_cache *engine_cache_open(const char *path);
// NULL when the key is not there; borrowed until the next call with this cache.
const char *engine_cache_find(const struct engine_cache *cache, const char *key);
// Remembers (neither text may hold a tab or a line's end) and writes the file, whole, with what
// other programs have added to it since.
void engine_cache_put(struct engine_cache *cache, const char *key, const char *value);
void engine_cache_close(struct engine_cache *cache); // NULL is legal

#ifdef __cplusplus
}
#endif
#endif
