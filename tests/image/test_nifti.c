// SPDX-License-Identifier: MIT
// NIfTI volumes: headers built byte by byte in both versions and byte orders, and what is written.
#include "base/file.h"
#include "base/memory.h"
#include "image/byte_order.h"
#include "image/nifti.h"
#include "support/compare.h"
#include "support/new_volume.h"
#include "support/nifti_draft.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void test_versions_and_byte_orders(void **state) {
    for (int kind = 0; kind < 8; ++kind) {
        struct nifti_draft draft = nifti_draft_begin(kind % 2 + 1, kind / 2 % 2 == 1);
        size_t header_bytes = draft.n;
        nifti_draft_add_i16(&draft, 12);
        nifti_draft_set_slope(&draft, 0.5, 3.0);
        const char *path = kind / 4 == 0 ? nifti_draft_store(state, &draft)
                                         : nifti_draft_store_packed(state, &draft);
        struct nifti_volume volume;
        assert_int_equal(nifti_load(path, 0, &volume), ADELE_OK);
        assert_int_equal(volume.nx, 3);
        assert_int_equal(volume.ny, 2);
        assert_int_equal(volume.nz, 2);
        assert_int_equal(volume.version, draft.version);
        assert_int_equal(volume.is_big_endian, draft.is_big);
        assert_int_equal(volume.header_bytes, header_bytes);
        assert_memory_equal(volume.header, draft.bytes, header_bytes);
        assert_true(
            compare_f32("spacing", volume.spacing, (float[]){1.5F, 2.0F, 2.5F}, 1, 1, 1, 3, 0, 0));
        float want[12];
        for (int i = 0; i < 12; ++i)
            want[i] = 0.5F * (float)(i * 100 - 500) + 3.0F;
        assert_true(compare_f32("voxels", volume.voxels, want, 1, 2, 2, 3, 0, 0));
        nifti_deinit(&volume);
        assert_null(volume.header);
        struct nifti_geometry geometry;
        assert_int_equal(nifti_probe_geometry(path, &geometry), ADELE_OK);
        assert_true(geometry.n[0] == 3 && geometry.n[1] == 2 && geometry.n[2] == 2);
    }
}

