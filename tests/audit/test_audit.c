// SPDX-License-Identifier: MIT
// adele_model_audit: what the files say beside the same probabilities from adele_model_predict, the
// labels that it audits, the masks that it writes, and what it refuses.
#include "adele/adele.h"

#include "audit/audit_bias.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "image/image.h"
#include "support/audits.h"
#include "support/scratch.h"
#include "support/tiny_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CLASSES = 3, MAX_PIXELS = 64 * 64 };

// A scratch folder with the run "run" on noisy labels, and "noise", whose labels are made by
// data.noise. The training files are predicted with probabilities into "maps".
static int setup(void **state) {
    static const char *const sets[] = {"train.epochs=3", "data.noise.kind=flip",
                                       "data.noise.flip_fraction=0.2"};
    if (tiny_run_setup(state) != 0)
        return -1;
    assert_int_equal(tiny_run(state, "run", false, SETS("train.epochs=4"), NULL), ADELE_OK);
    char *yaml = tiny_set_config(scratch_path(state, "set"), NULL);
    const char *config = scratch_path(state, "config.yaml");
    assert_int_equal(file_write(config, yaml, strlen(yaml)), ADELE_OK);
    memory_free(yaml);
    struct adele_train_result result;
    assert_int_equal(
        adele_train(&(struct adele_train_options){.config = config,
                                                  .sets = sets,
                                                  .n_sets = 3,
                                                  .run_folder = scratch_path(state, "noise"),
                                                  .device = "cpu"},
                    &result),
        ADELE_OK);
    return 0;
}

static void assert_same_file(void *const *state, const char *a, const char *b, const char *name) {
    char *one = audit_text(state, a, name), *other = audit_text(state, b, name);
    assert_string_equal(one, other);
    memory_free(one);
    memory_free(other);
}

static void read_map(void *const *state, const char *folder, const char *name, uint8_t *out, int *h,
                     int *w) {
    char path[4096];
    struct image map;
    (void)snprintf(path, sizeof path, "%s/%s.png", scratch_path(state, folder), name);
    if (image_load_label(path, 0, &map) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    assert_true(map.width * map.height <= MAX_PIXELS && map.n_bits == 8);
    memcpy(out, map.pixels, (size_t)map.width * (size_t)map.height);
    *h = map.height;
    *w = map.width;
    image_deinit(&map);
}

// ---- beside the same probabilities --------------------------------------------------------------

struct expected {
    struct doubt_score score;
    int64_t n_doubtful;
    int n_regions;
};

static adele_status count_region(void *context, const struct doubt_region *region) {
    struct expected *expected = context;
    expected->n_regions++;
    expected->n_doubtful += region->n_pixels;
    return ADELE_OK;
}

// From the files that adele_model_predict wrote. `mask` gets the label with doubtful pixels as 255.
static struct expected expect(void *const *state, const char *name, uint8_t *mask) {
    static uint8_t labels[MAX_PIXELS];
    static float p[CLASSES * MAX_PIXELS];
    struct expected expected = {0};
    struct doubt doubt = {0};
    struct safetensors *file;
    char path[4096];
    int h, w;
    read_map(state, "set/noisyTr", name, labels, &h, &w);
    (void)snprintf(path, sizeof path, "%s/%s.safetensors", scratch_path(state, "maps"), name);
    assert_int_equal(safetensors_open(path, &file), ADELE_OK);
    assert_int_equal(safetensors_read_f32(file, "probabilities", (int64_t)CLASSES * h * w, p),
                     ADELE_OK);
    safetensors_close(file);
    struct doubt_image image = {CLASSES, h, w, labels, p};
    struct doubt_limits limits = {0.5, 4}; // by default, of images that are so small
    assert_int_equal(doubt_score(&doubt, &image, &expected.score), ADELE_OK);
    assert_int_equal(doubt_find_regions(&doubt, &image, &limits, count_region, &expected),
                     ADELE_OK);
    for (int i = 0; i < h * w; i++)
        mask[i] = doubt.is_doubtful[i] ? 255 : labels[i];
    doubt_deinit(&doubt);
    return expected;
}

// The training images, whose scores allow for the bias over all of them. Rows by their number.
static struct audit_table expect_table(void *const *state) {
    static uint8_t mask[MAX_PIXELS];
    struct audit_table table;
    assert_int_equal(audit_table_init(&table, CLASSES, 0), ADELE_OK);
    for (int i = 0; i < TINY_SET_TRAIN; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "train_%03d", i);
        struct expected expected = expect(state, name, mask);
        assert_int_equal(audit_table_add_image(&table, name, 0, &expected.score), ADELE_OK);
    }
    assert_int_equal(audit_bias_remove(&table), ADELE_OK);
    return table;
}

