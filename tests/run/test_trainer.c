// SPDX-License-Identifier: MIT
// Whole runs of a few epochs, in this process. Runs that are killed are in test_resume.c.
#include "run/trainer.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "infer/run_folder.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <limits.h>
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct safetensors *open_file(void *const *state, const char *name) {
    struct safetensors *file = NULL;
    check_ok(safetensors_open(scratch_path(state, name), &file));
    return file;
}

static bool is_there(void *const *state, const char *name) {
    return file_exists(scratch_path(state, name));
}

// ---- what a run leaves --------------------------------------------------------------------------

// The run that several tests look at.
static int full_run_setup(void **state) {
    if (tiny_run_setup(state) != 0)
        return -1;
    struct trainer_result result = {0};
    check_ok(tiny_run(state, "run", false, NULL, &result));
    assert_int_equal(result.n_epochs, 5);
    assert_true(isfinite(result.val_miou) && isfinite(result.test_miou));
    assert_true(result.best_epoch >= 1 && result.best_epoch <= 5);
    assert_true(result.best_miou >= result.val_miou);
    return 0;
}

static void a_run_writes_all_its_files(void **state) {
    static const char *const names[] = {"run/config.resolved.yaml",
                                        "run/metrics.jsonl",
                                        "run/metrics.csv",
                                        "run/onset.json",
                                        "run/checkpoints/last.safetensors",
                                        "run/checkpoints/best.safetensors",
                                        "run/labels/manifest.json",
                                        "run/examples.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!is_there(state, names[i]))
            fail_msg("%s is not there", names[i]);
    assert_int_equal(tiny_run_n_records(state, "run"), 5);
    assert_false(is_there(state, "run/noise.json")); // the noise came in files
}

static void metrics_have_the_documented_names(void **state) {
    static const char *const names[] = {"train/loss",
                                        "train/cross_entropy",
                                        "train/consistency",
                                        "train/pred_vs_noisy/iou/disc",
                                        "train/pred_vs_noisy/miou",
                                        "train/pred_vs_current/iou/box",
                                        "train/pred_vs_true/iou/box",
                                        "train/early_learning/iou/disc",
                                        "train/early_learning/miou",
                                        "train/early_learning/miou_foreground",
                                        "train/memorization/iou/disc",
                                        "train/memorization/miou",
                                        "train/labels_vs_true/iou/box",
                                        "train/labels_vs_true/miou_foreground",
                                        "correction/changed_pixels",
                                        "correction/on/disc",
                                        "val/pred_vs_true/iou/background",
                                        "val/pred_vs_true/dice_foreground",
                                        "test/pred_vs_true/miou",
                                        "test/pred_vs_true/miou_foreground"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int epoch = 1; epoch <= 5; epoch++)
            if (!isfinite(tiny_run_metric(state, "run", epoch, names[i])))
                fail_msg("epoch %d has no number %s", epoch, names[i]);
    assert_true(isnan(tiny_run_metric(state, "run", 1, "correction/on/background")));
}

static void every_table_has_the_same_two_means(void **state) {
    static const char *const tables[] = {"train/pred_vs_noisy", "train/pred_vs_current",
                                         "train/pred_vs_true",  "train/labels_vs_true",
                                         "val/pred_vs_true",    "test/pred_vs_true"};
    static const char *const names[] = {"background", "disc", "box"};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        double sum = 0, foreground = 0;
        char metric[128];
        for (int c = 0; c < 3; c++) {
            (void)snprintf(metric, sizeof metric, "%s/iou/%s", tables[i], names[c]);
            double iou = tiny_run_metric(state, "run", 5, metric);
            sum += iou;
            foreground += c > 0 ? iou : 0.0;
        }
        (void)snprintf(metric, sizeof metric, "%s/miou", tables[i]);
        assert_true(fabs(tiny_run_metric(state, "run", 5, metric) - sum / 3) <= 1e-9);
        (void)snprintf(metric, sizeof metric, "%s/miou_foreground", tables[i]);
        assert_true(fabs(tiny_run_metric(state, "run", 5, metric) - foreground / 2) <= 1e-9);
    }
}

static bool holds(const char *data, size_t n, const char *text) {
    size_t n_text = strlen(text);
    for (size_t i = 0; i + n_text <= n; i++)
        if (memcmp(data + i, text, n_text) == 0)
            return true;
    return false;
}

