// SPDX-License-Identifier: MIT
// Data sets whose files are stored in different orders: what is read is what one order gives, what
// is written has the order, position and header of its source, and files with another position are
// refused.
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/check.h"
#include "data/dataset.h"
#include "data/label_store.h"
#include "data/load.h"
#include "data/noise.h"
#include "data/noise_files.h"
#include "image/nifti.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"
#include "support/tiny_nifti.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define NX    8
#define NY    6
#define NZ    4
#define PLANE (NX * NY)

static const int straight[3] = {0, 1, 2}, no_flip[3] = {0, 0, 0};
// Some of the 48 storage orders: flips, exchanges of two axes, cycles, and mixtures.
static const struct turn {
    int axis[3], flip[3];
    const char *words;
} turns[] = {{{0, 1, 2}, {1, 0, 0}, "flipped along x"},
             {{0, 1, 2}, {1, 1, 0}, "flipped along x and y"},
             {{0, 1, 2}, {0, 0, 1}, "flipped along z"},
             {{0, 2, 1}, {0, 0, 0}, "axes y and z exchanged"},
             {{2, 1, 0}, {0, 1, 0}, "axes x and z exchanged, flipped along y"},
             {{1, 2, 0}, {0, 0, 1}, "axes in the order"}};
#define N_TURNS (sizeof turns / sizeof *turns)

// ---- a set --------------------------------------------------------------------------------------

static void volume_of(int seed, bool is_label, struct tiny_nifti *out) {
    tiny_nifti_init(out, (const int[3]){NX, NY, NZ}, (const double[3]){1.0, 1.5, 3.0});
    out->affine[0][3] = -20.0;
    out->affine[2][3] = 7.5;
    out->datatype = is_label ? 2 : 4;
    for (int i = 0; i < PLANE * NZ; i++) {
        int x = i % NX, y = i / NX % NY, z = i / PLANE;
        out->values[i] =
            is_label ? (x >= 2 && y >= z ? 1 + (x + y > 6) : 0) : (i * 31 + seed * 17) % 401 - 100;
    }
}

// ROOT/PATH, turned.
static void write_turned(void *const *state, const char *root, const char *path, int seed,
                         bool is_label, const int axis[3], const int flip[3]) {
    static struct tiny_nifti volume, turned;
    char full[256];
    volume_of(seed, is_label, &volume);
    tiny_nifti_turn(&volume, axis, flip, &turned);
    (void)snprintf(full, sizeof full, "%s/%s", root, path);
    tiny_nifti_write(state, full, &turned);
}

// Cases a, b, c of two channels; all files as they are thought of.
static void write_set(void *const *state, const char *root) {
    char name[64];
    (void)snprintf(name, sizeof name, "%s/dataset.json", root);
    tiny_text(state, name,
              "{\"channel_names\": {\"0\": \"T1\", \"1\": \"T2\"}, \"labels\": {\"background\": 0, "
              "\"one\": 1, \"two\": 2}, \"file_ending\": \".nii\"}");
    for (int i = 0; i < 3; i++) {
        for (int channel = 0; channel < 2; channel++) {
            (void)snprintf(name, sizeof name, "imagesTr/%c_%04d.nii", 'a' + i, channel);
            write_turned(state, root, name, 2 * i + channel, false, straight, no_flip);
        }
        (void)snprintf(name, sizeof name, "labelsTr/%c.nii", 'a' + i);
        write_turned(state, root, name, i, true, straight, no_flip);
    }
}

static void load_train(const struct dataset *dataset, struct dataset_images *out) {
    if (dataset_load(dataset, SPLIT_TRAIN, false, out) != ADELE_OK)
        fail_msg("%s", adele_error_message());
}

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
    load_train(a, &images_a);
    load_train(b, &images_b);
    assert_same_images(&images_a, &images_b);
    dataset_images_deinit(&images_a);
    dataset_images_deinit(&images_b);
    dataset_close(a);
    dataset_close(b);
}