static void compare_row(void *const *state, const struct audit_table *table, const char *line,
                        int rank, double *previous) {
    static uint8_t want[MAX_PIXELS], got[MAX_PIXELS];
    char name[64], worst[64];
    int got_rank, slice, n_regions, h, w, i;
    double score, worst_score, fraction;
    long long n_pixels, n_doubtful;
    assert_int_equal(sscanf(line, "%d,%63[^,],%d,%lf,%63[^,],%lf,%lld,%lld,%lf,%d", &got_rank, name,
                            &slice, &score, worst, &worst_score, &n_pixels, &n_doubtful, &fraction,
                            &n_regions),
                     10);
    struct expected expected = expect(state, name, want);
    assert_int_equal(got_rank, rank);
    assert_int_equal(sscanf(name, "train_%d", &i), 1);
    assert_true(i >= 0 && i < table->n_rows);
    assert_true(fabs(score - table->rows[i].score) <= 1e-6);
    assert_true(fabs(worst_score - table->rows[i].worst_score) <= 1e-6);
    assert_int_equal(n_doubtful, expected.n_doubtful);
    assert_int_equal(n_regions, expected.n_regions);
    assert_true(score >= *previous && worst_score >= 0.0 && worst_score <= 1.0);
    read_map(state, "masked/labelsTr", name, got, &h, &w);
    assert_int_equal(n_pixels, h * w);
    assert_memory_equal(got, want, (size_t)h * (size_t)w);
    *previous = score;
}

static void the_files_say_what_the_probabilities_do(void **state) {
    struct adele_model *model = audit_open(state, "run");
    struct adele_predict_options predict = {.input = scratch_path(state, "set/imagesTr"),
                                            .output = scratch_path(state, "maps"),
                                            .probabilities = 1};
    assert_int_equal(adele_model_predict(model, &predict, NULL), ADELE_OK);
    struct adele_audit_options options = audit_into(state, "masked");
    options.mask_value = 255;
    options.n_overlays = 2;
    struct adele_audit_summary summary = audit_run(model, &options);
    assert_int_equal(summary.n_images, TINY_SET_TRAIN);
    assert_int_equal(summary.n_classes, CLASSES);
    char *text = audit_text(state, "masked", "audit.csv"), *rest = NULL;
    const char *line = strtok_r(text, "\n", &rest); // the header
    assert_non_null(line);
    double previous = 0.0;
    int n = 0;
    struct audit_table table = expect_table(state);
    while ((line = strtok_r(NULL, "\n", &rest)) != NULL)
        compare_row(state, &table, line, ++n, &previous);
    audit_table_deinit(&table);
    assert_int_equal(n, TINY_SET_TRAIN);
    memory_free(text);
    assert_true(summary.n_doubtful_pixels > 0 && summary.n_regions > 0);
    assert_true(file_exists(scratch_path(state, "masked/overlays/0002_overlay.png")));
    assert_false(file_exists(scratch_path(state, "masked/overlays/0003_overlay.png")));
    assert_true(file_exists(scratch_path(state, "masked/changes.csv")));
    adele_model_close(model);
}

