// SPDX-License-Identifier: MIT
// Data sets whose files are stored in different orders: what is read is what one order gives, and
// files with another position are refused.
#include "base/log.h"
#include "data/check_report.h"
#include "data/dataset.h"
#include "data/load.h"
#include "image/nifti.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"
#include "support/turned_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void assert_same_images(const struct dataset_images *a, const struct dataset_images *b) {
    assert_true(a->n == b->n && a->c == b->c && a->h == b->h && a->w == b->w);
    size_t pixels = (size_t)a->n * (size_t)a->h * (size_t)a->w;
    assert_memory_equal(a->images, b->images, pixels * (size_t)a->c * sizeof(uint16_t));
    assert_memory_equal(a->labels, b->labels, pixels);
    assert_int_equal(a->truth == NULL, b->truth == NULL);
    if (a->truth != NULL)
        assert_memory_equal(a->truth, b->truth, pixels);
    for (int i = 0; i < a->n; i++)
        assert_memory_equal(&a->origin[i], &b->origin[i], sizeof a->origin[i]);
}

// What the set "turned" gives is what the set "set" gives.
static void assert_loads_alike(void *const *state, const char *noisy, const char *turned_noisy) {
    struct dataset_config plain = tiny_config(state, "set"), other = tiny_config(state, "turned");
    plain.noisy_labels = noisy != NULL ? scratch_path(state, noisy) : NULL;
    other.noisy_labels = noisy != NULL ? scratch_path(state, turned_noisy) : NULL;
    plain.foreground_slices_only = other.foreground_slices_only = true;
    struct dataset *a = tiny_open(&plain), *b = tiny_open(&other);
    struct dataset_images images_a, images_b;
    turned_set_load(a, &images_a);
    turned_set_load(b, &images_b);
    assert_same_images(&images_a, &images_b);
    dataset_images_deinit(&images_a);
    dataset_images_deinit(&images_b);
    dataset_close(a);
    dataset_close(b);
}

// ---- messages -----------------------------------------------------------------------------------

static char said[4096];
static int n_said;

static void keep_line(void *context, enum log_level level, const char *line) {
    (void)context;
    (void)level;
    n_said++;
    (void)snprintf(said, sizeof said, "%s", line);
}

static void start_listening(void) {
    n_said = 0;
    said[0] = '\0';
    log_set_sink(keep_line, NULL);
}

// One line, with the part; and the same as the one problem, a warning, that `check` finds beside
// the empty splits.
static void assert_said(void *const *state, const char *root, const char *part) {
    log_set_sink(NULL, NULL);
    assert_int_equal(n_said, 1);
    if (strstr(said, part) == NULL)
        fail_msg("'%s' lacks '%s'", said, part);
    struct dataset_config config = tiny_config(state, root);
    struct check_report report;
    assert_int_equal(check_run(&config, &report), ADELE_OK);
    int n_geometry = 0;
    for (int i = 0; i < report.n_problems; i++) {
        assert_false(report.problems[i].is_error);
        if (report.problems[i].kind == CHECK_GEOMETRY) {
            n_geometry++;
            assert_string_equal(report.problems[i].text, said);
        }
    }
    assert_int_equal(n_geometry, 1);
    check_report_deinit(&report);
}

// ---- reading ------------------------------------------------------------------------------------

static void labels_in_another_order_are_brought_to_their_image(void **state) {
    turned_set_write(state, "set");
    turned_set_write(state, "turned");
    for (size_t k = 0; k < TURNED_N_ORDERS; k++) {
        turned_write(state, "turned", "labelsTr/b.nii", 1, true, turned_orders[k].axis,
                     turned_orders[k].flip);
        start_listening();
        assert_loads_alike(state, NULL, NULL);
        assert_said(state, "turned", "1 masks or channels are stored in another order");
        assert_non_null(strstr(said, "turned/labelsTr/b.nii: "));
        assert_non_null(strstr(said, turned_orders[k].words));
    }
}

static void channels_in_another_order_are_brought_to_the_first(void **state) {
    turned_set_write(state, "set");
    turned_set_write(state, "turned");
    for (size_t k = 0; k < TURNED_N_ORDERS; k++) {
        turned_write(state, "turned", "imagesTr/c_0001.nii", 5, false, turned_orders[k].axis,
                     turned_orders[k].flip);
        start_listening();
        assert_loads_alike(state, NULL, NULL);
        assert_said(state, "turned", "turned/imagesTr/c_0001.nii: ");
    }
}

static void noisy_and_true_labels_too(void **state) {
    turned_set_write(state, "set");
    turned_set_write(state, "turned");
    for (int i = 0; i < 3; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%c.nii", 'a' + i);
        turned_write(state, "noisy", name, 0, true, turned_straight, turned_no_flip);
        turned_write(state, "noisy_turned", name, 0, true, turned_orders[i + 3].axis,
                     turned_orders[i + 3].flip);
    }
    start_listening();
    assert_loads_alike(state, "noisy", "noisy_turned"); // the layout's own labels are the truth
    log_set_sink(NULL, NULL);
    assert_int_equal(n_said, 1);
    assert_non_null(strstr(said, "3 masks or channels"));
}

