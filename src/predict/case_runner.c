// SPDX-License-Identifier: MIT
#include "predict/case_runner.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "predict/case_batch.h"
#include "predict/case_findings.h"
#include "predict/case_ranks.h"
#include "predict/shared_output.h"
#include "predict/window_case.h"
#include "scores/map_counter.h"
#include "scores/score_cases.h"

#include <string.h>

// One case, or a batch of pictures. The maps have the size of the file.
struct case_data {
    struct case_result result;
    struct inference *inference;  // borrowed
    int batch;                    // of the inference
    struct resident resident;     // its images, unless they are cut into windows
    size_t map_bytes;             // of all slices
    uint8_t *labels, *crf_images; // device, at the file's size; NULL when not wanted
    uint8_t *prediction;          // device
    const struct adele_device *device;
};

// The size of the maps: the file's, or that at which the network works.
static bool has_own_size(const struct case_runner *runner) {
    return !runner->visitor || !runner->visitor->at_network_size;
}

static bool has_crf(const struct case_runner *runner) {
    return runner->options->inference.crf_iterations > 0 && !runner->sliding;
}

static void case_deinit(struct case_data *data) {
    data->device->iface->release(data->device, data->labels);
    data->device->iface->release(data->device, data->crf_images);
    data->device->iface->release(data->device, data->prediction);
    resident_deinit(&data->resident);
    case_result_deinit(&data->result);
}

static adele_status upload_new(const struct adele_device *device, const void *host, size_t bytes,
                               uint8_t **out) {
    TRY(device->iface->alloc(device, bytes, (void **)out));
    return device->iface->upload(device, *out, host, bytes);
}

// Labels are never resized for a score, nor is the image that a CRF compares pixels in.
static adele_status upload_whole(const struct case_runner *runner, bool is_counted,
                                 struct case_data *data) {
    const struct dataset_images *whole = case_result_images(&data->result);
    const uint8_t *labels = whole->truth ? whole->truth : whole->labels;
    if (is_counted && !labels)
        return FAIL(ADELE_DATA, "Evaluate a split that has labels.", "%s: the split has no labels",
                    runner->dataset->root);
    data->result.labels = is_counted ? labels : NULL;
    if (is_counted)
        TRY(upload_new(data->device, labels, data->map_bytes, &data->labels));
    if (has_crf(runner) && !whole->is_f16) // inference_begin refuses others
        TRY(upload_new(data->device, whole->images, data->map_bytes * (size_t)whole->c,
                       &data->crf_images));
    return ADELE_OK;
}

// Of the files that data->result has.
static adele_status upload_case(const struct case_runner *runner, bool is_counted,
                                struct case_data *data) {
    struct case_result *result = &data->result;
    const struct dataset_images *images = &result->files.images;
    result->h = has_own_size(runner) ? images->origin[0].height : images->h;
    result->w = has_own_size(runner) ? images->origin[0].width : images->w;
    data->map_bytes = (size_t)images->n * (size_t)result->h * (size_t)result->w;
    TRY(upload_whole(runner, is_counted, data));
    struct resident_options resident = {.batch = data->batch};
    if (!runner->sliding)
        TRY(resident_init(&data->resident, data->device, images, &resident));
    TRY(data->device->iface->alloc(data->device, data->map_bytes, (void **)&data->prediction));
    if (!runner->options->probabilities && !runner->visitor)
        return ADELE_OK;
    // A visitor takes the slices of one batch at a time.
    size_t n_slices = (size_t)images->n, n_batch = (size_t)data->batch;
    if (runner->visitor && !runner->sliding && n_batch < n_slices)
        n_slices = n_batch;
    size_t plane = (size_t)result->h * (size_t)result->w;
    return ALLOCATE(&result->probabilities, n_slices * (size_t)result->n_categories * plane);
}

static adele_status keep_probabilities(struct case_data *data, int first, int n_rows,
                                       const float *from) {
    const struct case_result *result = &data->result;
    size_t row = (size_t)result->n_categories * (size_t)result->h * (size_t)result->w;
    return data->device->iface->download(data->device, result->probabilities + (size_t)first * row,
                                         from, (size_t)n_rows * row * sizeof(float));
}