static void the_same_audit_gives_the_same_bytes(void **state) {
    struct adele_model *model = audit_open(state, "run");
    struct adele_audit_options options = audit_into(state, "first");
    (void)audit_run(model, &options);
    options.output = scratch_path(state, "second");
    options.n_regions = 3;
    options.n_overlays = 0;
    (void)audit_run(model, &options);
    assert_same_file(state, "first", "second", "classes.csv");
    char *all = audit_text(state, "first", "regions.csv"),
         *some = audit_text(state, "second", "regions.csv");
    assert_true(strlen(some) < strlen(all));
    assert_memory_equal(all, some, strlen(some)); // the first rows
    memory_free(all);
    memory_free(some);
    assert_false(file_exists(scratch_path(state, "second/overlays")));
    options.n_regions = 10000;
    options.n_overlays = 32;
    options.overwrite = 1;
    (void)audit_run(model, &options);
    assert_same_file(state, "first", "second", "audit.csv");
    assert_same_file(state, "first", "second", "regions.csv");
    adele_model_close(model);
}

// ---- whose labels -------------------------------------------------------------------------------

// The labels that data.noise made are those that `adele noise` writes with the same settings.
static void a_run_with_noise_is_audited_with_its_noisy_labels(void **state) {
    struct adele_noise_options noise;
    struct adele_noise_report *report = NULL;
    adele_noise_options_init(&noise);
    noise.output = scratch_path(state, "noisy files");
    noise.kind = "flip";
    noise.flip_fraction = 0.2;
    struct adele_data data = {.root = scratch_path(state, "set")};
    assert_int_equal(adele_noise(&data, &noise, &report), ADELE_OK);
    adele_noise_report_destroy(report);
    struct adele_model *model = audit_open(state, "noise");
    struct adele_audit_options options = audit_into(state, "made");
    options.mask_value = 255;
    (void)audit_run(model, &options);
    options.output = scratch_path(state, "given");
    options.labels = scratch_path(state, "noisy files/labelsTr");
    struct adele_audit_summary summary = audit_run(model, &options);
    assert_true(summary.n_doubtful_pixels > summary.n_pixels / 20); // of a fifth that was flipped
    assert_same_file(state, "made", "given", "audit.csv");
    assert_same_file(state, "made", "given", "regions.csv");
    uint8_t made[MAX_PIXELS], given[MAX_PIXELS];
    int h, w;
    read_map(state, "made/labelsTr", "train_000", made, &h, &w);
    read_map(state, "given/labelsTr", "train_000", given, &h, &w);
    assert_memory_equal(made, given, (size_t)h * (size_t)w);
    adele_model_close(model);
}

static void noise_that_is_not_the_run_s_is_refused(void **state) {
    char path[4096], backup[4096];
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, "set/labelsTr/train_001.png"));
    (void)snprintf(backup, sizeof backup, "%s", scratch_path(state, "backup.png"));
    assert_int_equal(scratch_copy(path, backup), ADELE_OK);
    assert_int_equal(scratch_copy(scratch_path(state, "set/labelsTr/train_002.png"), path),
                     ADELE_OK);
    struct adele_model *model = audit_open(state, "noise");
    struct adele_audit_options options = audit_into(state, "changed");
    struct adele_audit_summary summary;
    assert_int_equal(adele_model_audit(model, &options, &summary), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "XXH3"));
    assert_false(file_exists(options.output));
    adele_model_close(model);
    assert_int_equal(scratch_copy(backup, path), ADELE_OK);
}

static void a_checkpoint_alone_audits_another_set(void **state) {
    const char *copy = scratch_path(state, "copy.safetensors");
    assert_int_equal(scratch_copy(scratch_path(state, "run/checkpoints/last.safetensors"), copy),
                     ADELE_OK);
    struct adele_model *model = NULL;
    struct adele_audit_summary summary;
    assert_int_equal(adele_model_open(copy, NULL, "cpu", &model), ADELE_OK);
    struct adele_audit_options options = audit_into(state, "alone");
    assert_int_equal(adele_model_audit(model, &options, &summary), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_hint(), "--data"));
    options.data = scratch_path(state, "set");
    options.split = "test";
    assert_int_equal(audit_run(model, &options).n_images, TINY_SET_TEST);
    options.output = NULL;
    assert_int_equal(adele_model_audit(model, &options, &summary), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_hint(), "-o DIR"));
    adele_model_close(model);
}

