// SPDX-License-Identifier: MIT
// NIfTI files that are damaged, cut off, or claim more than they hold: each is refused, with a
// message that names it.
#include "base/file.h"
#include "base/memory.h"
#include "image/nifti.h"
#include "support/nifti_draft.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void assert_fails(const char *path, size_t limit, adele_status want, const char *part) {
    struct nifti_volume volume;
    adele_status status = nifti_load(path, limit, &volume);
    if (status != want || strstr(adele_error_message(), part) == NULL)
        fail_msg("status %d, message: %s", (int)status, adele_error_message());
    assert_non_null(strstr(adele_error_message(), path));
    assert_null(volume.voxels);
    assert_null(volume.header);
}

static void test_refused_headers(void **state) {
    struct nifti_draft good = nifti_draft_begin(1, false);
    nifti_draft_add_i16(&good, 12);
    struct nifti_draft draft = good;
    memcpy(draft.bytes, "RIFF", 4);
    assert_fails(nifti_draft_store(state, &draft), 0, ADELE_FORMAT, "no NIfTI file");
    draft = good;
    memcpy(draft.bytes + 344, "ni1", 3);
    assert_fails(nifti_draft_store(state, &draft), 0, ADELE_UNSUPPORTED, ".hdr/.img");
    draft = good;
    memset(draft.bytes + 344, 0, 4);
    assert_fails(nifti_draft_store(state, &draft), 0, ADELE_FORMAT, "magic");
    draft = good;
    nifti_draft_set_dimension(&draft, 0, 8);
    assert_fails(nifti_draft_store(state, &draft), 0, ADELE_FORMAT, "8 dimensions");
    draft = good;
    nifti_draft_set_dimension(&draft, 2, -2);
    assert_fails(nifti_draft_store(state, &draft), 0, ADELE_FORMAT, "dimension 2 has -2 voxels");
    draft = good;
    nifti_draft_set_dimension(&draft, 0, 4);
    nifti_draft_set_dimension(&draft, 4, 6);
    assert_fails(nifti_draft_store(state, &draft), 0, ADELE_DATA, "dimension 4 has 6 entries");
    draft = good;
    nifti_draft_set_datatype(&draft, 128);
    assert_fails(nifti_draft_store(state, &draft), 0, ADELE_UNSUPPORTED, "data type 128");
    const double offsets[] = {0, 348, 352.5, NAN, -5, INFINITY};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; ++i) {
        draft = good;
        nifti_draft_set_offset(&draft, offsets[i]);
        assert_fails(nifti_draft_store(state, &draft), 0, ADELE_FORMAT, "the voxels start at byte");
    }
    draft = nifti_draft_begin(2, false);
    nifti_draft_set_dimension(&draft, 1, 40000);
    assert_fails(nifti_draft_store(state, &draft), 0, ADELE_DATA, "largest accepted extent");
    struct nifti_geometry geometry;
    assert_int_equal(nifti_probe_geometry(nifti_draft_store(state, &draft), &geometry), ADELE_DATA);
}

static void test_large_extension(void **state) {
    enum { N = 200000 };
    struct nifti_draft draft = nifti_draft_begin(2, true);
    nifti_draft_set_offset(&draft, N);
    unsigned char *bytes = calloc(N + 24, 1);
    assert_non_null(bytes);
    memcpy(bytes, draft.bytes, draft.n);
    bytes[N - 1] = 77;
    const char *path = scratch_path(state, "large.nii");
    assert_int_equal(file_write(path, bytes, N + 24), ADELE_OK);
    struct nifti_volume volume;
    assert_int_equal(nifti_load(path, 0, &volume), ADELE_OK);
    assert_int_equal(volume.header_bytes, N);
    assert_memory_equal(volume.header, bytes, N);
    nifti_deinit(&volume);
    assert_int_equal(file_write(path, bytes, N - 1), ADELE_OK);
    assert_fails(path, 0, ADELE_FORMAT, "cannot hold");
    free(bytes);
}

