// SPDX-License-Identifier: MIT
#include "support/tiny_run.h"

#include "base/file.h"
#include "base/memory.h"
#include "run_folder/run_folder.h"
#include "support/scratch.h"
#include "support/train_step.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

int tiny_run_setup(void **state) {
    if (scratch_setup(state) != 0)
        return -1;
    struct tiny_set set = tiny_set_default(3);
    set.noise_px = 2;
    tiny_set_write(scratch_path(state, "set"), &set);
    return 0;
}

struct config *tiny_run_config(void *const *state, const char *const *sets) {
    int n_sets = 0;
    while (sets && sets[n_sets])
        n_sets++;
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    struct config *config = NULL;
    adele_status status = config_parse("tiny.yaml", text, strlen(text), n_sets, sets, &config);
    memory_free(text);
    if (status != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return config;
}

const char *tiny_run_config_file(void *const *state) {
    char *yaml = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    const char *path = scratch_path(state, "config.yaml");
    if (file_write(path, yaml, strlen(yaml)) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    memory_free(yaml);
    return path;
}

adele_status tiny_run(void *const *state, const char *name, bool resume, const char *const *sets,
                      struct trainer_result *result) {
    struct config *config = tiny_run_config(state, sets);
    struct trainer_result own;
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, name),
                                      .resume = resume,
                                      .device = "cpu"};
    adele_status status = trainer_run(&options, result ? result : &own);
    config_destroy(config);
    return status;
}

static bool has_stopped(void *context) {
    int *n_steps = context;
    return (*n_steps)-- <= 0;
}

void tiny_run_interrupted(void *const *state, const char *name, int n_steps,
                          const char *const *sets) {
    struct config *config = tiny_run_config(state, sets);
    struct trainer_result result;
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, name),
                                      .device = "cpu",
                                      .should_stop = has_stopped,
                                      .context = &n_steps};
    assert_int_equal(trainer_run(&options, &result), ADELE_INTERRUPTED);
    config_destroy(config);
}

static char *read_text(void *const *state, const char *run, const char *name) {
    char path[4096], *text = NULL;
    size_t bytes = 0;
    (void)snprintf(path, sizeof path, "%s/%s", scratch_path(state, run), name);
    if (file_read(path, 0, &text, &bytes) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return text;
}

const char *tiny_run_resume(const char *run) {
    bool has_checkpoint = false;
    assert_int_equal(run_folder_has_checkpoint(run, &has_checkpoint), ADELE_OK);
    return has_checkpoint ? "--resume" : "--device=cpu";
}

double tiny_run_metric(void *const *state, const char *run, int epoch, const char *metric) {
    char *text = read_text(state, run, "metrics.jsonl");
    double value = NAN;
    for (char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        cJSON *record = cJSON_Parse(line); // up to the end of the line's object
        const cJSON *at = cJSON_GetObjectItemCaseSensitive(record, "epoch");
        const cJSON *number = cJSON_GetObjectItemCaseSensitive(record, metric);
        if (cJSON_IsNumber(at) && at->valueint == epoch && cJSON_IsNumber(number))
            value = number->valuedouble;
        cJSON_Delete(record);
    }
    memory_free(text);
    return value;
}

int tiny_run_n_records(void *const *state, const char *run) {
    char *text = read_text(state, run, "metrics.jsonl");
    int n = 0;
    for (const char *at = text; *at; at++)
        n += *at == '\n';
    memory_free(text);
    return n;
}

bool same_bytes(const char *path_a, const char *path_b) {
    char *a = NULL, *b = NULL;
    size_t n_a = 0, n_b = 0;
    if (file_read(path_a, 0, &a, &n_a) != ADELE_OK || file_read(path_b, 0, &b, &n_b) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    bool is_same = n_a == n_b && memcmp(a, b, n_a) == 0;
    memory_free(a);
    memory_free(b);
    return is_same;
}

static void assert_same_file(const char *folder_a, const char *folder_b, const char *name) {
    char *a = file_join(folder_a, name), *b = file_join(folder_b, name);
    if (!same_bytes(a, b))
        fail_msg("%s and %s differ", a, b);
    memory_free(a);
    memory_free(b);
}

struct safetensors *tiny_run_open(void *const *state, const char *name) {
    struct safetensors *file = NULL;
    check_ok(safetensors_open(scratch_path(state, name), &file));
    return file;
}

bool tiny_run_has(void *const *state, const char *name) {
    return file_exists(scratch_path(state, name));
}

int tiny_run_setup_full(void **state) {
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

void tiny_run_assert_same(void *const *state, const char *run_a, const char *run_b) {
    static const char *const names[] = {"checkpoints/last.safetensors",
                                        "checkpoints/best.safetensors",
                                        "metrics.jsonl",
                                        "metrics.csv",
                                        "onset.json",
                                        "examples.safetensors"};
    char a[4096], b[4096], labels[4200], labels_b[4200];
    (void)snprintf(a, sizeof a, "%s", scratch_path(state, run_a));
    (void)snprintf(b, sizeof b, "%s", scratch_path(state, run_b));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_same_file(a, b, names[i]);
    struct file_list in_a, in_b;
    (void)snprintf(labels, sizeof labels, "%s/labels", a);
    (void)snprintf(labels_b, sizeof labels_b, "%s/labels", b);
    assert_true(file_exists(labels) == file_exists(labels_b));
    if (!file_exists(labels)) // without corrections
        return;
    assert_int_equal(file_list_directory(labels, &in_a), ADELE_OK);
    assert_int_equal(file_list_directory(labels_b, &in_b), ADELE_OK);
    assert_int_equal(in_a.n, in_b.n);
    for (int i = 0; i < in_a.n; i++) {
        assert_string_equal(in_a.names[i], in_b.names[i]);
        (void)snprintf(labels, sizeof labels, "labels/%s", in_a.names[i]);
        assert_same_file(a, b, labels);
    }
    file_list_deinit(&in_a);
    file_list_deinit(&in_b);
}