// Adds the counts of one predicted case against its labels.
static adele_status count_case(const struct case_data *data, int64_t counts[3 * 256]) {
    int64_t of_case[3 * 256];
    CLEANUP(map_counter_deinit) struct map_counter counter = {0};
    const struct case_result *result = &data->result;
    TRY(map_counter_init(&counter, data->device, result->files.images.n, result->h, result->w,
                         result->n_categories));
    TRY(map_counter_run(&counter, data->prediction, data->labels, of_case));
    for (int i = 0; i < 3 * 256; i++)
        counts[i] += of_case[i];
    return ADELE_OK;
}

static adele_status download_prediction(const struct case_runner *runner, struct case_data *data) {
    if (!runner->options->masks_folder && !runner->options->case_scores)
        return ADELE_OK;
    TRY(ALLOCATE(&data->result.prediction, data->map_bytes));
    return data->device->iface->download(data->device, data->result.prediction, data->prediction,
                                         data->map_bytes);
}

static adele_status visit_slices(struct case_runner *runner, const struct case_data *data,
                                 int i_case, int first, int n) {
    const struct model_visitor *visitor = runner->visitor;
    const struct case_result *result = &data->result;
    size_t plane = (size_t)result->h * (size_t)result->w;
    size_t row = (size_t)result->n_categories * plane;
    for (int i = first; i < first + n; i++) {
        struct model_view view = {.i_case = i_case,
                                  .i = i,
                                  .h = result->h,
                                  .w = result->w,
                                  .images = case_result_images(result),
                                  .probabilities =
                                      result->probabilities + (size_t)(i - first) * row};
        TRY(visitor->visit(visitor->context, &view));
    }
    return ADELE_OK;
}

static bool should_stop(void *context) {
    const struct case_runner *runner = context;
    return case_should_stop(runner->options);
}

static adele_status predict_images(struct case_runner *runner, struct case_data *data, int i_case,
                                   const struct inference_output *output) {
    struct inference *inference = data->inference;
    int first = 0, n = 0;
    TRY(inference_begin(inference, &data->resident, output));
    do {
        if (case_should_stop(runner->options))
            return FAIL(ADELE_INTERRUPTED, "", "interrupted");
        TRY(inference_next(inference, &first, &n));
        // Those of a visitor are of the batch alone.
        int at = runner->visitor ? 0 : first;
        if (n > 0 && data->result.probabilities)
            TRY(keep_probabilities(data, at, n, inference_probabilities(inference)));
        if (n > 0 && runner->visitor)
            TRY(visit_slices(runner, data, i_case, first, n));
    } while (n > 0);
    return ADELE_OK;
}

// By windows, with the maps on the device as predict_images leaves them.
static adele_status predict_windows(struct case_runner *runner, struct case_data *data,
                                    int i_case) {
    const struct window_watch watch = {should_stop, runner};
    const struct case_result *result = &data->result;
    const struct dataset_images *images = &result->files.images;
    OWNED uint8_t *host = NULL;
    TRY(ALLOCATE(&host, data->map_bytes));
    TRY(window_predict_images(runner->sliding, images, result->n_categories, &watch, host,
                              result->probabilities));
    TRY(data->device->iface->upload(data->device, data->prediction, host, data->map_bytes));
    return runner->visitor ? visit_slices(runner, data, i_case, 0, images->n) : ADELE_OK;
}

static adele_status predict_whole(struct case_runner *runner, struct case_data *data, int i_case) {
    struct inference_output output = {.h = data->result.h,
                                      .w = data->result.w,
                                      .crf_images = data->crf_images,
                                      .prediction = data->prediction,
                                      .with_probabilities = data->result.probabilities != NULL};
    return predict_images(runner, data, i_case, &output);
}

// A picture whose mask alone is wanted needs not be in memory.
static bool is_by_rows(const struct case_runner *runner, bool is_counted) {
    const struct model_options *options = runner->options;
    return runner->sliding && !is_counted && !options->probabilities && options->masks_folder;
}

// *is_done is false for other cases.
static adele_status predict_by_rows(struct case_runner *runner, enum dataset_split split,
                                    int i_case, bool is_counted, bool *is_done) {
    const struct window_watch watch = {should_stop, runner};
    *is_done = false;
    if (!is_by_rows(runner, is_counted))
        return ADELE_OK;
    return window_predict_picture(runner->sliding, runner->dataset, split, i_case,
                                  runner->options->masks_folder, &watch, is_done);
}