static void the_run_has_a_folder_for_it(void **state) {
    struct adele_model *model = audit_open(state, "run");
    struct adele_audit_options options;
    adele_audit_options_init(&options);
    (void)audit_run(model, &options);
    assert_true(file_exists(scratch_path(state, "run/audit/audit.csv")));
    struct adele_audit_summary summary;
    assert_int_equal(adele_model_audit(model, &options, &summary), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "audit.csv"));
    assert_int_equal(summary.n_images, 0);
    adele_model_close(model);
}

// A window of the size at which the network works: that which an audit without windows gives, at
// the files' own size.
static void windows_cover_every_pixel(void **state) {
    struct adele_model *model = audit_open(state, "run");
    const struct adele_model_info *info = adele_model_describe(model);
    struct adele_audit_options options = audit_into(state, "whole");
    struct adele_audit_summary whole = audit_run(model, &options);
    options.output = scratch_path(state, "windows");
    options.inference.window_height = info->height;
    options.inference.window_width = info->width;
    struct adele_audit_summary windows = audit_run(model, &options);
    assert_true(windows.n_images > 0);
    assert_int_equal(windows.n_images, whole.n_images);
    assert_int_equal(windows.n_pixels, whole.n_pixels);
    adele_model_close(model);
}

// ---- refusals -----------------------------------------------------------------------------------

static int stop(void *context) {
    (void)context;
    return 1;
}

static void assert_refused(struct adele_model *model, const struct adele_audit_options *options,
                           adele_status status, const char *part) {
    struct adele_audit_summary summary;
    assert_int_equal(adele_model_audit(model, options, &summary), status);
    if (strstr(adele_error_message(), part) == NULL)
        fail_msg("'%s' does not say %s", adele_error_message(), part);
    assert_int_equal(summary.n_images, 0);
}

static void what_cannot_be_is_refused(void **state) {
    struct adele_model *model = audit_open(state, "run");
    const struct adele_audit_options good = audit_into(state, "refused");
    struct adele_audit_options options = good;
    options.mask_value = 7;
    assert_refused(model, &options, ADELE_INVALID_ARGUMENT, "255, not of 7");
    options = good;
    options.confidence = (double)NAN;
    assert_refused(model, &options, ADELE_INVALID_ARGUMENT, "confidence");
    options = good;
    options.min_pixels = -1;
    assert_refused(model, &options, ADELE_INVALID_ARGUMENT, "min_pixels -1");
    options = good;
    options.n_regions = -1;
    assert_refused(model, &options, ADELE_INVALID_ARGUMENT, "n_regions -1");
    options = good;
    options.n_overlays = 10000;
    assert_refused(model, &options, ADELE_INVALID_ARGUMENT, "n_overlays 10000");
    options = good;
    options.split = "all";
    assert_refused(model, &options, ADELE_INVALID_ARGUMENT, "'all'");
    options = good;
    options.split = "test";
    options.labels = scratch_path(state, "set/noisyTr");
    assert_refused(model, &options, ADELE_INVALID_ARGUMENT, "not of test");
    options = good;
    options.labels = scratch_path(state, "nowhere");
    assert_refused(model, &options, ADELE_DATA, "nowhere");
    options = good;
    options.output = scratch_path(state, "set/labelsTr");
    assert_refused(model, &options, ADELE_INVALID_ARGUMENT, "would fall into");
    assert_false(file_exists(scratch_path(state, "refused")));
    options = good;
    options.watch.should_stop = stop;
    assert_refused(model, &options, ADELE_INTERRUPTED, "interrupted");
    adele_model_close(model);
    // The labels of data.noise have the size at which the network works.
    model = audit_open(state, "noise");
    options = good;
    options.inference.window_height = options.inference.window_width = 16;
    assert_refused(model, &options, ADELE_INVALID_ARGUMENT, "windows are cut from");
    adele_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_files_say_what_the_probabilities_do),
        cmocka_unit_test(the_same_audit_gives_the_same_bytes),
        cmocka_unit_test(a_run_with_noise_is_audited_with_its_noisy_labels),
        cmocka_unit_test(noise_that_is_not_the_run_s_is_refused),
        cmocka_unit_test(a_checkpoint_alone_audits_another_set),
        cmocka_unit_test(the_run_has_a_folder_for_it),
        cmocka_unit_test(windows_cover_every_pixel),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
