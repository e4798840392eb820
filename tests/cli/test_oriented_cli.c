// SPDX-License-Identifier: MIT
// The whole program on one data set twice: as it is thought of, and with some files stored in other
// orders at the same places. Training, scores, predictions and labels are the same, and files that
// come out have the order, place and header of their own source.
#include "base/file.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "image/nifti.h"
#include "scores/score_cases.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"
#include "support/tiny_nifti.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NX       32
#define NY       32
#define NZ       2
#define N_VOXELS (NX * NY * NZ)

// The order of the turned files: a left-handed sagittal one.
static const int turned_axis[3] = {2, 0, 1}, turned_flip[3] = {1, 0, 1};
static const int straight_axis[3] = {0, 1, 2}, straight_flip[3] = {0, 0, 0};

// Runs `adele ARGUMENTS`.
#define ADELE(result, ...)                                                                         \
    program_run((const char *const[]){ADELE_CLI, __VA_ARGS__, NULL}, (result))

static void assert_done(struct program_result *result) {
    if (result->code != 0)
        fail_msg("exit code %d\n%s%s", result->code, result->out, result->err);
    program_result_deinit(result);
}

// ---- the sets -----------------------------------------------------------------------------------

// A bright box on a ramp, in no symmetry; seed moves it.
static void volume_of(int seed, bool is_label, struct tiny_nifti *out) {
    tiny_nifti_init(out, (const int[3]){NX, NY, NZ}, (const double[3]){0.8, 0.9, 4.0});
    out->affine[1][3] = -11.0;
    out->datatype = is_label ? 512 : 16;
    for (int i = 0; i < N_VOXELS; i++) {
        int x = i % NX, y = i / NX % NY;
        bool is_inside = x >= 4 + seed && x < 14 + seed && y >= 5 && y < 20 - seed;
        out->values[i] = is_label ? is_inside : 100.0 * is_inside + (x * 7 + y * 3 + i / 1024) % 11;
    }
}

static void write_file(void *const *state, const char *set, const char *path, int seed,
                       bool is_label, bool is_turned) {
    static struct tiny_nifti volume, turned;
    char full[256];
    (void)snprintf(full, sizeof full, "%s/%s", set, path);
    volume_of(seed, is_label, &volume);
    tiny_nifti_turn(&volume, is_turned ? turned_axis : straight_axis,
                    is_turned ? turned_flip : straight_flip, &turned);
    tiny_nifti_write(state, full, &turned);
}

// a, b, c train, d validates, e tests. Turned: all of b and e, and the label map of c.
static void write_set(void *const *state, const char *set, bool is_turned) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/dataset.json", set);
    tiny_text(state, path,
              "{\"channel_names\": {\"0\": \"T1\"}, \"labels\": {\"background\": 0, \"box\": 1}, "
              "\"file_ending\": \".nii\"}");
    (void)snprintf(path, sizeof path, "%s/splits_final.json", set);
    tiny_text(state, path, "[{\"train\": [\"a\", \"b\", \"c\"], \"val\": [\"d\"]}]");
    for (int i = 0; i < 5; i++) {
        const char *split = i == 4 ? "Ts" : "Tr";
        bool is_case_turned = is_turned && (i == 1 || i == 4);
        (void)snprintf(path, sizeof path, "images%s/%c_0000.nii", split, 'a' + i);
        write_file(state, set, path, i, false, is_case_turned);
        (void)snprintf(path, sizeof path, "labels%s/%c.nii", split, 'a' + i);
        write_file(state, set, path, i, true, is_case_turned || (is_turned && i == 2));
    }
}

static void train(void *const *state, const char *set, const char *run) {
    struct program_result result;
    char root[4200];
    (void)snprintf(root, sizeof root, "data.root=%s", scratch_path(state, set));
    ADELE(&result, "train", scratch_path(state, "c.yaml"), "--device=cpu", "--run",
          scratch_path(state, run), "--set", root);
    bool is_turned = strcmp(set, "turned") == 0;
    assert_int_equal(strstr(result.out, "2 of 5 volumes are not stored in the orientation RAS") !=
                         NULL,
                     is_turned);
    assert_int_equal(strstr(result.out, "1 masks or channels are stored in another order") != NULL,
                     is_turned);
    assert_done(&result);
}

