// SPDX-License-Identifier: MIT
#include "predict/model.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "run_folder/checkpoint_model.h"
#include "run_folder/run_argument.h"
#include "run_folder/run_folder.h"

#include <string.h>

void model_options_init(struct model_options *out) {
    memset(out, 0, sizeof *out);
    out->split = SPLIT_TEST;
    out->inference = inference_config_single(8, 1.0);
}

static adele_status split_names(struct model *model, const char *joined) {
    int n = model->n_categories;
    TRY(ALLOCATE(&model->category_names, n));
    const char *at = joined;
    for (int c = 0; c < n; c++) {
        size_t length = strcspn(at, "\n");
        model->category_names[c] = memory_printf("%.*s", (int)length, at);
        TRY(CHECK_MEMORY(model->category_names[c]));
        at += length;
        bool is_last = *at == '\0';
        if (is_last != (c == n - 1))
            return FAIL(ADELE_FORMAT, "Name a checkpoint that `adele train` wrote.",
                        "%d class names expected", n);
        if (!is_last)
            at++;
    }
    return ADELE_OK;
}

static adele_status load_network(struct model *model, const struct safetensors *file) {
    struct checkpoint_model description;
    TRY(checkpoint_read_model(file, &description));
    model->n_channels = description.n_channels;
    model->n_categories = description.n_categories;
    model->height = description.height;
    model->width = description.image_width;
    model->normalize = (enum image_normalize)description.normalize;
    model->has_palette = description.has_palette;
    memcpy(model->orientation.letters, description.orientation,
           strnlen(description.orientation, sizeof model->orientation.letters - 1));
    model->epoch = description.epoch;
    TRY(split_names(model, description.categories));
    struct network_config network = {.name = description.name,
                                     .backbone = description.backbone,
                                     .n_channels = description.n_channels,
                                     .n_categories = description.n_categories,
                                     .width = description.width,
                                     .rate = description.rate};
    model->is_averaged = description.is_averaged;
    TRY(network_create(model->device, &network, &model->network));
    return network_import(model->network, CONTENT_WEIGHTS, checkpoint_model_prefix(file), file,
                          false);
}

// The run folder of RUN/checkpoints/X.safetensors; of a path without it, from the current folder.
static adele_status find_run_folder(const char *path, char **out) {
    OWNED char *checkpoints = path_folder(path);
    TRY(CHECK_MEMORY(checkpoints));
    const char *name = file_base_name(checkpoints);
    bool is_dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    *out = is_dots ? file_join(checkpoints, "..") : path_folder(checkpoints);
    return CHECK_MEMORY(*out);
}

// The configuration of the run that the checkpoint lies in, when there is one.
static adele_status load_run_config(struct model *model) {
    OWNED char *folder = NULL, *path = NULL;
    TRY(find_run_folder(model->path, &folder));
    TRY(run_folder_path(folder, RUN_CONFIG, &path));
    if (!file_exists(path))
        return ADELE_OK;
    model->run_folder = folder;
    folder = NULL;
    TRY(run_folder_load_config(model->run_folder, NULL, &model->config));
    model->window_h = model->config->data.patch[0];
    model->window_w = model->config->data.patch[1];
    return ADELE_OK;
}

static adele_status find_checkpoint(const char *path, const char *checkpoint, char **out) {
    TRY(run_argument_check(path, true));
    bool is_run = file_is_directory(path);
    *out = is_run ? memory_printf("%s/checkpoints/%s.safetensors", path,
                                  checkpoint ? checkpoint : "last")
                  : memory_strdup(path);
    TRY(CHECK_MEMORY(*out));
    if (!is_run && checkpoint)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name the run's folder, or leave --checkpoint out.",
                    "%s is a file: --checkpoint %s chooses among those of a run", path, checkpoint);
    if (is_run && !file_exists(*out))
        return FAIL(ADELE_IO, "Name the folder of a run that has trained for an epoch or more.",
                    "%s: not there", *out);
    return ADELE_OK;
}

adele_status model_load(const char *path, const char *checkpoint, const char *device,
                        struct model *out) {
    CLEANUP(model_deinit) struct model model = {0};
    OWNED_BY(safetensors_close) struct safetensors *file = NULL;
    *out = (struct model){0};
    TRY(find_checkpoint(path, checkpoint, &model.path));
    TRY(safetensors_open(model.path, &file));
    TRY(adele_device_open(device, ADELE_PRECISION_FP32, &model.device));
    adele_status status = load_network(&model, file);
    if (status != ADELE_OK)
        return fail_context(status, "%s", model.path);
    TRY(load_run_config(&model));
    *out = model;
    model = (struct model){0};
    return ADELE_OK;
}

void model_deinit(struct model *model) {
    network_destroy(model->network);
    adele_device_close(model->device);
    config_destroy(model->config);
    for (int c = 0; model->category_names && c < model->n_categories; c++)
        memory_free(model->category_names[c]);
    memory_free(model->category_names);
    memory_free(model->path);
    memory_free(model->run_folder);
    memset(model, 0, sizeof *model);
}
