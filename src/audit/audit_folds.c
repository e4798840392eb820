// SPDX-License-Identifier: MIT
#include "audit/audit_folds.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "predict/shared_output.h"
#include "ranks/image_share.h"
#include "ranks/rank_facts.h"
#include "run/rank_check.h"
#include "run/trainer.h"
#include "run_folder/run_folder.h"

#include <string.h>

// Without a configuration: a small network at one size, plain cross-entropy, and so few steps that
// it is done in minutes. The rate falls to zero, because the predictions of a network that still
// learns at a high rate change from step to step, and differ from fold to fold.
#define DEFAULT_CONFIG                                                                             \
    "data: {root: ., size: [128, 128]}\n"                                                          \
    "model: {name: unet, width: 16}\n"                                                             \
    "train:\n"                                                                                     \
    "  batch: 4\n"                                                                                 \
    "  schedule: cosine\n"                                                                         \
    "  optimizer: {name: sgd, lr: 0.05, momentum: 0.9, weight_decay: 0.0005}\n"                    \
    "loss: {form: plain}\n"                                                                        \
    "correction: {enabled: false}\n"
enum { DEFAULT_STEPS = 400, DEFAULT_BATCH = 4, MAX_SETS = 12 };

struct folds {
    const struct audit_folds *wanted;
    struct audit_options options; // those of `wanted`, with the callbacks below
    struct ranks *ranks;
    struct audit *audit;
    char *config_path; // for the trainings
    char *sets[MAX_SETS];
    int n_sets;
};

static void folds_deinit(struct folds *folds) {
    for (int i = 0; i < folds->n_sets; i++)
        memory_free(folds->sets[i]);
    memory_free(folds->config_path);
}

// ---- settings of the trainings ------------------------------------------------------------------

// KEY="VALUE": in quotes YAML takes any text as it is.
static adele_status add_text(struct folds *folds, const char *key, const char *value) {
    CLEANUP(buffer_deinit) struct buffer text = {0};
    if (value == NULL)
        return ADELE_OK;
    TRY(buffer_printf(&text, "%s=", key));
    TRY(buffer_json_string(&text, value));
    folds->sets[folds->n_sets++] = text.data;
    text = (struct buffer){0};
    return ADELE_OK;
}

static adele_status add_settings(struct folds *folds) {
    const struct adele_data *data = folds->wanted->data;
    TRY(add_text(folds, "data.root", data->root));
    TRY(add_text(folds, "data.layout", data->layout));
    TRY(add_text(folds, "data.noisy_labels", data->noisy_labels));
    TRY(add_text(folds, "data.split.val", "none"));
    TRY(add_text(folds, "data.split.test", "none"));
    if (data->follow_links) {
        folds->sets[folds->n_sets] = memory_strdup("data.follow_links=true");
        TRY(CHECK_MEMORY(folds->sets[folds->n_sets]));
        folds->n_sets++;
    }
    if (folds->wanted->config != NULL)
        return ADELE_OK;
    int n = audit_dataset(folds->audit)->n_cases[SPLIT_TRAIN];
    int n_steps = (n - n / folds->wanted->n_folds + DEFAULT_BATCH - 1) / DEFAULT_BATCH;
    int n_epochs = n_steps < DEFAULT_STEPS ? DEFAULT_STEPS / n_steps : 1;
    folds->sets[folds->n_sets] = memory_printf("train.epochs=%d", n_epochs);
    TRY(CHECK_MEMORY(folds->sets[folds->n_sets]));
    folds->n_sets++;
    return ADELE_OK;
}

static adele_status find_config(struct folds *folds) {
    if (folds->wanted->config != NULL) {
        folds->config_path = memory_strdup(folds->wanted->data->config);
        return CHECK_MEMORY(folds->config_path);
    }
    folds->config_path = file_join(folds->wanted->options->folder, AUDIT_FOLDS_CONFIG);
    TRY(CHECK_MEMORY(folds->config_path));
    if (ranks_index(folds->ranks) > 0)
        return ADELE_OK;
    return file_write(folds->config_path, DEFAULT_CONFIG, strlen(DEFAULT_CONFIG));
}

