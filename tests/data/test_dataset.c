// SPDX-License-Identifier: MIT
// Opening a data set: layout detection, label_map, noisy and true labels, the copied configuration.
#include "data/dataset.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/label_lookup.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void refuse(const struct dataset_config *config, adele_status status, const char *what) {
    struct dataset *dataset = NULL;
    assert_int_equal(dataset_open(config, &dataset), status);
    assert_null(dataset);
    if (strstr(adele_error_message(), what) == NULL)
        fail_msg("\"%s\" is not in: %s", what, adele_error_message());
}

static void names_of_enums(void **state) {
    (void)state;
    assert_string_equal(dataset_layout_name(LAYOUT_IMG_ANN), "img_ann");
    assert_string_equal(dataset_layout_name((enum dataset_layout)9), "unknown");
    assert_string_equal(dataset_split_name(SPLIT_VAL), "val");
    assert_string_equal(dataset_split_name(SPLIT_COUNT), "unknown");
    dataset_close(NULL);
}

static void roots_without_a_layout_are_refused(void **state) {
    struct dataset_config config = tiny_config(state, "absent");
    refuse(&config, ADELE_IO, "no such folder");
    assert_int_equal(strncmp(adele_error_hint(), "Check the path; if it is data.root and", 38), 0);
    config.is_of_run = true;
    refuse(&config, ADELE_IO, "no such folder");
    assert_non_null(strstr(adele_error_hint(), "name their folder with --data."));
    tiny_text(state, "file", "x");
    config = tiny_config(state, "file");
    refuse(&config, ADELE_IO, "not a folder");
    assert_int_equal(file_make_directory(scratch_path(state, "empty")), ADELE_OK);
    config = tiny_config(state, "empty");
    refuse(&config, ADELE_DATA,
           "no known layout: none of imagesTr, dataset.json, JPEGImages, ImageSets, img_dir is "
           "there");
    config.layout = LAYOUT_VOC; // as configured
    refuse(&config, ADELE_IO, "ImageSets/Segmentation/train.txt");
    config.root = NULL;
    refuse(&config, ADELE_CONFIG, "data.root");
    config = tiny_config(state, "empty");
    config.height = 5;
    refuse(&config, ADELE_CONFIG, "data.size");
}

static void the_configuration_is_copied(void **state) {
    tiny_nnunet(state, "set");
    tiny_text(state, "list.txt", "p2\n");
    char root[512], list[512], noisy[512], name[] = "organ";
    (void)strcpy(root, scratch_path(state, "set"));
    (void)strcpy(list, scratch_path(state, "list.txt"));
    (void)strcpy(noisy, scratch_path(state, "set/labelsTr"));
    const char *names[] = {"background", name};
    int from[] = {0, 1, 2};
    uint8_t to[] = {0, 1, 1};
    struct dataset_config config = {
        .root = root,
        .split = {list, "", NULL},
        .noisy_labels = noisy,
        .true_labels = "",
        .map = {.n = 3, .from = from, .to = to, .other = -1, .n_names = 2, .names = names}};
    struct dataset *dataset = tiny_open(&config);
    memset(root, 'x', 10);
    memset(list, 'x', 10);
    memset(noisy, 'x', 10);
    name[0] = from[2] = to[2] = 7;
    assert_non_null(strstr(dataset->config.root, "/set"));
    assert_ptr_equal(strstr(dataset->config.split[SPLIT_TRAIN], "xxx"), NULL);
    assert_null(dataset->config.split[SPLIT_VAL]); // empty means the layout's own
    assert_null(dataset->config.true_labels);
    assert_string_equal(dataset->category_names[1], "organ");
    assert_int_equal(dataset->config.map.from[2], 2);
    assert_int_equal(label_lookup_category(dataset->lookup, 2), 1);
    dataset_close(dataset);
}

// ---- label_map ----------------------------------------------------------------------------------

