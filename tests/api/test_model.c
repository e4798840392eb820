// SPDX-License-Identifier: MIT
// An opened model of the public API: images in memory beside the same images in files.
#include "adele/adele.h"

#include "api/model.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include "support/scratch.h"
#include "support/tiny_set.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { H = 40, W = 44, PIXELS = H * W, CHANNELS = 3, CLASSES = 3 };

// A colour picture that is no picture of the set: what the model says of it must be the same
// whichever way it comes.
static void draw(unsigned seed, int n_bits, void *pixels) {
    for (size_t i = 0; i < (size_t)PIXELS * CHANNELS; i++) {
        size_t x = i / CHANNELS % W, y = i / CHANNELS / W, channel = i % CHANNELS;
        unsigned value = (unsigned)(3 * x + 5 * y * (channel + 1) + 40 * channel + seed * x) % 256;
        if (n_bits == 16)
            ((uint16_t *)pixels)[i] = (uint16_t)(value * 200 + x);
        else
            ((uint8_t *)pixels)[i] = (uint8_t)value;
    }
}

static void write_png(const char *path, int n_bits, void *pixels) {
    struct image image = {
        .width = W, .height = H, .n_channels = CHANNELS, .n_bits = n_bits, .pixels = pixels};
    assert_int_equal(image_save_png(path, &image), ADELE_OK);
}

// The images of a folder as RGB, so that the order of channels matters.
static void colour_folder(const char *folder) {
    struct file_list list;
    assert_int_equal(file_list_directory(folder, &list), ADELE_OK);
    for (int i = 0; i < list.n; i++) {
        char path[4096];
        struct image gray, colour;
        (void)snprintf(path, sizeof path, "%s/%s", folder, list.names[i]);
        assert_int_equal(image_load(path, 0, &gray), ADELE_OK);
        assert_int_equal(image_init(&colour, gray.width, gray.height, CHANNELS, 8), ADELE_OK);
        uint8_t *to = colour.pixels;
        for (int p = 0; p < gray.width * gray.height; p++) {
            uint8_t value = ((uint8_t *)gray.pixels)[p];
            to[3 * p] = value;
            to[3 * p + 1] = (uint8_t)(255 - value);
            to[3 * p + 2] = (uint8_t)(value / 2);
        }
        assert_int_equal(image_save_png(path, &colour), ADELE_OK);
        image_deinit(&gray);
        image_deinit(&colour);
    }
    file_list_deinit(&list);
}

