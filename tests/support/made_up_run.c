// SPDX-License-Identifier: MIT
#include "support/made_up_run.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "run_folder/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX_NAMES 4096

void made_up_file(const char *run, const char *name, const char *text) {
    char path[4096], folder[4096];
    (void)snprintf(path, sizeof path, "%s/%s", run, name);
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    assert_int_equal(file_make_directory(folder), ADELE_OK);
    assert_int_equal(file_write(path, text, strlen(text)), ADELE_OK);
}

void made_up_metrics(const char *run, const char *class_name, double last) {
    const double values[5] = {0.5, 0.625, 0.75, (0.75 + last) / 2.0, last};
    const double changed[5] = {0, 0, 0, 300, 40};
    struct metrics *metrics = NULL;
    assert_int_equal(file_make_directory(run), ADELE_OK);
    assert_int_equal(metrics_open(run, 0, &metrics), ADELE_OK);
    for (int epoch = 1; epoch <= 5; epoch++) {
        double value = values[epoch - 1], other = 0.125 * epoch;
        assert_int_equal(metrics_begin(metrics, epoch, 10L * epoch), ADELE_OK);
        adele_status status = ADELE_OK;
#define ADD(value, ...) status = status ? status : metrics_add(metrics, value, __VA_ARGS__)
        ADD(1.0 / epoch, "train/loss");
        ADD(value, "test/pred_vs_true/miou_foreground");
        ADD(value, "test/pred_vs_true/iou/%s", class_name);
        ADD(0.5 + other / 4.0, "train/labels_vs_true/miou_foreground");
        ADD(0.125, "train/early_learning/miou_foreground");
        ADD(other, "train/memorization/miou_foreground");
        ADD(0.5, "train/early_learning/iou/%s", class_name);
        ADD(0.25, "train/memorization/iou/%s", class_name);
        ADD(changed[epoch - 1], "correction/changed_pixels");
#undef ADD
        assert_int_equal(status, ADELE_OK);
        assert_int_equal(metrics_end(metrics), ADELE_OK);
    }
    metrics_close(metrics);
}

void made_up_onset(const char *run, const char *class_name) {
    struct buffer text = {0};
    adele_status status =
        buffer_text(&text, "{\"pipeline\": \"segthor\", \"r\": 0.9, \"categories\": [{\"name\": ");
    if (status == ADELE_OK)
        status = buffer_json_string(&text, class_name);
    if (status == ADELE_OK)
        status = buffer_text(&text, ", \"iou\": [0.1, 0.4, 0.5, 0.55, 0.6], \"fit\": {\"a\": 0.7, "
                                    "\"b\": 0.9, \"c\": 2.0}, \"t0\": 0, \"dt\": 1.25, "
                                    "\"n_dropped\": 0, \"onset_epoch\": 3, "
                                    "\"corrected_epochs\": [4, 5]}]}");
    assert_int_equal(status, ADELE_OK);
    made_up_file(run, "onset.json", text.data);
    buffer_deinit(&text);
}

// ---- examples -----------------------------------------------------------------------------------

static uint8_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (uint8_t)(*state >> 24);
}

// 0 truth, 1 noisy, 2 corrected, 3 prediction.
static uint8_t label_of(const struct made_up_examples *made_up, int i, int layer, int y, int x,
                        uint32_t *random) {
    if (made_up->is_random)
        return next_random(random) % 2;
    if (layer == 3 && made_up->predicts_nothing)
        return 0;
    bool is_truth = x < made_up->w / 2;
    bool is_added = y < i && x < 8;
    bool is_noisy = is_truth && y >= made_up->n;
    return layer == 0 || layer == 3 ? is_truth : is_noisy || (layer == 2 && is_added);
}

static char *example_names(const struct made_up_examples *made_up) {
    char *names[MAX_NAMES];
    for (int i = 0; i < made_up->n; i++) {
        names[i] = memory_printf("%s%d", made_up->case_name, i);
        assert_non_null(names[i]);
    }
    char *joined = memory_join_lines(made_up->n, (const char *const *)names);
    for (int i = 0; i < made_up->n; i++)
        memory_free(names[i]);
    assert_non_null(joined);
    return joined;
}

static void write_examples(const char *run, const struct made_up_examples *made_up,
                           const uint8_t *image, uint8_t *const labels[4]) {
    static const char *const layers[4] = {"truth", "noisy", "corrected", "prediction"};
    const int64_t image_shape[4] = {made_up->n, 1, made_up->h, made_up->w};
    const int64_t label_shape[3] = {made_up->n, made_up->h, made_up->w};
    struct safetensors_writer *writer = NULL;
    char *names = example_names(made_up), *path = file_join(run, "examples.safetensors");
    char *categories = memory_printf("background\n%s", made_up->class_name);
    char spread[16];
    (void)snprintf(spread, sizeof spread, "%d", made_up->n_spread);
    assert_int_equal(safetensors_writer_create(&writer), ADELE_OK);
    assert_int_equal(safetensors_writer_add(writer, "image", SAFETENSORS_U8, 4, image_shape, image),
                     ADELE_OK);
    for (int k = made_up->with_truth ? 0 : 1; k < 4; k++)
        assert_int_equal(
            safetensors_writer_add(writer, layers[k], SAFETENSORS_U8, 3, label_shape, labels[k]),
            ADELE_OK);
    assert_int_equal(safetensors_writer_metadata(writer, "categories", categories), ADELE_OK);
    assert_int_equal(safetensors_writer_metadata(writer, "names", names), ADELE_OK);
    if (made_up->n_spread > 0)
        assert_int_equal(safetensors_writer_metadata(writer, "spread", spread), ADELE_OK);
    assert_int_equal(safetensors_writer_save(writer, path), ADELE_OK);
    safetensors_writer_destroy(writer);
    memory_free(names);
    memory_free(path);
    memory_free(categories);
}

void made_up_examples(const char *run, const struct made_up_examples *made_up) {
    size_t map = (size_t)made_up->h * (size_t)made_up->w, n = (size_t)made_up->n * map;
    uint32_t random = 1;
    uint8_t *image = memory_calloc(n, 1), *labels[4];
    assert_non_null(image);
    assert_true(made_up->n <= MAX_NAMES);
    for (size_t k = 0; k < n; k++)
        image[k] = made_up->is_random ? next_random(&random) : (uint8_t)(k % map * 255 / map);
    for (int layer = 0; layer < 4; layer++) {
        labels[layer] = memory_calloc(n, 1);
        assert_non_null(labels[layer]);
        for (size_t k = 0; k < n; k++)
            labels[layer][k] = label_of(made_up, (int)(k / map), layer, (int)(k % map) / made_up->w,
                                        (int)(k % map) % made_up->w, &random);
    }
    write_examples(run, made_up, image, labels);
    memory_free(image);
    for (int layer = 0; layer < 4; layer++)
        memory_free(labels[layer]);
}
