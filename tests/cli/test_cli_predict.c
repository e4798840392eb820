// SPDX-License-Identifier: MIT
// The verbs predict and export as a person runs them: messages, and the files that they leave.
#include "base/file.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "image/image.h"
#include "support/cli_run.h"
#include "support/scratch.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void export_writes_a_file_once(void **state) {
    struct program_result result;
    char *first = NULL, *second = NULL;
    size_t n_first = 0, n_second = 0;
    const char *file = scratch_path(state, "new/model.onnx");
    ADELE(&result, "export", scratch_path(state, "run"), "-o", file);
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "image (batch, 1, height, width) -> logits (batch, 3, "
                                       "height, width)\nResize images to 32 x 28 (height x "
                                       "width), "));
    program_result_deinit(&result);
    check_ok(file_read(file, 0, &first, &n_first));
    ADELE(&result, "export", scratch_path(state, "run"), "-o", file);
    assert_error(&result, "model.onnx is there already");
    ADELE(&result, "export", scratch_path(state, "run"), "-o", file, "--overwrite");
    assert_code(&result, 0);
    program_result_deinit(&result);
    check_ok(file_read(file, 0, &second, &n_second));
    assert_int_equal(n_first, n_second);
    assert_memory_equal(first, second, n_first); // the same network, the same bytes
    memory_free(first);
    memory_free(second);
}

static void export_of_no_checkpoint_is_refused(void **state) {
    struct program_result result;
    const char *file = scratch_path(state, "none.onnx");
    ADELE(&result, "export", scratch_path(state, "nowhere"), "-o", file);
    assert_error(&result, "nowhere");
    ADELE(&result, "export", scratch_path(state, "tiny.yaml"), "-o", file);
    assert_error(&result, "tiny.yaml");
    ADELE(&result, "export", scratch_path(state, "run"));
    assert_failed(&result, 2, "-o FILE");
    ADELE(&result, "export", scratch_path(state, "run"), "other", "-o", file);
    assert_failed(&result, 2, "'other'");
    assert_false(file_exists(file));
}

// One tensor, as README.md says: 1 x classes x H x W at the mask's size. The mask has the largest.
static void assert_probabilities_of(const char *path, const struct image *mask) {
    struct safetensors *file = NULL;
    int n = mask->height * mask->width;
    check_ok(safetensors_open(path, &file));
    assert_int_equal(safetensors_count(file), 1);
    const struct safetensors_entry *entry = safetensors_find(file, "probabilities");
    assert_non_null(entry);
    assert_int_equal(entry->dtype, SAFETENSORS_F32);
    assert_int_equal(entry->n_dimensions, 4);
    assert_true(entry->shape[0] == 1 && entry->shape[1] == 3 && entry->shape[2] == mask->height &&
                entry->shape[3] == mask->width);
    float *values = memory_calloc(3 * (size_t)n, sizeof *values);
    assert_non_null(values);
    check_ok(safetensors_read_f32(file, "probabilities", 3L * n, values));
    for (int i = 0; i < n; i++) {
        float of_mask = values[((const uint8_t *)mask->pixels)[i] * n + i];
        for (int c = 0; c < 3; c++)
            assert_true(values[c * n + i] <= of_mask);
        assert_true(fabsf(values[i] + values[n + i] + values[2 * n + i] - 1.0f) <= 1e-5f);
    }
    memory_free(values);
    safetensors_close(file);
}

// Images of several sizes, none of them the network's.
static void predict_writes_maps_of_the_inputs_size(void **state) {
    static const int sizes[3][2] = {{40, 36}, {64, 31}, {33, 70}};
    struct program_result result;
    struct image image;
    char name[64];
    check_ok(file_make_directory(scratch_path(state, "in")));
    for (int i = 0; i < 3; i++) {
        check_ok(image_init(&image, sizes[i][1], sizes[i][0], 1, 8));
        for (int k = 0; k < sizes[i][0] * sizes[i][1]; k++)
            ((uint8_t *)image.pixels)[k] = (uint8_t)(k * 13 % 200 + 40);
        (void)snprintf(name, sizeof name, "in/p%d_0000.png", i);
        check_ok(image_save_png(scratch_path(state, name), &image));
        image_deinit(&image);
    }
    ADELE(&result, "predict", scratch_path(state, "run"), "-i", scratch_path(state, "in"), "-o",
          scratch_path(state, "out"), "--probabilities");
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "3 mask(s)"));
    program_result_deinit(&result);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "out/p%d.png", i);
        check_ok(image_load_label(scratch_path(state, name), 0, &image));
        assert_int_equal(image.height, sizes[i][0]);
        assert_int_equal(image.width, sizes[i][1]);
        for (int k = 0; k < sizes[i][0] * sizes[i][1]; k++)
            assert_true(((uint8_t *)image.pixels)[k] <= 2);
        (void)snprintf(name, sizeof name, "out/p%d.safetensors", i);
        assert_probabilities_of(scratch_path(state, name), &image);
        image_deinit(&image);
    }
    // A last file that is no picture is found before the first mask is written.
    check_ok(file_write(scratch_path(state, "in/p9.jpg"), "no picture", 10));
    ADELE(&result, "predict", scratch_path(state, "run"), "-i", scratch_path(state, "in"), "-o",
          scratch_path(state, "out of junk"));
    assert_failed(&result, 1, "in/p9.jpg");
    assert_false(file_exists(scratch_path(state, "out of junk")));
    check_ok(file_remove_tree(scratch_path(state, "in/p9.jpg")));
}

