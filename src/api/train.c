// SPDX-License-Identifier: MIT
#include "adele/train.h"

#include "adele/adele.h"
#include "api/ranks.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/key_table.h"
#include "run/rank_device.h"
#include "run/run_log.h"
#include "run/settings.h"
#include "run/trainer.h"
#include "run_folder/claim.h"
#include "run_folder/run_folder.h"
#include "selftest/selftest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *adele_version(void) {
    return ADELE_VERSION;
}

int adele_config_key(int i, struct adele_config_key *out) {
    if (i < 0 || i >= CONFIG_N_KEYS)
        return 0;
    *out = (struct adele_config_key){.name = config_keys[i].path,
                                     .default_value = config_keys[i].fallback,
                                     .meaning = config_keys[i].meaning,
                                     .may_change = run_setting_may_change(config_keys[i].path)};
    return 1;
}

// ---- callbacks ----------------------------------------------------------------------------------

// What the callbacks of a run need.
struct call {
    const struct adele_train_options *options;
    const char *run, *device;
    struct run_log *log; // NULL: none
    void (*on_batch)(void *context, const struct adele_train_batch *batch);
};

static void on_step(void *context, int epoch, int n_epochs, int step, int n_steps) {
    const struct adele_train_options *options = ((const struct call *)context)->options;
    if (options->on_step != NULL)
        options->on_step(options->context, epoch, n_epochs, step, n_steps);
}

static void on_start(void *context, const struct adele_train_start *start) {
    const struct adele_train_options *options = ((const struct call *)context)->options;
    options->on_start(options->context, start);
}

static void on_progress(void *context, const struct adele_train_progress *progress) {
    const struct adele_train_options *options = ((const struct call *)context)->options;
    options->on_progress(options->context, progress);
}

static void on_batch(void *context, const struct adele_train_batch *batch) {
    const struct call *call = context;
    if (call->on_batch != NULL)
        call->on_batch(call->options->context, batch);
}

static bool should_stop(void *context) {
    const struct adele_train_options *options = ((const struct call *)context)->options;
    return options->should_stop != NULL && options->should_stop(options->context) != 0;
}

static struct adele_iou public_iou(const struct score *score) {
    if (score == NULL)
        return (struct adele_iou){NULL, NAN, NAN};
    return (struct adele_iou){score->iou, score->miou, score->miou_foreground};
}

static bool on_epoch(void *context, const struct trainer_epoch *epoch) {
    const struct adele_train_options *options = ((const struct call *)context)->options;
    if (options->on_epoch == NULL)
        return false;
    const struct adele_epoch finished = {.epoch = epoch->epoch,
                                         .n_epochs = epoch->n_epochs,
                                         .n_classes = epoch->n_categories,
                                         .class_names = (const char *const *)epoch->category_names,
                                         .seconds = epoch->seconds,
                                         .loss = epoch->loss,
                                         .train = public_iou(epoch->train),
                                         .val = public_iou(epoch->val),
                                         .test = public_iou(epoch->test),
                                         .n_corrected_pixels = epoch->n_corrected};
    return options->on_epoch(options->context, &finished) != 0;
}

// ---- a run --------------------------------------------------------------------------------------

static adele_status test_kernels(const struct adele_train_options *options, const char *device) {
    if (options->selftest_program == NULL)
        return ADELE_OK;
    return selftest_before_training(
        &(struct selftest_options){.program = options->selftest_program,
                                   .device = device,
                                   .config = options->config,
                                   .sets = options->sets,
                                   .n_sets = options->n_sets,
                                   .seconds = SELFTEST_SECONDS,
                                   .stall_seconds = SELFTEST_STALL_SECONDS,
                                   .only = ~(uint64_t)0});
}

// The log is opened only in a folder that is not refused.
static adele_status on_claimed(void *context) {
    struct call *call = context;
    const struct ranks *ranks = ranks_of(call->options->ranks);
    if (call->options->keep_log)
        TRY(run_log_open(call->run, ranks_index(ranks), &call->log));
    ranks_log_cores(ranks);
    return test_kernels(call->options, call->device);
}

