// SPDX-License-Identifier: MIT
#include "run_folder/run_folder.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

adele_status run_folder_path(const char *run_folder, const char *name, char **out) {
    *out = file_join(run_folder, name);
    return CHECK_MEMORY(*out);
}

adele_status run_folder_write_json(const char *run_folder, const char *name, cJSON *json,
                                   bool is_complete) {
    OWNED_BY(cJSON_Delete) cJSON *owned = json; // after a failure, too
    OWNED char *path = NULL;
    TRY(CHECK_MEMORY(is_complete ? json : NULL));
    TRY(run_folder_path(run_folder, name, &path));
    return json_write(path, json);
}

static adele_status has_file(const char *run_folder, const char *name, bool *out) {
    OWNED char *path = NULL;
    TRY(run_folder_path(run_folder, name, &path));
    *out = file_exists(path);
    return ADELE_OK;
}

adele_status run_folder_has_checkpoint(const char *run_folder, bool *out) {
    TRY(has_file(run_folder, CHECKPOINT_LAST, out));
    return *out ? ADELE_OK : has_file(run_folder, CHECKPOINT_PREVIOUS, out);
}

adele_status run_folder_guard_data(const struct config *config, struct output_guard *guard) {
    TRY(output_guard_add_data(guard, config->data.root));
    TRY(output_guard_add(guard, config->data.noisy_labels, "the folder of noisy labels"));
    return output_guard_add(guard, config->data.true_labels, "the folder of true labels");
}

adele_status run_folder_guard(const char *run_folder, const struct config *config,
                              struct output_guard *guard) {
    TRY(output_guard_add_run(guard, run_folder));
    return config ? run_folder_guard_data(config, guard) : ADELE_OK;
}

adele_status run_folder_load_config(const char *run_folder, const char *data, struct config **out) {
    OWNED_BY(config_destroy) struct config *config = NULL;
    OWNED char *path = NULL;
    TRY(run_folder_path(run_folder, RUN_CONFIG, &path));
    TRY(config_load(path, 0, NULL, &config));
    config->is_of_run = true;
    TRY(run_paths_resolve(run_folder, data, config));
    *out = config;
    config = NULL;
    return ADELE_OK;
}