static void assert_same_files(void *const *state, const char *a, const char *b) {
    char *bytes[2] = {NULL, NULL};
    size_t n[2] = {0, 0};
    check_ok(file_read(scratch_path(state, a), 0, &bytes[0], &n[0]));
    check_ok(file_read(scratch_path(state, b), 0, &bytes[1], &n[1]));
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(bytes[0], bytes[1], n[0]);
    memory_free(bytes[0]);
    memory_free(bytes[1]);
}

// Masks that are written by rows are those of images in memory, which --probabilities takes, and
// the batch does not change them. A window that an image fills is the image at its own size.
static void predict_slides_a_window(void **state) {
    struct program_result result;
    char run[4096], in[4096], out[4096], name[2][64];
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "run"));
    (void)snprintf(in, sizeof in, "%s", scratch_path(state, "in"));
    static const char *const options[][4] = {{"w0", "--batch=1", "--flip", "--flip"},
                                             {"w1", "--batch=3", "--flip", "--flip"},
                                             {"w2", "--batch=8", "--flip", "--probabilities"}};
    for (int i = 0; i < 3; i++) {
        (void)snprintf(out, sizeof out, "%s", scratch_path(state, options[i][0]));
        ADELE(&result, "predict", run, "-i", in, "-o", out, "--window=32,28", options[i][1],
              options[i][2], options[i][3]);
        assert_code(&result, 0);
        program_result_deinit(&result);
        for (int k = 0; i > 0 && k < 3; k++) {
            (void)snprintf(name[0], sizeof name[0], "w0/p%d.png", k);
            (void)snprintf(name[1], sizeof name[1], "%s/p%d.png", options[i][0], k);
            assert_same_files(state, name[0], name[1]);
        }
    }
}

static void a_colour_image_is_refused_by_a_gray_model(void **state) {
    struct program_result result;
    struct image image;
    check_ok(file_make_directory(scratch_path(state, "colour")));
    check_ok(image_init(&image, 32, 32, 3, 8));
    for (int k = 0; k < 3 * 32 * 32; k++)
        ((uint8_t *)image.pixels)[k] = (uint8_t)(k % 251);
    check_ok(image_save_png(scratch_path(state, "colour/red.png"), &image));
    image_deinit(&image);
    ADELE(&result, "predict", scratch_path(state, "run"), "-i", scratch_path(state, "colour"), "-o",
          scratch_path(state, "x"));
    assert_error(&result, "red.png");
    assert_false(file_exists(scratch_path(state, "x"))); // not even an empty folder
    ADELE(&result, "predict", scratch_path(state, "run"), "-i", scratch_path(state, "colour"), "-o",
          scratch_path(state, "x/nested/twice/"));
    assert_error(&result, "red.png");
    assert_false(file_exists(scratch_path(state, "x")));     // none of the nested ones
    check_ok(file_make_directory(scratch_path(state, "y"))); // one that was there stays
    ADELE(&result, "predict", scratch_path(state, "run"), "-i", scratch_path(state, "colour"), "-o",
          scratch_path(state, "y"));
    assert_error(&result, "red.png");
    assert_true(file_exists(scratch_path(state, "y")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(export_writes_a_file_once),
        cmocka_unit_test(export_of_no_checkpoint_is_refused),
        cmocka_unit_test(predict_writes_maps_of_the_inputs_size),
        cmocka_unit_test(predict_slides_a_window),
        cmocka_unit_test(a_colour_image_is_refused_by_a_gray_model),
    };
    return cmocka_run_group_tests(tests, cli_run_setup, scratch_teardown);
}
