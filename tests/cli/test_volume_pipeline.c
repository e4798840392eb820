// SPDX-License-Identifier: MIT
// A real NIfTI pair through the whole program: check, noise, train, evaluate, predict, labels, with
// configs/brain_unet_adele.yaml made small. libnifti, which shares no code with the program, judges
// every volume that comes out.
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/skip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef ADELE_HAVE_LIBNIFTI
#include <nifti/nifti2_io.h>

#define CONFIG       PROJECT_DIR "/configs/brain_unet_adele.yaml"
#define HEAD         "/usr/share/mricron/templates/ch2.nii.gz"
#define ATLAS        "/usr/share/mricron/templates/aal.nii.gz"
#define N_REGIONS    116
#define N_CATEGORIES 7
#define TARGET_MIOU  0.6
#define MAX_WORDS    48

// The configuration's merging of the atlas, told a second time and independently: the category of
// a file's value, and the value that a rewritten voxel of a category gets.
static int category_of(int value) {
    static const struct {
        int last, category;
    } runs[] = {{0, 0}, {28, 1}, {42, 2}, {54, 3}, {56, 4}, {70, 3}, {78, 5}, {90, 4}, {116, 6}};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        if (value <= runs[i].last)
            return runs[i].category;
    fail_msg("value %d is not in the atlas", value);
    return -1;
}
static const int first_values[N_CATEGORIES] = {0, 1, 29, 43, 55, 71, 91};
static const char *const names[N_CATEGORIES] = {"background",         "frontal",  "limbic",
                                                "parietal_occipital", "temporal", "subcortical",
                                                "cerebellum"};

// ---- the program --------------------------------------------------------------------------------

// Runs `adele` with the words up to NULL; its output is for program_result_deinit.
static struct program_result adele_with(int want_code, const char *const *words) {
    const char *argv[MAX_WORDS + 2] = {ADELE_CLI};
    int n = 1;
    for (; words[n - 1] != NULL; n++) {
        assert_true(n <= MAX_WORDS);
        argv[n] = words[n - 1];
    }
    struct program_result result;
    double start = seconds_now();
    program_run(argv, &result);
    print_message("[  TIME    ] adele %s: %.1f s\n", words[0], seconds_now() - start);
    if (result.code != want_code)
        fail_msg("adele %s: exit code %d\n%s%s", words[0], result.code, result.out, result.err);
    return result;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void adele(const char *const *words) {
    struct program_result result = adele_with(0, words);
    program_result_deinit(&result);
}

static void write_set(void *const *state) {
    static const char json[] = "{\"channel_names\": {\"0\": \"T1\"}, \"labels\": {\"background\": "
                               "0, \"region\": 1}, \"file_ending\": \".nii.gz\"}\n";
    assert_int_equal(file_make_directory(scratch_path(state, "brain/imagesTr")), ADELE_OK);
    assert_int_equal(file_make_directory(scratch_path(state, "brain/labelsTr")), ADELE_OK);
    assert_int_equal(scratch_copy(HEAD, scratch_path(state, "brain/imagesTr/ch2_0000.nii.gz")),
                     ADELE_OK);
    assert_int_equal(scratch_copy(ATLAS, scratch_path(state, "brain/labelsTr/ch2.nii.gz")),
                     ADELE_OK);
    assert_int_equal(file_write(scratch_path(state, "brain/dataset.json"), json, strlen(json)),
                     ADELE_OK);
}

static bool is_possible(void) {
    return ADELE_CLI[0] != '\0' && access(HEAD, R_OK) == 0 && access(ATLAS, R_OK) == 0;
}

// The noise and the run that all cases look at. Three epochs are the fewest from which an onset is
// found. A high learning rate and batches of four slices teach the small network quickly; the VOC
// onset and a low r, which the first step of the fitted curve exceeds, then switch categories on.
static int run_setup(void **state) {
    if (scratch_setup(state) != 0)
        return -1;
    char root[4200], noisy[4200];
    write_set(state);
    adele(WORDS("noise", scratch_path(state, "brain"), "--config", CONFIG, "--target-miou", "0.6",
                "-o", scratch_path(state, "noisy")));
    (void)snprintf(root, sizeof root, "data.root=%s", scratch_path(state, "brain"));
    (void)snprintf(noisy, sizeof noisy, "data.noisy_labels=%s",
                   scratch_path(state, "noisy/labelsTr"));
    adele(WORDS("train", CONFIG, "--run", scratch_path(state, "run"), "--device", "cpu", "--set",
                root, "--set", noisy, "--set", "data.noise.kind=none", "--set",
                "data.size=[48, 48]", "--set", "model.width=8", "--set", "loss.form=paper", "--set",
                "loss.scales=[1.0, 0.7]", "--set", "train.epochs=6", "--set", "train.batch=4",
                "--set", "train.optimizer.lr=0.05", "--set", "train.optimizer.momentum=0.9",
                "--set", "correction.pipeline=voc", "--set", "correction.interval=5", "--set",
                "correction.crf_iterations=0", "--set", "correction.r=0.05", "--set",
                "correction.tau=0.3", "--set", "correction.min_points=3", "--set",
                "correction.while_rising=true", "--set", "correction.veto=0")); // the paper's rule
    return 0;
}

// ---- the judge ----------------------------------------------------------------------------------

static nifti_image *read_image(const char *path) {
    nifti_image *image = nifti_image_read(path, 1);
    if (image == NULL || image->data == NULL)
        fail_msg("%s: libnifti cannot read it", path);
    return image;
}

static void assert_same_matrix(const nifti_dmat44 *got, const nifti_dmat44 *want) {
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 4; c++)
            assert_true(got->m[r][c] == want->m[r][c]);
}

