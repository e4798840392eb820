// SPDX-License-Identifier: MIT
#include "infer/model.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/label_store.h"
#include "infer/checkpoint_model.h"
#include "infer/model_output.h"
#include "infer/run_folder.h"

#include <string.h>

void model_options_init(struct model_options *out) {
    memset(out, 0, sizeof *out);
    out->split = SPLIT_TEST;
    out->inference = inference_config_single(8, 1.0);
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
    TRY(network_create(model->device, &network, &model->network));
    return network_import(model->network, "model.", file);
}

// RUN/config.resolved.yaml of RUN/checkpoints/X.safetensors, when it is there.
static adele_status load_run_config(struct model *model) {
    char *checkpoints = path_folder(model->path);
    const char *name = checkpoints ? file_base_name(checkpoints) : "";
    bool has_name = strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
    char *folder = checkpoints == NULL ? NULL
                   : has_name          ? path_folder(checkpoints)
                                       : file_join(checkpoints, "..");
    char *path = folder ? file_join(folder, "config.resolved.yaml") : NULL;
    memory_free(checkpoints);
    adele_status status = path ? ADELE_OK : FAIL_NO_MEMORY(strlen(model->path));
    if (status == ADELE_OK && file_exists(path)) {
        model->run_folder = folder;
        folder = NULL;
        status = run_folder_load_config(model->run_folder, NULL, &model->config);
    }
    memory_free(folder);
    memory_free(path);
    return status;
}

static adele_status find_checkpoint(const char *path, const char *checkpoint, char **out) {
    bool is_run = file_is_directory(path);
    *out = is_run ? memory_printf("%s/checkpoints/%s.safetensors", path,
                                  checkpoint ? checkpoint : "last")
                  : memory_strdup(path);
    if (!*out)
        return FAIL_NO_MEMORY(strlen(path));
    if (!is_run && checkpoint)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name the run's folder, or leave --checkpoint out.",
                    "%s is a file: --checkpoint %s chooses among those of a run", path, checkpoint);
    return ADELE_OK;
}

adele_status model_load(const char *path, const char *checkpoint, const char *device,
                        struct model *out) {
    memset(out, 0, sizeof *out);
    struct safetensors *file = NULL;
    adele_status status;
    TRY_GOTO(find_checkpoint(path, checkpoint, &out->path), fail);
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
    memory_free(model->run_folder);
    memset(model, 0, sizeof *model);
}

// ---- cases --------------------------------------------------------------------------------------

// What predicting case after case needs; one case's images are resident at a time.
struct worker {
    struct model *model;
    const struct model_options *options;
    struct dataset *dataset;
    struct inference *inference;
    struct output *output; // of the label maps; NULL: none
};

// One case. Answers have the size of its file.
struct work {
    struct dataset_images images; // at the size that the network takes
    struct dataset_images whole;  // at the file's own, where labels or a CRF need it
    struct resident resident;     // `images`
    int h, w;                     // of the file
    size_t map_bytes;             // of all slices
    uint8_t *labels, *crf_images; // device, at the file's size; NULL when not wanted
    uint8_t *prediction;          // device
    float *probabilities;         // host (n, C, h, w); NULL when not wanted
    int n_categories;
    const struct adele_device *device;
};

static void work_deinit(struct work *work) {
    work->device->iface->release(work->device, work->labels);
    work->device->iface->release(work->device, work->crf_images);
    work->device->iface->release(work->device, work->prediction);
    resident_deinit(&work->resident);
    dataset_images_deinit(&work->images);
    dataset_images_deinit(&work->whole);
    memory_free(work->probabilities);
}

static adele_status upload_new(const struct adele_device *device, const void *host, size_t bytes,
                               uint8_t **out) {
    TRY(device->iface->alloc(device, bytes, (void **)out));
    return device->iface->upload(device, *out, host, bytes);
}

// Labels are never rescaled for a score, nor is the image that a CRF follows.
static adele_status load_whole(struct worker *worker, enum dataset_split split, int i_case,
                               bool is_counted, struct work *work) {
    bool has_crf = worker->options->inference.crf_iterations > 0;
    if (!is_counted && !has_crf)
        return ADELE_OK;
    bool is_same = work->h == work->images.h && work->w == work->images.w;
    const struct dataset_images *whole = is_same ? &work->images : &work->whole;
    if (!is_same)
        TRY(dataset_load_case_whole(worker->dataset, split, i_case, &work->whole));
    const uint8_t *labels = whole->truth ? whole->truth : whole->labels;
    if (is_counted && !labels)
        return FAIL(ADELE_DATA, "Evaluate a split that has labels.", "%s: the split has no labels",
                    worker->dataset->root);
    if (is_counted)
        TRY(upload_new(work->device, labels, work->map_bytes, &work->labels));
    if (has_crf && !whole->is_f16) // inference_run refuses others
        TRY(upload_new(work->device, whole->images, work->map_bytes * (size_t)whole->c,
                       &work->crf_images));
    return ADELE_OK;
}