// What differs from run to run is in the events alone.
static void events_have_rate_and_speed(void **state) {
    static const char *const names[] = {"train/learning_rate", "time/epoch_seconds",
                                        "time/images_per_second"};
    char *events = NULL, *records = NULL;
    size_t n_events = 0, n_records = 0;
    check_ok(
        file_read(scratch_path(state, "run/events.out.tfevents.0.adele"), 0, &events, &n_events));
    check_ok(file_read(scratch_path(state, "run/metrics.jsonl"), 0, &records, &n_records));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_true(holds(events, n_events, names[i]));
        assert_false(holds(records, n_records, names[i]));
    }
    memory_free(events);
    memory_free(records);
}

// Before the first correction the current labels are the noisy ones; afterwards they are not.
static void labels_change_once_a_category_is_on(void **state) {
    struct safetensors *last = open_file(state, "run/checkpoints/last.safetensors");
    const struct safetensors_entry *labels = safetensors_find(last, "labels");
    assert_non_null(labels);
    char hash[17];
    hash_xxh3_hex(labels->data, labels->bytes, hash);
    assert_string_not_equal(hash, safetensors_metadata(last, "data.noisy_xxh3"));
    cJSON *manifest = NULL;
    check_ok(json_read(scratch_path(state, "run/labels/manifest.json"), &manifest));
    int n = cJSON_GetArraySize(manifest);
    assert_in_range(n, 2, 5);
    const cJSON *entry = cJSON_GetArrayItem(manifest, n - 1);
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(entry, "file"));
    assert_int_equal(cJSON_GetObjectItem(entry, "epoch")->valueint, 5);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(entry, "xxh3")), hash);
    assert_true(cJSON_GetObjectItem(entry, "changed_pixels")->valueint > 0);
    char path[128];
    (void)snprintf(path, sizeof path, "run/labels/%s", name);
    struct safetensors *generation = open_file(state, path);
    const struct safetensors_entry *map = safetensors_find(generation, "labels");
    assert_int_equal(map->bytes, labels->bytes);
    assert_memory_equal(map->data, labels->data, map->bytes);
    int first = cJSON_GetObjectItem(cJSON_GetArrayItem(manifest, 0), "epoch")->valueint;
    assert_in_range(first, 3, 4);
    for (int epoch = 1; epoch <= 5; epoch++) {
        double changed = tiny_run_metric(state, "run", epoch, "correction/changed_pixels");
        assert_true(epoch < first ? changed == 0.0 : changed >= 1.0);
    }
    double noisy = tiny_run_metric(state, "run", 1, "train/labels_vs_true/miou");
    assert_true(noisy != tiny_run_metric(state, "run", 5, "train/labels_vs_true/miou"));
    cJSON_Delete(manifest);
    safetensors_close(generation);
    safetensors_close(last);
}

static void onset_file_tells_each_category(void **state) {
    cJSON *json = NULL;
    check_ok(json_read(scratch_path(state, "run/onset.json"), &json));
    const cJSON *categories = cJSON_GetObjectItem(json, "categories"), *item;
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "pipeline")), "segthor");
    assert_int_equal(cJSON_GetArraySize(categories), 2);
    int n_on = 0;
    cJSON_ArrayForEach(item, categories) {
        char metric[128];
        const cJSON *iou = cJSON_GetObjectItem(item, "iou");
        (void)snprintf(metric, sizeof metric, "train/pred_vs_noisy/iou/%s",
                       cJSON_GetStringValue(cJSON_GetObjectItem(item, "name")));
        assert_int_equal(cJSON_GetArraySize(iou), 5);
        for (int i = 0; i < 5; i++) // 15 digits in the one, 17 in the other
            assert_true(fabs(cJSON_GetArrayItem(iou, i)->valuedouble -
                             tiny_run_metric(state, "run", i + 1, metric)) <= 1e-12);
        // onset_epoch is the number that the last fit gave, as `adele onset` prints it. A category
        // without one was never corrected.
        const cJSON *onset = cJSON_GetObjectItem(item, "onset_epoch");
        const cJSON *corrected = cJSON_GetObjectItem(item, "corrected_epochs");
        assert_null(cJSON_GetObjectItem(item, "on_epoch"));
        assert_true(cJSON_IsNumber(onset) || cJSON_GetArraySize(corrected) == 0);
        n_on += cJSON_GetArraySize(corrected) > 0;
    }
    assert_in_range(n_on, 1, 2);
    cJSON_Delete(json);
}

