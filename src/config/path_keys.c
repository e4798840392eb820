// SPDX-License-Identifier: MIT
#include "config/path_keys.h"

#include <string.h>

void config_list_paths(struct config *config, struct config_path out[CONFIG_N_PATHS]) {
    const struct config_path paths[CONFIG_N_PATHS] = {
        {"data.root", &config->data.root},
        {"data.noisy_labels", &config->data.noisy_labels},
        {"data.true_labels", &config->data.true_labels},
        {"data.split.train", &config->data.split[SPLIT_TRAIN]},
        {"data.split.val", &config->data.split[SPLIT_VAL]},
        {"data.split.test", &config->data.split[SPLIT_TEST]},
    };
    memcpy(out, paths, sizeof paths);
}
