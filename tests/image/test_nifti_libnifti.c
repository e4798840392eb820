// SPDX-License-Identifier: MIT
// libnifti (where the build has it) reads from our files what we wrote, and from the same files
// what we read: drafts of every kind, and real volumes.
#include "image/nifti.h"
#include "support/new_volume.h"
#include "support/nifti_draft.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef ADELE_HAVE_LIBNIFTI
#include <nifti/nifti2_io.h>
#endif

#define TEMPLATES "/usr/share/mricron/templates/"

#ifdef ADELE_HAVE_LIBNIFTI
static void assert_same_matrix(const nifti_dmat44 *got, const nifti_dmat44 *want) {
    for (int r = 0; r < 4; ++r)
        for (int c = 0; c < 4; ++c)
            assert_true(got->m[r][c] == want->m[r][c]);
}

// What libnifti reads from `path` is the geometry of `source`; returns its image, data loaded.
static nifti_image *oracle_read(const char *path, const nifti_image *source) {
    nifti_image *image = nifti_image_read(path, 1);
    assert_non_null(image);
    if (source == NULL)
        return image;
    for (int i = 0; i < 8; ++i)
        assert_true(image->dim[i] == source->dim[i]);
    for (int i = 1; i < 4; ++i)
        assert_true(image->pixdim[i] == source->pixdim[i]);
    assert_int_equal(image->qform_code, source->qform_code);
    assert_int_equal(image->sform_code, source->sform_code);
    assert_same_matrix(&image->qto_xyz, &source->qto_xyz);
    assert_same_matrix(&image->sto_xyz, &source->sto_xyz);
    assert_int_equal(image->xyz_units, source->xyz_units);
    return image;
}

static double oracle_value(const nifti_image *image, size_t i) {
    const void *data = image->data;
    double value = 0.0;
    switch (image->datatype) {
    case 2:
        value = ((const uint8_t *)data)[i];
        break;
    case 4:
        value = ((const int16_t *)data)[i];
        break;
    case 16:
        value = (double)((const float *)data)[i];
        break;
    default:
        fail_msg("data type %d", image->datatype);
    }
    return image->scl_slope != 0.0 ? value * image->scl_slope + image->scl_inter : value;
}

static void check_real_volume(void **state, const char *path) {
    if (access(path, R_OK) != 0) {
        print_message("[  NOTE    ] %s is not there (Debian package mricron-data)\n", path);
        skip();
    }
    struct nifti_volume volume;
    assert_int_equal(nifti_load(path, 0, &volume), ADELE_OK);
    nifti_image *source = oracle_read(path, NULL);
    assert_true(source->nx == volume.nx && source->ny == volume.ny && source->nz == volume.nz);
    size_t n = (size_t)volume.nx * (size_t)volume.ny * (size_t)volume.nz;
    uint8_t *labels = calloc(n, 1);
    assert_non_null(labels);
    for (size_t i = 0; i < n; ++i) {
        assert_true(volume.voxels[i] == (float)oracle_value(source, i));
        labels[i] = (uint8_t)(i % 251);
    }
    const char *names[2] = {"labels.nii.gz", "floats.nii"};
    for (int i = 0; i < 2; ++i) {
        const char *saved = scratch_path(state, names[i]);
        adele_status status = i == 0 ? nifti_save_labels(saved, &volume, labels)
                                     : new_volume_save(saved, &volume, volume.voxels);
        assert_int_equal(status, ADELE_OK);
        nifti_image *image = oracle_read(saved, source);
        assert_int_equal(image->datatype, i == 0 ? 2 : 16);
        assert_true(image->scl_slope == 1.0 && image->scl_inter == 0.0);
        assert_int_equal(image->intent_code, 0);
        for (size_t k = 0; k < n; ++k)
            assert_true(oracle_value(image, k) ==
                        (i == 0 ? (double)labels[k] : (double)volume.voxels[k]));
        nifti_image_free(image);
    }
    free(labels);
    nifti_image_free(source);
    nifti_deinit(&volume);
}

static void test_real_image(void **state) {
    check_real_volume(state, TEMPLATES "ch2.nii.gz");
}

static void test_real_labels(void **state) {
    check_real_volume(state, TEMPLATES "aal.nii.gz");
}

static void test_new_volume_by_libnifti(void **state) {
    struct nifti_volume volume;
    assert_int_equal(new_volume_init(&volume, 4, 3, 2, (float[]){0.5F, 2.0F, 3.5F}), ADELE_OK);
    for (int i = 0; i < 24; ++i)
        volume.voxels[i] = (float)i / 3.0F;
    const char *path = scratch_path(state, "new.nii.gz");
    assert_int_equal(new_volume_save(path, &volume, volume.voxels), ADELE_OK);
    nifti_image *image = oracle_read(path, NULL);
    assert_true(image->nx == 4 && image->ny == 3 && image->nz == 2 && image->ndim == 3);
    for (int r = 0; r < 4; ++r)
        for (int c = 0; c < 4; ++c) {
            double want = r != c ? 0.0 : r < 3 ? (double)volume.spacing[r] : 1.0;
            assert_true(image->sto_xyz.m[r][c] == want);
            assert_true(image->qto_xyz.m[r][c] == want);
        }
    assert_int_equal(image->xyz_units, 2);
    for (size_t i = 0; i < 24; ++i)
        assert_true(oracle_value(image, i) == (double)volume.voxels[i]);
    nifti_image_free(image);
    nifti_deinit(&volume);
}

// Both versions and byte orders: the judge and we read the same from what we did not write.
static void test_drafts_by_libnifti(void **state) {
    for (int kind = 0; kind < 4; ++kind) {
        struct nifti_draft draft = nifti_draft_begin(kind % 2 + 1, kind / 2 == 1);
        nifti_draft_add_i16(&draft, 12);
        nifti_draft_set_slope(&draft, 0.25, -3.0);
        const char *path = nifti_draft_store(state, &draft);
        struct nifti_volume volume;
        assert_int_equal(nifti_load(path, 0, &volume), ADELE_OK);
        nifti_image *source = oracle_read(path, NULL);
        for (size_t i = 0; i < 12; ++i)
            assert_true((float)oracle_value(source, i) == volume.voxels[i]);
        const char *saved = scratch_path(state, "copy.nii.gz");
        assert_int_equal(new_volume_save(saved, &volume, volume.voxels), ADELE_OK);
        nifti_image *image = oracle_read(saved, source);
        for (size_t i = 0; i < 12; ++i)
            assert_true(oracle_value(image, i) == (double)volume.voxels[i]);
        nifti_image_free(image);
        nifti_image_free(source);
        nifti_deinit(&volume);
    }
}
#else
static void skip_without_libnifti(void **state) {
    (void)state;
    print_message("[  NOTE    ] built without libnifti (Debian package libnifti-dev)\n");
    skip();
}
#define test_real_image             skip_without_libnifti
#define test_real_labels            skip_without_libnifti
#define test_new_volume_by_libnifti skip_without_libnifti
#define test_drafts_by_libnifti     skip_without_libnifti
#endif

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_real_image),
        CASE(test_real_labels),
        CASE(test_new_volume_by_libnifti),
        CASE(test_drafts_by_libnifti),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
