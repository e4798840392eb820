// SPDX-License-Identifier: MIT
#include "train/model.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "train/checkpoint.h"

#include <string.h>

void model_options_init(struct model_options *out) {
    memset(out, 0, sizeof *out);
    out->split = SPLIT_TEST;
    out->inference = (struct inference_config){.batch = 8,
                                               .n_scales = 1,
                                               .scales = {1.0},
                                               .average = ADELE_ENSEMBLE_PROBABILITIES,
                                               .temperature = 1.0};
}

// ---- loading ------------------------------------------------------------------------------------

static adele_status split_names(struct model *model, const char *joined) {
    int n = model->n_categories;
    model->category_names = memory_calloc((size_t)n, sizeof *model->category_names);
    if (!model->category_names)
        return FAIL_NO_MEMORY((size_t)n * sizeof *model->category_names);
    const char *at = joined;
    for (int c = 0; c < n; c++) {
        size_t length = strcspn(at, "\n");
        model->category_names[c] = memory_printf("%.*s", (int)length, at);
        if (!model->category_names[c])
            return FAIL_NO_MEMORY(length + 1);
        at += length;
        bool is_last = *at == '\0';
        if (is_last != (c == n - 1))
            return FAIL(ADELE_FORMAT, "Name a checkpoint that `adele train` wrote.",
                        "%d category names expected", n);
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
    TRY(split_names(model, description.categories));
    struct network_config network = {.name = description.name,
                                     .backbone = description.backbone,
                                     .n_channels = description.n_channels,
                                     .n_categories = description.n_categories,
                                     .width = description.width,
                                     .rate = description.rate};
    TRY(network_create(model->device, &network, &model->network));
    return network_import(model->network, "model.", file);
}

// RUN/config.resolved.yaml of RUN/checkpoints/X.safetensors, when it is there.
static adele_status load_run_config(struct model *model) {
    char *text = memory_strdup(model->path);
    if (!text)
        return FAIL_NO_MEMORY(strlen(model->path));
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(text, '/');
        if (slash)
            *slash = '\0';
        else
            strcpy(text, ".");
    }
    char *path = file_join(text, "config.resolved.yaml");
    memory_free(text);
    if (!path)
        return FAIL_NO_MEMORY(64);
    adele_status status = file_exists(path) ? config_load(path, 0, NULL, &model->config) : ADELE_OK;
    memory_free(path);
    return status;
}

adele_status model_load(const char *path, const char *device, struct model *out) {
    memset(out, 0, sizeof *out);
    struct safetensors *file = NULL;
    adele_status status;
    out->path = file_is_directory(path) ? file_join(path, "checkpoints/last.safetensors")
                                        : memory_strdup(path);
    if (!out->path)
        return FAIL_NO_MEMORY(strlen(path));
    TRY_GOTO(safetensors_open(out->path, &file), fail);
    TRY_GOTO(adele_device_open(device, ADELE_PRECISION_FP32, &out->device), fail);
    status = load_network(out, file);
    if (status != ADELE_OK) {
        status = fail_context(status, "%s", out->path);
        goto fail;
    }
    TRY_GOTO(load_run_config(out), fail);
    safetensors_close(file);
    return ADELE_OK;
fail:
    safetensors_close(file);
    model_deinit(out);
    return status;
}

void model_deinit(struct model *model) {
    network_destroy(model->network);
    adele_device_close(model->device);
    config_destroy(model->config);
    for (int c = 0; model->category_names && c < model->n_categories; c++)
        memory_free(model->category_names[c]);
    memory_free(model->category_names);
    memory_free(model->path);
    memset(model, 0, sizeof *model);
}

// ---- cases --------------------------------------------------------------------------------------

// What predicting case after case needs; one case's images are resident at a time.
struct worker {
    struct model *model;
    const struct model_options *options;
    struct dataset *dataset;
    struct inference *inference;
    float *probabilities; // host copy of the case's, when wanted
};