static struct case_data case_init(const struct case_runner *runner, enum dataset_split split,
                                  int i_case) {
    return (struct case_data){.device = runner->model->device,
                              .inference = runner->inference,
                              .batch = runner->options->inference.batch,
                              .result = {.dataset = runner->dataset,
                                         .item = &runner->dataset->cases[split][i_case],
                                         .options = runner->options,
                                         .n_categories = runner->model->n_categories}};
}

// With the prediction on the host where it is wanted.
static adele_status predict_files(struct case_runner *runner, int i_case, int64_t *counts,
                                  struct case_data *data) {
    TRY(upload_case(runner, counts != NULL, data));
    ranks_tell_alive(runner->options->ranks);
    TRY((runner->sliding ? predict_windows : predict_whole)(runner, data, i_case));
    ranks_tell_alive(runner->options->ranks);
    if (counts)
        TRY(count_case(data, counts));
    return download_prediction(runner, data);
}

static adele_status end_case(struct case_runner *runner, struct case_data *data, int i_case) {
    const struct model_visitor *visitor = runner->visitor;
    if (visitor && visitor->end_case)
        TRY(visitor->end_case(visitor->context, i_case, case_result_images(&data->result)));
    return data->result.prediction ? case_writer_add(runner->writer, &data->result, 1) : ADELE_OK;
}

// Takes the content of *files. `counts`: (3, 256); NULL when nothing is to be scored.
static adele_status predict_case(struct case_runner *runner, enum dataset_split split, int i_case,
                                 struct case_files *files, int64_t *counts) {
    CLEANUP(case_deinit) struct case_data data = case_init(runner, split, i_case);
    data.result.files = *files;
    *files = (struct case_files){0};
    if (data.result.files.images.n == 0)
        return ADELE_OK;
    TRY(predict_files(runner, i_case, counts, &data));
    return end_case(runner, &data, i_case);
}

// ---- pictures in batches ------------------------------------------------------------------------

static adele_status write_batch(struct case_runner *runner, const struct case_result *batch,
                                const struct dataset_case *items, struct case_files *files) {
    struct case_result parts[CASES_AT_ONCE] = {0};
    adele_status status = ADELE_OK;
    for (int i = 0; i < runner->n_at_once && status == ADELE_OK; i++)
        status = case_batch_part(batch, i, &items[i], &files[i], &parts[i]);
    if (status == ADELE_OK)
        status = case_writer_add(runner->writer, parts, runner->n_at_once);
    for (int i = 0; i < runner->n_at_once; i++)
        case_result_deinit(&parts[i]);
    return status;
}

// Takes the content of `files`.
static adele_status predict_batch(struct case_runner *runner, enum dataset_split split, int first,
                                  struct case_files *files, int64_t *counts) {
    CLEANUP(case_deinit) struct case_data data = case_init(runner, split, first);
    data.inference = runner->of_batches;
    data.batch = runner->n_at_once;
    TRY(case_batch_join(files, runner->n_at_once, &data.result.files));
    TRY(predict_files(runner, first, counts, &data));
    return data.result.prediction ? write_batch(runner, &data.result, data.result.item, files)
                                  : ADELE_OK;
}

// Up to the first error.
static adele_status read_cases(struct case_runner *runner, struct image_share cases,
                               int end_of_share, struct case_files *files, int *out_n) {
    for (int i = cases.first; i < cases.end; i++) {
        // What is left of this batch, or the next one.
        int n_next = i + 1 < cases.end ? cases.end - (i + 1) : end_of_share - (i + 1);
        n_next = n_next < runner->n_at_once ? n_next : runner->n_at_once;
        TRY(case_reader_take(runner->reader, i, i + 1, n_next, &files[i - cases.first]));
        *out_n = i + 1 - cases.first;
    }
    return ADELE_OK;
}