// Behind the four that are spread over the set.
static void assert_most_changed_first(const uint8_t *noisy, const uint8_t *corrected, int n) {
    size_t map = 32 * 28;
    int before = INT_MAX;
    for (int i = 4; i < n; i++) {
        int n_changed = 0;
        for (size_t k = (size_t)i * map; k < (size_t)(i + 1) * map; k++)
            n_changed += noisy[k] != corrected[k];
        assert_in_range(n_changed, 1, before);
        before = n_changed;
    }
}

static void examples_hold_the_runs_own_labels(void **state) {
    static const char *const maps[] = {"noisy", "corrected", "prediction", "truth"};
    struct safetensors *file = open_file(state, "run/examples.safetensors");
    const struct safetensors_entry *image = safetensors_find(file, "image");
    assert_non_null(image);
    // Four that are spread over the set, and up to twelve whose labels were changed most.
    const int64_t n = image->shape[0], shape[4] = {n, 1, 32, 28};
    assert_in_range(n, 5, 16);
    assert_memory_equal(image->shape, shape, sizeof shape);
    assert_string_equal(safetensors_metadata(file, "spread"), "4");
    for (int i = 0; i < 4; i++) {
        const struct safetensors_entry *map = safetensors_find(file, maps[i]);
        assert_non_null(map);
        assert_int_equal(map->bytes, n * 32 * 28);
        for (size_t k = 0; k < map->bytes; k++)
            assert_true(((const uint8_t *)map->data)[k] <= 2);
    }
    assert_string_equal(safetensors_metadata(file, "categories"), "background\ndisc\nbox");
    assert_non_null(strstr(safetensors_metadata(file, "names"), "train_002\n"));
    assert_most_changed_first(safetensors_find(file, "noisy")->data,
                              safetensors_find(file, "corrected")->data, (int)n);
    safetensors_close(file);
}

// The flow of each correction is what its labels and those before say: the first one's from the
// labels of the file, the next ones' from the generation before.
static void flows_agree_with_the_labels(void **state) {
    cJSON *manifest = NULL;
    struct safetensors *before = NULL, *after = NULL;
    check_ok(json_read(scratch_path(state, "run/labels/manifest.json"), &manifest));
    assert_true(cJSON_GetArraySize(manifest) >= 2);
    for (const cJSON *entry = manifest->child; entry != NULL; entry = entry->next) {
        char name[64];
        int epoch = cJSON_GetObjectItem(entry, "epoch")->valueint;
        (void)snprintf(name, sizeof name, "run/labels/epoch_%04d.safetensors", epoch);
        check_ok(safetensors_open(scratch_path(state, name), &after));
        (void)snprintf(name, sizeof name, "run/labels/epoch_%04d.json", epoch);
        cJSON *flow = NULL;
        check_ok(json_read(scratch_path(state, name), &flow));
        assert_int_equal(cJSON_GetObjectItem(flow, "epoch")->valueint, epoch);
        assert_string_equal(
            cJSON_GetArrayItem(cJSON_GetObjectItem(flow, "classes"), 2)->valuestring, "box");
        int64_t counts[9] = {0};
        const struct safetensors_entry *labels = safetensors_find(after, "labels");
        for (size_t k = 0; before != NULL && k < labels->bytes; k++)
            counts[((const uint8_t *)safetensors_find(before, "labels")->data)[k] * 3 +
                   ((const uint8_t *)labels->data)[k]]++;
        double sum = 0.0;
        const cJSON *pair;
        cJSON_ArrayForEach(pair, cJSON_GetObjectItem(flow, "flow")) {
            int from = cJSON_GetObjectItem(pair, "from")->valueint;
            int to = cJSON_GetObjectItem(pair, "to")->valueint;
            double n = cJSON_GetObjectItem(pair, "pixels")->valuedouble;
            assert_true(from != to && from < 3 && to < 3);
            if (before != NULL)
                assert_true(n == (double)counts[from * 3 + to]);
            sum += n;
        }
        assert_true(sum == cJSON_GetObjectItem(flow, "changed_pixels")->valuedouble);
        assert_true(sum == cJSON_GetObjectItem(entry, "changed_pixels")->valuedouble);
        cJSON_Delete(flow);
        safetensors_close(before);
        before = after;
    }
    safetensors_close(before);
    cJSON_Delete(manifest);
}