// A scratch folder with the run "run" of two epochs on RGB images.
static int setup(void **state) {
    static const char *const sets[] = {"train.epochs=2"};
    if (scratch_setup(state) != 0)
        return -1;
    struct tiny_set set = tiny_set_default(5);
    const char *root = scratch_path(state, "set"), *config = scratch_path(state, "config.yaml");
    tiny_set_write(root, &set);
    colour_folder(scratch_path(state, "set/imagesTr"));
    colour_folder(scratch_path(state, "set/imagesTs"));
    const char *json =
        "{\"channel_names\": {\"0\": \"R\", \"1\": \"G\", \"2\": \"B\"}, \"labels\": "
        "{\"background\": 0, \"disc\": 1, \"box\": 2}, \"file_ending\": \".png\"}\n";
    assert_int_equal(file_write(scratch_path(state, "set/dataset.json"), json, strlen(json)),
                     ADELE_OK);
    char *yaml = tiny_set_config(root, NULL);
    assert_int_equal(file_write(config, yaml, strlen(yaml)), ADELE_OK);
    memory_free(yaml);
    struct adele_train_options options = {.config = config,
                                          .sets = sets,
                                          .n_sets = 1,
                                          .run_folder = scratch_path(state, "run"),
                                          .device = "cpu"};
    struct adele_train_result result;
    if (adele_train(&options, &result) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return 0;
}

static struct adele_model *open_model(void *const *state) {
    struct adele_model *model = NULL;
    assert_int_equal(adele_model_open(scratch_path(state, "run"), NULL, "cpu", &model), ADELE_OK);
    return model;
}

static struct adele_images in_memory(const void *pixels, enum adele_element element) {
    return (struct adele_images){.pixels = pixels,
                                 .element = element,
                                 .n = 1,
                                 .height = H,
                                 .width = W,
                                 .n_channels = CHANNELS};
}

// What adele_model_predict writes for a picture of these pixels.
static void predict_file(void *const *state, struct adele_model *model, const char *name,
                         int n_bits, void *pixels, const struct adele_inference *inference,
                         uint8_t *out) {
    char input[4096], output[4200], path[4300];
    struct image map;
    int n_cases = 0;
    (void)snprintf(input, sizeof input, "%s", scratch_path(state, name));
    (void)snprintf(output, sizeof output, "%s maps", input);
    assert_int_equal(file_make_directory(input), ADELE_OK);
    (void)snprintf(path, sizeof path, "%s/a.png", input);
    write_png(path, n_bits, pixels);
    struct adele_predict_options options = {
        .input = input, .output = output, .inference = *inference};
    assert_int_equal(adele_model_predict(model, &options, &n_cases), ADELE_OK);
    assert_int_equal(n_cases, 1);
    (void)snprintf(path, sizeof path, "%s/a.png", output);
    assert_int_equal(image_load_label(path, 0, &map), ADELE_OK);
    assert_int_equal(map.width * map.height, PIXELS);
    memcpy(out, map.pixels, PIXELS);
    image_deinit(&map);
}

// A comparison of maps that are all background would prove little.
static void assert_has_classes(const uint8_t *map) {
    int n[256] = {0};
    for (int p = 0; p < PIXELS; p++)
        n[map[p]]++;
    assert_int_equal(n[0] + n[1] + n[2], PIXELS);
    assert_true(n[0] < PIXELS && n[1] < PIXELS && n[2] < PIXELS);
}

static void test_describe(void **state) {
    struct adele_model *model = open_model(state);
    const struct adele_model_info *info = adele_model_describe(model);
    assert_int_equal(info->n_channels, CHANNELS);
    assert_int_equal(info->n_classes, CLASSES);
    assert_string_equal(info->class_names[1], "disc");
    assert_int_equal(info->epoch, 2);
    assert_int_equal(info->height, 32);
    assert_int_equal(info->width, 28);
    assert_non_null(strstr(info->path, "checkpoints/last.safetensors"));
    adele_model_close(model);
    adele_model_close(NULL);
}

static void test_memory_equals_file(void **state) {
    static const struct adele_inference ways[] = {
        {0},
        {.n_scales = 2, .scales = {1.0, 1.25}, .flip = 1, .crf_iterations = 2},
        {.batch = 3, .window_height = 32, .window_width = 28}};
    static const char *const names[] = {"plain", "averaged", "windows"};
    uint8_t pixels[PIXELS * CHANNELS], expected[PIXELS], map[PIXELS];
    struct adele_model *model = open_model(state);
    draw(1, 8, pixels);
    const struct adele_images images = in_memory(pixels, ADELE_UINT8);
    for (int i = 0; i < 3; i++) {
        predict_file(state, model, names[i], 8, pixels, &ways[i], expected);
        assert_has_classes(expected);
        assert_int_equal(adele_model_segment(model, &images, &ways[i], map, NULL), ADELE_OK);
        assert_memory_equal(map, expected, PIXELS);
    }
    // The options of before again, whose plan is gone.
    assert_int_equal(adele_model_segment(model, &images, &ways[0], expected, NULL), ADELE_OK);
    assert_int_equal(adele_model_segment(model, &images, NULL, map, NULL), ADELE_OK);
    assert_memory_equal(map, expected, PIXELS);
    adele_model_close(model);
}

static void test_floats_equal_16_bits(void **state) {
    static uint16_t pixels[PIXELS * CHANNELS];
    static float floats[PIXELS * CHANNELS];
    uint8_t expected[PIXELS], map[PIXELS];
    struct adele_model *model = open_model(state);
    draw(2, 16, pixels);
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        floats[i] = (float)pixels[i];
    predict_file(state, model, "deep", 16, pixels, &(struct adele_inference){0}, expected);
    assert_has_classes(expected);
    const struct adele_images images = in_memory(floats, ADELE_FLOAT32);
    assert_int_equal(adele_model_segment(model, &images, NULL, map, NULL), ADELE_OK);
    assert_memory_equal(map, expected, PIXELS);
    adele_model_close(model);
}

// Two images at once, by pixels and by planes, each as it is alone; probabilities belong to them.
static void test_orders_and_probabilities(void **state) {
    static uint8_t pixels[2][PIXELS * CHANNELS], planes[2][CHANNELS * PIXELS];
    static uint8_t maps[2][PIXELS], map[PIXELS];
    static float probabilities[2][CLASSES][PIXELS];
    struct adele_model *model = open_model(state);
    for (int i = 0; i < 2; i++) {
        draw((unsigned)i, 8, pixels[i]);
        for (int j = 0; j < PIXELS * CHANNELS; j++)
            planes[i][j % CHANNELS * PIXELS + j / CHANNELS] = pixels[i][j];
    }
    struct adele_images images = in_memory(planes, ADELE_UINT8);
    const struct adele_inference one_by_one = {.batch = 1};
    images.order = ADELE_NCHW;
    images.n = 2;
    assert_int_equal(
        adele_model_segment(model, &images, &one_by_one, maps[0], &probabilities[0][0][0]),
        ADELE_OK);
    assert_memory_not_equal(maps[0], maps[1], PIXELS);
    for (int i = 0; i < 2; i++) {
        images = in_memory(pixels[i], ADELE_UINT8);
        assert_int_equal(adele_model_segment(model, &images, NULL, map, NULL), ADELE_OK);
        assert_memory_equal(maps[i], map, PIXELS);
        for (int p = 0; p < PIXELS; p++) {
            double sum = 0.0;
            for (int c = 0; c < CLASSES; c++) {
                sum += probabilities[i][c][p];
                assert_true(probabilities[i][c][p] <= probabilities[i][map[p]][p]);
            }
            assert_true(fabs(sum - 1.0) <= 1e-5);
        }
    }
    adele_model_close(model);
}

static void check_cases(const struct adele_case_scores *cases, const struct adele_score *score) {
    assert_non_null(cases);
    assert_int_equal(cases->n_cases, TINY_SET_VAL);
    assert_int_equal(cases->n_classes, CLASSES);
    assert_string_equal(cases->unit, "px");
    assert_string_equal(cases->classes[CLASSES].name, "mean foreground");
    for (int c = 0; c <= CLASSES; c++) {
        const struct adele_statistic *iou = &cases->classes[c].measures[ADELE_IOU];
        assert_int_equal(iou->n, TINY_SET_VAL);
        assert_true(iou->low <= iou->mean && iou->mean <= iou->high);
        double whole = c < CLASSES ? score->iou[c] : score->miou_foreground;
        assert_true(fabs(iou->mean - whole) <= 0.2); // of each case, and of all pixels
    }
    assert_int_equal(cases->classes[0].measures[ADELE_HD95].n, 0);
}

static void test_compare(void **state) {
    struct adele_comparison *comparison = NULL;
    const char *scores = scratch_path(state, "scores.csv"); // of test_evaluate
    assert_int_equal(adele_compare(scores, scores, &comparison), ADELE_OK);
    assert_int_equal(comparison->n_cases, TINY_SET_VAL);
    const struct adele_difference *dice = &comparison->classes[CLASSES].measures[ADELE_DICE];
    assert_int_equal(dice->n, TINY_SET_VAL);
    assert_true(dice->mean_a == dice->mean_b && dice->mean == 0.0);
    assert_true(dice->low == 0.0 && dice->high == 0.0);
    adele_comparison_destroy(comparison);
    assert_int_equal(adele_compare(scores, NULL, &comparison), ADELE_INVALID_ARGUMENT);
    assert_null(comparison);
    adele_comparison_destroy(NULL);
    adele_case_scores_destroy(NULL);
}

static void test_evaluate(void **state) {
    struct adele_model *model = open_model(state);
    struct adele_score first, again, once;
    struct adele_evaluate_options options = {.split = "val",
                                             .scores_file = scratch_path(state, "scores.json")};
    assert_int_equal(adele_model_evaluate(model, &options, &first), ADELE_OK);
    assert_int_equal(first.n_classes, CLASSES);
    assert_int_equal(first.n_images, TINY_SET_VAL);
    assert_true(file_exists(options.scores_file));
    options.overwrite = 1;
    struct adele_case_scores *cases = NULL;
    options.cases_file = scratch_path(state, "scores.csv");
    options.cases = &cases;
    assert_int_equal(adele_model_evaluate(model, &options, &again), ADELE_OK);
    check_cases(cases, &again);
    adele_case_scores_destroy(cases);
    assert_true(again.miou == first.miou && again.dice_foreground == first.dice_foreground);
    const char *run = scratch_path(state, "run");
    assert_int_equal(adele_evaluate(run, "cpu", NULL, "val", &once), ADELE_OK);
    assert_true(once.miou == first.miou);
    options.split = "all";
    assert_int_equal(adele_model_evaluate(model, &options, &first), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "'all'"));
    assert_null(cases);
    assert_int_equal(adele_evaluate("x", "cpu", NULL, "all", &once), ADELE_INVALID_ARGUMENT);
    adele_model_close(model);
}