// Pictures that are no whole batch, or not of one size, are predicted one by one.
static adele_status predict_pictures(struct case_runner *runner, enum dataset_split split,
                                     struct image_share cases, int end_of_share, int64_t *counts,
                                     int *n_images) {
    struct case_files files[CASES_AT_ONCE] = {0};
    int n = 0;
    adele_status status = ADELE_OK;
    adele_status of_reading = read_cases(runner, cases, end_of_share, files, &n);
    *n_images += n;
    if (n == runner->n_at_once && case_batch_is_possible(files, n))
        status = predict_batch(runner, split, cases.first, files, counts);
    else
        for (int i = 0; i < n && status == ADELE_OK; i++)
            status = predict_case(runner, split, cases.first + i, &files[i], counts);
    for (int i = 0; i < n; i++)
        case_files_deinit(&files[i]);
    return status != ADELE_OK ? status : of_reading;
}

// ---- cases --------------------------------------------------------------------------------------

static adele_status begin_threads(struct case_runner *runner, enum dataset_split split,
                                  bool is_counted) {
    const struct case_reader_config config = {
        .dataset = runner->dataset,
        .split = split,
        .is_windows = runner->sliding != NULL,
        .wants_whole =
            has_own_size(runner) && (is_counted || has_crf(runner) || runner->visitor != NULL)};
    TRY(case_reader_create(&config, &runner->reader));
    return case_writer_create(&runner->writer);
}

// A visitor takes one case at a time, and so do files of probabilities.
static int count_at_once(const struct case_runner *runner, enum dataset_split split) {
    const struct model_options *options = runner->options;
    if (runner->dataset->is_volume || runner->visitor || options->probabilities)
        return 1;
    return case_batch_size(runner->dataset->n_cases[split], options->inference.batch,
                           runner->model->height, runner->model->width);
}

static adele_status plan_whole(struct case_runner *runner, struct inference_config config,
                               int batch, struct inference **out) {
    const struct model *model = runner->model;
    config.batch = batch;
    return inference_create(model->device, model->network, &config, model->n_categories,
                            model->n_channels, model->height, model->width, out);
}

static adele_status plan_cases(struct case_runner *runner, enum dataset_split split) {
    struct model *model = runner->model;
    struct inference_config inference = runner->options->inference;
    int n_processes = ranks_local_count(runner->options->ranks);
    if (inference.window_h == 0) {
        inference.window_h = model->window_h;
        inference.window_w = model->window_w;
    }
    runner->n_at_once = 1;
    if (inference.window_h > 0) {
        TRY(sliding_create(model->device, model->network, &inference, model->n_categories,
                           model->n_channels, &runner->sliding));
        return sliding_check_memory(runner->sliding, model->network, n_processes);
    }
    runner->n_at_once = count_at_once(runner, split);
    if (runner->n_at_once > 1)
        TRY(plan_whole(runner, inference, runner->n_at_once, &runner->of_batches));
    TRY(plan_whole(runner, inference, runner->dataset->is_volume ? inference.batch : 1,
                   &runner->inference));
    return inference_check_memory(runner->of_batches ? runner->of_batches : runner->inference,
                                  model->network, n_processes);
}

static adele_status check_channels(const struct case_runner *runner) {
    const struct model *model = runner->model;
    dataset_set_channels(runner->dataset, model->n_channels);
    if (runner->dataset->n_channels == model->n_channels)
        return ADELE_OK;
    return FAIL(ADELE_DATA, "Use images of the kind that the model was trained on.",
                "%s has %d channel(s), the model %s takes %d", runner->dataset->root,
                runner->dataset->n_channels, model->path, model->n_channels);
}

// The other ranks wait for rank 0, which ends the output.
static void tell_alive(void *ranks) {
    ranks_tell_alive(ranks);
}

// Rank 0 claims the files of the output for all, once all have checked them; and none allocates its
// network before all have looked at the memory of their host.
static adele_status begin_cases(struct case_runner *runner, enum dataset_split split) {
    struct ranks *ranks = runner->options->ranks;
    adele_status status = ADELE_OK;
    TRY(case_ranks_begin(runner->options, runner->dataset, check_channels(runner)));
    if (runner->output && runner->options->masks_folder)
        output_sync_at_end(runner->output);
    if (runner->output && ranks_index(ranks) == 0)
        status = output_begin(runner->output);
    if (status == ADELE_OK)
        status = plan_cases(runner, split);
    TRY(ranks_agree(ranks, status));
    if (runner->output) {
        TRY(shared_output_check(ranks, runner->output));
        output_set_watch(runner->output, tell_alive, ranks);
    }
    return ranks_agree(ranks, network_allocate(runner->model->network));
}