// Only rank 0 calls the program's functions, but for should_stop.
static void set_callbacks(struct trainer_options *trainer, struct call *call) {
    const struct adele_train_options *options = call->options;
    bool tells = ranks_index(trainer->ranks) == 0;
    trainer->on_claimed = on_claimed;
    trainer->on_start = tells && options->on_start != NULL ? on_start : NULL;
    trainer->on_step = tells ? on_step : NULL;
    trainer->on_progress = tells && options->on_progress != NULL ? on_progress : NULL;
    trainer->progress_seconds = options->progress_seconds;
    trainer->on_epoch = tells ? on_epoch : NULL;
    trainer->should_stop = should_stop;
    trainer->context = call;
}

// A start of several processes that ends with an error that all know leaves no folder with a log of
// each: they are started again under the same name. Nothing is removed that an earlier start has
// left, or once files of the run are there; nor after the loss of a rank, whose log says more.
static void remove_refused(const char *run, int n_ranks) {
    char *checkpoints = file_join(run, "checkpoints");
    if (checkpoints != NULL && !file_exists(checkpoints)) {
        run_log_remove(run, n_ranks);
        run_folder_unclaim(run);
    }
    memory_free(checkpoints);
}

// The log keeps what the screen shows at the end.
static void log_result(const char *run, const struct trainer_result *result) {
    char last[40] = "";
    log_line(LOG_DETAIL,
             "done: %d epoch%s in %s; the weights are " CHECKPOINT_LAST
             ", the best ones " CHECKPOINT_BEST,
             result->n_epochs, result->n_epochs == 1 ? "" : "s", run);
    if (isfinite(result->val_miou))
        (void)snprintf(last, sizeof last, "; last %.4f", result->val_miou);
    if (result->best_miou >= 0.0)
        log_line(LOG_DETAIL, "validation foreground mIoU: best %.4f, after epoch %d%s",
                 result->best_miou, result->best_epoch, last);
    if (isfinite(result->test_miou))
        log_line(LOG_DETAIL, "test foreground mIoU of the last epoch: %.4f", result->test_miou);
}

static adele_status train(const struct adele_train_options *options, struct config *config,
                          const char *run, struct trainer_result *result) {
    char device[RANK_DEVICE_BYTES];
    struct ranks *ranks = ranks_of(options->ranks);
    struct call call = {.options = options, .run = run, .device = device};
    struct trainer_options trainer = {.config = config,
                                      .run_folder = run,
                                      .resume = options->resume != 0,
                                      .device = device,
                                      .ranks = ranks,
                                      .n_profile_steps = options->n_profile_steps};
    set_callbacks(&trainer, &call);
    const char *name = options->device != NULL ? options->device : "auto";
    adele_status status = rank_device_choose(ranks, name, device);
    if (status == ADELE_OK && options->resume == 2 && ranks_index(ranks) == 0)
        status = run_folder_check_resumable(run);
    if (status == ADELE_OK && options->resume)
        status = run_paths_resolve(run, NULL, config);
    TRY(ranks_agree(ranks, status));
    bool is_new = ranks != NULL && ranks_index(ranks) == 0 && !file_exists(run);
    status = trainer_run(&trainer, result);
    if (status != ADELE_OK)
        log_line(LOG_DETAIL, "ended: %s", adele_error_message());
    else if (options->n_profile_steps == 0)
        log_result(run, result);
    if (ranks != NULL)
        log_line(LOG_DETAIL, "%jd bytes were sent to other ranks",
                 (intmax_t)ranks_bytes_sent(ranks));
    run_log_close(call.log);
    if (is_new && status != ADELE_OK && status != ADELE_INTERRUPTED && ranks_have_agreed(ranks))
        remove_refused(run, ranks_count(ranks));
    return status;
}