static void test_predict(void **state) {
    const char *run = scratch_path(state, "run"), *images = scratch_path(state, "set/imagesTs");
    const char *masks = scratch_path(state, "masks");
    int n_cases = 0;
    assert_int_equal(adele_predict(run, NULL, images, masks, &n_cases), ADELE_OK);
    assert_int_equal(n_cases, TINY_SET_TEST);
    // Neither onto the images nor onto the maps of before.
    assert_int_equal(adele_predict(run, "cpu", images, images, &n_cases), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "would fall into"));
    assert_int_equal(adele_predict(run, "cpu", images, masks, &n_cases), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "is there already"));
    assert_int_equal(n_cases, 0);
    masks = scratch_path(state, "masks nobody counts");
    assert_int_equal(adele_predict(run, "cpu", images, masks, NULL), ADELE_OK);
    assert_int_equal(adele_predict(run, "cpu", images, masks, NULL), ADELE_INVALID_ARGUMENT);
}

static void test_export(void **state) {
    struct adele_model *model = open_model(state);
    const char *file = scratch_path(state, "model.onnx");
    const struct adele_export_options options = {.output = file};
    assert_int_equal(adele_model_export(model, &(struct adele_export_options){0}),
                     ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "no output"));
    assert_int_equal(adele_model_export(model, &options), ADELE_OK);
    assert_true(file_exists(file));
    assert_int_equal(adele_model_export(model, &options), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "is there already"));
    assert_int_equal(
        adele_model_export(model, &(struct adele_export_options){.output = file, .overwrite = 1}),
        ADELE_OK);
    adele_model_close(model);
}

