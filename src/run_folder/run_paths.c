// SPDX-License-Identifier: MIT
// RUN/paths.json.
#include "run_folder/run_folder.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/config.h"

#include <string.h>

// ---- writing ------------------------------------------------------------------------------------

static adele_status add_path(cJSON *json, const struct config_path *path) {
    OWNED char *absolute = NULL;
    TRY(path_resolve(*path->text, &absolute));
    cJSON *item = cJSON_CreateObject();
    bool is_fine = json_add(json, path->key, item) &&
                   json_add(item, "given", cJSON_CreateString(*path->text)) &&
                   json_add(item, "absolute", cJSON_CreateString(absolute));
    return CHECK_MEMORY(is_fine ? item : NULL);
}

adele_status run_paths_write(const char *run_folder, const struct config *config) {
    struct config_path paths[CONFIG_N_PATHS];
    config_list_paths((struct config *)config, paths); // only read
    OWNED char *file = file_join(run_folder, "paths.json");
    OWNED_BY(cJSON_Delete) cJSON *json = cJSON_CreateObject();
    TRY(CHECK_MEMORY(file ? json : NULL));
    // A list in the data set, or the name of one, is found through data.root instead.
    for (int i = 0; i < CONFIG_N_PATHS; i++)
        if (*paths[i].text && file_exists(*paths[i].text))
            TRY(add_path(json, &paths[i]));
    return json_write(file, json);
}

// ---- reading ------------------------------------------------------------------------------------

// *out is NULL for an early run, which has no such file.
static adele_status read_paths(const char *run_folder, cJSON **out) {
    *out = NULL;
    OWNED char *file = file_join(run_folder, "paths.json");
    TRY(CHECK_MEMORY(file));
    return file_exists(file) ? json_read(file, out) : ADELE_OK;
}

// The absolute path, if the run was given the same text; NULL: not known.
static const char *absolute_of(const cJSON *json, const char *key, const char *given) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    const char *was = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "given"));
    const char *absolute = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "absolute"));
    return was && absolute && strcmp(was, given) == 0 ? absolute : NULL;
}

static adele_status set_text(char **text, const char *value) {
    char *copy = memory_strdup(value);
    TRY(CHECK_MEMORY(copy));
    memory_free(*text);
    *text = copy;
    return ADELE_OK;
}

static adele_status resolve(const cJSON *json, const struct config_path *path) {
    const char *absolute = absolute_of(json, path->key, *path->text);
    if (!absolute || !file_exists(absolute))
        return ADELE_OK;
    return file_exists(*path->text) ? ADELE_OK : set_text(path->text, absolute);
}

// The part of `path` behind `folder`, from the slash on; NULL when the path is not in it.
static const char *below(const char *path, const char *folder) {
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/')
        n--;
    return strncmp(path, folder, n) == 0 && path[n] == '/' ? path + n : NULL;
}

// A path in the data set has moved with it, if it exists there.
static adele_status move_with_data(const cJSON *json, const struct config_path *path,
                                   const char *old_root, const char *given_root, const char *data) {
    const char *absolute = absolute_of(json, path->key, *path->text);
    const char *rest = absolute && old_root ? below(absolute, old_root) : NULL;
    if (!rest)
        rest = below(*path->text, given_root);
    if (!rest)
        return resolve(json, path);
    OWNED char *moved = memory_printf("%s%s", data, rest);
    TRY(CHECK_MEMORY(moved));
    return file_exists(moved) ? set_text(path->text, moved) : resolve(json, path);
}

adele_status run_paths_resolve(const char *run_folder, const char *data, struct config *config) {
    struct config_path paths[CONFIG_N_PATHS];
    config_list_paths(config, paths);
    OWNED_BY(cJSON_Delete) cJSON *json = NULL;
    TRY(read_paths(run_folder, &json));
    const char *old_root = absolute_of(json, paths[0].key, config->data.root);
    for (int i = data ? 1 : 0; i < CONFIG_N_PATHS; i++) {
        if (!*paths[i].text)
            continue;
        TRY(data ? move_with_data(json, &paths[i], old_root, config->data.root, data)
                 : resolve(json, &paths[i]));
    }
    return data ? set_text(&config->data.root, data) : ADELE_OK;
}

adele_status run_paths_warn(const char *run_folder, const struct config *config) {
    struct config_path paths[CONFIG_N_PATHS];
    config_list_paths((struct config *)config, paths); // only read
    OWNED_BY(cJSON_Delete) cJSON *json = NULL;
    TRY(read_paths(run_folder, &json));
    for (int i = 0; i < CONFIG_N_PATHS; i++) {
        const char *text = *paths[i].text;
        const char *absolute = text ? absolute_of(json, paths[i].key, text) : NULL;
        if (absolute && file_exists(absolute) && !path_is_same(text, absolute))
            log_line(LOG_WARNING, "%s: %s is read from the current folder; the run had %s",
                     paths[i].key, text, absolute);
    }
    return ADELE_OK;
}
