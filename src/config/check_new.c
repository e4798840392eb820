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

// Keys of one kind of augmentation that the other does not read. Their defaults are accepted,
// because config.resolved.yaml, which may be trained again, has them.
static adele_status check_augment_kind(const struct config *config) {
    static const struct {
        const char *path;
        enum adele_augment_kind kind; // that reads it
    } keys[] = {{"data.augment.rotate", ADELE_AUGMENT_AFFINE},
                {"data.augment.translate", ADELE_AUGMENT_AFFINE},
                {"data.augment.hsv", ADELE_AUGMENT_VOC}};
    const struct adele_augment *augment = &config->data.augment;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && augment->enabled; i++) {
        int i_key = -1;
        bool is_default = true;
        if (keys[i].kind == augment->kind || !config_is_known(keys[i].path, &i_key))
            continue;
        TRY(config_is_default(&config_keys[i_key], config, &is_default));
        if (!is_default)
            return FAIL(ADELE_CONFIG, "Leave the key out, or choose the other kind.",
                        "%s is set, but data.augment.kind is %s", keys[i].path,
                        augment->kind == ADELE_AUGMENT_VOC ? "voc" : "affine");
    }
    return ADELE_OK;
}

adele_status config_check_new(const struct config *config) {
    adele_status status = check_true_labels(config);
    if (status == ADELE_OK)
        status = check_augment_kind(config);
    return config_name_origin(config, status);
}