// ---- a device with little memory ----------------------------------------------------------------

// What the model's device says it has left, and the largest block that it gives.
static size_t free_bytes, largest_block;
static const struct adele_device_iface *whole_iface;

static size_t limited_free_bytes(const struct adele_device *device) {
    (void)device;
    return free_bytes;
}

static adele_status limited_alloc(const struct adele_device *device, size_t bytes, void **out) {
    *out = NULL;
    return bytes > largest_block ? ADELE_NO_MEMORY : whole_iface->alloc(device, bytes, out);
}

// *limited must live as long as the model.
static struct adele_model *open_limited(void *const *state, struct adele_device_iface *limited) {
    struct adele_model *model = open_model(state);
    whole_iface = model->model.device->iface;
    *limited = *whole_iface;
    limited->free_bytes = limited_free_bytes;
    limited->alloc = limited_alloc;
    model->model.device->iface = limited;
    free_bytes = largest_block = SIZE_MAX;
    return model;
}

// A call whose batch is too large is refused, and leaves nothing behind that the next would need
// memory for; nor do calls with other options that have gone well.
static void test_reuse_after_refusal(void **state) {
    enum { MANY = 12 };
    static uint8_t pixels[MANY * PIXELS * CHANNELS], maps[MANY * PIXELS], again[PIXELS];
    const struct adele_inference one = {.batch = 1}, many = {.batch = MANY};
    struct adele_device_iface limited;
    struct adele_model *model = open_limited(state, &limited);
    for (int i = 0; i < MANY; i++)
        draw((unsigned)i, 8, pixels + (size_t)i * PIXELS * CHANNELS);
    struct adele_images images = in_memory(pixels, ADELE_UINT8);
    assert_int_equal(adele_model_segment(model, &images, &one, maps, NULL), ADELE_OK);
    size_t bytes = network_planned_bytes(model->model.network);
    for (int i = 2; i < 5; i++) {
        struct adele_inference scaled = {.n_scales = 1, .scales = {0.5 * i}};
        assert_int_equal(adele_model_segment(model, &images, &scaled, maps, NULL), ADELE_OK);
    }
    free_bytes = bytes + bytes / 2;
    images.n = MANY;
    assert_int_equal(adele_model_segment(model, &images, &many, maps, NULL), ADELE_NO_MEMORY);
    assert_non_null(strstr(adele_error_message(), "a batch of 12"));
    assert_int_equal(adele_model_segment(model, &images, &one, maps, NULL), ADELE_OK);
    assert_int_equal(network_planned_bytes(model->model.network), bytes);
    images.n = 1;
    assert_int_equal(adele_model_segment(model, &images, NULL, again, NULL), ADELE_OK);
    assert_memory_equal(maps, again, PIXELS);
    adele_model_close(model);
}

