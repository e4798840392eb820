// SPDX-License-Identifier: MIT
// Which keys may change when a run is resumed.
#include "run/settings.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/key_table.h"
#include "run_folder/run_folder.h"

#include <string.h>

// Paths, and how long and how carefully the run works. Every other key changes what is learned or
// measured, so a run that changes it halfway has results of a mixture of settings. Labels with
// other content are detected by their hash (checkpoint_read.c).
static const char *const free_keys[] = {"name",
                                        "data.root",
                                        "data.noisy_labels",
                                        "data.true_labels",
                                        "data.memory_limit_mb",
                                        "data.residency",
                                        "model.init", // read by a new run alone
                                        "model.init_strict",
                                        "train.epochs",
                                        "train.iterations",
                                        "train.patience",
                                        "train.on_nan",
                                        "train.checkpoint_every",
                                        "train.evaluate_every",
                                        "train.evaluate_test"};

bool run_setting_may_change(const char *path) {
    for (size_t i = 0; i < sizeof free_keys / sizeof free_keys[0]; i++)
        if (strcmp(free_keys[i], path) == 0)
            return true;
    return false;
}

static const char *shown(const char *value) {
    return value[0] != '\0' ? value : "none";
}

// Two texts may be paths of the same file or folder.
static bool is_same_place(const struct config_key *key, const struct config *a,
                          const struct config *b) {
    if (key->kind != CONFIG_TEXT)
        return false;
    const char *text_a = *(char *const *)((const char *)a + key->offset);
    const char *text_b = *(char *const *)((const char *)b + key->offset);
    return text_a && text_b && path_is_same(text_a, text_b);
}

// Appends "KEY was A, is now B" to `refused`, or logs it when the key may change.
static adele_status compare_key(const struct config_key *key, const struct config *was,
                                const struct config *is, struct buffer *refused) {
    OWNED char *old_value = NULL, *new_value = NULL;
    TRY(config_value_text(key, was, &old_value));
    TRY(config_value_text(key, is, &new_value));
    if (strcmp(old_value, new_value) == 0 || is_same_place(key, was, is))
        return ADELE_OK;
    if (run_setting_may_change(key->path)) {
        log_line(LOG_INFO, "%s is now %s; the run had %s", key->path, shown(new_value),
                 shown(old_value));
        return ADELE_OK;
    }
    return buffer_printf(refused, "%s%s was %s, is now %s", refused->n_bytes > 0 ? "; " : "",
                         key->path, shown(old_value), shown(new_value));
}

static adele_status compare(const char *run_folder, const struct config *was,
                            const struct config *is) {
    CLEANUP(buffer_deinit) struct buffer refused = {0};
    for (int i = 0; i < CONFIG_N_KEYS; i++)
        TRY(compare_key(&config_keys[i], was, is, &refused));
    if (refused.n_bytes > 0)
        return FAIL(ADELE_CONFIG,
                    "Resume with the run's own settings, which are in its "
                    "config.resolved.yaml, or train in another folder with --run.",
                    "%s cannot be resumed with other settings, or its result would be a mixture: "
                    "%s",
                    run_folder, refused.data);
    return ADELE_OK;
}

adele_status run_settings_compare(const char *run_folder, const struct config *config) {
    OWNED_BY(config_destroy) struct config *was = NULL;
    OWNED char *path = NULL;
    TRY(run_folder_path(run_folder, RUN_CONFIG, &path));
    if (!file_exists(path))
        return ADELE_OK;
    adele_status status = run_folder_load_config(run_folder, NULL, &was);
    if (status == ADELE_CONFIG || status == ADELE_FORMAT) { // damaged, or of another version
        log_line(LOG_WARNING, "the settings of the run cannot be compared: %s",
                 adele_error_message());
        return ADELE_OK;
    }
    TRY(status);
    return compare(run_folder, was, config);
}