static void categories_and_values(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    const struct label_lookup *lookup = dataset->lookup;
    assert_int_equal(label_lookup_category(lookup, 2), 2);
    assert_int_equal(label_lookup_category(lookup, 3), -1);
    assert_int_equal(label_lookup_category(lookup, 255), 255);
    assert_int_equal(label_lookup_category(lookup, -1), -1);
    assert_int_equal(label_lookup_category(lookup, 70000), -1);
    assert_int_equal(lookup->value[2], 2);
    assert_int_equal(lookup->value[255], 255);
    dataset_close(dataset);

    int from[] = {300, 2, 1};
    uint8_t to[] = {1, 2, 1};
    config.map = (struct label_map){.n = 3, .from = from, .to = to, .other = 0};
    dataset = tiny_open(&config);
    lookup = dataset->lookup;
    assert_int_equal(dataset->n_categories, 3);
    assert_string_equal(dataset->category_names[0], "background");
    assert_string_equal(dataset->category_names[1], "category_1"); // two values, no one name
    assert_string_equal(dataset->category_names[2], "heart");
    assert_int_equal(label_lookup_category(lookup, 300), 1);
    assert_int_equal(label_lookup_category(lookup, 17), 0);
    assert_int_equal(label_lookup_category(lookup, 255), 255);
    assert_int_equal(lookup->value[0], 0);
    assert_int_equal(lookup->value[1], 300); // the first `from`
    assert_int_equal(lookup->value[2], 2);
    dataset_close(dataset);

    config.map.other = 255;
    from[0] = 0; // now 0 is a foreground value
    dataset = tiny_open(&config);
    assert_int_equal(label_lookup_category(dataset->lookup, 17), 255);
    dataset_close(dataset);
    config.map.other = 3; // values 3, 4, ... become a category of their own
    dataset = tiny_open(&config);
    assert_int_equal(dataset->lookup->value[3], 3);
    dataset_close(dataset);
}

// As large as a map can be.
static void a_map_of_all_values(void **state) {
    enum { N = 65536 };
    static int from[N + 1];
    static uint8_t to[N + 1];
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    for (int i = 0; i < N; i++) {
        from[i] = i;
        to[i] = (uint8_t)(i % 3);
    }
    config.map = (struct label_map){.n = N, .from = from, .to = to, .other = 2};
    struct dataset *dataset = tiny_open(&config);
    assert_int_equal(dataset->n_categories, 3);
    assert_int_equal(label_lookup_category(dataset->lookup, 65534), 65534 % 3);
    assert_int_equal(dataset->lookup->value[2], 2);
    dataset_close(dataset);
    from[N] = 0;
    to[N] = 1;
    config.map.n = N + 1;
    refuse(&config, ADELE_CONFIG, "value 0 goes to both 0 and 1");
}

static void bad_maps_are_refused(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    int from[] = {0, 1};
    uint8_t to[] = {0, 1};
    const char *names[] = {"a"};
    config.map = (struct label_map){.n = 2, .from = from, .to = to, .other = 256};
    refuse(&config, ADELE_CONFIG, "label_map_other: 256");
    config.map.other = -1;
    config.map.n_names = 1;
    config.map.names = names;
    refuse(&config, ADELE_CONFIG, "1 names for classes 0..1");
    config.map.n_names = 0;
    from[1] = INT32_MAX;
    refuse(&config, ADELE_CONFIG, "value 2147483647 is not in");
    from[1] = 0;
    refuse(&config, ADELE_CONFIG, "value 0 goes to both");
    from[1] = 1;
    to[1] = 0;
    refuse(&config, ADELE_DATA, "at least 2");
}

// ---- noisy and true labels ----------------------------------------------------------------------