static void the_resolved_configuration_makes_the_same_run(void **state) {
    struct config *config = NULL;
    char again[4096];
    (void)snprintf(again, sizeof again, "%s", scratch_path(state, "again"));
    check_ok(config_load(scratch_path(state, "run/config.resolved.yaml"), 0, NULL, &config));
    struct trainer_options options = {.config = config, .run_folder = again, .device = "cpu"};
    struct trainer_result result;
    check_ok(trainer_run(&options, &result));
    config_destroy(config);
    tiny_run_assert_same(state, "run", "again");
    assert_true(same_bytes(scratch_path(state, "run/config.resolved.yaml"),
                           scratch_path(state, "again/config.resolved.yaml")));
}

// Where a weight's gradient comes from oneDNN its sums are cut by the number of threads, so runs of
// other numbers agree closely, not to the last bit.
static void the_number_of_threads_hardly_matters(void **state) {
    int n_threads = omp_get_max_threads();
    omp_set_num_threads(n_threads == 1 ? 2 : 1);
    adele_status status = tiny_run(state, "threads", false, SETS("train.epochs=1"), NULL);
    omp_set_num_threads(n_threads);
    check_ok(status);
    double one = tiny_run_metric(state, "run", 1, "train/loss");
    double other = tiny_run_metric(state, "threads", 1, "train/loss");
    if (!(fabs(one - other) <= 1e-5 * one))
        fail_msg("loss %.9g and %.9g", one, other);
}

static void another_seed_makes_another_run(void **state) {
    check_ok(tiny_run(state, "seed", false, SETS("train.seed=2", "train.epochs=1"), NULL));
    assert_true(tiny_run_metric(state, "seed", 1, "train/loss") !=
                tiny_run_metric(state, "run", 1, "train/loss"));
}

// ---- refusals -----------------------------------------------------------------------------------

static void a_folder_that_holds_a_run_is_refused_without_resume(void **state) {
    char copy[4096], last[4096];
    (void)snprintf(copy, sizeof copy, "%s", scratch_path(state, "copy.safetensors"));
    (void)snprintf(last, sizeof last, "%s",
                   scratch_path(state, "run/checkpoints/last.safetensors"));
    check_ok(file_copy(last, copy));
    assert_int_equal(tiny_run(state, "run", false, NULL, NULL), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "/run holds a run already"));
    assert_non_null(strstr(adele_error_hint(), "--resume"));
    // Nothing of the other run's settings is left behind.
    assert_int_equal(
        tiny_run(state, "run", false, SETS("data.noisy_labels=", "data.noise.kind=flip"), NULL),
        ADELE_INVALID_ARGUMENT);
    assert_int_equal(
        tiny_run(state, "run", true, SETS("data.noisy_labels=", "data.noise.kind=flip"), NULL),
        ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "data.noise.kind was none, is now flip"));
    assert_false(is_there(state, "run/noise.json"));
    assert_true(same_bytes(copy, last));
    assert_int_equal(tiny_run_n_records(state, "run"), 5);
}

static void augmented_predictions_cannot_correct(void **state) {
    assert_int_equal(tiny_run(state, "augment", false, SETS("data.augment.enabled=true"), NULL),
                     ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "data.augment"));
    assert_non_null(strstr(adele_error_hint(), "correction.source"));
}

static void noise_on_top_of_noisy_files_is_refused(void **state) {
    (void)state;
    struct config *config = NULL;
    const char *const sets[] = {"data.noise.kind=flip"};
    char *text = tiny_set_config("set", "set/noisyTr");
    assert_int_equal(config_parse("t.yaml", text, strlen(text), 1, sets, &config), ADELE_CONFIG);
    memory_free(text);
}

static void a_run_folder_below_a_file_is_an_error(void **state) {
    check_ok(file_write(scratch_path(state, "note.txt"), "x", 1));
    assert_int_equal(tiny_run(state, "note.txt/run", false, NULL, NULL), ADELE_IO);
    assert_non_null(strstr(adele_error_message(), "note.txt"));
}

