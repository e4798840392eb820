// SPDX-License-Identifier: MIT
// The data set that a model is evaluated on or audited with: that of its run, or another folder.
#include "predict/model.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "run_folder/run_folder.h"

#include <string.h>

void model_dataset_config(const struct model *model, const struct model_options *options,
                          struct dataset_config *out) {
    memset(out, 0, sizeof *out);
    if (model->config) {
        config_dataset(model->config, out);
        out->noisy_labels = NULL; // scores are against the layout's own labels
        out->true_labels = NULL;
    }
    if (options->data) {
        // Another data set has its own layout and splits; the mapping of labels is the model's.
        out->root = options->data;
        out->layout = LAYOUT_AUTO;
        memset(out->split, 0, sizeof out->split);
    }
    out->height = model->height;
    out->width = model->width;
    out->normalize = model->normalize;
    out->orientation = model->orientation;
}

// data.split of the run names cases of its data set, and not only splits that are empty.
static bool has_lists(const struct config *config) {
    for (int i = 0; i < SPLIT_COUNT; i++) {
        const char *list = config->data.split[i];
        if (list && list[0] != '\0' && strcmp(list, "none") != 0)
            return true;
    }
    return false;
}

// A folder that has all the cases of the run's lists is the run's data set, which may have moved:
// without its lists, images that the run was trained on would be in the validation split.
static adele_status open_named(const struct model *model, const struct model_options *options,
                               const struct dataset_config *data, struct dataset **out) {
    if (!model->run_folder || !has_lists(model->config))
        return dataset_open(data, out);
    OWNED_BY(config_destroy) struct config *moved = NULL;
    TRY(run_folder_load_config(model->run_folder, options->data, &moved));
    struct dataset_config with_lists = *data;
    for (int i = 0; i < SPLIT_COUNT; i++)
        with_lists.split[i] = moved->data.split[i];
    adele_status status = dataset_open(&with_lists, out);
    if (status == ADELE_OK || status == ADELE_NO_MEMORY)
        return status;
    log_line(LOG_WARNING, "data.split of the run is not used, because %s does not go with it: %s",
             options->data, adele_error_message());
    return dataset_open(data, out);
}

adele_status model_open_dataset(const struct model *model, const struct model_options *options,
                                const char *noisy_labels, struct dataset **out) {
    struct dataset_config data;
    model_dataset_config(model, options, &data);
    data.noisy_labels = noisy_labels;
    *out = NULL;
    if (!data.root)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name the data set with --data DIR.",
                    "%s lies in no run folder, so its data set is unknown", model->path);
    if (options->data) {
        TRY(open_named(model, options, &data, out));
    } else {
        TRY(run_paths_warn(model->run_folder, model->config));
        TRY(dataset_open(&data, out));
    }
    return ADELE_OK;
}