static int setup(void **state) {
    if (ADELE_CLI[0] == '\0' || scratch_setup(state) != 0)
        return -1;
    if (setenv("LSAN_OPTIONS", "suppressions=" PROJECT_DIR "/tests/lsan.supp", 0) != 0)
        return -1;
    write_set(state, "plain", false);
    write_set(state, "turned", true);
    tiny_text(state, "c.yaml",
              "data: {root: none, size: [32, 32], noise: {kind: flip, flip_fraction: 0.05}}\n"
              "model: {width: 4}\n"
              "train: {epochs: 2, batch: 2, optimizer: {lr: 0.05, momentum: 0.9}}\n");
    train(state, "plain", "run");
    train(state, "turned", "run_turned");
    return 0;
}

// ---- comparisons --------------------------------------------------------------------------------

// Where voxel i lies in a turned file.
static size_t turned_place(int i) {
    const int n[3] = {NX, NY, NZ}, at[3] = {i % NX, i / NX % NY, i / (NX * NY)};
    int out[3];
    for (int k = 0; k < 3; k++)
        out[k] = turned_flip[k] ? n[turned_axis[k]] - 1 - at[turned_axis[k]] : at[turned_axis[k]];
    return (size_t)(out[0] + n[turned_axis[0]] * (out[1] + n[turned_axis[1]] * out[2]));
}

// Both volumes hold the same, the second one turned, at the place of `source`.
static void assert_turned(void *const *state, const char *plain, const char *turned,
                          const char *source) {
    struct nifti_volume a, b;
    struct nifti_geometry geometry;
    assert_int_equal(nifti_load(scratch_path(state, plain), 0, &a), ADELE_OK);
    assert_int_equal(nifti_load(scratch_path(state, turned), 0, &b), ADELE_OK);
    assert_int_equal(nifti_probe_geometry(scratch_path(state, source), &geometry), ADELE_OK);
    assert_memory_equal(&geometry, &b.geometry, sizeof geometry);
    for (int i = 0; i < N_VOXELS; i++)
        assert_true(a.voxels[i] == b.voxels[turned_place(i)]);
    nifti_deinit(&a);
    nifti_deinit(&b);
}

static void predict(void *const *state, const char *run, const char *set, const char *out) {
    struct program_result result;
    char input[256];
    (void)snprintf(input, sizeof input, "%s/imagesTs", set);
    ADELE(&result, "predict", scratch_path(state, run), "--device=cpu", "-i",
          scratch_path(state, input), "-o", scratch_path(state, out), "-p");
    assert_done(&result);
}

// (slices, categories, height, width) of a file -> the value of voxel i.
static float probability(const struct safetensors_entry *entry, size_t i, int category) {
    size_t plane = (size_t)(entry->shape[2] * entry->shape[3]);
    const float *values = entry->data;
    return values[(i / plane * 2 + (size_t)category) * plane + i % plane];
}

static void assert_probabilities_turned(void *const *state, const char *plain, const char *turned) {
    struct safetensors *a = NULL, *b = NULL;
    assert_int_equal(safetensors_open(scratch_path(state, plain), &a), ADELE_OK);
    assert_int_equal(safetensors_open(scratch_path(state, turned), &b), ADELE_OK);
    const struct safetensors_entry *from = safetensors_find(a, "probabilities");
    const struct safetensors_entry *to = safetensors_find(b, "probabilities");
    // (z, y, x) of the file: axes y, x, z of the set, read from the last on.
    assert_true(to->shape[0] == NY && to->shape[1] == 2 && to->shape[2] == NX &&
                to->shape[3] == NZ);
    int n_unlike = 0; // beside their neighbours: a constant would look the same in any order
    for (int i = 0; i < N_VOXELS; i++)
        for (int c = 0; c < 2; c++) {
            float p = probability(from, (size_t)i, c);
            assert_true(p == probability(to, turned_place(i), c));
            n_unlike += i > 0 && p != probability(from, (size_t)i - 1, c);
        }
    assert_true(n_unlike > N_VOXELS / 2);
    safetensors_close(a);
    safetensors_close(b);
}