static void an_image_that_the_network_cannot_halve_is_an_error(void **state) {
    adele_status status = tiny_run(state, "small", false, SETS("data.size=[16, 16]"), NULL);
    assert_int_equal(status, ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "1 x 1 pixels would give 0 x 0"));
    assert_non_null(strstr(adele_error_hint(), "larger images"));
    assert_false(is_there(state, "small/checkpoints/last.safetensors"));
}

static void an_unknown_device_is_an_error(void **state) {
    struct config *config = tiny_run_config(state, NULL);
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, "device"), .device = "abacus"};
    struct trainer_result result;
    assert_int_not_equal(trainer_run(&options, &result), ADELE_OK);
    assert_non_null(strstr(adele_error_message(), "abacus"));
    config_destroy(config);
}

static bool stop_after_a_step(void *context) {
    return (*(int *)context)++ == 1;
}

// A rate and a decay that make the weights overflow, for certain and within 15 steps (why is in
// test_nan_culprit.c): the run ends with a clear error, and what was saved before stays.
static void a_loss_that_is_not_finite_ends_the_run(void **state) {
    static const char *const sets[] = {"train.epochs=40",
                                       "train.optimizer.lr=1000",
                                       "train.optimizer.momentum=0",
                                       "train.optimizer.weight_decay=1",
                                       "train.checkpoint_every=40",
                                       "train.evaluate_every=40",
                                       "correction.enabled=false",
                                       "loss.form=plain",
                                       NULL};
    char copy[4096], last[4096];
    int n_asked = 0;
    struct config *config = tiny_run_config(state, sets);
    struct trainer_result result;
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, "nan"),
                                      .device = "cpu",
                                      .should_stop = stop_after_a_step,
                                      .context = &n_asked};
    assert_int_equal(trainer_run(&options, &result), ADELE_INTERRUPTED);
    config_destroy(config);
    (void)snprintf(copy, sizeof copy, "%s", scratch_path(state, "nan.safetensors"));
    (void)snprintf(last, sizeof last, "%s",
                   scratch_path(state, "nan/checkpoints/last.safetensors"));
    check_ok(file_copy(last, copy));
    assert_int_equal(tiny_run(state, "nan", true, sets, NULL), ADELE_NUMERIC);
    assert_non_null(strstr(adele_error_message(), "not finite"));
    assert_non_null(strstr(adele_error_hint(), "train.optimizer.lr"));
    assert_true(same_bytes(copy, last));
}

// ---- stopping -----------------------------------------------------------------------------------

struct stopper {
    int n_left;
    int n_steps; // seen by on_step
};

static bool stop_after(void *context) {
    return ((struct stopper *)context)->n_left-- <= 0;
}

static void count_step(void *context, int epoch, int n_epochs, int step, int n_steps) {
    ((struct stopper *)context)->n_steps++;
    assert_in_range(epoch, 1, n_epochs);
    assert_in_range(step, 1, n_steps);
    assert_int_equal(n_steps, 5); // 18 images in fours
}

// Stopped at several places, in evaluation too, and continued each time: the same run.
static void an_interrupted_run_goes_on_where_it_was(void **state) {
    const int moments[] = {0, 2, 9, 23, 17, 30};
    struct config *config = tiny_run_config(state, NULL);
    struct trainer_result result;
    struct stopper stopper = {0};
    struct trainer_options options = {.config = config,
                                      .resume = true,
                                      .device = "cpu",
                                      .on_step = count_step,
                                      .should_stop = stop_after,
                                      .context = &stopper};
    adele_status status = ADELE_INTERRUPTED;
    for (size_t i = 0; status == ADELE_INTERRUPTED; i++) {
        options.run_folder = scratch_path(state, "stopped");
        stopper.n_left = i < sizeof moments / sizeof *moments ? moments[i] : 1000;
        status = trainer_run(&options, &result);
        assert_true(status == ADELE_OK || i < sizeof moments / sizeof *moments);
    }
    check_ok(status);
    assert_int_equal(stopper.n_steps, 25); // 5 epochs of 5 steps, none of them twice
    config_destroy(config);
    tiny_run_assert_same(state, "run", "stopped");
}

static bool stop_after_epoch_2(void *context, const struct trainer_epoch *epoch) {
    (void)context;
    return epoch->epoch == 2;
}