// A file of a few hundred bytes that claims gigabytes takes no memory for them.
static void test_claims(void **state) {
    struct nifti_draft draft = nifti_draft_begin(1, false);
    for (int i = 1; i <= 3; ++i)
        nifti_draft_set_dimension(&draft, i, 2000);
    const char *plain = nifti_draft_store(state, &draft);
    assert_fails(plain, 0, ADELE_FORMAT, "cannot hold 2000 x 2000 x 2000");
    assert_fails(plain, 1 << 20, ADELE_DATA, "take 32000000000 bytes, the limit is 1048576");
    assert_fails(nifti_draft_store_packed(state, &draft), 0, ADELE_FORMAT, "cannot hold");
    // When deflate could compress that much, the end of the stream shows the error.
    for (int i = 1; i <= 3; ++i)
        nifti_draft_set_dimension(&draft, i, 20);
    assert_fails(nifti_draft_store_packed(state, &draft), 0, ADELE_FORMAT, "within the voxels");
    draft = nifti_draft_begin(1, false);
    nifti_draft_set_offset(&draft, 80000);
    assert_fails(nifti_draft_store_packed(state, &draft), 0, ADELE_FORMAT,
                 "within the header extensions");
    // A stream of zeros, which deflate packs by 1000, with a claim of a header of 80 megabytes.
    nifti_draft_set_offset(&draft, 80.0 * 1048576);
    const char *path = scratch_path(state, "zeros.nii.gz");
    gzFile gz = gzopen(path, "wb");
    assert_non_null(gz);
    assert_int_equal(gzwrite(gz, draft.bytes, (unsigned)draft.n), (int)draft.n);
    static const unsigned char zeros[1 << 20];
    for (int i = 0; i < 90; ++i)
        assert_int_equal(gzwrite(gz, zeros, sizeof zeros), (int)sizeof zeros);
    assert_int_equal(gzclose(gz), Z_OK);
    assert_fails(path, 0, ADELE_FORMAT, "at most 67108864 bytes of extensions");
}

static void test_every_truncation(void **state) {
    for (int version = 1; version <= 2; ++version) {
        struct nifti_draft draft = nifti_draft_begin(version, false);
        nifti_draft_add_i16(&draft, 12);
        struct nifti_draft cut = draft;
        for (cut.n = 0; cut.n < draft.n; ++cut.n)
            assert_fails(nifti_draft_store(state, &cut), 0, ADELE_FORMAT, "NIfTI file");
        char *packed = NULL;
        size_t n_packed = 0;
        assert_int_equal(file_read(nifti_draft_store_packed(state, &draft), 0, &packed, &n_packed),
                         ADELE_OK);
        const char *path = scratch_path(state, "cut.nii.gz");
        for (size_t n = 0; n < n_packed; ++n) {
            assert_int_equal(file_write(path, packed, n), ADELE_OK);
            struct nifti_volume volume;
            if (nifti_load(path, 0, &volume) != ADELE_FORMAT)
                fail_msg("%zu of %zu bytes", n, n_packed);
        }
        memory_free(packed);
    }
}

static void test_every_flip_of_a_packed_file(void **state) {
    struct nifti_draft draft = nifti_draft_begin(1, false);
    nifti_draft_add_i16(&draft, 12);
    char *packed = NULL;
    size_t n_packed = 0;
    assert_int_equal(file_read(nifti_draft_store_packed(state, &draft), 0, &packed, &n_packed),
                     ADELE_OK);
    const char *path = scratch_path(state, "flipped.nii.gz");
    int n_found = 0;
    for (size_t i = 0; i < n_packed; ++i)
        for (int bit = 0; bit < 8; ++bit) {
            packed[i] ^= (char)(1 << bit);
            assert_int_equal(file_write(path, packed, n_packed), ADELE_OK);
            packed[i] ^= (char)(1 << bit);
            struct nifti_volume volume;
            if (nifti_load(path, 1 << 20, &volume) != ADELE_OK) {
                ++n_found;
                continue;
            }
            // Time stamp and the like may differ; what was unpacked may not.
            assert_memory_equal(volume.header, draft.bytes, 352);
            assert_true(volume.voxels[11] == 600.0F);
            nifti_deinit(&volume);
        }
    assert_true(n_found > (int)(n_packed - 10) * 8 * 9 / 10);
    memory_free(packed);
}

static void test_trailing_bytes(void **state) {
    struct nifti_draft draft = nifti_draft_begin(1, false);
    nifti_draft_add_i16(&draft, 12);
    draft.n += 100;
    struct nifti_volume volume;
    assert_int_equal(nifti_load(nifti_draft_store(state, &draft), 0, &volume), ADELE_OK);
    assert_true(volume.voxels[11] == 600.0F);
    nifti_deinit(&volume);
    const char *path = scratch_path(state, "long.nii");
    unsigned char *bytes = calloc(3 << 20, 1);
    assert_non_null(bytes);
    memcpy(bytes, draft.bytes, draft.n);
    assert_int_equal(file_write(path, bytes, 3 << 20), ADELE_OK);
    free(bytes);
    assert_fails(path, 0, ADELE_FORMAT, "follow the last voxel");
}

static void test_no_file(void **state) {
    assert_fails(scratch_path(state, "none.nii"), 0, ADELE_IO, "No such file");
    assert_fails(*state, 0, ADELE_IO, "not a regular file");
    struct nifti_geometry geometry;
    assert_int_equal(nifti_probe_geometry(scratch_path(state, "none.nii"), &geometry), ADELE_IO);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_large_extension),
        CASE(test_refused_headers),
        CASE(test_claims),
        CASE(test_every_truncation),
        CASE(test_every_flip_of_a_packed_file),
        CASE(test_trailing_bytes),
        CASE(test_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
