// SPDX-License-Identifier: MIT
#include "support/label_set.h"
#include "data/check_report.h"
#include "data/dataset.h"
#include "noise/noise.h"
#include "noise/noise_files.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

const int label_set_extents[3] = {LABEL_NX, LABEL_NY, LABEL_NZ};
const double label_set_sizes[3] = {1.0, 1.0, 3.0};

const struct label_set_type label_set_types[LABEL_SET_TYPES] = {
    {2, 1}, {256, 1}, {4, 2}, {512, 2}, {8, 4}, {768, 4}, {16, 4}, {64, 8}, {1024, 8}, {1280, 8}};

void assert_has(const char *text, const char *part) {
    if (strstr(text, part) == NULL)
        fail_msg("'%s' lacks '%s'", text, part);
}

struct tiny_nifti *label_set_map(int datatype) {
    static struct tiny_nifti label;
    tiny_nifti_init(&label, label_set_extents, label_set_sizes);
    label.datatype = datatype;
    for (int i = 0; i < LABEL_PLANE * LABEL_NZ; i++)
        label.values[i] = i / LABEL_PLANE > 0 && i % LABEL_NX > 2;
    return &label;
}

void label_set_write(void *const *state, const struct tiny_nifti *label) {
    static struct tiny_nifti image;
    tiny_text(state, "set/dataset.json",
              "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": {\"background\": 0, \"one\": 1}, "
              "\"file_ending\": \".nii\"}");
    tiny_nifti_init(&image, label_set_extents, label_set_sizes);
    for (int i = 0; i < LABEL_PLANE * LABEL_NZ; i++)
        image.values[i] = i * 31 % 97;
    tiny_nifti_write(state, "set/imagesTr/a_0000.nii", &image);
    tiny_nifti_write(state, "set/imagesTr/b_0000.nii", &image);
    tiny_nifti_write(state, "set/labelsTr/a.nii", label);
    tiny_nifti_write(state, "set/labelsTr/b.nii", label_set_map(2));
}

void label_set_refuse(void *const *state, const struct dataset_config *config, const char *part) {
    struct dataset *dataset = tiny_open(config);
    struct dataset_images images;
    struct check_report report;
    struct noise_config noise;
    struct noise_report realized;
    char message[2048], hint[512];
    int n = 0;
    assert_int_equal(dataset_load(dataset, SPLIT_TRAIN, false, &images), ADELE_DATA);
    (void)snprintf(message, sizeof message, "%s", adele_error_message());
    (void)snprintf(hint, sizeof hint, "%s", adele_error_hint());
    assert_has(message, part);
    noise_config_init(&noise);
    assert_int_equal(
        noise_files_write(dataset, &noise, scratch_path(state, "noise"), false, &realized, &n),
        ADELE_DATA);
    assert_string_equal(adele_error_message(), message);
    dataset_close(dataset);
    assert_int_equal(check_run(config, &report), ADELE_OK);
    bool is_found = false; // the first: training stops there
    for (int i = 0; i < report.n_problems && !is_found; i++)
        if (report.problems[i].kind == CHECK_LABEL_OUT_OF_RANGE) {
            is_found = true;
            assert_true(report.problems[i].is_error);
            assert_string_equal(report.problems[i].text, message);
            assert_string_equal(report.problems[i].hint, hint);
        }
    assert_true(is_found);
    check_report_deinit(&report);
}

struct dataset_config label_set_training_config(void *const *state) {
    struct dataset_config config = tiny_config(state, "set");
    config.foreground_slices_only = true;
    return config;
}

void label_set_load(const struct dataset *dataset, struct dataset_images *out) {
    if (dataset_load(dataset, SPLIT_TRAIN, false, out) != ADELE_OK)
        fail_msg("%s", adele_error_message());
}
