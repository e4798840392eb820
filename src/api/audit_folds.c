// SPDX-License-Identifier: MIT
// adele_audit_folds: trains a network without each fold in turn, and audits the fold with it.
#include "adele/audit.h"
#include "adele/train.h"

#include "api/audit.h"
#include "api/data_options.h"
#include "api/fold_ranks.h"
#include "api/model.h"
#include "api/ranks.h"
#include "audit/audit.h"
#include "base/buffer.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "infer/image_share.h"
#include "ranks/rank_facts.h"
#include "ranks/shared_output.h"
#include "run/rank_device.h"

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
    const struct adele_data *data;
    const struct adele_audit_options *options;
    struct ranks *ranks;
    char device[RANK_DEVICE_BYTES];
    struct audit *audit;
    struct config *config; // NULL: none was given
    char *config_path;     // for the trainings
    char *sets[MAX_SETS];
    int n_sets;
    int n_folds;
};

static void folds_deinit(struct folds *folds) {
    for (int i = 0; i < folds->n_sets; i++)
        memory_free(folds->sets[i]);
    memory_free(folds->config_path);
    config_destroy(folds->config);
}

// ---- settings of the trainings ------------------------------------------------------------------

// KEY="VALUE": in quotes YAML takes any text as it is.
static adele_status add_text(struct folds *folds, const char *key, const char *value) {
    struct buffer text = {0};
    if (value == NULL)
        return ADELE_OK;
    adele_status status = buffer_printf(&text, "%s=", key);
    if (status == ADELE_OK)
        status = buffer_json_string(&text, value);
    if (status != ADELE_OK) {
        buffer_deinit(&text);
        return status;
    }
    folds->sets[folds->n_sets++] = text.data;
    return ADELE_OK;
}

static adele_status add_settings(struct folds *folds) {
    const struct adele_data *data = folds->data;
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
    if (folds->config != NULL)
        return ADELE_OK;
    int n = audit_dataset(folds->audit)->n_cases[SPLIT_TRAIN];
    int n_steps = (n - n / folds->n_folds + DEFAULT_BATCH - 1) / DEFAULT_BATCH;
    int n_epochs = n_steps < DEFAULT_STEPS ? DEFAULT_STEPS / n_steps : 1;
    folds->sets[folds->n_sets] = memory_printf("train.epochs=%d", n_epochs);
    TRY(CHECK_MEMORY(folds->sets[folds->n_sets]));
    folds->n_sets++;
    return ADELE_OK;
}

static adele_status find_config(struct folds *folds) {
    if (folds->config != NULL) {
        folds->config_path = memory_strdup(folds->data->config);
        return CHECK_MEMORY(folds->config_path);
    }
    folds->config_path = file_join(folds->options->output, AUDIT_FOLDS_CONFIG);
    TRY(CHECK_MEMORY(folds->config_path));
    if (ranks_index(folds->ranks) > 0)
        return ADELE_OK;
    return file_write(folds->config_path, DEFAULT_CONFIG, strlen(DEFAULT_CONFIG));
}

// Rank 0 has written the default one.
static adele_status share_config(const struct folds *folds) {
    struct rank_fact fact;
    rank_fact_set_option(&fact, "--config", folds->config != NULL ? "a file" : NULL);
    TRY(rank_facts_compare(folds->ranks, 1, &fact));
    return folds->config != NULL ? ADELE_OK : shared_output_wait(folds->ranks, folds->config_path);
}

// The trainings are the same whichever rank has which of them.
static adele_status check_settings(struct folds *folds) {
    adele_status status = find_config(folds);
    if (status == ADELE_OK)
        status = add_settings(folds);
    TRY(ranks_agree(folds->ranks, status));
    TRY(share_config(folds));
    const struct fold_training training = {.config = folds->config_path,
                                           .sets = (const char *const *)folds->sets,
                                           .n_sets = folds->n_sets,
                                           .output = folds->options->output,
                                           .device = folds->device};
    return fold_ranks_compare(folds->ranks, &training);
}

// ---- one fold -----------------------------------------------------------------------------------

// Neighbours in the list are of one fold, because they are often of one patient or film.
static int fold_of(const struct folds *folds, int i_case) {
    int n = audit_dataset(folds->audit)->n_cases[SPLIT_TRAIN];
    return (int)((int64_t)i_case * folds->n_folds / n);
}

static adele_status write_list(const struct folds *folds, int fold, const char *path,
                               bool *is_wanted) {
    const struct dataset *dataset = audit_dataset(folds->audit);
    struct buffer list = {0};
    adele_status status = ADELE_OK;
    for (int i = 0; status == ADELE_OK && i < dataset->n_cases[SPLIT_TRAIN]; i++) {
        is_wanted[i] = fold_of(folds, i) == fold;
        if (!is_wanted[i])
            status = buffer_printf(&list, "%s\n", dataset->cases[SPLIT_TRAIN][i].name);
    }
    if (status == ADELE_OK)
        status = file_write(path, list.data, list.n_bytes);
    buffer_deinit(&list);
    return status;
}

// Asked in each step and batch. Other ranks may have done their folds, and wait.
static int should_stop(void *context) {
    const struct folds *folds = context;
    const struct adele_watch *watch = &folds->options->watch;
    ranks_tell_alive(folds->ranks);
    return watch->should_stop != NULL && watch->should_stop(watch->context) != 0;
}

