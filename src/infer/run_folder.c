// SPDX-License-Identifier: MIT
#include "infer/run_folder.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

#include <string.h>

adele_status run_folder_has_checkpoint(const char *run_folder, bool *out) {
    char *last = file_join(run_folder, CHECKPOINT_LAST);
    char *previous = file_join(run_folder, CHECKPOINT_PREVIOUS);
    *out = (last && file_exists(last)) || (previous && file_exists(previous));
    bool has_paths = last && previous;
    memory_free(last);
    memory_free(previous);
    return has_paths ? ADELE_OK : FAIL_NO_MEMORY(strlen(run_folder) + sizeof CHECKPOINT_PREVIOUS);
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
    char *path = file_join(run_folder, "config.resolved.yaml");
    if (!path)
        return FAIL_NO_MEMORY(strlen(run_folder) + 32);
    adele_status status = config_load(path, 0, NULL, out);
    memory_free(path);
    TRY(status);
    status = run_paths_resolve(run_folder, data, *out);
    if (status != ADELE_OK) {
        config_destroy(*out);
        *out = NULL;
    }
    return status;
}
