// SPDX-License-Identifier: MIT
// Which keys may change when a run is resumed.
#include "run/settings.h"

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

// Appends "KEY was A, is now B" to *refused, or logs it when the key may change.
static adele_status compare_key(const struct config_key *key, const struct config *was,
                                const struct config *is, char **refused) {
    char *old_value = NULL, *new_value = NULL, *longer = NULL;
    adele_status status;
    TRY_GOTO(config_value_text(key, was, &old_value), done);
    TRY_GOTO(config_value_text(key, is, &new_value), done);
    if (strcmp(old_value, new_value) == 0 || is_same_place(key, was, is))
        goto done;
    if (run_setting_may_change(key->path)) {
        log_line(LOG_INFO, "%s is now %s; the run had %s", key->path, shown(new_value),
                 shown(old_value));
        goto done;
    }
    longer = memory_printf("%s%s%s was %s, is now %s", *refused ? *refused : "",
                           *refused ? "; " : "", key->path, shown(old_value), shown(new_value));
    TRY_GOTO(CHECK_MEMORY(longer), done);
    memory_free(*refused);
    *refused = longer;
done:
    memory_free(old_value);
    memory_free(new_value);
    return status;
}

static adele_status compare(const char *run_folder, const struct config *was,
                            const struct config *is) {
    char *refused = NULL;
    adele_status status = ADELE_OK;
    for (int i = 0; i < CONFIG_N_KEYS && status == ADELE_OK; i++)
        status = compare_key(&config_keys[i], was, is, &refused);
    if (status == ADELE_OK && refused)
        status = FAIL(ADELE_CONFIG,
                      "Resume with the run's own settings, which are in its "
                      "config.resolved.yaml, or train in another folder with --run.",
                      "%s cannot be resumed with other settings, or its result would be a mixture: "
                      "%s",
                      run_folder, refused);
    memory_free(refused);
    return status;
}

adele_status run_settings_compare(const char *run_folder, const struct config *config) {
    struct config *was = NULL;
    char *path = NULL;
    TRY(run_folder_path(run_folder, RUN_CONFIG, &path));
    bool is_there = file_exists(path);
    memory_free(path);
    if (!is_there)
        return ADELE_OK;
    adele_status status = run_folder_load_config(run_folder, NULL, &was);
    if (status == ADELE_CONFIG || status == ADELE_FORMAT) { // damaged, or of another version
        log_line(LOG_WARNING, "the settings of the run cannot be compared: %s",
                 adele_error_message());
        return ADELE_OK;
    }
    TRY(status);
    status = compare(run_folder, was, config);
    config_destroy(was);
    return status;
}