static void assert_same_geometry(const nifti_image *got, const nifti_image *want) {
    for (int i = 0; i < 8; i++)
        assert_true(got->dim[i] == want->dim[i]);
    for (int i = 1; i < 4; i++)
        assert_true(got->pixdim[i] == want->pixdim[i]);
    assert_int_equal(got->xyz_units, want->xyz_units);
    assert_int_equal(got->qform_code, want->qform_code);
    assert_int_equal(got->sform_code, want->sform_code);
    assert_true(got->qfac == want->qfac && got->quatern_b == want->quatern_b &&
                got->quatern_c == want->quatern_c && got->quatern_d == want->quatern_d);
    assert_true(got->qoffset_x == want->qoffset_x && got->qoffset_y == want->qoffset_y &&
                got->qoffset_z == want->qoffset_z);
    assert_same_matrix(&got->qto_xyz, &want->qto_xyz);
    assert_same_matrix(&got->sto_xyz, &want->sto_xyz);
}

// A label volume as libnifti reads it: values of the file.
struct labels {
    nifti_image *image;
    size_t n, n_slice;
    uint8_t *values;
};

// Its geometry is that of the file `source`.
static struct labels read_labels(const char *path, const char *source) {
    struct labels labels = {.image = read_image(path)};
    nifti_image *want = read_image(source);
    assert_same_geometry(labels.image, want);
    nifti_image_free(want);
    // The program writes uint8, as the atlas has it, unscaled.
    assert_int_equal(labels.image->datatype, DT_UINT8);
    assert_true(labels.image->scl_slope == 0.0 ||
                (labels.image->scl_slope == 1.0 && labels.image->scl_inter == 0.0));
    labels.n = (size_t)labels.image->nvox;
    labels.n_slice = (size_t)labels.image->nx * (size_t)labels.image->ny;
    labels.values = labels.image->data;
    return labels;
}

static void labels_deinit(struct labels *labels) {
    nifti_image_free(labels->image);
}

static bool is_first_value(int value) {
    for (int c = 0; c < N_CATEGORIES; c++)
        if (value == first_values[c])
            return true;
    return false;
}

// Every voxel has its old value, or its category changed and it has the first of the new one's.
// Answers how many changed.
static size_t count_rewritten(const struct labels *now, const struct labels *before) {
    size_t n_changed = 0;
    assert_true(now->n == before->n);
    for (size_t i = 0; i < now->n; i++) {
        int value = now->values[i], old = before->values[i];
        if (value == old)
            continue;
        n_changed++;
        if (!is_first_value(value) || category_of(value) == category_of(old))
            fail_msg("voxel %zu: %d became %d", i, old, value);
    }
    return n_changed;
}

// Mean over the foreground categories of IoU, counted over the whole volume.
static double foreground_miou(const struct labels *a, const struct labels *b) {
    double both[N_CATEGORIES] = {0}, either[N_CATEGORIES] = {0}, sum = 0.0;
    for (size_t i = 0; i < a->n; i++) {
        int in_a = category_of(a->values[i]), in_b = category_of(b->values[i]);
        either[in_a]++;
        if (in_a == in_b)
            both[in_a]++;
        else
            either[in_b]++;
    }
    for (int c = 1; c < N_CATEGORIES; c++)
        sum += both[c] / either[c];
    return sum / (N_CATEGORIES - 1);
}

// The sum of the column changed_pixels, and the number of rows.
static size_t sum_changes(const char *path, int *n_rows) {
    char *text = NULL;
    size_t bytes = 0, sum = 0;
    assert_int_equal(file_read(path, 0, &text, &bytes), ADELE_OK);
    *n_rows = 0;
    for (char *line = strchr(text, '\n'); line != NULL && line[1] != '\0';
         line = strchr(line + 1, '\n')) {
        size_t changed = 0;
        assert_int_equal(sscanf(line + 1, "ch2,%*d,%zu,", &changed), 1);
        sum += changed;
        (*n_rows)++;
    }
    memory_free(text);
    return sum;
}