static adele_status load_work(struct worker *worker, enum dataset_split split, int i_case,
                              bool is_counted, struct work *work) {
    TRY(dataset_load_case(worker->dataset, split, i_case, &work->images));
    if (work->images.n == 0)
        return ADELE_OK;
    work->h = work->images.origin[0].height;
    work->w = work->images.origin[0].width;
    work->map_bytes = (size_t)work->images.n * (size_t)work->h * (size_t)work->w;
    TRY(load_whole(worker, split, i_case, is_counted, work));
    struct resident_options resident = {.batch = worker->options->inference.batch};
    TRY(resident_init(&work->resident, work->device, &work->images, &resident));
    TRY(work->device->iface->alloc(work->device, work->map_bytes, (void **)&work->prediction));
    if (!worker->options->probabilities)
        return ADELE_OK;
    size_t n = work->map_bytes * (size_t)work->n_categories;
    work->probabilities = memory_calloc(n, sizeof(float));
    return work->probabilities ? ADELE_OK : FAIL_NO_MEMORY(n * sizeof(float));
}

static adele_status keep_probabilities(struct work *work, int first, int n_rows,
                                       const float *from) {
    size_t row = (size_t)work->n_categories * (size_t)work->h * (size_t)work->w;
    return work->device->iface->download(work->device, work->probabilities + (size_t)first * row,
                                         from, (size_t)n_rows * row * sizeof(float));
}

static adele_status save_probabilities(struct worker *worker, const struct dataset_case *item,
                                       struct work *work) {
    int extents[3] = {work->w, work->h, work->images.n};
    TRY(label_store_turn_back(worker->dataset, item, work->n_categories, extents,
                              &work->probabilities));
    int64_t shape[4] = {extents[2], work->n_categories, extents[1], extents[0]};
    struct safetensors_writer *writer = NULL;
    char *file = memory_printf("%s/%s.safetensors", worker->options->masks_folder, item->name);
    adele_status status = file ? safetensors_writer_create(&writer) : FAIL_NO_MEMORY(64);
    if (status == ADELE_OK)
        status = safetensors_writer_add(writer, "probabilities", SAFETENSORS_F32, 4, shape,
                                        work->probabilities);
    if (status == ADELE_OK)
        status = safetensors_writer_save(writer, file);
    safetensors_writer_destroy(writer);
    memory_free(file);
    return status;
}

// Counts one predicted case against its labels.
static adele_status count_work(const struct work *work, int64_t *counts) {
    const struct adele_device *device = work->device;
    struct adele_count_desc desc = {
        .n = work->images.n, .h = work->h, .w = work->w, .n_categories = work->n_categories};
    struct adele_op *op = NULL;
    struct adele_count_args args = {
        .prediction = work->prediction, .labels = work->labels, .counts = counts};
    TRY(device->iface->count_create(device, &desc, &op));
    adele_status status = device->iface->count_forward(op, &args);
    device->iface->op_destroy(op);
    return status;
}

static adele_status save_work(struct worker *worker, enum dataset_split split, int i_case,
                              struct work *work) {
    const struct model_options *options = worker->options;
    if (!options->masks_folder)
        return ADELE_OK;
    const struct adele_device *device = work->device;
    const struct dataset_case *item = &worker->dataset->cases[split][i_case];
    uint8_t *host = memory_calloc(work->map_bytes, 1);
    if (!host)
        return FAIL_NO_MEMORY(work->map_bytes);
    adele_status status = device->iface->download(device, host, work->prediction, work->map_bytes);
    if (status == ADELE_OK)
        status = label_store_save_prediction(worker->dataset, item, work->images.n, work->h,
                                             work->w, host, options->masks_folder);
    if (status == ADELE_OK && options->probabilities)
        status = save_probabilities(worker, item, work);
    memory_free(host);
    return status;
}

static adele_status predict_images(struct worker *worker, struct work *work,
                                   const struct inference_output *output) {
    const struct model_options *options = worker->options;
    struct inference *inference = worker->inference;
    int first = 0, n = 0;
    TRY(inference_begin(inference, &work->resident, output));
    do {
        if (options->should_stop && options->should_stop(options->context))
            return FAIL(ADELE_INTERRUPTED, "", "interrupted");
        TRY(inference_next(inference, &first, &n));
        if (n > 0 && work->probabilities)
            TRY(keep_probabilities(work, first, n, inference_probabilities(inference)));
    } while (n > 0);
    return ADELE_OK;
}