// Rank 0 has written the default one.
static adele_status share_config(const struct folds *folds) {
    struct rank_fact fact;
    rank_fact_set_option(&fact, "--config", folds->wanted->config != NULL ? "a file" : NULL);
    TRY(rank_facts_compare(folds->ranks, 1, &fact));
    return folds->wanted->config != NULL ? ADELE_OK
                                         : shared_output_wait(folds->ranks, folds->config_path);
}

static adele_status compare_configurations(const struct folds *folds) {
    OWNED_BY(config_destroy) struct config *config = NULL;
    TRY(ranks_agree(folds->ranks, config_load(folds->config_path, folds->n_sets,
                                              (const char *const *)folds->sets, &config)));
    const struct trainer_options options = {.config = config,
                                            .run_folder = folds->wanted->options->folder,
                                            .resume = true,
                                            .ranks = folds->ranks};
    return rank_check_start(&options);
}

static adele_status find_provenance(const char *name, struct provenance *out) {
    struct adele_device *device = NULL;
    TRY(adele_device_open(name, ADELE_PRECISION_FP32, &device));
    provenance_of(device, out);
    adele_device_close(device);
    return ADELE_OK;
}

// Fails on all ranks where one has another build, configuration or device, on which the bytes of
// its folds' networks would depend.
static adele_status compare_ranks(const struct folds *folds) {
    struct provenance made_by;
    if (ranks_count(folds->ranks) == 1)
        return ADELE_OK;
    TRY(compare_configurations(folds));
    TRY(ranks_agree(folds->ranks, find_provenance(folds->wanted->device, &made_by)));
    return rank_check_provenance(folds->ranks, &made_by);
}

// The trainings are the same whichever rank has which of them.
static adele_status check_settings(struct folds *folds) {
    adele_status status = find_config(folds);
    if (status == ADELE_OK)
        status = add_settings(folds);
    TRY(ranks_agree(folds->ranks, status));
    TRY(share_config(folds));
    return compare_ranks(folds);
}

// ---- one fold -----------------------------------------------------------------------------------

// Neighbours in the list are of one fold, because they are often of one patient or film.
static int fold_of(const struct folds *folds, int i_case) {
    int n = audit_dataset(folds->audit)->n_cases[SPLIT_TRAIN];
    return (int)((int64_t)i_case * folds->wanted->n_folds / n);
}

static adele_status write_list(const struct folds *folds, int fold, const char *path,
                               bool *is_wanted) {
    const struct dataset *dataset = audit_dataset(folds->audit);
    CLEANUP(buffer_deinit) struct buffer list = {0};
    for (int i = 0; i < dataset->n_cases[SPLIT_TRAIN]; i++) {
        is_wanted[i] = fold_of(folds, i) == fold;
        if (!is_wanted[i])
            TRY(buffer_printf(&list, "%s\n", dataset->cases[SPLIT_TRAIN][i].name));
    }
    return file_write(path, list.data, list.n_bytes);
}

// Asked in each step and batch. Other ranks may have done their folds, and wait.
static bool should_stop(void *context) {
    const struct folds *folds = context;
    const struct model_options *model = &folds->wanted->options->model;
    ranks_tell_alive(folds->ranks);
    return model->should_stop != NULL && model->should_stop(model->context);
}

// Where an earlier call was stopped, it goes on.
static adele_status train_in(struct folds *folds, const char *run) {
    OWNED_BY(config_destroy) struct config *config = NULL;
    struct trainer_result result;
    TRY(config_load(folds->config_path, folds->n_sets, (const char *const *)folds->sets, &config));
    TRY(run_paths_resolve(run, NULL, config));
    const struct trainer_options options = {.config = config,
                                            .run_folder = run,
                                            .resume = true,
                                            .device = folds->wanted->device,
                                            .should_stop = should_stop,
                                            .context = folds};
    adele_status status = trainer_run(&options, &result);
    if (status != ADELE_OK)
        log_line(LOG_DETAIL, "ended: %s", adele_error_message());
    return status;
}