static adele_status keep_probabilities(void *context, int first, int n_rows, const float *from) {
    struct worker *worker = context;
    const struct model *model = worker->model;
    size_t row = (size_t)model->n_categories * (size_t)model->height * (size_t)model->width;
    return model->device->iface->download(model->device,
                                          worker->probabilities + (size_t)first * row, from,
                                          (size_t)n_rows * row * sizeof(float));
}

static adele_status save_probabilities(struct worker *worker, const char *name, int n) {
    const struct model *model = worker->model;
    int64_t shape[4] = {n, model->n_categories, model->height, model->width};
    struct safetensors_writer *writer = NULL;
    char *file = memory_printf("%s/%s.safetensors", worker->options->masks_folder, name);
    adele_status status = file ? safetensors_writer_create(&writer) : FAIL_NO_MEMORY(64);
    if (status == ADELE_OK)
        status = safetensors_writer_add(writer, "probabilities", SAFETENSORS_F32, 4, shape,
                                        worker->probabilities);
    if (status == ADELE_OK)
        status = safetensors_writer_save(writer, file);
    safetensors_writer_destroy(writer);
    memory_free(file);
    return status;
}

// Counts one predicted case against its labels.
static adele_status count_case(struct worker *worker, const struct resident *resident,
                               const uint8_t *prediction, int64_t *counts) {
    const struct adele_device *device = worker->model->device;
    const struct adele_sample_set *set = &resident->set;
    const uint8_t *labels = resident->truth ? resident->truth : resident->labels;
    if (!labels)
        return FAIL(ADELE_DATA, "Evaluate a split that has labels.", "%s: the split has no labels",
                    worker->dataset->root);
    struct adele_count_desc desc = {
        .n = set->n_images, .h = set->h, .w = set->w, .n_categories = worker->model->n_categories};
    struct adele_op *op = NULL;
    struct adele_count_args args = {.prediction = prediction, .labels = labels, .counts = counts};
    TRY(device->iface->count_create(device, &desc, &op));
    adele_status status = device->iface->count_forward(op, &args);
    device->iface->op_destroy(op);
    return status;
}

static adele_status save_case(struct worker *worker, enum dataset_split split, int i_case,
                              const struct resident *resident, const uint8_t *prediction) {
    const struct model_options *options = worker->options;
    if (!options->masks_folder)
        return ADELE_OK;
    const struct adele_device *device = worker->model->device;
    const struct dataset_case *item = &worker->dataset->cases[split][i_case];
    size_t bytes = resident_map_bytes(resident);
    uint8_t *host = memory_calloc(bytes, 1);
    if (!host)
        return FAIL_NO_MEMORY(bytes);
    adele_status status = device->iface->download(device, host, prediction, bytes);
    if (status == ADELE_OK)
        status = label_store_save_prediction(worker->dataset, item, resident->set.n_images,
                                             resident->set.h, resident->set.w, host,
                                             options->masks_folder);
    if (status == ADELE_OK && options->probabilities)
        status = save_probabilities(worker, item->name, resident->set.n_images);
    memory_free(host);
    return status;
}

static adele_status run_inference(struct worker *worker, const struct resident *resident,
                                  uint8_t *prediction) {
    struct inference_output output = {.prediction = prediction};
    if (worker->options->probabilities) {
        size_t n = resident_map_bytes(resident) * (size_t)worker->model->n_categories;
        memory_free(worker->probabilities);
        worker->probabilities = memory_calloc(n, sizeof(float));
        if (!worker->probabilities)
            return FAIL_NO_MEMORY(n * sizeof(float));
        output.on_probabilities = keep_probabilities;
        output.context = worker;
    }
    return inference_run(worker->inference, resident, &output, worker->options->should_stop,
                         worker->options->context);
}

