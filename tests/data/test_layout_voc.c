// SPDX-License-Identifier: MIT
// The layout of Pascal VOC: what is found, what is refused.
#include "base/log.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void voc_is_found(void **state) {
    tiny_voc(state, "voc");
    struct dataset_config config = tiny_config(state, "voc");
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->layout, LAYOUT_VOC);
    assert_int_equal(dataset->n_categories, 3);
    assert_string_equal(dataset->category_names[0], "_background_");
    assert_string_equal(dataset->category_names[1], "sky");
    assert_int_equal(dataset->n_channels, 3);
    assert_true(dataset->has_palette);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 2);
    tiny_assert_case(dataset, SPLIT_TRAIN, 1, "s2", "JPEGImages/s2.png",
                     "SegmentationClass/s2.png");
    tiny_assert_case(dataset, SPLIT_VAL, 0, "s3", "JPEGImages/s3.png", "SegmentationClass/s3.png");
    assert_int_equal(dataset->n_cases[SPLIT_TEST], 0);
    dataset_close(dataset);
}

static char said[2048]; // the lines of the log

static void keep_line(void *context, enum log_level level, const char *line) {
    (void)context;
    (void)level;
    size_t used = strlen(said);
    (void)snprintf(said + used, sizeof said - used, "%s\n", line);
}

static void voc_lists_and_names(void **state) {
    tiny_voc(state, "voc");
    struct dataset_config config = tiny_config(state, "voc");
    tiny_text(state, "voc/ImageSets/Segmentation/trainaug.txt", "s1\ns4\n");
    tiny_picture(state, "voc/JPEGImages/s4.png", TINY_H, TINY_W, 3, 8, 4);
    tiny_label(state, "voc/SegmentationClassAug/s4.png", TINY_H, TINY_W, 3, false, 4);
    assert_int_equal(unlink(scratch_path(state, "voc/class_names.txt")), 0);
    config.split[SPLIT_TRAIN] = "trainaug";
    config.split[SPLIT_TEST] = "val";
    struct dataset *dataset = tiny_open(&config);
    tiny_assert_case(dataset, SPLIT_TRAIN, 1, "s4", "s4.png", "SegmentationClassAug/s4.png");
    assert_int_equal(dataset->n_categories, 21); // VOC's own
    assert_string_equal(dataset->category_names[15], "person");
    dataset_close(dataset);
    // The warning is for data sets that do not say what their classes are.
    log_set_sink(keep_line, NULL);
    dataset_close(tiny_open(&config));
    assert_non_null(strstr(said, "there is no class_names.txt, so classes have the names of Pascal "
                                 "VOC: value 1 is aeroplane"));
    said[0] = '\0';
    assert_int_equal(mkdir(scratch_path(state, "voc/Annotations"), 0777), 0);
    dataset_close(tiny_open(&config));
    log_set_sink(NULL, NULL);
    assert_null(strstr(said, "Pascal VOC"));
    config.split[SPLIT_TRAIN] = "more";
    tiny_refuse(&config, ADELE_IO, "Segmentation/more.txt: no such file");
    config.split[SPLIT_TRAIN] = "../train";
    tiny_refuse(&config, ADELE_DATA, "../train");
    config.split[SPLIT_TRAIN] = NULL;
    tiny_text(state, "voc/class_names.txt", "\n");
    tiny_refuse(&config, ADELE_DATA, "0 class names");
    tiny_text(state, "voc/class_names.txt", "a\n");
    tiny_refuse(&config, ADELE_DATA, "voc/class_names.txt: 1 class; at least 2 are needed");
    tiny_text(state, "voc/class_names.txt", "__ignore__\na\n");
    tiny_refuse(&config, ADELE_DATA, "voc/class_names.txt: 1 class; at least 2 are needed");
    tiny_text(state, "voc/class_names.txt", "a\nb\n");
    // Lists of Caffe's programs have the paths of both files.
    static const char *const others[] = {"/JPEGImages/s1.png /SegmentationClass/s2.png\n",
                                         "/JPEGImages/../s1.png\n", "/Images/s1.png\n",
                                         "/OldJPEGImages/s1.png\n"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        tiny_text(state, "voc/ImageSets/Segmentation/train.txt", others[i]);
        tiny_refuse(&config, ADELE_DATA, "is not the name of a case");
    }
    tiny_text(state, "voc/ImageSets/Segmentation/train.txt", "\xef\xbb\xbfs1\r\n\r\n s2.png\na/s3");
    tiny_refuse(&config, ADELE_DATA,
                "Segmentation/train.txt: line 4: \"a/s3\" is not the name of a");
    assert_string_equal(adele_error_hint(),
                        "Write the bare name of a case, without a folder or \"..\".");
    tiny_text(state, "voc/class_names.txt", "a\nb\nc\n");
    tiny_text(state, "voc/ImageSets/Segmentation/train.txt",
              "/JPEGImages/s1.png /SegmentationClass/s1.png\nVOC/JPEGImages/s2.png\n");
    dataset = tiny_open(&config);
    tiny_assert_case(dataset, SPLIT_TRAIN, 0, "s1", "JPEGImages/s1.png",
                     "SegmentationClass/s1.png");
    tiny_assert_case(dataset, SPLIT_TRAIN, 1, "s2", "JPEGImages/s2.png",
                     "SegmentationClass/s2.png");
    dataset_close(dataset);
}

// Whether it is the layout's own or a configured one; val and test may be empty.
static void voc_of_an_empty_list(void **state) {
    tiny_voc(state, "voc");
    struct dataset_config config = tiny_config(state, "voc");
    tiny_text(state, "voc/ImageSets/Segmentation/val.txt", "");
    dataset_close(tiny_open(&config));
    tiny_text(state, "voc/ImageSets/Segmentation/train.txt", "\n \n");
    tiny_refuse(&config, ADELE_DATA,
                "voc/ImageSets/Segmentation/train.txt: the train split has no cases: this list is "
                "empty");
    assert_int_equal(strncmp(adele_error_hint(), "Write the names of the training cases ", 38), 0);
    tiny_text(state, "voc/mine.txt", "");
    config.split[SPLIT_TRAIN] = "mine.txt";
    tiny_refuse(&config, ADELE_DATA, "voc/mine.txt: the train split has no cases");
}

// CVAT writes one list.
static void voc_of_one_list(void **state) {
    tiny_voc(state, "cvat");
    struct dataset_config config = tiny_config(state, "cvat");
    assert_int_equal(rename(scratch_path(state, "cvat/ImageSets/Segmentation/train.txt"),
                            scratch_path(state, "cvat/ImageSets/Segmentation/default.txt")),
                     0);
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 2);
    tiny_assert_case(dataset, SPLIT_TRAIN, 0, "s1", "JPEGImages/s1.png",
                     "SegmentationClass/s1.png");
    dataset_close(dataset);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(voc_is_found, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(voc_lists_and_names, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(voc_of_an_empty_list, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(voc_of_one_list, scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