static adele_status find_run_folder(const struct adele_train_options *options,
                                    const struct config *config, struct adele_train_result *out,
                                    char **run) {
    *run = options->run_folder != NULL ? memory_strdup(options->run_folder)
                                       : file_join("runs", config->name);
    TRY(CHECK_MEMORY(*run));
    if (strlen(*run) >= sizeof out->run_folder)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use a shorter path.",
                    "the path of the run's folder has %zu bytes, more than %zu", strlen(*run),
                    sizeof out->run_folder - 1);
    memcpy(out->run_folder, *run, strlen(*run) + 1);
    return ADELE_OK;
}

static adele_status load_config(const struct adele_train_options *options, struct config **out) {
    if (options->config == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name a YAML file.", "no configuration is given");
    TRY(config_load(options->config, options->n_sets, options->sets, out));
    return options->resume ? ADELE_OK : config_check_new(*out);
}

adele_status adele_train(const struct adele_train_options *options,
                         struct adele_train_result *out) {
    OWNED_BY(config_destroy) struct config *config = NULL;
    struct trainer_result result = {
        .val_miou = NAN, .test_miou = NAN, .best_miou = -1.0, .best_epoch = 0};
    OWNED char *run = NULL;
    memset(out, 0, sizeof *out);
    TRY(ranks_check_usable(ranks_of(options->ranks)));
    adele_status status = load_config(options, &config);
    if (status == ADELE_OK)
        status = find_run_folder(options, config, out, &run);
    status = ranks_agree(ranks_of(options->ranks), status);
    if (status == ADELE_OK)
        status = train(options, config, run, &result);
    out->n_epochs = result.n_epochs;
    out->val_miou = result.val_miou;
    out->test_miou = result.test_miou;
    out->best_miou = result.best_miou;
    out->best_epoch = result.best_epoch;
    return status;
}

static adele_status read_dry_run_options(const struct adele_train_options *options,
                                         struct config **config) {
    if (options->config == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name a YAML file.", "no configuration is given");
    if (options->resume || options->n_profile_steps > 0)
        return FAIL(ADELE_INVALID_ARGUMENT, "Leave the other out.",
                    "a dry run neither resumes a run nor profiles one");
    TRY(config_load(options->config, options->n_sets, options->sets, config));
    return config_check_new(*config);
}

static adele_status load_for_dry_run(const struct adele_train_options *options,
                                     char device[RANK_DEVICE_BYTES], struct config **config) {
    struct ranks *ranks = ranks_of(options->ranks);
    const char *name = options->device != NULL ? options->device : "auto";
    adele_status status = rank_device_choose(ranks, name, device);
    if (status == ADELE_OK)
        status = read_dry_run_options(options, config);
    if (status == ADELE_OK && options->run_folder != NULL)
        status = run_folder_check_new(*config, options->run_folder);
    if (status == ADELE_OK)
        status = test_kernels(options, device);
    return ranks_agree(ranks, status);
}

adele_status adele_train_dry_run(const struct adele_train_options *options,
                                 void (*on_each_batch)(void *context,
                                                       const struct adele_train_batch *batch)) {
    OWNED_BY(config_destroy) struct config *config = NULL;
    char device[RANK_DEVICE_BYTES];
    struct call call = {.options = options, .device = device, .on_batch = on_each_batch};
    struct ranks *ranks = ranks_of(options->ranks);
    TRY(ranks_check_usable(ranks));
    TRY(load_for_dry_run(options, device, &config));
    const bool tells = ranks_index(ranks) == 0;
    const struct trainer_options trainer = {
        .config = config,
        .device = device,
        .ranks = ranks,
        .on_start = tells && options->on_start != NULL ? on_start : NULL,
        .should_stop = should_stop,
        .context = &call};
    return trainer_dry_run(&trainer, (struct dry_run_times){20.0, 1.0}, on_batch);
}
