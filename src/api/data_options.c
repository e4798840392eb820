// SPDX-License-Identifier: MIT
#include "api/data_options.h"

#include "base/fail.h"

#include <stdio.h>
#include <string.h>

static adele_status find_layout(const char *name, enum dataset_layout *out) {
    char hint[100] = "Use auto";
    for (int layout = LAYOUT_AUTO; layout < LAYOUT_COUNT; layout++) {
        const char *other = dataset_layout_name(layout);
        size_t n = strlen(hint);
        if (strcmp(name, other) == 0) {
            *out = layout;
            return ADELE_OK;
        }
        if (layout != LAYOUT_AUTO)
            (void)snprintf(hint + n, sizeof hint - n,
                           layout + 1 < LAYOUT_COUNT ? ", %s" : " or %s.", other);
    }
    return FAIL(ADELE_INVALID_ARGUMENT, hint, "no layout is named '%s'", name);
}

adele_status data_options_resolve(const struct adele_data *data, struct config **config,
                                  struct dataset_config *out) {
    // A configuration must have the key. The path itself is set below, because as YAML it might say
    // something else: "a: b" or "set #2".
    static const char *const sets[] = {"data.root=."};
    *config = NULL;
    *out = (struct dataset_config){.root = data->root, .map = {.other = -1}};
    if (data->root == NULL && data->config == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name its folder or a configuration.",
                    "no data set is given");
    if (data->config != NULL) {
        TRY(config_load(data->config, data->root != NULL, sets, config));
        config_dataset(*config, out);
    }
    if (data->root != NULL)
        out->root = data->root;
    if (data->layout != NULL)
        TRY(find_layout(data->layout, &out->layout));
    if (data->noisy_labels != NULL)
        out->noisy_labels = data->noisy_labels;
    if (data->true_labels != NULL)
        out->true_labels = data->true_labels;
    out->follow_links = out->follow_links || data->follow_links;
    for (int split = 0; split < SPLIT_COUNT; split++)
        if (data->split[split] != NULL)
            out->split[split] = data->split[split];
    return ADELE_OK;
}
