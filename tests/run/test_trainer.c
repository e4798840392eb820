// SPDX-License-Identifier: MIT
// A training run: the files that it leaves, and that it can be repeated. test_trainer_ends has the
// runs that are refused, fail or are stopped.
#include "run/trainer.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/safetensors.h"
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

// ---- what a run leaves --------------------------------------------------------------------------

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
        if (!tiny_run_has(state, names[i]))
            fail_msg("%s is not there", names[i]);
    assert_int_equal(tiny_run_n_records(state, "run"), 5);
    assert_false(tiny_run_has(state, "run/noise.json")); // the noise came in files
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
    struct safetensors *last = tiny_run_open(state, "run/checkpoints/last.safetensors");
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
    struct safetensors *generation = tiny_run_open(state, path);
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
    struct safetensors *file = tiny_run_open(state, "run/examples.safetensors");
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
    double n_changed = 0.0;
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
        n_changed += sum;
        cJSON_Delete(flow);
        safetensors_close(before);
        before = after;
    }
    assert_true(n_changed > 0.0);
    safetensors_close(before);
    cJSON_Delete(manifest);
}

// ---- the same run, and other ones ---------------------------------------------------------------

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
    };
    return cmocka_run_group_tests(tests, tiny_run_setup_full, scratch_teardown);
}