static void noisy_labels_belong_to_the_training_cases(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    tiny_label(state, "noisy/p1.png", TINY_H, TINY_W, 3, false, 5);
    tiny_label(state, "noisy/labelsTr/p2.png", TINY_H, TINY_W, 3, false, 5); // in a layout's folder
    config.noisy_labels = scratch_path(state, "noisy");
    refuse(&config, ADELE_DATA, "noisy/p3.png: no noisy label");
    tiny_label(state, "noisy/labelsTr/p3.png", TINY_H, TINY_W, 3, false, 5);
    config.noisy_labels = scratch_path(state, "noisy");
    struct dataset *dataset = tiny_open(&config);
    const struct dataset_case *train = dataset->cases[SPLIT_TRAIN];
    assert_non_null(strstr(train[0].noisy_path, "noisy/p1.png"));
    assert_non_null(strstr(train[1].noisy_path, "noisy/labelsTr/p2.png"));
    assert_string_equal(train[0].truth_path, train[0].label_path);
    assert_null(dataset->cases[SPLIT_VAL][0].noisy_path);
    assert_null(dataset->cases[SPLIT_VAL][0].truth_path);
    dataset_close(dataset);
    config.noisy_labels = scratch_path(state, "nonoisy");
    refuse(&config, ADELE_DATA, "nonoisy: no such folder, but the noisy labels are expected there");
    config.noisy_labels = scratch_path(state, "noisy/p1.png");
    refuse(&config, ADELE_DATA, "noisy/p1.png: not a folder");
    config.noisy_labels = scratch_path(state, "noisy");
    // Without labels of the layout the noisy ones are enough to train on.
    assert_int_equal(unlink(scratch_path(state, "set/labelsTr/p1.png")), 0);
    dataset = tiny_open(&config);
    assert_null(dataset->cases[SPLIT_TRAIN][0].truth_path);
    dataset_close(dataset);
}

static void true_labels_may_miss_some_cases(void **state) {
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    tiny_label(state, "truth/p1.png", TINY_H, TINY_W, 3, false, 5);
    config.true_labels = scratch_path(state, "truth");
    struct dataset *dataset = tiny_open(&config);
    assert_non_null(strstr(dataset->cases[SPLIT_TRAIN][0].truth_path, "truth/p1.png"));
    assert_null(dataset->cases[SPLIT_TRAIN][1].truth_path);
    dataset_close(dataset);
}

// ---- warnings and memory ------------------------------------------------------------------------

static void keep_warning(void *context, enum log_level level, const char *line) {
    if (level == LOG_WARNING)
        (void)snprintf(context, 256, "%s", line);
}

static void a_case_in_two_splits_is_warned_of(void **state) {
    char line[256] = "";
    tiny_nnunet(state, "set");
    struct dataset_config config = tiny_config(state, "set");
    config.split[SPLIT_VAL] = "imagesTr";
    log_set_sink(keep_warning, line);
    struct dataset *dataset = tiny_open(&config);
    log_set_sink(NULL, NULL);
    assert_string_equal(
        line, "3 cases (first: case p1 is in both the train and the val split; also p2, p3)");
    dataset_close(dataset);
}

static void open_survives_failing_memory(void **state) {
    tiny_nnunet(state, "set");
    tiny_label(state, "truth/p1.png", TINY_H, TINY_W, 3, false, 5);
    struct dataset_config config = tiny_config(state, "set");
    config.true_labels = scratch_path(state, "truth");
    int from[] = {0, 1, 2};
    uint8_t to[] = {0, 1, 1};
    config.map = (struct label_map){.n = 3, .from = from, .to = to, .other = -1};
    adele_status status = ADELE_NO_MEMORY;
    long n = 0;
    for (; status != ADELE_OK && n < 5000; n++) {
        struct dataset *dataset = NULL;
        memory_fail_at(n);
        status = dataset_open(&config, &dataset);
        memory_fail_at(-1);
        assert_true(status == ADELE_OK || status == ADELE_NO_MEMORY);
        assert_true((status == ADELE_OK) == (dataset != NULL));
        dataset_close(dataset);
    }
    assert_true(n > 50);
    assert_int_equal(status, ADELE_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(names_of_enums),
        TEST(roots_without_a_layout_are_refused),
        TEST(the_configuration_is_copied),
        TEST(categories_and_values),
        TEST(a_map_of_all_values),
        TEST(bad_maps_are_refused),
        TEST(noisy_labels_belong_to_the_training_cases),
        TEST(true_labels_may_miss_some_cases),
        TEST(a_case_in_two_splits_is_warned_of),
        TEST(open_survives_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