static void predictions_follow_their_images(void **state) {
    predict(state, "run", "plain", "p");
    predict(state, "run_turned", "turned", "p_turned");
    assert_turned(state, "p/e.nii", "p_turned/e.nii", "turned/imagesTs/e_0000.nii");
    assert_probabilities_turned(state, "p/e.safetensors", "p_turned/e.safetensors");
    // All images of the folder are turned: the checkpoint knows in which orientation it learned.
    predict(state, "run", "turned", "p_other");
    assert_turned(state, "p/e.nii", "p_other/e.nii", "turned/imagesTs/e_0000.nii");
}

// A volume's distances are in mm, whatever the order in which its file is stored.
static void distances_are_in_mm_along_the_axes_of_the_slices(void **state) {
    static const char *const sets[] = {"plain", "turned"};
    for (int k = 0; k < 2; k++) {
        struct dataset_config config = {.root = scratch_path(state, sets[k])};
        struct dataset *dataset = NULL;
        assert_int_equal(dataset_open(&config, &dataset), ADELE_OK);
        assert_int_equal(dataset->n_cases[SPLIT_TRAIN], 3);
        for (int i = 0; i < 3; i++) { // b is turned
            struct grid grid = case_scores_grid(dataset, &dataset->cases[SPLIT_TRAIN][i],
                                                (const int[]){NZ, NY, NX});
            assert_true(fabs(grid.spacing[0] - 4.0) <= 1e-6);
            assert_true(fabs(grid.spacing[1] - 0.9) <= 1e-6);
            assert_true(fabs(grid.spacing[2] - 0.8) <= 1e-6);
            assert_int_equal(grid.n[0], NZ);
        }
        dataset_close(dataset);
    }
}

// One row for both slices of the only case.
static void assert_rows_in_mm(void *const *state, const char *csv) {
    struct case_scores scores;
    assert_int_equal(case_scores_read(scratch_path(state, csv), &scores), ADELE_OK);
    assert_true(scores.is_in_mm && scores.n_cases == 1 && scores.n_classes == 2);
    assert_string_equal(scores.cases[0].name, "e");
    const struct class_score *classes = scores.cases[0].classes;
    assert_int_equal(classes[0].n_labelled + classes[1].n_labelled, N_VOXELS);
    case_scores_deinit(&scores);
}

static void scores_and_masks_are_the_same(void **state) {
    static const char *const names[] = {"run", "run_turned"};
    static const char *const files[] = {"scores.json", "scores_turned.json"};
    char *scores[2];
    for (int i = 0; i < 2; i++) {
        struct program_result result;
        size_t n = 0;
        ADELE(&result, "evaluate", scratch_path(state, names[i]), "--device=cpu", "--overwrite",
              "--json", scratch_path(state, files[i]), "--csv",
              scratch_path(state, i == 0 ? "e.csv" : "e_turned.csv"), "--save-masks",
              scratch_path(state, i == 0 ? "m" : "m_turned"));
        assert_done(&result);
        assert_int_equal(file_read(scratch_path(state, files[i]), 0, &scores[i], &n), ADELE_OK);
    }
    assert_string_equal(scores[0], scores[1]);
    memory_free(scores[0]);
    memory_free(scores[1]);
    assert_turned(state, "m/e.nii", "m_turned/e.nii", "turned/imagesTs/e_0000.nii");
    assert_rows_in_mm(state, "e.csv");
    assert_rows_in_mm(state, "e_turned.csv");
}

// The header and the data type too.
static void assert_same_header(void *const *state, const char *path, const char *source) {
    size_t n = 0, n_source = 0;
    char *bytes = tiny_nifti_bytes(state, path, &n);
    char *want = tiny_nifti_bytes(state, source, &n_source);
    assert_true(n == n_source);
    assert_memory_equal(bytes, want, 352);
    memory_free(bytes);
    memory_free(want);
}