static int count_labelled_slices(const struct labels *labels) {
    int n_slices = 0;
    for (size_t first = 0; first < labels->n; first += labels->n_slice) {
        size_t i = 0;
        while (i < labels->n_slice && labels->values[first + i] == 0)
            i++;
        n_slices += i < labels->n_slice;
    }
    return n_slices;
}

// ---- cases --------------------------------------------------------------------------------------

static void test_check(void **state) {
    const char *root = scratch_path(state, "brain");
    struct program_result result = adele_with(0, WORDS("check", root, "--config", CONFIG));
    assert_non_null(strstr(result.out, "2 files looked at, 0 errors"));
    // One case leaves validation and test empty, which is said and allowed.
    assert_non_null(strstr(result.out, "the val split has no cases"));
    program_result_deinit(&result);
    // Without the map the atlas has more values than the two that dataset.json names.
    result = adele_with(1, WORDS("check", root));
    assert_non_null(strstr(result.out, "label_out_of_range"));
    assert_non_null(strstr(result.out, "labelsTr/ch2.nii.gz: voxel (x "));
    assert_non_null(strstr(result.out, "data.label_map"));
    program_result_deinit(&result);
}

static void test_noise(void **state) {
    struct labels clean = read_labels(ATLAS, ATLAS);
    struct labels noisy = read_labels(scratch_path(state, "noisy/labelsTr/ch2.nii.gz"), ATLAS);
    size_t n_changed = count_rewritten(&noisy, &clean);
    double miou = foreground_miou(&noisy, &clean);
    cJSON *json = NULL;
    int n_rows = 0;
    assert_int_equal(json_read(scratch_path(state, "noisy/noise.json"), &json), ADELE_OK);
    print_message("noise: %zu voxels, foreground mIoU %.4f\n", n_changed, miou);
    assert_true(fabs(miou - TARGET_MIOU) <= 0.01);
    assert_true(fabs(miou - json_number(json, "miou_foreground")) <= 1e-9);
    assert_int_equal((int)json_number(json, "images"), count_labelled_slices(&clean));
    assert_true(sum_changes(scratch_path(state, "noisy/changes.csv"), &n_rows) == n_changed);
    assert_int_equal(n_rows, count_labelled_slices(&clean));
    cJSON_Delete(json);
    labels_deinit(&clean);
    labels_deinit(&noisy);
}

static void test_evaluate(void **state) {
    const char *json_path = scratch_path(state, "scores.json");
    adele(WORDS("evaluate", scratch_path(state, "run"), "--split", "train", "--device", "cpu",
                "--json", json_path, "--save-masks", scratch_path(state, "masks")));
    cJSON *json = NULL;
    assert_int_equal(json_read(json_path, &json), ADELE_OK);
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(json, "classes");
    assert_int_equal(cJSON_GetArraySize(classes), N_CATEGORIES);
    for (int c = 0; c < N_CATEGORIES; c++)
        assert_string_equal(cJSON_GetArrayItem(classes, c)->valuestring, names[c]);
    struct labels mask = read_labels(scratch_path(state, "masks/ch2.nii.gz"), HEAD);
    // All slices count, those without foreground too.
    assert_int_equal((int)json_number(json, "images"), (int)mask.image->nz);
    double miou = json_number(json, "miou_foreground");
    print_message("train split: foreground mIoU %.4f\n", miou);
    assert_true(miou > 0.0 && miou < 1.0);
    labels_deinit(&mask);
    cJSON_Delete(json);
    // No validation cases: an error that says so, not a score.
    struct program_result result =
        adele_with(1, WORDS("evaluate", scratch_path(state, "run"), "--split", "val"));
    assert_non_null(strstr(result.err, "the val split is empty"));
    assert_non_null(strstr(result.err, "--split train"));
    program_result_deinit(&result);
}

static void test_predict(void **state) {
    adele(WORDS("predict", scratch_path(state, "run"), "--device", "cpu", "-i",
                scratch_path(state, "brain/imagesTr"), "-o", scratch_path(state, "predicted")));
    struct labels predicted = read_labels(scratch_path(state, "predicted/ch2.nii.gz"), HEAD);
    struct labels mask = read_labels(scratch_path(state, "masks/ch2.nii.gz"), HEAD);
    size_t n_foreground = 0;
    for (size_t i = 0; i < predicted.n; i++) {
        if (!is_first_value(predicted.values[i]))
            fail_msg("voxel %zu has the value %d", i, predicted.values[i]);
        n_foreground += predicted.values[i] != 0;
    }
    print_message("predicted: %.1f %% foreground\n",
                  100.0 * (double)n_foreground / (double)predicted.n);
    assert_true(n_foreground > 0 && n_foreground < predicted.n);
    // The same volume found as a data set's case and as a plain file.
    assert_memory_equal(predicted.values, mask.values, mask.n);
    labels_deinit(&predicted);
    labels_deinit(&mask);
}