// Case b has all of its files in another order, which is not that of the others.
static void a_case_in_another_orientation_is_brought_to_that_of_the_set(void **state) {
    static const char *const codes[] = {"LAS", "LPS", "RAI", "RSA", "SPR", "ASL"};
    turned_set_write(state, "set");
    turned_set_write(state, "turned");
    for (size_t k = 0; k < TURNED_N_ORDERS; k++) {
        const int *axis = turned_orders[k].axis, *flip = turned_orders[k].flip;
        turned_write(state, "turned", "imagesTr/b_0000.nii", 2, false, axis, flip);
        turned_write(state, "turned", "imagesTr/b_0001.nii", 3, false, axis, flip);
        turned_write(state, "turned", "labelsTr/b.nii", 1, true, axis, flip);
        start_listening();
        assert_loads_alike(state, NULL, NULL);
        char want[256];
        (void)snprintf(want, sizeof want,
                       "1 of 3 volumes are not stored in the orientation RAS (first: ");
        assert_said(state, "turned", want);
        (void)snprintf(want, sizeof want, "b_0000.nii, %s)", codes[k]);
        assert_non_null(strstr(said, want));
    }
}

static void one_orientation_stays_what_it_is(void **state) {
    struct dataset_images images;
    turned_set_write(state, "set");
    for (int i = 0; i < 3; i++) {
        char name[32];
        for (int channel = 0; channel < 2; channel++) {
            (void)snprintf(name, sizeof name, "imagesTr/%c_%04d.nii", 'a' + i, channel);
            turned_write(state, "set", name, 2 * i + channel, false, turned_orders[5].axis,
                         turned_orders[5].flip);
        }
        (void)snprintf(name, sizeof name, "labelsTr/%c.nii", 'a' + i);
        turned_write(state, "set", name, i, true, turned_orders[5].axis, turned_orders[5].flip);
    }
    start_listening();
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    log_set_sink(NULL, NULL);
    assert_int_equal(n_said, 0);
    assert_string_equal(dataset->orientation.letters, "ASL");
    turned_set_load(dataset, &images);
    struct nifti_volume stored;
    assert_int_equal(nifti_load(scratch_path(state, "set/labelsTr/a.nii"), 0, &stored), ADELE_OK);
    assert_true(images.w == stored.nx && images.h == stored.ny && images.n == 3 * stored.nz);
    for (int i = 0; i < TURNED_PLANE * TURNED_NZ; i++) // as the file has them
        assert_true((float)images.labels[i] == stored.voxels[i]);
    nifti_deinit(&stored);
    dataset_images_deinit(&images);
    dataset_close(dataset);
    // The orientation of the model has priority over that of the files.
    config.orientation = (struct nifti_codes){"RAS"};
    dataset = tiny_open(&config);
    assert_int_equal(dataset->cases[SPLIT_TRAIN][0].n_slices, TURNED_NZ);
    dataset_close(dataset);
}

static void the_first_of_equals_decides(void **state) {
    turned_set_write(state, "set");
    tiny_text(state, "set/splits_final.json", "[{\"train\": [\"b\", \"a\"], \"val\": [\"c\"]}]");
    turned_write(state, "set", "imagesTr/b_0000.nii", 2, false, turned_orders[3].axis,
                 turned_orders[3].flip);
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    assert_string_equal(dataset->orientation.letters, "RSA");
    for (int split = 0; split < SPLIT_TEST; split++)
        for (int i = 0; i < dataset->n_cases[split]; i++)
            assert_int_equal(dataset->cases[split][i].n_slices, TURNED_NY);
    dataset_close(dataset);
}

static void volumes_that_say_nothing_are_named(void **state) {
    static struct tiny_nifti volume;
    turned_set_write(state, "set");
    turned_volume(0, false, &volume);
    volume.sform_code = 0;
    tiny_nifti_write(state, "set/imagesTr/a_0000.nii", &volume);
    start_listening();
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    assert_string_equal(dataset->orientation.letters, "RAS");
    dataset_close(dataset);
    assert_said(state, "set", "1 of 3 volumes have no orientation in their header (first: ");
    assert_non_null(strstr(said, "a_0000.nii); RAS is assumed"));
}

// ---- other positions ----------------------------------------------------------------------------

static void refuse_load(void *const *state, const char *part) {
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    struct dataset_images images;
    struct check_report report;
    char message[2048];
    assert_int_equal(dataset_load(dataset, SPLIT_TRAIN, false, &images), ADELE_DATA);
    (void)snprintf(message, sizeof message, "%s", adele_error_message());
    if (strstr(message, part) == NULL)
        fail_msg("'%s' lacks '%s'", message, part);
    dataset_close(dataset);
    // `check` reports the same.
    assert_int_equal(check_run(&config, &report), ADELE_OK);
    bool is_found = false;
    for (int i = 0; i < report.n_problems; i++)
        if (report.problems[i].kind == CHECK_GEOMETRY ||
            report.problems[i].kind == CHECK_SIZE_MISMATCH) {
            is_found = true;
            assert_true(report.problems[i].is_error);
            assert_string_equal(report.problems[i].text, message);
        }
    assert_true(is_found);
    check_report_deinit(&report);
}

