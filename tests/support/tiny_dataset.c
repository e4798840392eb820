// SPDX-License-Identifier: MIT
#include "support/tiny_dataset.h"

#include "base/file.h"
#include "image/image.h"
#include "image/nifti.h"
#include "support/new_volume.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const char *in_folder(void *const *state, const char *path) {
    static char full[4096];
    (void)snprintf(full, sizeof full, "%s", scratch_path(state, path));
    char *slash = strrchr(full, '/');
    *slash = '\0';
    assert_int_equal(file_make_directory(full), ADELE_OK);
    *slash = '/';
    return full;
}

void tiny_text(void *const *state, const char *path, const char *text) {
    assert_int_equal(file_write(in_folder(state, path), text, strlen(text)), ADELE_OK);
}

void tiny_picture(void *const *state, const char *path, int height, int width, int n_channels,
                  int n_bits, int seed) {
    struct image picture;
    assert_int_equal(image_init(&picture, width, height, n_channels, n_bits), ADELE_OK);
    int n = height * width * n_channels;
    for (int i = 0; i < n; i++) {
        int value = (i * 37 + seed * 11) % 251;
        if (n_bits == 16)
            ((uint16_t *)picture.pixels)[i] = (uint16_t)(value * 257);
        else
            ((uint8_t *)picture.pixels)[i] = (uint8_t)value;
    }
    assert_int_equal(image_save_png(in_folder(state, path), &picture), ADELE_OK);
    image_deinit(&picture);
}

uint8_t tiny_label_value(int y, int x, int seed, int n_categories) {
    return (uint8_t)((y / 2 + x / 3 + seed) % n_categories);
}

void tiny_label(void *const *state, const char *path, int height, int width, int n_categories,
                bool is_indexed, int seed) {
    struct image picture;
    assert_int_equal(image_init(&picture, width, height, 1, 8), ADELE_OK);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            ((uint8_t *)picture.pixels)[y * width + x] = tiny_label_value(y, x, seed, n_categories);
    if (is_indexed)
        image_palette_voc(&picture.palette);
    assert_int_equal(image_save_png(in_folder(state, path), &picture), ADELE_OK);
    image_deinit(&picture);
}

void tiny_label_set(void *const *state, const char *path, int y, int x, uint8_t value) {
    struct image picture;
    const char *full = scratch_path(state, path);
    assert_int_equal(image_load_label(full, 0, &picture), ADELE_OK);
    ((uint8_t *)picture.pixels)[y * picture.width + x] = value;
    assert_int_equal(image_save_png(full, &picture), ADELE_OK);
    image_deinit(&picture);
}

void tiny_crop(void *const *state, const char *path, int height, int width) {
    struct image from, to;
    const char *full = scratch_path(state, path);
    assert_int_equal(image_load_label(full, 0, &from), ADELE_OK);
    assert_int_equal(image_init(&to, width, height, 1, 8), ADELE_OK);
    for (int y = 0; y < height; y++)
        memcpy((uint8_t *)to.pixels + (size_t)y * (size_t)width,
               (uint8_t *)from.pixels + (size_t)y * (size_t)from.width, (size_t)width);
    assert_int_equal(image_save_png(full, &to), ADELE_OK);
    image_deinit(&from);
    image_deinit(&to);
}

void tiny_volume(void *const *state, const char *path, int nz, const float *values, int seed) {
    static const float spacing[3] = {0.5f, 0.75f, 3.0f};
    struct nifti_volume volume;
    assert_int_equal(new_volume_init(&volume, TINY_W, TINY_H, nz, spacing), ADELE_OK);
    int n = TINY_W * TINY_H * nz;
    for (int i = 0; i < n; i++)
        volume.voxels[i] = values != NULL ? values[i] : (float)((i * 29 + seed * 7) % 997 - 300);
    assert_int_equal(new_volume_save(in_folder(state, path), &volume, volume.voxels), ADELE_OK);
    nifti_deinit(&volume);
}