// The doubtful voxels are those whose predicted category is not that of the noisy label, in the
// files' own order; all others keep their value, also of regions that the map has merged.
static void test_audit(void **state) {
    adele(WORDS("audit", scratch_path(state, "run"), "-o", scratch_path(state, "audit"), "--device",
                "cpu", "--confidence", "0", "--min-pixels", "1", "--mask-doubtful", "255",
                "--overlays", "2"));
    struct labels noisy = read_labels(scratch_path(state, "noisy/labelsTr/ch2.nii.gz"), ATLAS);
    struct labels predicted = read_labels(scratch_path(state, "predicted/ch2.nii.gz"), HEAD);
    struct labels masked = read_labels(scratch_path(state, "audit/labelsTr/ch2.nii.gz"), ATLAS);
    size_t n_doubtful = 0;
    int n_rows = 0;
    for (size_t i = 0; i < noisy.n; i++) {
        int label = category_of(noisy.values[i]), guess = category_of(predicted.values[i]);
        int want = label == guess ? noisy.values[i] : 255;
        if (masked.values[i] != want)
            fail_msg("voxel %zu: %d instead of %d", i, masked.values[i], want);
        n_doubtful += label != guess;
    }
    print_message("doubtful: %zu voxels of %zu\n", n_doubtful, noisy.n);
    assert_true(n_doubtful > 0);
    assert_true(sum_changes(scratch_path(state, "audit/changes.csv"), &n_rows) == n_doubtful);
    assert_int_equal(n_rows, (int)noisy.image->nz);
    assert_true(file_exists(scratch_path(state, "audit/overlays/0002_image.png")));
    labels_deinit(&noisy);
    labels_deinit(&predicted);
    labels_deinit(&masked);
}

static void test_labels(void **state) {
    const char *folder = scratch_path(state, "corrected");
    adele(WORDS("labels", scratch_path(state, "run"), "-o", folder));
    struct labels clean = read_labels(ATLAS, ATLAS);
    struct labels noisy = read_labels(scratch_path(state, "noisy/labelsTr/ch2.nii.gz"), ATLAS);
    struct labels corrected =
        read_labels(scratch_path(state, "corrected/labelsTr/ch2.nii.gz"), ATLAS);
    size_t n_changed = count_rewritten(&corrected, &noisy);
    int n_rows = 0;
    print_message("corrected: %zu voxels of %zu, foreground mIoU %.4f, before %.4f\n", n_changed,
                  corrected.n, foreground_miou(&corrected, &clean),
                  foreground_miou(&noisy, &clean));
    assert_true(n_changed > 0);
    assert_true(sum_changes(scratch_path(state, "corrected/changes.csv"), &n_rows) == n_changed);
    assert_int_equal(n_rows, count_labelled_slices(&clean));
    // Slices without labels were not trained on: what the file holds there comes back.
    for (size_t first = 0; first < clean.n; first += clean.n_slice) {
        size_t i = 0;
        while (i < clean.n_slice && clean.values[first + i] == 0)
            i++;
        if (i == clean.n_slice)
            assert_memory_equal(corrected.values + first, noisy.values + first, clean.n_slice);
    }
    labels_deinit(&clean);
    labels_deinit(&noisy);
    labels_deinit(&corrected);
}

// What came out goes in again.
static void test_corrected_labels_are_a_set(void **state) {
    struct program_result result =
        adele_with(0, WORDS("check", scratch_path(state, "brain"), "--config", CONFIG,
                            "--noisy-labels", scratch_path(state, "corrected/labelsTr")));
    assert_non_null(strstr(result.out, "3 files looked at, 0 errors"));
    program_result_deinit(&result);
}

int main(void) {
    if (!is_possible())
        return skip_program("the program, " HEAD " and " ATLAS " (Debian package mricron-data)");
    // In this order: prediction is held against evaluation's masks, the audit against prediction,
    // and the last takes the labels.
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_evaluate),
        cmocka_unit_test(test_predict),
        cmocka_unit_test(test_audit),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_corrected_labels_are_a_set),
    };
    return cmocka_run_group_tests(tests, run_setup, scratch_teardown);
}
#else
int main(void) {
    return skip_program("libnifti when the tests are built (Debian package libnifti-dev)");
}
#endif
