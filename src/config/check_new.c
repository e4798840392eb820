// SPDX-License-Identifier: MIT
// What is refused in a new run alone: config.resolved.yaml of runs of earlier versions has it.
#include "base/fail.h"
#include "config/key_table.h"

static adele_status check_true_labels(const struct config *config) {
    if (config->data.noise.kind == NOISE_NONE || config->data.true_labels == NULL)
        return ADELE_OK;
    return FAIL(ADELE_CONFIG, "Leave one of the two out.",
                "data.noise.kind makes the labels given the true ones, but data.true_labels is %s",
                config->data.true_labels);
}

// A key that the run would not read. Its default is accepted, because config.resolved.yaml, which
// may be trained again, has it.
static adele_status check_unread(const struct config *config, const char *path, const char *hint,
                                 const char *other, const char *value) {
    int i_key = -1;
    bool is_default = true;
    if (config_is_known(path, &i_key))
        TRY(config_is_default(&config_keys[i_key], config, &is_default));
    return is_default ? ADELE_OK
                      : FAIL(ADELE_CONFIG, hint, "%s is set, but %s is %s", path, other, value);
}

static adele_status check_augment_kind(const struct config *config) {
    static const struct {
        const char *path;
        enum adele_augment_kind kind; // that reads it
    } keys[] = {{"data.augment.rotate", ADELE_AUGMENT_AFFINE},
                {"data.augment.translate", ADELE_AUGMENT_AFFINE},
                {"data.augment.hsv", ADELE_AUGMENT_VOC}};
    const struct adele_augment *augment = &config->data.augment;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && augment->enabled; i++)
        if (keys[i].kind != augment->kind)
            TRY(check_unread(config, keys[i].path, "Leave the key out, or choose the other kind.",
                             "data.augment.kind",
                             augment->kind == ADELE_AUGMENT_VOC ? "voc" : "affine"));
    return ADELE_OK;
}

static adele_status check_optimizer(const struct config *config) {
    static const struct {
        const char *path;
        enum optimizer_kind optimizer; // that reads it
    } keys[] = {{"train.optimizer.momentum", OPTIMIZER_SGD},
                {"train.optimizer.betas", OPTIMIZER_ADAMW},
                {"train.optimizer.eps", OPTIMIZER_ADAMW}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].optimizer != config->train.optimizer)
            TRY(check_unread(config, keys[i].path,
                             "Leave the key out, or choose the other optimizer.",
                             "train.optimizer.name",
                             config->train.optimizer == OPTIMIZER_SGD ? "sgd" : "adamw"));
    return ADELE_OK;
}

adele_status config_check_new(const struct config *config) {
    adele_status status = check_true_labels(config);
    if (status == ADELE_OK)
        status = check_augment_kind(config);
    if (status == ADELE_OK)
        status = check_optimizer(config);
    return config_name_origin(config, status);
}