// `counts` (device): NULL when nothing is to be scored.
static adele_status run_case(struct worker *worker, enum dataset_split split, int i_case,
                             int64_t *counts, int *n_images) {
    struct work work = {.device = worker->model->device,
                        .n_categories = worker->model->n_categories};
    adele_status status;
    TRY_GOTO(load_work(worker, split, i_case, counts != NULL, &work), done);
    if (work.images.n == 0)
        goto done;
    struct inference_output output = {.h = work.h,
                                      .w = work.w,
                                      .crf_images = work.crf_images,
                                      .prediction = work.prediction,
                                      .with_probabilities = work.probabilities != NULL};
    TRY_GOTO(predict_images(worker, &work, &output), done);
    if (counts)
        TRY_GOTO(count_work(&work, counts), done);
    TRY_GOTO(save_work(worker, split, i_case, &work), done);
    *n_images += work.images.n;
done:
    work_deinit(&work);
    return status;
}

static adele_status run_cases(struct worker *worker, enum dataset_split split, int64_t *counts,
                              int *n_images) {
    struct model *model = worker->model;
    const struct model_options *options = worker->options;
    dataset_set_channels(worker->dataset, model->n_channels);
    if (worker->dataset->n_channels != model->n_channels)
        return FAIL(ADELE_DATA, "Use images of the kind that the model was trained on.",
                    "%s has %d channel(s), the model %s takes %d", worker->dataset->root,
                    worker->dataset->n_channels, model->path, model->n_channels);
    if (worker->output)
        TRY(output_begin(worker->output));
    // A case is a batch of its own: rows beside a single picture would be computed for nothing.
    struct inference_config inference = options->inference;
    if (!worker->dataset->is_volume)
        inference.batch = 1;
    TRY(inference_create(model->device, model->network, &inference, model->n_categories,
                         model->n_channels, model->height, model->width, &worker->inference));
    TRY(inference_check_memory(worker->inference, model->network));
    TRY(network_allocate(model->network));
    int n = worker->dataset->n_cases[split];
    for (int i = 0; i < n; i++) {
        TRY(run_case(worker, split, i, counts, n_images));
        if (options->on_case)
            options->on_case(options->context, i + 1, n);
    }
    return ADELE_OK;
}

// Also ends the output: `status` is how the work ended.
static adele_status worker_end(struct worker *worker, adele_status status) {
    status = output_end(worker->output, status);
    output_destroy(worker->output);
    inference_destroy(worker->inference);
    dataset_close(worker->dataset);
    return status;
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
    out->orientation = model->orientation;
}

// What is scored may not be what the run calls by that name.
static adele_status warn_of_data(const struct model *model, const struct model_options *options) {
    if (!model->run_folder)
        return ADELE_OK;
    if (!options->data)
        return run_paths_warn(model->run_folder, model->config);
    const char *list = model->config->data.split[options->split];
    if (list)
        log_line(LOG_WARNING, "data.split.%s: %s of the run is not used: %s has splits of its own",
                 dataset_split_name(options->split), list, options->data);
    return ADELE_OK;
}

// Then a score says little, and 255 is often the reason.
static void warn_without_foreground(const struct dataset *dataset, enum dataset_split split,
                                    const int64_t counts[3 * 256]) {
    int64_t n = 0;
    for (int c = 1; c < dataset->n_categories; c++)
        n += counts[512 + c];
    if (n == 0)
        log_line(LOG_WARNING,
                 "%s: the label maps of the %s split hold no foreground; `adele check` says more",
                 dataset->root, dataset_split_name(split));
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
    TRY_GOTO(warn_of_data(model, options), done);
    TRY_GOTO(dataset_open(&data, &worker.dataset), done);
    TRY_GOTO(dataset_match_categories(worker.dataset, model->n_categories, model->category_names),
             done);
    if (worker.dataset->n_cases[options->split] == 0) {
        status = FAIL(ADELE_DATA, "Choose another with --split.", "%s: the %s split is empty",
                      data.root, dataset_split_name(options->split));
        goto done;
    }
    TRY_GOTO(model_plan_masks(model, options, worker.dataset, options->split, &worker.output),
             done);
    TRY_GOTO(adele_device_alloc_zeroed(device, sizeof host, "counts", (void **)&counts), done);
    TRY_GOTO(run_cases(&worker, options->split, counts, out_images), done);
    TRY_GOTO(device->iface->download(device, host, counts, sizeof host), done);
    score_compute(host, model->n_categories, out);
    warn_without_foreground(worker.dataset, options->split, host);
done:
    device->iface->release(device, counts);
    return worker_end(&worker, status);
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
        status = model_plan_masks(model, options, worker.dataset, SPLIT_TEST, &worker.output);
    if (status == ADELE_OK) {
        worker.dataset->has_palette = model->has_palette && !worker.dataset->is_volume;
        status = run_cases(&worker, SPLIT_TEST, NULL, &n_images);
    }
    if (status == ADELE_OK)
        *out_cases = worker.dataset->n_cases[SPLIT_TEST];
    return worker_end(&worker, status);
}