static void assert_saved_epochs(void *const *state, const char *last, const char *previous) {
    static const char *const names[] = {"epochs/" CHECKPOINT_LAST, "epochs/" CHECKPOINT_PREVIOUS};
    const char *const epochs[] = {last, previous};
    for (int i = 0; i < 2; i++) {
        struct safetensors *file = open_file(state, names[i]);
        assert_string_equal(safetensors_metadata(file, "epoch"), epochs[i]);
        safetensors_close(file);
    }
}

// Stopped after an epoch, and again before the next step: the checkpoint before the last one stays,
// because nothing new is to be saved.
static void a_stop_keeps_the_older_checkpoint(void **state) {
    struct config *config = tiny_run_config(state, SETS("train.epochs=4", "loss.scales=[1.0]"));
    struct trainer_result result;
    struct stopper stopper = {0};
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, "epochs"),
                                      .device = "cpu",
                                      .on_epoch = stop_after_epoch_2};
    assert_int_equal(trainer_run(&options, &result), ADELE_INTERRUPTED);
    assert_saved_epochs(state, "2", "1");
    options = (struct trainer_options){.config = config,
                                       .run_folder = scratch_path(state, "epochs"),
                                       .resume = true,
                                       .device = "cpu",
                                       .should_stop = stop_after,
                                       .context = &stopper};
    assert_int_equal(trainer_run(&options, &result), ADELE_INTERRUPTED);
    assert_saved_epochs(state, "2", "1");
    stopper.n_left = 1; // a step: a new state
    options.run_folder = scratch_path(state, "epochs");
    assert_int_equal(trainer_run(&options, &result), ADELE_INTERRUPTED);
    assert_saved_epochs(state, "2", "2");
    config_destroy(config);
}

// Allocation fails at places spread over the run: a clean error. A picture that a loader's thread
// cannot hold is read again to learn why, and may then fit.
static void a_failing_allocation_is_a_clean_error(void **state) {
    const char *const *sets = SETS("train.epochs=1", "loss.scales=[1.0]");
    memory_fail_at(-1);
    check_ok(tiny_run(state, "memory", false, sets, NULL));
    long n = memory_count();
    int n_failed = 0;
    for (int i = 0; i < 24; i++) {
        struct config *config = tiny_run_config(state, sets);
        struct trainer_options options = {
            .config = config, .run_folder = scratch_path(state, "memory_fails"), .device = "cpu"};
        struct trainer_result result;
        memory_fail_at(n * i / 24);
        adele_status status = trainer_run(&options, &result);
        memory_fail_at(-1);
        config_destroy(config);
        bool is_read_again = status == ADELE_IO && strstr(adele_error_message(), "first try");
        if (status != ADELE_OK && status != ADELE_NO_MEMORY && !is_read_again)
            fail_msg("%s (%s)", adele_error_message(), adele_error_place());
        n_failed += status != ADELE_OK;
        check_ok(file_remove_tree(scratch_path(state, "memory_fails")));
    }
    assert_int_equal(n_failed, 24);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_writes_all_its_files),
        cmocka_unit_test(metrics_have_the_documented_names),
        cmocka_unit_test(every_table_has_the_same_two_means),
        cmocka_unit_test(events_have_rate_and_speed),
        cmocka_unit_test(labels_change_once_a_category_is_on),
        cmocka_unit_test(onset_file_tells_each_category),
        cmocka_unit_test(examples_hold_the_runs_own_labels),
        cmocka_unit_test(flows_agree_with_the_labels),
        cmocka_unit_test(the_resolved_configuration_makes_the_same_run),
        cmocka_unit_test(the_number_of_threads_hardly_matters),
        cmocka_unit_test(another_seed_makes_another_run),
        cmocka_unit_test(a_folder_that_holds_a_run_is_refused_without_resume),
        cmocka_unit_test(augmented_predictions_cannot_correct),
        cmocka_unit_test(noise_on_top_of_noisy_files_is_refused),
        cmocka_unit_test(a_run_folder_below_a_file_is_an_error),
        cmocka_unit_test(an_image_that_the_network_cannot_halve_is_an_error),
        cmocka_unit_test(an_unknown_device_is_an_error),
        cmocka_unit_test(a_loss_that_is_not_finite_ends_the_run),
        cmocka_unit_test(an_interrupted_run_goes_on_where_it_was),
        cmocka_unit_test(a_stop_keeps_the_older_checkpoint),
        cmocka_unit_test(a_failing_allocation_is_a_clean_error),
    };
    return cmocka_run_group_tests(tests, full_run_setup, scratch_teardown);
}