static void labels_and_channels_elsewhere_are_refused(void **state) {
    static struct tiny_nifti volume;
    turned_set_write(state, "set");
    turned_volume(0, true, &volume);
    volume.affine[0][3] += 100.0;
    tiny_nifti_write(state, "set/labelsTr/a.nii", &volume);
    refuse_load(state, "labelsTr/a.nii: has another position than its image ");
    refuse_load(state, "a_0000.nii: 100 mm away along x");
    turned_volume(0, true, &volume);
    volume.affine[1][1] = -volume.affine[1][1];
    tiny_nifti_write(state, "set/labelsTr/a.nii", &volume);
    refuse_load(state, ": flipped along y, 7.5 mm away along y");
    volume.n[0] = TURNED_NX - 1;
    tiny_nifti_write(state, "set/labelsTr/a.nii", &volume);
    refuse_load(state, "labelsTr/a.nii: 6 x 7 x 4, but its image ");
    turned_volume(0, true, &volume);
    tiny_nifti_write(state, "set/labelsTr/a.nii", &volume);
    turned_volume(1, false, &volume);
    volume.affine[2][2] = 2.0;
    tiny_nifti_write(state, "set/imagesTr/a_0001.nii", &volume);
    refuse_load(state, "a_0001.nii: has another position than ");
    refuse_load(state, "voxels 2.0 against 3.0 mm along z");
}

static void noisy_and_true_labels_elsewhere_are_refused(void **state) {
    static struct tiny_nifti volume;
    struct dataset_images images;
    turned_set_write(state, "set");
    for (int i = 0; i < 3; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "other/%c.nii", 'a' + i);
        turned_volume(0, true, &volume);
        volume.affine[2][3] -= i == 1 ? 30.0 : 0.0;
        tiny_nifti_write(state, name, &volume);
    }
    for (int is_true = 0; is_true < 2; is_true++) {
        struct dataset_config config = tiny_config(state, "set");
        *(is_true ? &config.true_labels : &config.noisy_labels) = scratch_path(state, "other");
        struct dataset *dataset = tiny_open(&config);
        assert_int_equal(dataset_load(dataset, SPLIT_TRAIN, false, &images), ADELE_DATA);
        assert_non_null(strstr(adele_error_message(), "other/b.nii: has another position"));
        assert_non_null(strstr(adele_error_message(), "30 mm away along z"));
        dataset_close(dataset);
    }
}

// ---- one slice ----------------------------------------------------------------------------------

// (1, y, x), as a program leaves it that puts the slice in front.
static void a_slice_stored_first_is_the_picture(void **state) {
    static struct tiny_nifti volume, turned;
    struct dataset_images flat, plain;
    const int axis[3] = {2, 1, 0};
    for (int is_turned = 0; is_turned < 2; is_turned++) {
        turned_set_write(state, "set");
        for (int i = 0; i < 9; i++) {
            char name[64];
            (void)snprintf(name, sizeof name,
                           i < 6 ? "set/imagesTr/%c_%04d.nii" : "set/labelsTr/%c.nii",
                           'a' + (i < 6 ? i / 2 : i - 6), i % 2);
            turned_volume(i, i >= 6, &volume);
            volume.n[2] = 1;
            tiny_nifti_turn(&volume, axis, turned_no_flip, &turned);
            // Such programs write no orientation, so that no file defines its axes.
            turned.sform_code = volume.sform_code = is_turned ? 1 : 0;
            tiny_nifti_write(state, name, is_turned ? &turned : &volume);
        }
        struct dataset_config config = tiny_config(state, "set");
        struct dataset *dataset = tiny_open(&config);
        turned_set_load(dataset, is_turned ? &flat : &plain);
        dataset_close(dataset);
    }
    assert_int_equal(flat.n, 3);
    assert_same_images(&flat, &plain);
    dataset_images_deinit(&flat);
    dataset_images_deinit(&plain);
}

static void a_slice_across_the_sets_slices_is_refused(void **state) {
    static struct tiny_nifti volume;
    turned_set_write(state, "set");
    turned_volume(0, false, &volume);
    volume.n[0] = 1;
    tiny_nifti_write(state, "set/imagesTr/b_0000.nii", &volume);
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = NULL;
    assert_int_equal(dataset_open(&config, &dataset), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "b_0000.nii: one slice along x"));
    assert_null(dataset);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(labels_in_another_order_are_brought_to_their_image),
        TEST(channels_in_another_order_are_brought_to_the_first),
        TEST(noisy_and_true_labels_too),
        TEST(a_case_in_another_orientation_is_brought_to_that_of_the_set),
        TEST(one_orientation_stays_what_it_is),
        TEST(the_first_of_equals_decides),
        TEST(volumes_that_say_nothing_are_named),
        TEST(labels_and_channels_elsewhere_are_refused),
        TEST(noisy_and_true_labels_elsewhere_are_refused),
        TEST(a_slice_stored_first_is_the_picture),
        TEST(a_slice_across_the_sets_slices_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
