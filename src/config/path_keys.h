// SPDX-License-Identifier: MIT
// The keys of a configuration whose values are paths.
#ifndef ADELE_CONFIG_PATH_KEYS_H
#define ADELE_CONFIG_PATH_KEYS_H

#include "config/config.h"

#define CONFIG_N_PATHS 6

struct config_path {
    const char *key;
    char **text; // owned by the configuration; NULL where it is not given
};
// The first one is data.root.
void config_list_paths(struct config *config, struct config_path out[CONFIG_N_PATHS]);
#endif