// `counts` (device): NULL when nothing is to be scored.
static adele_status run_case(struct worker *worker, enum dataset_split split, int i_case,
                             int64_t *counts, int *n_images) {
    const struct adele_device *device = worker->model->device;
    struct dataset_images images = {0};
    struct resident resident = {0};
    uint8_t *prediction = NULL;
    adele_status status;
    TRY_GOTO(dataset_load_case(worker->dataset, split, i_case, &images), done);
    if (images.n == 0)
        goto done;
    TRY_GOTO(resident_init(&resident, device, &images, false), done);
    TRY_GOTO(device->iface->alloc(device, resident_map_bytes(&resident), (void **)&prediction),
             done);
    TRY_GOTO(run_inference(worker, &resident, prediction), done);
    if (counts)
        TRY_GOTO(count_case(worker, &resident, prediction, counts), done);
    TRY_GOTO(save_case(worker, split, i_case, &resident, prediction), done);
    *n_images += images.n;
done:
    device->iface->release(device, prediction);
    resident_deinit(&resident);
    dataset_images_deinit(&images);
    return status;
}

static adele_status run_cases(struct worker *worker, enum dataset_split split, int64_t *counts,
                              int *n_images) {
    struct model *model = worker->model;
    const struct model_options *options = worker->options;
    if (worker->dataset->n_channels != model->n_channels)
        return FAIL(ADELE_DATA, "Use images of the kind that the model was trained on.",
                    "%s has %d channel(s), the model %s takes %d", worker->dataset->root,
                    worker->dataset->n_channels, model->path, model->n_channels);
    if (options->masks_folder)
        TRY(file_make_directory(options->masks_folder));
    TRY(inference_create(model->device, model->network, &options->inference, model->n_categories,
                         model->n_channels, model->height, model->width, &worker->inference));
    TRY(network_allocate(model->network));
    int n = worker->dataset->n_cases[split];
    for (int i = 0; i < n; i++) {
        TRY(run_case(worker, split, i, counts, n_images));
        if (options->on_case)
            options->on_case(options->context, i + 1, n);
    }
    return ADELE_OK;
}

static void worker_deinit(struct worker *worker) {
    inference_destroy(worker->inference);
    dataset_close(worker->dataset);
    memory_free(worker->probabilities);
}

static void data_config(const struct model *model, const struct model_options *options,
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
}

adele_status model_evaluate(struct model *model, const struct model_options *options,
                            struct score *out, int *out_images) {
    const struct adele_device *device = model->device;
    struct worker worker = {.model = model, .options = options};
    struct dataset_config data;
    data_config(model, options, &data);
    if (!data.root)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name the data set with --data DIR.",
                    "%s lies in no run folder, so its data set is unknown", model->path);
    int64_t *counts = NULL, host[3 * 256];
    *out_images = 0;
    adele_status status;
    TRY_GOTO(dataset_open(&data, &worker.dataset), done);
    if (worker.dataset->n_categories != model->n_categories) {
        status = FAIL(ADELE_DATA, "Evaluate on data with the categories of the training set.",
                      "%s has %d categories, the model has %d", data.root,
                      worker.dataset->n_categories, model->n_categories);
        goto done;
    }
    if (worker.dataset->n_cases[options->split] == 0) {
        status = FAIL(ADELE_DATA, "Choose another with --split.", "%s: the %s split is empty",
                      data.root, dataset_split_name(options->split));
        goto done;
    }
    TRY_GOTO(device->iface->alloc(device, sizeof host, (void **)&counts), done);
    TRY_GOTO(device->iface->fill(device, counts, 0, sizeof host), done);
    TRY_GOTO(run_cases(&worker, options->split, counts, out_images), done);
    TRY_GOTO(device->iface->download(device, host, counts, sizeof host), done);
    score_compute(host, model->n_categories, out);
done:
    device->iface->release(device, counts);
    worker_deinit(&worker);
    return status;
}

adele_status model_predict(struct model *model, const struct model_options *options,
                           int *out_cases) {
    struct worker worker = {.model = model, .options = options};
    struct dataset_config data;
    data_config(model, options, &data);
    int n_images = 0;
    *out_cases = 0;
    adele_status status =
        dataset_open_folder(options->data, model->n_channels, &data, &worker.dataset);
    if (status == ADELE_OK)
        status = run_cases(&worker, SPLIT_TEST, NULL, &n_images);
    if (status == ADELE_OK)
        *out_cases = worker.dataset->n_cases[SPLIT_TEST];
    worker_deinit(&worker);
    return status;
}