// Continues the fold's training where an earlier call was stopped.
static adele_status train_fold(struct folds *folds, const char *run, const char *list) {
    const char *sets[MAX_SETS];
    struct adele_train_result result;
    int n_sets = folds->n_sets;
    TRY(add_text(folds, "data.split.train", list));
    for (int i = 0; i < folds->n_sets; i++)
        sets[i] = folds->sets[i];
    struct adele_train_options train = {.config = folds->config_path,
                                        .sets = sets,
                                        .n_sets = folds->n_sets,
                                        .run_folder = run,
                                        .resume = 1,
                                        .device = folds->device,
                                        .should_stop = should_stop,
                                        .context = folds};
    adele_status status = adele_train(&train, &result);
    if (status == ADELE_INTERRUPTED)
        status = FAIL(status, "The same audit with --overwrite continues the folds' trainings.",
                      "interrupted; the training so far is in %s", run);
    memory_free(folds->sets[n_sets]);
    folds->n_sets = n_sets;
    return status;
}

static adele_status run_fold(struct folds *folds, int fold, const char *run, const char *list,
                             bool *is_wanted) {
    struct adele_model *model = NULL;
    TRY(write_list(folds, fold, list, is_wanted));
    log_line(LOG_INFO, "fold %d of %d: training without it in %s", fold + 1, folds->n_folds, run);
    TRY(train_fold(folds, run, list));
    TRY(adele_model_open(run, NULL, folds->device, &model));
    adele_status status = audit_fold(folds->audit, &model->model, is_wanted);
    adele_model_close(model);
    return status;
}

static adele_status run_named_fold(struct folds *folds, int fold, bool *is_wanted) {
    char *list = memory_printf("%s/" AUDIT_FOLD_LIST, folds->options->output, fold + 1);
    char *run = memory_printf("%s/fold_%d", folds->options->output, fold + 1);
    adele_status status = CHECK_MEMORY(list);
    if (status == ADELE_OK)
        status = CHECK_MEMORY(run);
    if (status == ADELE_OK)
        status = run_fold(folds, fold, run, list, is_wanted);
    memory_free(list);
    memory_free(run);
    return status;
}

// Ranks that work together train one fold each at a time. The error of one is not agreed on,
// because the others may be hours from the end of theirs: it ends them, and the same audit
// continues them.
static adele_status run_folds(struct folds *folds) {
    const struct image_share mine = image_share_mine(folds->ranks, folds->n_folds, 1);
    const int n_ranks = ranks_count(folds->ranks);
    bool *is_wanted = NULL;
    TRY(check_settings(folds));
    adele_status status = ALLOCATE(&is_wanted, audit_dataset(folds->audit)->n_cases[SPLIT_TRAIN]);
    for (int i = 0; status == ADELE_OK && i < folds->n_folds; i += n_ranks) {
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

static bool visit_should_stop(void *context) {
    return should_stop(context) != 0;
}

static void on_case(void *context, int i, int n) {
    const struct adele_watch *watch = &((const struct folds *)context)->options->watch;
    if (watch->on_case != NULL)
        watch->on_case(watch->context, i, n);
}

static adele_status read_options(struct folds *folds, struct audit_options *out) {
    const struct adele_audit_options *options = folds->options;
    TRY(audit_options_read(options, out));
    out->model.ranks = folds->ranks;
    out->model.on_case = on_case;
    out->model.should_stop = visit_should_stop;
    out->model.context = folds;
    if (options->output == NULL || options->data != NULL || options->labels != NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Describe the data set in struct adele_data.",
                    options->output == NULL ? "no output is given"
                                            : "data and labels are of a model's audit");
    return ADELE_OK;
}

static adele_status resolve(struct folds *folds, struct dataset_config *out) {
    TRY(data_options_resolve(folds->data, &folds->config, out));
    if (folds->config != NULL && folds->config->data.noise.kind != NOISE_NONE)
        return FAIL(ADELE_CONFIG, "Write the noisy labels with `adele noise`, and name them.",
                    "%s: with data.noise the labels are in no file that could be audited",
                    folds->data->config);
    out->split[SPLIT_VAL] = out->split[SPLIT_TEST] = "none";
    return ADELE_OK;
}

static adele_status begin(struct folds *folds, const char *device, struct audit_options *wanted) {
    struct dataset_config data;
    TRY(ranks_check_usable(folds->ranks));
    adele_status status = rank_device_choose(folds->ranks, device, folds->device);
    if (status == ADELE_OK)
        status = read_options(folds, wanted);
    if (status == ADELE_OK)
        status = resolve(folds, &data);
    TRY(ranks_agree(folds->ranks, status));
    return audit_begin(wanted, &data, folds->n_folds, &folds->audit);
}

adele_status adele_audit_folds(const struct adele_data *data, int n_folds, const char *device,
                               const struct adele_audit_options *options,
                               struct adele_audit_summary *out) {
    struct folds folds = {
        .data = data, .options = options, .ranks = ranks_of(options->ranks), .n_folds = n_folds};
    struct audit_options wanted;
    struct audit_result result;
    memset(out, 0, sizeof *out);
    adele_status status = begin(&folds, device != NULL ? device : "auto", &wanted);
    if (status == ADELE_OK)
        status = run_folds(&folds);
    int n_classes = status == ADELE_OK ? audit_dataset(folds.audit)->n_categories : 0;
    status = audit_end(folds.audit, status, &result);
    if (status == ADELE_OK)
        audit_summary_fill(&result, n_classes, out);
    folds_deinit(&folds);
    return status;
}