static adele_status train_fold(struct folds *folds, const char *run, const char *list) {
    const int n_sets = folds->n_sets;
    TRY(add_text(folds, "data.split.train", list));
    adele_status status = train_in(folds, run);
    if (status == ADELE_INTERRUPTED)
        status = FAIL(status, "The same audit with --overwrite continues the folds' trainings.",
                      "interrupted; the training so far is in %s", run);
    memory_free(folds->sets[n_sets]);
    folds->n_sets = n_sets;
    return status;
}

static adele_status run_fold(struct folds *folds, int fold, const char *run, const char *list,
                             bool *is_wanted) {
    CLEANUP(model_deinit) struct model model = {0};
    TRY(write_list(folds, fold, list, is_wanted));
    log_line(LOG_INFO, "fold %d of %d: training without it in %s", fold + 1, folds->wanted->n_folds,
             run);
    TRY(train_fold(folds, run, list));
    TRY(model_load(run, NULL, folds->wanted->device, &model));
    return audit_fold(folds->audit, &model, is_wanted);
}

static adele_status run_named_fold(struct folds *folds, int fold, bool *is_wanted) {
    OWNED char *list =
        memory_printf("%s/" AUDIT_FOLD_LIST, folds->wanted->options->folder, fold + 1);
    OWNED char *run = memory_printf("%s/fold_%d", folds->wanted->options->folder, fold + 1);
    TRY(CHECK_MEMORY(list));
    TRY(CHECK_MEMORY(run));
    return run_fold(folds, fold, run, list, is_wanted);
}

// Ranks that work together train one fold each at a time. The error of one is not agreed on,
// because the others may be hours from the end of theirs: it ends them, and the same audit
// continues them.
static adele_status run_folds(struct folds *folds) {
    const struct image_share mine = image_share_mine(folds->ranks, folds->wanted->n_folds, 1);
    const int n_ranks = ranks_count(folds->ranks);
    bool *is_wanted = NULL;
    TRY(check_settings(folds));
    adele_status status = ALLOCATE(&is_wanted, audit_dataset(folds->audit)->n_cases[SPLIT_TRAIN]);
    for (int i = 0; status == ADELE_OK && i < folds->wanted->n_folds; i += n_ranks) {
        const int fold = mine.first + i / n_ranks;
        if (fold < mine.end)
            status = run_named_fold(folds, fold, is_wanted);
        if (status == ADELE_OK || status == ADELE_INTERRUPTED)
            status = ranks_agree(folds->ranks, status);
    }
    memory_free(is_wanted);
    return status;
}

// ---- all ----------------------------------------------------------------------------------------

static void on_case(void *context, int i, int n) {
    const struct model_options *model = &((const struct folds *)context)->wanted->options->model;
    if (model->on_case != NULL)
        model->on_case(model->context, i, n);
}

adele_status audit_folds_run(const struct audit_folds *wanted, struct audit_result *out,
                             int *out_classes) {
    struct folds folds = {
        .wanted = wanted, .options = *wanted->options, .ranks = wanted->options->model.ranks};
    folds.options.model.on_case = on_case;
    folds.options.model.should_stop = should_stop;
    folds.options.model.context = &folds;
    adele_status status =
        audit_begin(&folds.options, wanted->dataset, wanted->n_folds, &folds.audit);
    if (status == ADELE_OK)
        status = run_folds(&folds);
    *out_classes = status == ADELE_OK ? audit_dataset(folds.audit)->n_categories : 0;
    status = audit_end(folds.audit, status, out);
    folds_deinit(&folds);
    return status;
}
