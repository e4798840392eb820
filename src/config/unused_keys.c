// SPDX-License-Identifier: MIT
// Keys that are written but have no effect are errors, because whoever writes them expects one.
// Those with which earlier versions have trained are errors of new runs alone (check_new.c). Keys
// of the other method of correction are named in a warning alone, because the same file is often
// trained with both methods.
#include "base/fail.h"
#include "config/key_table.h"

#include <stdio.h>
#include <string.h>

#define AUGMENT "data.augment."

static bool is_written(const struct config_slot *slot) {
    return slot->text != NULL || slot->n_items > 0;
}

static size_t value_bytes(const struct config_key *key) {
    switch (key->kind) {
    case CONFIG_REAL_PAIR:
        return 2 * sizeof(double);
    case CONFIG_REAL:
        return sizeof(double);
    case CONFIG_BOOL:
        return sizeof(bool);
    default:
        return sizeof(int); // also an enum
    }
}

adele_status config_is_default(const struct config_key *key, const struct config *config,
                               bool *out) {
    const struct config_slot nothing = {0};
    struct config defaults;
    memset(&defaults, 0, sizeof defaults);
    defaults.correction.pipeline = config->correction.pipeline;
    defaults.correction.method = config->correction.method;
    TRY(config_value_store(config->source_path, key, &nothing, &defaults));
    *out = memcmp((const char *)config + key->offset, (const char *)&defaults + key->offset,
                  value_bytes(key)) == 0;
    return ADELE_OK;
}

// Augmentation needs another source of the predictions that correct labels (run/setup.c).
static const char *augment_hint(const struct config *config) {
    bool has_source =
        !config_has_adele(config) || config->correction.source != SOURCE_TRAINING_PASS;
    return has_source ? "Set data.augment.enabled: true to augment, or leave the key out."
                      : "Set data.augment.enabled: true and correction.source: inference to "
                        "augment, or leave the key out.";
}

struct key_list { // in the caller's text
    char *out;
    size_t bytes, used;
};

static adele_status list_ignored(const struct config *config, const char *path, const char *when,
                                 struct key_list *list) {
    int i_key = -1;
    bool is_same = true;
    if (config_is_known(path, &i_key))
        TRY(config_is_default(&config_keys[i_key], config, &is_same));
    if (!is_same && list->used < list->bytes)
        list->used += (size_t)snprintf(list->out + list->used, list->bytes - list->used, "%s%s%s",
                                       list->used > 0 ? ", " : "", path, when);
    return ADELE_OK;
}

adele_status config_ignored_keys(const struct config *config, char *out, size_t out_bytes) {
    static const struct {
        const char *path;
        enum correction_method method; // that reads it
    } keys[] = {
        {"correction.at", METHOD_ENSEMBLE},
        {"correction.timing", METHOD_ENSEMBLE},
        {"correction.beta", METHOD_ENSEMBLE},
        {"correction.guide", METHOD_ENSEMBLE},
        {"correction.guide_eps", METHOD_ENSEMBLE},
        {"correction.decision", METHOD_ENSEMBLE},
        {"correction.calibrate", METHOD_ENSEMBLE},
        {"correction.gate", METHOD_ENSEMBLE},
        {"correction.every", METHOD_ADELE},
        {"correction.rule", METHOD_ADELE},
        {"correction.tau", METHOD_ADELE},
        {"correction.mask", METHOD_ADELE},
        {"correction.logic255", METHOD_ADELE},
        {"correction.guard", METHOD_ADELE},
        {"correction.base", METHOD_ADELE},
        {"correction.source", METHOD_ADELE},
        {"correction.flip", METHOD_ADELE},
        {"correction.average", METHOD_ADELE},
        {"correction.veto", METHOD_ADELE},
        {"correction.crf_iterations", METHOD_ADELE},
        {"correction.crf_from_epoch", METHOD_ADELE},
    };
    struct key_list list = {out, out_bytes, 0};
    out[0] = '\0';
    for (size_t i = 0; i < sizeof keys / sizeof *keys && config->correction.enabled; i++)
        if (keys[i].method != config->correction.method)
            TRY(list_ignored(config, keys[i].path, "", &list));
    if (config_has_ensemble(config) && config->correction.timing == TIMING_ONSET)
        TRY(list_ignored(config, "correction.at", " (with correction.timing: onset)", &list));
    return ADELE_OK;
}

// config.resolved.yaml of a run has all keys, so `enabled: false` with the defaults of the others
// is accepted.
adele_status config_check_unused(const struct config_raw *raw, const struct config *config) {
    int i_enabled = -1;
    if (config->data.augment.enabled || !config_is_known(AUGMENT "enabled", &i_enabled))
        return ADELE_OK;
    bool says_off = is_written(config_raw_slot(raw, i_enabled));
    for (int i = 0; i < CONFIG_N_KEYS; i++) {
        const struct config_key *key = &config_keys[i];
        if (i == i_enabled || strncmp(key->path, AUGMENT, strlen(AUGMENT)) != 0 ||
            !is_written(config_raw_slot(raw, i)))
            continue;
        bool is_known_off = false;
        if (says_off)
            TRY(config_is_default(key, config, &is_known_off));
        if (!is_known_off)
            return FAIL(ADELE_CONFIG, augment_hint(config),
                        "%s is set, but augmentation is off (data.augment.enabled: false%s)",
                        key->path, says_off ? "" : ", the default");
    }
    return ADELE_OK;
}