static void labels_follow_their_files(void **state) {
    struct program_result result;
    ADELE(&result, "labels", scratch_path(state, "run"), "-o", scratch_path(state, "l"));
    assert_done(&result);
    ADELE(&result, "labels", scratch_path(state, "run_turned"), "-o",
          scratch_path(state, "l_turned"));
    assert_non_null(strstr(result.err, "volumes are not stored in the orientation RAS"));
    assert_done(&result);
    assert_turned(state, "l/labelsTr/b.nii", "l_turned/labelsTr/b.nii", "turned/labelsTr/b.nii");
    assert_turned(state, "l/labelsTr/c.nii", "l_turned/labelsTr/c.nii", "turned/labelsTr/c.nii");
    assert_same_header(state, "l_turned/labelsTr/a.nii", "turned/labelsTr/a.nii");
    assert_same_header(state, "l_turned/labelsTr/b.nii", "turned/labelsTr/b.nii");
    assert_same_header(state, "l_turned/labelsTr/c.nii", "turned/labelsTr/c.nii");
    // The run's own noise is in them, so that there is something to turn.
    size_t n = 0;
    char *now = tiny_nifti_bytes(state, "l_turned/labelsTr/b.nii", &n);
    char *before = tiny_nifti_bytes(state, "turned/labelsTr/b.nii", &n);
    assert_memory_not_equal(now, before, n);
    memory_free(now);
    memory_free(before);
}

// ---- what stops a run ---------------------------------------------------------------------------

// The line of `check` that has the part, without "error: KIND: ".
static void find_problem(const struct program_result *check, const char *part, char line[1024]) {
    const char *at = strstr(check->out, part);
    if (at == NULL)
        fail_msg("'%s' is not in\n%s", part, check->out);
    while (at > check->out && at[-1] != '\n')
        at--;
    assert_memory_equal(at, "error: ", 7);
    at = strchr(at + 7, ' ') + 1;
    (void)snprintf(line, 1024, "%.*s", (int)strcspn(at, "\n"), at);
}

static void assert_stops(void *const *state, const char *part) {
    struct program_result result;
    char line[1024], root[4200];
    (void)snprintf(root, sizeof root, "data.root=%s", scratch_path(state, "bad"));
    ADELE(&result, "check", scratch_path(state, "bad"));
    assert_int_equal(result.code, 1);
    find_problem(&result, part, line);
    program_result_deinit(&result);
    ADELE(&result, "train", scratch_path(state, "c.yaml"), "--device=cpu", "--run",
          scratch_path(state, "bad_run"), "--set", root);
    assert_int_equal(result.code, 1);
    if (strstr(result.err, line) == NULL)
        fail_msg("train says\n%s\ncheck says\n%s", result.err, line);
    program_result_deinit(&result);
    ADELE(&result, "noise", scratch_path(state, "bad"), "-o", scratch_path(state, "bad_noise"));
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.err, line));
    program_result_deinit(&result);
}

static void training_says_what_check_says(void **state) {
    static struct tiny_nifti volume;
    write_set(state, "bad", true);
    volume_of(0, true, &volume);
    volume.affine[2][3] = 100.0;
    tiny_nifti_write(state, "bad/labelsTr/a.nii", &volume);
    assert_stops(state, "100 mm away along z");
    volume_of(0, true, &volume);
    volume.datatype = 16;
    volume.values[N_VOXELS - 1] = 0.5;
    tiny_nifti_write(state, "bad/labelsTr/a.nii", &volume);
    assert_stops(state,
                 "labelsTr/a.nii: voxel (x 31, y 31, z 1) is 0.5, which is not a whole number; "
                 "1 such in the file, in 1 of 2 slices");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictions_follow_their_images),
        cmocka_unit_test(distances_are_in_mm_along_the_axes_of_the_slices),
        cmocka_unit_test(scores_and_masks_are_the_same),
        cmocka_unit_test(labels_follow_their_files),
        cmocka_unit_test(training_says_what_check_says),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