// An evaluation or a prediction that gets no memory leaves a model that segments as before.
static void test_reuse_after_failure(void **state) {
    static uint8_t pixels[PIXELS * CHANNELS], map[PIXELS], again[PIXELS];
    const struct adele_inference large = {.n_scales = 1, .scales = {4.0}};
    struct adele_device_iface limited;
    struct adele_model *model = open_limited(state, &limited);
    struct adele_evaluate_options evaluate = {.split = "val", .inference = large};
    struct adele_predict_options predict = {.input = scratch_path(state, "set/imagesTs"),
                                            .output = scratch_path(state, "no masks"),
                                            .inference = large};
    struct adele_score score;
    int n_cases;
    draw(3, 8, pixels);
    const struct adele_images images = in_memory(pixels, ADELE_UINT8);
    assert_int_equal(adele_model_segment(model, &images, NULL, map, NULL), ADELE_OK);
    size_t bytes = network_planned_bytes(model->model.network);
    for (int i = 0; i < 2; i++) {
        largest_block = bytes;
        assert_int_equal(i == 0 ? adele_model_evaluate(model, &evaluate, &score)
                                : adele_model_predict(model, &predict, &n_cases),
                         ADELE_NO_MEMORY);
        assert_non_null(strstr(adele_error_message(), "the plans of the network"));
        largest_block = SIZE_MAX;
        assert_int_equal(adele_model_segment(model, &images, NULL, again, NULL), ADELE_OK);
        assert_memory_equal(map, again, PIXELS);
    }
    adele_model_close(model);
}

static int count_and_stop(void *context) {
    ++*(int *)context;
    return 1;
}

static void test_errors(void **state) {
    static float floats[PIXELS * CHANNELS];
    static uint8_t map[PIXELS];
    struct adele_model *model = NULL;
    int n = 0;
    assert_int_equal(adele_model_open(scratch_path(state, "none"), NULL, "cpu", &model), ADELE_IO);
    assert_null(model);
    assert_int_equal(adele_model_open(NULL, NULL, "cpu", &model), ADELE_INVALID_ARGUMENT);
    assert_int_equal(adele_model_open(scratch_path(state, "run"), "newest", "cpu", &model),
                     ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "'newest'"));
    model = open_model(state);
    struct adele_images images = in_memory(floats, ADELE_FLOAT32);
    struct adele_inference inference = {.crf_iterations = 1};
    assert_int_equal(adele_model_segment(model, &images, &inference, map, NULL), ADELE_CONFIG);
    inference = (struct adele_inference){.batch = 4097};
    assert_int_equal(adele_model_segment(model, &images, &inference, map, NULL),
                     ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "batch 4097"));
    inference = (struct adele_inference){.n_scales = 1, .scales = {9.0}};
    assert_int_equal(adele_model_segment(model, &images, &inference, map, NULL),
                     ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "scale 9"));
    inference = (struct adele_inference){.window_height = 32};
    assert_int_equal(adele_model_segment(model, &images, &inference, map, NULL),
                     ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "32 x 0 pixels"));
    floats[(2 * W + 5) * CHANNELS + 1] = NAN;
    assert_int_equal(adele_model_segment(model, &images, NULL, map, NULL), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "image 0, channel 1, row 2, column 5"));
    assert_int_equal(adele_model_segment(model, &images, NULL, NULL, NULL), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "classes"));
    images.element = (enum adele_element)2;
    assert_int_equal(adele_model_segment(model, &images, NULL, map, NULL), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "element 2"));
    images.element = ADELE_FLOAT32;
    images.order = (enum adele_order)2;
    assert_int_equal(adele_model_segment(model, &images, NULL, map, NULL), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "order 2"));
    images.order = ADELE_NHWC;
    images.n_channels = 1;
    assert_int_equal(adele_model_segment(model, &images, NULL, map, NULL), ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "1 channels"));
    images.n = 0;
    assert_int_equal(adele_model_segment(model, &images, NULL, map, NULL), ADELE_INVALID_ARGUMENT);
    struct adele_evaluate_options options = {.watch = {NULL, count_and_stop, &n}};
    struct adele_score score;
    assert_int_equal(adele_model_evaluate(model, &options, &score), ADELE_INTERRUPTED);
    assert_int_equal(n, 1);
    adele_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_memory_equals_file),
        cmocka_unit_test(test_floats_equal_16_bits),
        cmocka_unit_test(test_orders_and_probabilities),
        cmocka_unit_test(test_evaluate),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_predict),
        cmocka_unit_test(test_export),
        cmocka_unit_test(test_reuse_after_refusal),
        cmocka_unit_test(test_reuse_after_failure),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