static void test_data_types(void **state) {
    static const struct {
        int datatype, bytes;
        uint64_t bits[3];
        float want[3];
    } cases[] = {
        {2, 1, {0, 1, 255}, {0, 1, 255}},
        {256, 1, {0, 1, 0x80}, {0, 1, -128}},
        {4, 2, {0x8000, 1, 0x7fff}, {-32768, 1, 32767}},
        {512, 2, {0x8000, 1, 0xffff}, {32768, 1, 65535}},
        {8, 4, {0x80000000, 5, 0xffffffff}, {-2147483648.0F, 5, -1}},
        {768, 4, {0x80000000, 5, 0xff000000}, {2147483648.0F, 5, 4278190080.0F}},
        {16, 4, {0x3fc00000, 0xc0000000, 0}, {1.5F, -2.0F, 0}},
        {64, 8, {0x3ff8000000000000, 0xc000000000000000, 0}, {1.5F, -2.0F, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i)
        for (int is_big = 0; is_big < 2; ++is_big) {
            struct nifti_draft draft = nifti_draft_begin(1, is_big != 0);
            nifti_draft_set_datatype(&draft, cases[i].datatype);
            nifti_draft_set_dimension(&draft, 0, 1); // one dimension: the others do not count
            for (int k = 0; k < 3; ++k, draft.n += (size_t)cases[i].bytes)
                bytes_put(draft.bytes + draft.n, cases[i].bytes, draft.is_big, cases[i].bits[k]);
            struct nifti_volume volume;
            assert_int_equal(nifti_load(nifti_draft_store(state, &draft), 0, &volume), ADELE_OK);
            assert_true(volume.nx == 3 && volume.ny == 1 && volume.nz == 1);
            assert_true(compare_f32("type", volume.voxels, cases[i].want, 1, 1, 1, 3, 0, 0));
            nifti_deinit(&volume);
        }
}

static void test_odd_numbers_in_the_header(void **state) {
    struct nifti_draft draft = nifti_draft_begin(1, false);
    nifti_draft_set_datatype(&draft, 16);
    nifti_draft_set_slope(&draft, NAN, INFINITY); // as some writers leave it: no scaling
    nifti_draft_set_size(&draft, 0, -0.25);       // the sign is the quaternion's business
    nifti_draft_set_size(&draft, 1, 0.0);
    nifti_draft_set_size(&draft, 2, NAN);
    draft.bytes[123] = 1; // metres
    for (int i = 0; i < 12; ++i, draft.n += 4)
        bytes_put_f32(draft.bytes + draft.n, false, i == 5 ? NAN : (float)i);
    struct nifti_volume volume;
    assert_int_equal(nifti_load(nifti_draft_store(state, &draft), 0, &volume), ADELE_OK);
    assert_true(isnan(volume.voxels[5])); // `check` finds it
    assert_true(volume.voxels[6] == 6.0F);
    assert_true(compare_f32("metres", volume.spacing, (float[]){250, 1, 1}, 1, 1, 1, 3, 0, 1e-6));
    nifti_deinit(&volume);
    draft.bytes[123] = 3; // micrometres
    nifti_draft_set_slope(&draft, 2.0, NAN);
    assert_int_equal(nifti_load(nifti_draft_store(state, &draft), 0, &volume), ADELE_OK);
    assert_true(volume.voxels[6] == 12.0F);
    assert_true(fabsf(volume.spacing[0] - 0.00025F) < 1e-9F);
    nifti_deinit(&volume);
}

static void test_extensions_are_kept(void **state) {
    struct nifti_draft draft = nifti_draft_begin(1, false);
    draft.bytes[348] = 1;
    bytes_put(draft.bytes + 352, 4, false, 32);
    bytes_put(draft.bytes + 356, 4, false, 6);
    memcpy(draft.bytes + 360, "a comment of a scanner", 22);
    nifti_draft_set_offset(&draft, 384);
    draft.n = 384;
    nifti_draft_add_i16(&draft, 12);
    struct nifti_volume volume, back;
    assert_int_equal(nifti_load(nifti_draft_store(state, &draft), 0, &volume), ADELE_OK);
    assert_int_equal(volume.header_bytes, 384);
    const char *path = scratch_path(state, "labels.nii");
    uint8_t labels[12] = {1, 2, 3};
    assert_int_equal(nifti_save_labels(path, &volume, labels), ADELE_OK);
    assert_int_equal(nifti_load(path, 0, &back), ADELE_OK);
    assert_memory_equal(back.header + 348, draft.bytes + 348, 36);
    assert_true(back.voxels[2] == 3.0F && back.voxels[11] == 0.0F);
    nifti_deinit(&volume);
    nifti_deinit(&back);
}

static void test_saved_header(void **state) {
    for (int kind = 0; kind < 4; ++kind) {
        struct nifti_draft draft = nifti_draft_begin(kind % 2 + 1, kind / 2 == 1);
        nifti_draft_add_i16(&draft, 12);
        nifti_draft_set_slope(&draft, 0.5, 3.0);
        struct nifti_volume volume, back;
        assert_int_equal(nifti_load(nifti_draft_store(state, &draft), 0, &volume), ADELE_OK);
        const char *path = scratch_path(state, "saved.nii.gz");
        assert_int_equal(new_volume_save(path, &volume, volume.voxels), ADELE_OK);
        assert_int_equal(nifti_load(path, 0, &back), ADELE_OK);
        assert_true(compare_f32("floats", back.voxels, volume.voxels, 1, 2, 2, 3, 0, 0));
        nifti_deinit(&back);
        uint8_t labels[12] = {0, 1, 2, 3, 4, 255};
        assert_int_equal(nifti_save_labels(path, &volume, labels), ADELE_OK);
        assert_int_equal(nifti_load(path, 0, &back), ADELE_OK);
        for (int i = 0; i < 12; ++i)
            assert_true(back.voxels[i] == (float)labels[i]);
        // The draft's type, scaling, intent and display window are all replaced.
        struct nifti_draft want = draft;
        nifti_draft_set_datatype(&want, 2);
        bytes_put(want.bytes + (want.version == 1 ? 72 : 14), 2, want.is_big, 8);
        nifti_draft_set_slope(&want, 1.0, 0.0);
        nifti_draft_set_real(&want, 56, 80, 0.0);
        nifti_draft_set_real(&want, 124, 192, 0.0);
        memset(want.bytes + (want.version == 1 ? 68 : 504), 0, want.version == 1 ? 2 : 4);
        memset(want.bytes + (want.version == 1 ? 328 : 508), 0, 6);
        assert_memory_equal(back.header, want.bytes, back.header_bytes);
        nifti_deinit(&back);
        nifti_deinit(&volume);
    }
}

static void test_same_labels_same_bytes(void **state) {
    struct nifti_volume volume;
    assert_int_equal(new_volume_init(&volume, 70, 50, 40, (float[]){1, 2, 3}), ADELE_OK);
    uint8_t *labels = calloc(70 * 50 * 40, 1);
    assert_non_null(labels);
    for (int i = 0; i < 70 * 50 * 40; ++i)
        labels[i] = (uint8_t)((unsigned)i * 2654435761U >> 24); // packs badly: several chunks
    char *bytes[2];
    size_t n[2];
    for (int i = 0; i < 2; ++i) {
        const char *path = scratch_path(state, i == 0 ? "first.nii.gz" : "second.nii.gz");
        assert_int_equal(nifti_save_labels(path, &volume, labels), ADELE_OK);
        assert_int_equal(file_read(path, 0, &bytes[i], &n[i]), ADELE_OK);
    }
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(bytes[0], bytes[1], n[0]);
    assert_memory_equal(bytes[0] + 4, "\0\0\0\0", 4); // time stamp of the gzip header
    struct nifti_volume back;
    assert_int_equal(nifti_load(scratch_path(state, "first.nii.gz"), 0, &back), ADELE_OK);
    for (int i = 0; i < 70 * 50 * 40; ++i)
        assert_true(back.voxels[i] == (float)labels[i]);
    nifti_deinit(&back);
    nifti_deinit(&volume);
    memory_free(bytes[0]);
    memory_free(bytes[1]);
    free(labels);
}

static void test_refused_arguments(void **state) {
    struct nifti_volume volume;
    assert_int_equal(new_volume_init(&volume, 0, 1, 1, (float[]){1, 1, 1}), ADELE_INVALID_ARGUMENT);
    assert_int_equal(new_volume_init(&volume, 1, 1, 40000, (float[]){1, 1, 1}),
                     ADELE_INVALID_ARGUMENT);
    assert_int_equal(new_volume_init(&volume, 1, 1, 1, (float[]){1, NAN, 1}),
                     ADELE_INVALID_ARGUMENT);
    uint8_t label = 0;
    assert_int_equal(nifti_save_labels("x.nii", &volume, &label), ADELE_INVALID_ARGUMENT);
    assert_int_equal(new_volume_init(&volume, 1, 1, 1, (float[]){1, 1, 1}), ADELE_OK);
    assert_int_equal(nifti_save_labels(scratch_path(state, "no/x.nii"), &volume, &label), ADELE_IO);
    assert_int_equal(nifti_save_labels(scratch_path(state, "no/x.nii.gz"), &volume, &label),
                     ADELE_IO);
    nifti_deinit(&volume);
    nifti_deinit(NULL);
}

static void test_full_disk(void **state) {
    struct nifti_volume volume;
    assert_int_equal(new_volume_init(&volume, 100, 100, 100, (float[]){1, 1, 1}), ADELE_OK);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = 100000, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const char *path = scratch_path(state, "full.nii");
    adele_status status = new_volume_save(path, &volume, volume.voxels);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(status, ADELE_IO);
    assert_false(file_exists(path));
    nifti_deinit(&volume);
}

static adele_status save_and_load(const char *path) {
    struct nifti_volume volume = {0}, back = {0};
    adele_status status = new_volume_init(&volume, 5, 4, 3, (float[]){1, 1, 1});
    if (status == ADELE_OK)
        status = new_volume_save(path, &volume, volume.voxels);
    if (status == ADELE_OK)
        status = nifti_load(path, 0, &back);
    nifti_deinit(&volume);
    nifti_deinit(&back);
    return status;
}

static void test_every_allocation_may_fail(void **state) {
    const char *path = scratch_path(state, "memory.nii.gz");
    for (long i = 0;; ++i) {
        memory_fail_at(i);
        adele_status status = save_and_load(path);
        bool is_past = memory_count() <= i;
        memory_fail_at(-1);
        assert_int_equal(status, is_past ? ADELE_OK : ADELE_NO_MEMORY);
        if (is_past) {
            assert_true(i > 10);
            break;
        }
    }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_versions_and_byte_orders),
        CASE(test_data_types),
        CASE(test_odd_numbers_in_the_header),
        CASE(test_extensions_are_kept),
        CASE(test_saved_header),
        CASE(test_same_labels_same_bytes),
        CASE(test_refused_arguments),
        CASE(test_full_disk),
        CASE(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