// -1: none.
static int next_wanted(const struct case_round *round, const bool *is_wanted) {
    for (int i = round->left.first; i < round->left.end; i++)
        if (!is_wanted || is_wanted[i])
            return i;
    return -1;
}

// `next`: the case to be read ahead, -1: none.
static adele_status predict_single(struct case_runner *runner, enum dataset_split split, int i_case,
                                   int next, int64_t *counts, int *n_images) {
    struct case_files files;
    bool is_done;
    TRY(predict_by_rows(runner, split, i_case, counts != NULL, &is_done));
    if (is_done) {
        ++*n_images;
        return ADELE_OK;
    }
    TRY(case_reader_take(runner->reader, i_case, next, next >= 0 ? 1 : 0, &files));
    *n_images += files.images.n;
    return predict_case(runner, split, i_case, &files, counts);
}

static adele_status predict_round(struct case_runner *runner, enum dataset_split split,
                                  struct case_round *round, int64_t *counts, int *n_images) {
    const struct model_options *options = runner->options;
    const bool *is_wanted = runner->visitor ? runner->visitor->is_wanted : NULL;
    bool reads_ahead = !is_by_rows(runner, counts != NULL);
    struct image_share cases;
    while (case_round_next(round, options->ranks, &cases)) {
        int next = reads_ahead ? next_wanted(round, is_wanted) : -1;
        if (runner->n_at_once > 1)
            TRY(predict_pictures(runner, split, cases, round->left.end, counts, n_images));
        else if (!is_wanted || is_wanted[cases.first])
            TRY(predict_single(runner, split, cases.first, next, counts, n_images));
        for (int i = cases.first; i < cases.end; i++) {
            round->n_done++;
            if (options->on_case && (!is_wanted || is_wanted[i]))
                options->on_case(options->context, round->n_done + round->n_done_by_others,
                                 round->n_total);
        }
    }
    return ADELE_OK;
}

// Rank 0 syncs when it ends the output.
static adele_status sync_masks(const struct case_runner *runner) {
    const struct model_options *options = runner->options;
    if (!options->masks_folder || ranks_index(options->ranks) == 0)
        return ADELE_OK;
    return file_sync_all(options->masks_folder);
}

// On each rank the counts of all.
static adele_status gather_counts(struct case_runner *runner, int64_t *counts, int *n_images) {
    struct ranks *ranks = runner->options->ranks;
    int64_t n = *n_images;
    TRY(ranks_sum(ranks, &n, 1));
    *n_images = (int)n;
    if (counts)
        TRY(ranks_sum(ranks, counts, 3 * 256));
    struct case_scores *scores = runner->options->case_scores;
    return counts && scores ? case_scores_gather(ranks, scores) : ADELE_OK;
}

adele_status case_runner_run(struct case_runner *runner, enum dataset_split split, int64_t *counts,
                             int *n_images) {
    const struct model_options *options = runner->options;
    TRY(begin_cases(runner, split));
    TRY(ranks_agree(options->ranks, begin_threads(runner, split, counts != NULL)));
    struct case_round round =
        case_round_first(options->ranks, runner->dataset->n_cases[split], runner->n_at_once);
    while (!round.is_over) {
        adele_status status = predict_round(runner, split, &round, counts, n_images);
        status = case_writer_finish(runner->writer, status);
        TRY(case_round_end(&round, options, status));
    }
    TRY(ranks_agree(options->ranks, sync_masks(runner)));
    TRY(case_findings_share(options->ranks, runner->dataset));
    if (options->on_case && round.n_done_by_others > 0)
        options->on_case(options->context, round.n_total, round.n_total);
    return gather_counts(runner, counts, n_images);
}

void case_runner_deinit(struct case_runner *runner) {
    case_reader_destroy(runner->reader);
    case_writer_destroy(runner->writer);
    inference_destroy(runner->inference);
    inference_destroy(runner->of_batches);
    sliding_destroy(runner->sliding);
}