static const char *join(const char *root, const char *name) {
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

void tiny_nnunet(void *const *state, const char *root) {
    static const char *const names[] = {"p1", "p2", "p3", "p4"};
    char name[64];
    tiny_text(state, join(root, "dataset.json"),
              "{\"channel_names\": {\"0\": \"X-ray\"}, \"labels\": {\"background\": 0, "
              "\"lung\": 1, \"heart\": 2}, \"file_ending\": \".png\"}");
    tiny_text(state, join(root, "splits_final.json"),
              "[{\"train\": [\"p1\", \"p2\", \"p3\"], \"val\": [\"p4\"]},"
              " {\"train\": [\"p2\", \"p4\"], \"val\": [\"p1\", \"p3\"]}]");
    for (int i = 0; i < 4; i++) {
        (void)snprintf(name, sizeof name, "imagesTr/%s_0000.png", names[i]);
        tiny_picture(state, join(root, name), TINY_H, TINY_W, 1, 8, i);
        (void)snprintf(name, sizeof name, "labelsTr/%s.png", names[i]);
        tiny_label(state, join(root, name), TINY_H, TINY_W, 3, false, i);
    }
    tiny_picture(state, join(root, "imagesTs/t1_0000.png"), TINY_H, TINY_W, 1, 8, 9);
    tiny_label(state, join(root, "labelsTs/t1.png"), TINY_H, TINY_W, 3, false, 9);
}

void tiny_volumes(void *const *state, const char *root) {
    float labels[TINY_SLICES * TINY_H * TINY_W] = {0};
    for (int i = 0; i < TINY_H * TINY_W; i++) {
        labels[TINY_H * TINY_W + i] = (float)tiny_label_value(i / TINY_W, i % TINY_W, 0, 2);
        labels[2 * TINY_H * TINY_W + i] = i == 5 ? 2.0f : 0.0f;
    }
    tiny_text(state, join(root, "dataset.json"),
              "{\"modality\": {\"0\": \"CT\"}, \"labels\": {\"0\": \"background\", \"1\": "
              "\"heart\", \"2\": \"aorta\"}}");
    tiny_volume(state, join(root, "imagesTr/v1_0000.nii.gz"), TINY_SLICES, NULL, 1);
    tiny_volume(state, join(root, "labelsTr/v1.nii.gz"), TINY_SLICES, labels, 0);
    tiny_volume(state, join(root, "imagesTr/v2_0000.nii.gz"), TINY_SLICES, NULL, 2);
    tiny_volume(state, join(root, "labelsTr/v2.nii.gz"), TINY_SLICES, labels, 0);
}

void tiny_voc(void *const *state, const char *root) {
    char name[64];
    tiny_text(state, join(root, "class_names.txt"), "_background_\r\nsky  \ncar\n\n");
    tiny_text(state, join(root, "ImageSets/Segmentation/train.txt"), "s1\r\n\ns2");
    tiny_text(state, join(root, "ImageSets/Segmentation/val.txt"), "s3\n");
    for (int i = 1; i <= 3; i++) {
        (void)snprintf(name, sizeof name, "JPEGImages/s%d.png", i);
        tiny_picture(state, join(root, name), TINY_H, TINY_W, 3, 8, i);
        (void)snprintf(name, sizeof name, "SegmentationClass/s%d.png", i);
        tiny_label(state, join(root, name), TINY_H, TINY_W, 3, true, i);
    }
}

void tiny_img_ann(void *const *state, const char *root) {
    static const char *const splits[] = {"train", "train", "val", "test"};
    char name[64];
    tiny_text(state, join(root, "classes.txt"), "road\ncar\ntree\n");
    for (int i = 1; i <= 4; i++) {
        (void)snprintf(name, sizeof name, "img_dir/%s/i%d.png", splits[i - 1], i);
        tiny_picture(state, join(root, name), TINY_H, TINY_W, 3, 8, i);
        (void)snprintf(name, sizeof name, "ann_dir/%s/i%d.png", splits[i - 1], i);
        if (i < 4)
            tiny_label(state, join(root, name), TINY_H, TINY_W, 3, false, i);
    }
}

struct dataset_config tiny_config(void *const *state, const char *root) {
    // Own storage: scratch_path reuses its own soon.
    static char roots[4][4096];
    static unsigned i_next;
    char *path = roots[i_next++ % 4];
    (void)snprintf(path, sizeof roots[0], "%s", scratch_path(state, root));
    return (struct dataset_config){.root = path, .map = {.other = -1}};
}

struct dataset *tiny_open(const struct dataset_config *config) {
    struct dataset *dataset = NULL;
    if (dataset_open(config, &dataset) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return dataset;
}

void tiny_refuse(const struct dataset_config *config, adele_status status, const char *what) {
    struct dataset *dataset = NULL;
    assert_int_equal(dataset_open(config, &dataset), status);
    assert_null(dataset);
    if (strstr(adele_error_message(), what) == NULL)
        fail_msg("\"%s\" is not in: %s", what, adele_error_message());
    assert_true(adele_error_hint()[0] != '\0');
}

void tiny_assert_case(const struct dataset *dataset, enum dataset_split split, int i,
                      const char *name, const char *image, const char *label) {
    assert_true(i < dataset->n_cases[split]);
    const struct dataset_case *item = &dataset->cases[split][i];
    assert_string_equal(item->name, name);
    assert_non_null(strstr(item->image_path[0], image));
    if (label == NULL)
        assert_null(item->label_path);
    else
        assert_non_null(strstr(item->label_path, label));
}

void tiny_load(const struct dataset *dataset, enum dataset_split split, bool keep_empty,
               struct dataset_images *out) {
    if (dataset_load(dataset, split, keep_empty, out) != ADELE_OK)
        fail_msg("%s", adele_error_message());
}

void tiny_refuse_load(const struct dataset_config *config, const char *what) {
    struct dataset *dataset = tiny_open(config);
    struct dataset_images images;
    assert_int_not_equal(dataset_load(dataset, SPLIT_TRAIN, false, &images), ADELE_OK);
    assert_null(images.images);
    if (strstr(adele_error_message(), what) == NULL)
        fail_msg("\"%s\" is not in: %s", what, adele_error_message());
    assert_true(adele_error_hint()[0] != '\0');
    dataset_close(dataset);
}
