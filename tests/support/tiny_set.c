// SPDX-License-Identifier: MIT
#include "support/tiny_set.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "image/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// One picture's shapes. Extents are half widths, from the centre.
struct scene {
    int disc_y, disc_x, disc_radius;
    int box_y, box_x, box_height, box_width;
    int grow; // of the noisy label, in pixels
};

struct tiny_set tiny_set_default(uint64_t seed) {
    return (struct tiny_set){.n_train = TINY_SET_TRAIN,
                             .n_val = TINY_SET_VAL,
                             .n_test = TINY_SET_TEST,
                             .height = 32,
                             .width = 28,
                             .seed = seed};
}

static int between(struct random_stream *stream, int low, int high) {
    return low + (int)random_below(stream, (uint32_t)(high - low + 1));
}

// The disc in the left half, the box in the right one.
static struct scene draw_scene(const struct tiny_set *set, struct random_stream *stream) {
    struct scene scene;
    scene.disc_y = between(stream, set->height / 4, set->height * 3 / 4);
    scene.disc_x = between(stream, set->width / 4 - 1, set->width / 4 + 1);
    scene.disc_radius = between(stream, 4, 6);
    scene.box_y = between(stream, set->height / 4, set->height * 3 / 4);
    scene.box_x = between(stream, set->width * 3 / 4 - 1, set->width * 3 / 4 + 1);
    scene.box_height = between(stream, 4, 6);
    scene.box_width = between(stream, 3, 4);
    scene.grow = random_below(stream, 2) != 0 ? set->noise_px : -set->noise_px;
    return scene;
}

static uint8_t label_at(const struct scene *scene, int y, int x, int grow) {
    int dy = y - scene->box_y, dx = x - scene->box_x;
    int height = scene->box_height + grow, width = scene->box_width + grow;
    if (dy >= -height && dy <= height && dx >= -width && dx <= width)
        return 2;
    dy = y - scene->disc_y;
    dx = x - scene->disc_x;
    int radius = scene->disc_radius + grow;
    return radius >= 0 && dy * dy + dx * dx <= radius * radius ? 1 : 0;
}

static void save(const char *root, const char *folder, const char *name, struct image *picture) {
    char *path = memory_printf("%s/%s/%s.png", root, folder, name);
    assert_non_null(path);
    assert_int_equal(image_save_png(path, picture), ADELE_OK);
    memory_free(path);
}

static void write_case(const char *root, const struct tiny_set *set, bool is_test, const char *name,
                       uint32_t number) {
    static const int brightness[3] = {60, 130, 200};
    struct random_stream stream;
    random_stream_init(&stream, set->seed, RANDOM_TEST, 0, number);
    struct scene scene = draw_scene(set, &stream);
    struct image picture, labels, noisy;
    assert_int_equal(image_init(&picture, set->width, set->height, 1, 8), ADELE_OK);
    assert_int_equal(image_init(&labels, set->width, set->height, 1, 8), ADELE_OK);
    assert_int_equal(image_init(&noisy, set->width, set->height, 1, 8), ADELE_OK);
    for (int i = 0; i < set->height * set->width; i++) {
        int y = i / set->width, x = i % set->width;
        uint8_t label = label_at(&scene, y, x, 0);
        ((uint8_t *)labels.pixels)[i] = label;
        ((uint8_t *)noisy.pixels)[i] = label_at(&scene, y, x, scene.grow);
        ((uint8_t *)picture.pixels)[i] = (uint8_t)(brightness[label] + between(&stream, -20, 20));
    }
    char file[64];
    (void)snprintf(file, sizeof file, "%s_0000", name);
    save(root, is_test ? "imagesTs" : "imagesTr", file, &picture);
    save(root, is_test ? "labelsTs" : "labelsTr", name, &labels);
    if (!is_test && set->noise_px > 0)
        save(root, "noisyTr", name, &noisy);
    image_deinit(&picture);
    image_deinit(&labels);
    image_deinit(&noisy);
}

static void write_text(const char *root, const char *name, const char *text) {
    char *path = file_join(root, name);
    assert_non_null(path);
    assert_int_equal(file_write(path, text, strlen(text)), ADELE_OK);
    memory_free(path);
}

static void make_folder(const char *root, const char *name) {
    char *path = file_join(root, name);
    assert_non_null(path);
    assert_int_equal(file_make_directory(path), ADELE_OK);
    memory_free(path);
}

// Appends "train_000", "train_001", ... as a JSON list.
static size_t add_names(char *text, size_t used, size_t bytes, const char *split, int n) {
    used += (size_t)snprintf(text + used, bytes - used, "\"%s\": [", split);
    for (int i = 0; i < n; i++)
        used +=
            (size_t)snprintf(text + used, bytes - used, "%s\"%s_%03d\"", i ? ", " : "", split, i);
    used += (size_t)snprintf(text + used, bytes - used, "]");
    assert_true(used < bytes);
    return used;
}

static void write_splits(const char *root, const struct tiny_set *set) {
    char text[8192] = "[{";
    size_t used = add_names(text, 2, sizeof text, "train", set->n_train);
    used += (size_t)snprintf(text + used, sizeof text - used, ", ");
    used = add_names(text, used, sizeof text, "val", set->n_val);
    (void)snprintf(text + used, sizeof text - used, "}]\n");
    write_text(root, "splits_final.json", text);
}

void tiny_set_write(const char *root, const struct tiny_set *set) {
    static const char *const splits[3] = {"train", "val", "test"};
    static const char *const folders[] = {"imagesTr", "labelsTr", "imagesTs", "labelsTs"};
    const int counts[3] = {set->n_train, set->n_val, set->n_test};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        make_folder(root, folders[i]);
    if (set->noise_px > 0)
        make_folder(root, "noisyTr");
    write_text(root, "dataset.json",
               "{\"channel_names\": {\"0\": \"X-ray\"}, \"labels\": {\"background\": 0, "
               "\"disc\": 1, \"box\": 2}, \"file_ending\": \".png\"}\n");
    write_splits(root, set);
    uint32_t number = 0;
    for (int split = 0; split < 3; split++)
        for (int i = 0; i < counts[split]; i++) {
            char name[64];
            (void)snprintf(name, sizeof name, "%s_%03d", splits[split], i);
            write_case(root, set, split == 2, name, number++);
        }
}

char *tiny_set_config(const char *root, const char *noisy) {
    char *text =
        memory_printf("name: tiny\n"
                      "data:\n"
                      "  root: %s\n"
                      "  size: [0, 0]\n"
                      "%s%s%s"
                      "model: {width: 4}\n"
                      "train: {epochs: 5, batch: 4, seed: 8, evaluate_test: true,\n"
                      "        optimizer: {lr: 0.1, momentum: 0.9}}\n"
                      "correction: {r: 0.05, tau: 0.5, every: 1,\n"
                      "             min_points: 3, while_rising: true, veto: 0}\n",
                      root, noisy ? "  noisy_labels: " : "", noisy ? noisy : "", noisy ? "\n" : "");
    assert_non_null(text);
    return text;
}