// ---- messages ----------------------------------------------------------------------------------

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
    write_set(state, "set");
    write_set(state, "turned");
    for (size_t k = 0; k < N_TURNS; k++) {
        write_turned(state, "turned", "labelsTr/b.nii", 1, true, turns[k].axis, turns[k].flip);
        start_listening();
        assert_loads_alike(state, NULL, NULL);
        assert_said(state, "turned", "1 masks or channels are stored in another order");
        assert_non_null(strstr(said, "turned/labelsTr/b.nii: "));
        assert_non_null(strstr(said, turns[k].words));
    }
}

static void channels_in_another_order_are_brought_to_the_first(void **state) {
    write_set(state, "set");
    write_set(state, "turned");
    for (size_t k = 0; k < N_TURNS; k++) {
        write_turned(state, "turned", "imagesTr/c_0001.nii", 5, false, turns[k].axis,
                     turns[k].flip);
        start_listening();
        assert_loads_alike(state, NULL, NULL);
        assert_said(state, "turned", "turned/imagesTr/c_0001.nii: ");
    }
}

static void noisy_and_true_labels_too(void **state) {
    write_set(state, "set");
    write_set(state, "turned");
    for (int i = 0; i < 3; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%c.nii", 'a' + i);
        write_turned(state, "noisy", name, 0, true, straight, no_flip);
        write_turned(state, "noisy_turned", name, 0, true, turns[i + 3].axis, turns[i + 3].flip);
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
    write_set(state, "set");
    write_set(state, "turned");
    for (size_t k = 0; k < N_TURNS; k++) {
        const int *axis = turns[k].axis, *flip = turns[k].flip;
        write_turned(state, "turned", "imagesTr/b_0000.nii", 2, false, axis, flip);
        write_turned(state, "turned", "imagesTr/b_0001.nii", 3, false, axis, flip);
        write_turned(state, "turned", "labelsTr/b.nii", 1, true, axis, flip);
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
    write_set(state, "set");
    for (int i = 0; i < 3; i++) {
        char name[32];
        for (int channel = 0; channel < 2; channel++) {
            (void)snprintf(name, sizeof name, "imagesTr/%c_%04d.nii", 'a' + i, channel);
            write_turned(state, "set", name, 2 * i + channel, false, turns[5].axis, turns[5].flip);
        }
        (void)snprintf(name, sizeof name, "labelsTr/%c.nii", 'a' + i);
        write_turned(state, "set", name, i, true, turns[5].axis, turns[5].flip);
    }
    start_listening();
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    log_set_sink(NULL, NULL);
    assert_int_equal(n_said, 0);
    assert_string_equal(dataset->orientation.letters, "ASL");
    load_train(dataset, &images);
    struct nifti_volume stored;
    assert_int_equal(nifti_load(scratch_path(state, "set/labelsTr/a.nii"), 0, &stored), ADELE_OK);
    assert_true(images.w == stored.nx && images.h == stored.ny && images.n == 3 * stored.nz);
    for (int i = 0; i < PLANE * NZ; i++) // as the file has them
        assert_true((float)images.labels[i] == stored.voxels[i]);
    nifti_deinit(&stored);
    dataset_images_deinit(&images);
    dataset_close(dataset);
    // The orientation of the model has priority over that of the files.
    config.orientation = (struct nifti_codes){"RAS"};
    dataset = tiny_open(&config);
    assert_int_equal(dataset->cases[SPLIT_TRAIN][0].n_slices, NZ);
    dataset_close(dataset);
}

static void the_first_of_equals_decides(void **state) {
    write_set(state, "set");
    tiny_text(state, "set/splits_final.json", "[{\"train\": [\"b\", \"a\"], \"val\": [\"c\"]}]");
    write_turned(state, "set", "imagesTr/b_0000.nii", 2, false, turns[3].axis, turns[3].flip);
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = tiny_open(&config);
    assert_string_equal(dataset->orientation.letters, "RSA");
    for (int split = 0; split < SPLIT_TEST; split++)
        for (int i = 0; i < dataset->n_cases[split]; i++)
            assert_int_equal(dataset->cases[split][i].n_slices, NY);
    dataset_close(dataset);
}

static void volumes_that_say_nothing_are_named(void **state) {
    static struct tiny_nifti volume;
    write_set(state, "set");
    volume_of(0, false, &volume);
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

// ---- other positions ---------------------------------------------------------------------------

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
    write_set(state, "set");
    volume_of(0, true, &volume);
    volume.affine[0][3] += 100.0;
    tiny_nifti_write(state, "set/labelsTr/a.nii", &volume);
    refuse_load(state, "labelsTr/a.nii: has another position than its image ");
    refuse_load(state, "a_0000.nii: 100 mm away along x");
    volume_of(0, true, &volume);
    volume.affine[1][1] = -volume.affine[1][1];
    tiny_nifti_write(state, "set/labelsTr/a.nii", &volume);
    refuse_load(state, ": flipped along y, 7.5 mm away along y");
    volume.n[0] = NX - 1;
    tiny_nifti_write(state, "set/labelsTr/a.nii", &volume);
    refuse_load(state, "labelsTr/a.nii: 6 x 7 x 4, but its image ");
    volume_of(0, true, &volume);
    tiny_nifti_write(state, "set/labelsTr/a.nii", &volume);
    volume_of(1, false, &volume);
    volume.affine[2][2] = 2.0;
    tiny_nifti_write(state, "set/imagesTr/a_0001.nii", &volume);
    refuse_load(state, "a_0001.nii: has another position than ");
    refuse_load(state, "voxels 2.0 against 3.0 mm along z");
}

static void noisy_and_true_labels_elsewhere_are_refused(void **state) {
    static struct tiny_nifti volume;
    struct dataset_images images;
    write_set(state, "set");
    for (int i = 0; i < 3; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "other/%c.nii", 'a' + i);
        volume_of(0, true, &volume);
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

// ---- writing ------------------------------------------------------------------------------------

// All bytes of both files but those of one voxel, which has the value.
static void assert_same_but(void *const *state, const char *path, const char *source, int at,
                            int value) {
    size_t n = 0, n_source = 0;
    char *bytes = tiny_nifti_bytes(state, path, &n);
    char *want = tiny_nifti_bytes(state, source, &n_source);
    assert_true(n == n_source);
    if (at >= 0) {
        assert_int_not_equal(want[352 + at], value);
        want[352 + at] = (char)value;
    }
    assert_memory_equal(bytes, want, n);
    memory_free(bytes);
    memory_free(want);
}

// The index of voxel (x, y, z) of the set in a reoriented file.
static int place_in(const struct turn *turn, const int voxel[3]) {
    static const int n[3] = {NX, NY, NZ};
    int at[3];
    for (int i = 0; i < 3; i++)
        at[i] = turn->flip[i] ? n[turn->axis[i]] - 1 - voxel[turn->axis[i]] : voxel[turn->axis[i]];
    return at[0] + n[turn->axis[0]] * (at[1] + n[turn->axis[1]] * at[2]);
}

static void exported_labels_have_their_files_own_order(void **state) {
    for (size_t k = 0; k < N_TURNS; k++) {
        const int voxel[3] = {3, 4, 2};
        struct dataset_images images;
        write_set(state, "set");
        write_turned(state, "set", "labelsTr/b.nii", 1, true, turns[k].axis, turns[k].flip);
        // Case c is stored in another orientation than the set, and its label map in a third one.
        write_turned(state, "set", "imagesTr/c_0000.nii", 4, false, turns[0].axis, turns[0].flip);
        write_turned(state, "set", "imagesTr/c_0001.nii", 5, false, turns[1].axis, turns[1].flip);
        write_turned(state, "set", "labelsTr/c.nii", 1, true, turns[k].axis, turns[k].flip);
        struct dataset_config config = tiny_config(state, "set");
        struct dataset *dataset = tiny_open(&config);
        load_train(dataset, &images);
        size_t n = (size_t)images.n * PLANE;
        uint8_t *labels = memory_calloc(n, 1);
        memcpy(labels, images.labels, n);
        for (int i = 0; i < 3; i++)
            labels[(i * NZ + voxel[2]) * PLANE + voxel[1] * NX + voxel[0]] = 0;
        assert_int_equal(label_store_export(dataset, SPLIT_TRAIN, &images, labels, images.labels,
                                            scratch_path(state, "out"), NULL),
                         ADELE_OK);
        int at = place_in(&turns[k], voxel);
        assert_same_but(state, "out/labelsTr/a.nii", "set/labelsTr/a.nii",
                        voxel[0] + NX * (voxel[1] + NY * voxel[2]), 0);
        assert_same_but(state, "out/labelsTr/b.nii", "set/labelsTr/b.nii", at, 0);
        assert_same_but(state, "out/labelsTr/c.nii", "set/labelsTr/c.nii", at, 0);
        memory_free(labels);
        dataset_images_deinit(&images);
        dataset_close(dataset);
    }
}

// The noise of a turned label map is that of the straight one, turned.
static void noise_has_its_files_own_order(void **state) {
    struct noise_config noise;
    struct noise_report report;
    int n_images = 0;
    noise_config_init(&noise);
    noise.kind = NOISE_FLIP;
    noise.flip_fraction = 0.2;
    for (int is_turned = 0; is_turned < 2; is_turned++) {
        write_set(state, "set");
        if (is_turned)
            write_turned(state, "set", "labelsTr/b.nii", 1, true, turns[4].axis, turns[4].flip);
        struct dataset_config config = tiny_config(state, "set");
        struct dataset *dataset = tiny_open(&config);
        const char *folder = scratch_path(state, is_turned ? "noise_turned" : "noise");
        assert_int_equal(noise_files_write(dataset, &noise, folder, false, &report, &n_images),
                         ADELE_OK);
        dataset_close(dataset);
    }
    size_t n = 0;
    char *plain = tiny_nifti_bytes(state, "noise/labelsTr/b.nii", &n);
    char *turned = tiny_nifti_bytes(state, "noise_turned/labelsTr/b.nii", &n);
    char *source = tiny_nifti_bytes(state, "set/labelsTr/b.nii", &n);
    assert_memory_equal(turned, source, 352);
    int n_changed = 0;
    for (int i = 0; i < PLANE * NZ; i++) {
        int at = place_in(&turns[4], (const int[3]){i % NX, i / NX % NY, i / PLANE});
        assert_int_equal(plain[352 + i], turned[352 + at]);
        n_changed += turned[352 + at] != source[352 + at];
    }
    assert_true(n_changed > 10);
    memory_free(plain);
    memory_free(turned);
    memory_free(source);
}

static void predictions_have_their_images_order_and_place(void **state) {
    uint8_t map[NZ * PLANE];
    float *probabilities = memory_calloc(2 * sizeof map, sizeof *probabilities);
    for (int i = 0; i < NZ * PLANE; i++)
        map[i] = (uint8_t)(i % 7 % 3);
    write_set(state, "set");
    for (size_t k = 0; k < N_TURNS; k++) {
        static struct tiny_nifti volume, turned;
        volume_of(2, false, &volume);
        tiny_nifti_turn(&volume, turns[k].axis, turns[k].flip, &turned);
        tiny_nifti_write(state, "set/imagesTr/b_0000.nii", &turned);
        struct dataset_config config = tiny_config(state, "set");
        config.orientation = (struct nifti_codes){"RAS"};
        struct dataset *dataset = tiny_open(&config);
        const struct dataset_case *item = &dataset->cases[SPLIT_TRAIN][1];
        assert_int_equal(item->n_slices, NZ);
        assert_int_equal(
            label_store_save_prediction(dataset, item, NZ, NY, NX, map, scratch_path(state, "out")),
            ADELE_OK);
        struct nifti_volume predicted;
        assert_int_equal(nifti_load(scratch_path(state, "out/b.nii"), 0, &predicted), ADELE_OK);
        struct nifti_geometry image;
        assert_int_equal(
            nifti_probe_geometry(scratch_path(state, "set/imagesTr/b_0000.nii"), &image), ADELE_OK);
        assert_memory_equal(&image, &predicted.geometry, sizeof image);
        int extents[3] = {NX, NY, NZ};
        for (int i = 0; i < NZ * PLANE; i++)
            for (int c = 0; c < 2; c++)
                probabilities[(i / PLANE * 2 + c) * PLANE + i % PLANE] = (float)(1000 * c + i);
        assert_int_equal(label_store_turn_back(dataset, item, 2, extents, &probabilities),
                         ADELE_OK);
        assert_memory_equal(extents, image.n, sizeof extents);
        int plane = extents[0] * extents[1];
        for (int i = 0; i < NZ * PLANE; i++) {
            int at = place_in(&turns[k], (const int[3]){i % NX, i / NX % NY, i / PLANE});
            assert_true(predicted.voxels[at] == (float)map[i]);
            for (int c = 0; c < 2; c++)
                assert_true(probabilities[(at / plane * 2 + c) * plane + at % plane] ==
                            (float)(1000 * c + i));
        }
        nifti_deinit(&predicted);
        dataset_close(dataset);
    }
    memory_free(probabilities);
}

// ---- one slice ----------------------------------------------------------------------------------

// (1, y, x), as a program leaves it that puts the slice in front.
static void a_slice_stored_first_is_the_picture(void **state) {
    static struct tiny_nifti volume, turned;
    struct dataset_images flat, plain;
    const int axis[3] = {2, 1, 0};
    for (int is_turned = 0; is_turned < 2; is_turned++) {
        write_set(state, "set");
        for (int i = 0; i < 9; i++) {
            char name[64];
            (void)snprintf(name, sizeof name,
                           i < 6 ? "set/imagesTr/%c_%04d.nii" : "set/labelsTr/%c.nii",
                           'a' + (i < 6 ? i / 2 : i - 6), i % 2);
            volume_of(i, i >= 6, &volume);
            volume.n[2] = 1;
            tiny_nifti_turn(&volume, axis, no_flip, &turned);
            // Such programs write no orientation, so that no file defines its axes.
            turned.sform_code = volume.sform_code = is_turned ? 1 : 0;
            tiny_nifti_write(state, name, is_turned ? &turned : &volume);
        }
        struct dataset_config config = tiny_config(state, "set");
        struct dataset *dataset = tiny_open(&config);
        load_train(dataset, is_turned ? &flat : &plain);
        dataset_close(dataset);
    }
    assert_int_equal(flat.n, 3);
    assert_same_images(&flat, &plain);
    dataset_images_deinit(&flat);
    dataset_images_deinit(&plain);
}

static void a_slice_across_the_sets_slices_is_refused(void **state) {
    static struct tiny_nifti volume;
    write_set(state, "set");
    volume_of(0, false, &volume);
    volume.n[0] = 1;
    tiny_nifti_write(state, "set/imagesTr/b_0000.nii", &volume);
    struct dataset_config config = tiny_config(state, "set");
    struct dataset *dataset = NULL;
    assert_int_equal(dataset_open(&config, &dataset), ADELE_DATA);
    assert_non_null(strstr(adele_error_message(), "b_0000.nii: one slice along x"));
    assert_null(dataset);
}

static void all_of_it_survives_failing_memory(void **state) {
    write_set(state, "set");
    write_turned(state, "set", "labelsTr/b.nii", 1, true, turns[4].axis, turns[4].flip);
    write_turned(state, "set", "imagesTr/c_0001.nii", 5, false, turns[1].axis, turns[1].flip);
    struct dataset_config config = tiny_config(state, "set");
    adele_status status = ADELE_NO_MEMORY;
    long n = 0;
    for (; status != ADELE_OK && n < 5000; n++) {
        struct dataset *dataset = NULL;
        struct dataset_images images = {0};
        memory_fail_at(n);
        status = dataset_open(&config, &dataset);
        if (status == ADELE_OK)
            status = dataset_load(dataset, SPLIT_TRAIN, false, &images);
        if (status == ADELE_OK)
            status = label_store_export(dataset, SPLIT_TRAIN, &images, images.labels, NULL,
                                        scratch_path(state, "out"), NULL);
        memory_fail_at(-1);
        // The error of another thread must reach this one.
        assert_true(status == ADELE_OK || status == ADELE_NO_MEMORY || status == ADELE_IO);
        dataset_images_deinit(&images);
        dataset_close(dataset);
    }
    assert_int_equal(status, ADELE_OK);
    assert_true(n > 50);
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
        TEST(exported_labels_have_their_files_own_order),
        TEST(noise_has_its_files_own_order),
        TEST(predictions_have_their_images_order_and_place),
        TEST(a_slice_stored_first_is_the_picture),
        TEST(a_slice_across_the_sets_slices_is_refused),
        TEST(all_of_it_survives_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
