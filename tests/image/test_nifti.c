// SPDX-License-Identifier: MIT
// NIfTI volumes: headers built byte by byte in both versions and byte orders, real volumes, hostile
// files, and libnifti (where the build has it) as the judge of what is written.
#include "base/file.h"
#include "base/memory.h"
#include "image/byte_order.h"
#include "image/nifti.h"
#include "support/compare.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

#ifdef ADELE_HAVE_LIBNIFTI
#include <nifti/nifti2_io.h>
#endif

#define TEMPLATES "/usr/share/mricron/templates/"

// A file in the making: header, extension and voxels.
struct draft {
    unsigned char bytes[8192];
    size_t n;
    int version;
    bool is_big;
};

static void set_dimension(struct draft *draft, int i, int64_t extent) {
    if (draft->version == 1)
        bytes_put(draft->bytes + 40 + 2 * i, 2, draft->is_big, (uint64_t)extent);
    else
        bytes_put(draft->bytes + 16 + 8 * i, 8, draft->is_big, (uint64_t)extent);
}

static void set_real(struct draft *draft, int at_1, int at_2, double value) {
    if (draft->version == 1)
        bytes_put_f32(draft->bytes + at_1, draft->is_big, (float)value);
    else
        bytes_put_f64(draft->bytes + at_2, draft->is_big, value);
}

static void set_size(struct draft *draft, int i, double mm) {
    set_real(draft, 76 + 4 * (i + 1), 104 + 8 * (i + 1), mm);
}

static void set_slope(struct draft *draft, double slope, double intercept) {
    set_real(draft, 112, 176, slope);
    set_real(draft, 116, 184, intercept);
}

static void set_offset(struct draft *draft, double offset) {
    if (draft->version == 1)
        bytes_put_f32(draft->bytes + 108, draft->is_big, (float)offset);
    else
        bytes_put(draft->bytes + 168, 8, draft->is_big, (uint64_t)offset);
}

static void set_datatype(struct draft *draft, int datatype) {
    bytes_put(draft->bytes + (draft->version == 1 ? 70 : 12), 2, draft->is_big, (uint64_t)datatype);
}

// 3 x 2 x 2 voxels of 1.5 x 2 x 2.5 mm, data type 4 (int16), intent and display window set.
static struct draft begin(int version, bool is_big) {
    struct draft draft = {.version = version, .is_big = is_big};
    size_t header = version == 1 ? 348 : 540;
    bytes_put(draft.bytes, 4, is_big, header);
    if (version == 1)
        memcpy(draft.bytes + 344, "n+1\0", 4);
    else
        memcpy(draft.bytes + 4, "n+2\0\r\n\032\n", 8);
    set_dimension(&draft, 0, 3);
    for (int i = 1; i < 8; ++i)
        set_dimension(&draft, i, i == 1 ? 3 : i < 4 ? 2 : 1);
    for (int i = 0; i < 3; ++i)
        set_size(&draft, i, 1.5 + 0.5 * i);
    set_datatype(&draft, 4);
    set_offset(&draft, (double)header + 4);
    set_real(&draft, 56, 80, 7.0);   // intent_p1
    set_real(&draft, 124, 192, 9.0); // cal_max
    bytes_put(draft.bytes + (version == 1 ? 68 : 504), version == 1 ? 2 : 4, is_big, 1002);
    memcpy(draft.bytes + (version == 1 ? 328 : 508), "labels", 6);
    memcpy(draft.bytes + (version == 1 ? 148 : 240), "a description", 13);
    draft.n = header + 4;
    return draft;
}

static void add_i16(struct draft *draft, int n) {
    for (int i = 0; i < n; ++i, draft->n += 2)
        bytes_put(draft->bytes + draft->n, 2, draft->is_big, (uint64_t)(int64_t)(i * 100 - 500));
}

static const char *store(void *const *state, const struct draft *draft) {
    const char *path = scratch_path(state, "volume.nii");
    assert_int_equal(file_write(path, draft->bytes, draft->n), ADELE_OK);
    return path;
}

static const char *store_packed(void *const *state, const struct draft *draft) {
    const char *path = scratch_path(state, "packed.nii.gz");
    gzFile gz = gzopen(path, "wb");
    assert_non_null(gz);
    assert_int_equal(gzwrite(gz, draft->bytes, (unsigned)draft->n), (int)draft->n);
    assert_int_equal(gzclose(gz), Z_OK);
    return path;
}

static void assert_fails(const char *path, size_t limit, adele_status want, const char *part) {
    struct nifti_volume volume;
    adele_status status = nifti_load(path, limit, &volume);
    if (status != want || strstr(adele_error_message(), part) == NULL)
        fail_msg("status %d, message: %s", (int)status, adele_error_message());
    assert_non_null(strstr(adele_error_message(), path));
    assert_null(volume.voxels);
    assert_null(volume.header);
}

static void test_versions_and_byte_orders(void **state) {
    for (int kind = 0; kind < 8; ++kind) {
        struct draft draft = begin(kind % 2 + 1, kind / 2 % 2 == 1);
        size_t header_bytes = draft.n;
        add_i16(&draft, 12);
        set_slope(&draft, 0.5, 3.0);
        const char *path = kind / 4 == 0 ? store(state, &draft) : store_packed(state, &draft);
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
            struct draft draft = begin(1, is_big != 0);
            set_datatype(&draft, cases[i].datatype);
            set_dimension(&draft, 0, 1); // one dimension: the others do not count
            for (int k = 0; k < 3; ++k, draft.n += (size_t)cases[i].bytes)
                bytes_put(draft.bytes + draft.n, cases[i].bytes, draft.is_big, cases[i].bits[k]);
            struct nifti_volume volume;
            assert_int_equal(nifti_load(store(state, &draft), 0, &volume), ADELE_OK);
            assert_true(volume.nx == 3 && volume.ny == 1 && volume.nz == 1);
            assert_true(compare_f32("type", volume.voxels, cases[i].want, 1, 1, 1, 3, 0, 0));
            nifti_deinit(&volume);
        }
}

static void test_odd_numbers_in_the_header(void **state) {
    struct draft draft = begin(1, false);
    set_datatype(&draft, 16);
    set_slope(&draft, NAN, INFINITY); // as some writers leave it: no scaling
    set_size(&draft, 0, -0.25);       // the sign is the quaternion's business
    set_size(&draft, 1, 0.0);
    set_size(&draft, 2, NAN);
    draft.bytes[123] = 1; // metres
    for (int i = 0; i < 12; ++i, draft.n += 4)
        bytes_put_f32(draft.bytes + draft.n, false, i == 5 ? NAN : (float)i);
    struct nifti_volume volume;
    assert_int_equal(nifti_load(store(state, &draft), 0, &volume), ADELE_OK);
    assert_true(isnan(volume.voxels[5])); // `check` finds it
    assert_true(volume.voxels[6] == 6.0F);
    assert_true(compare_f32("metres", volume.spacing, (float[]){250, 1, 1}, 1, 1, 1, 3, 0, 1e-6));
    nifti_deinit(&volume);
    draft.bytes[123] = 3; // micrometres
    set_slope(&draft, 2.0, NAN);
    assert_int_equal(nifti_load(store(state, &draft), 0, &volume), ADELE_OK);
    assert_true(volume.voxels[6] == 12.0F);
    assert_true(fabsf(volume.spacing[0] - 0.00025F) < 1e-9F);
    nifti_deinit(&volume);
}

static void test_extensions_are_kept(void **state) {
    struct draft draft = begin(1, false);
    draft.bytes[348] = 1;
    bytes_put(draft.bytes + 352, 4, false, 32);
    bytes_put(draft.bytes + 356, 4, false, 6);
    memcpy(draft.bytes + 360, "a comment of a scanner", 22);
    set_offset(&draft, 384);
    draft.n = 384;
    add_i16(&draft, 12);
    struct nifti_volume volume, back;
    assert_int_equal(nifti_load(store(state, &draft), 0, &volume), ADELE_OK);
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

static void test_large_extension(void **state) {
    enum { N = 200000 };
    struct draft draft = begin(2, true);
    set_offset(&draft, N);
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

static void test_refused_headers(void **state) {
    struct draft good = begin(1, false);
    add_i16(&good, 12);
    struct draft draft = good;
    memcpy(draft.bytes, "RIFF", 4);
    assert_fails(store(state, &draft), 0, ADELE_FORMAT, "no NIfTI file");
    draft = good;
    memcpy(draft.bytes + 344, "ni1", 3);
    assert_fails(store(state, &draft), 0, ADELE_UNSUPPORTED, ".hdr/.img");
    draft = good;
    memset(draft.bytes + 344, 0, 4);
    assert_fails(store(state, &draft), 0, ADELE_FORMAT, "magic");
    draft = good;
    set_dimension(&draft, 0, 8);
    assert_fails(store(state, &draft), 0, ADELE_FORMAT, "8 dimensions");
    draft = good;
    set_dimension(&draft, 2, -2);
    assert_fails(store(state, &draft), 0, ADELE_FORMAT, "dimension 2 has -2 voxels");
    draft = good;
    set_dimension(&draft, 0, 4);
    set_dimension(&draft, 4, 6);
    assert_fails(store(state, &draft), 0, ADELE_DATA, "dimension 4 has 6 entries");
    draft = good;
    set_datatype(&draft, 128);
    assert_fails(store(state, &draft), 0, ADELE_UNSUPPORTED, "data type 128");
    const double offsets[] = {0, 348, 352.5, NAN, -5, INFINITY};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; ++i) {
        draft = good;
        set_offset(&draft, offsets[i]);
        assert_fails(store(state, &draft), 0, ADELE_FORMAT, "the voxels start at byte");
    }
    draft = begin(2, false);
    set_dimension(&draft, 1, 40000);
    assert_fails(store(state, &draft), 0, ADELE_DATA, "largest accepted extent");
    struct nifti_geometry geometry;
    assert_int_equal(nifti_probe_geometry(store(state, &draft), &geometry), ADELE_DATA);
}

// A file of a few hundred bytes that claims gigabytes takes no memory for them.
static void test_claims(void **state) {
    struct draft draft = begin(1, false);
    for (int i = 1; i <= 3; ++i)
        set_dimension(&draft, i, 2000);
    const char *plain = store(state, &draft);
    assert_fails(plain, 0, ADELE_FORMAT, "cannot hold 2000 x 2000 x 2000");
    assert_fails(plain, 1 << 20, ADELE_DATA, "take 32000000000 bytes, the limit is 1048576");
    assert_fails(store_packed(state, &draft), 0, ADELE_FORMAT, "cannot hold");
    // When deflate could compress that much, the end of the stream shows the error.
    for (int i = 1; i <= 3; ++i)
        set_dimension(&draft, i, 20);
    assert_fails(store_packed(state, &draft), 0, ADELE_FORMAT, "within the voxels");
    draft = begin(1, false);
    set_offset(&draft, 80000);
    assert_fails(store_packed(state, &draft), 0, ADELE_FORMAT, "within the header extensions");
    // A stream of zeros, which deflate packs by 1000, with a claim of a header of 80 megabytes.
    set_offset(&draft, 80.0 * 1048576);
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
        struct draft draft = begin(version, false);
        add_i16(&draft, 12);
        struct draft cut = draft;
        for (cut.n = 0; cut.n < draft.n; ++cut.n)
            assert_fails(store(state, &cut), 0, ADELE_FORMAT, "NIfTI file");
        char *packed = NULL;
        size_t n_packed = 0;
        assert_int_equal(file_read(store_packed(state, &draft), 0, &packed, &n_packed), ADELE_OK);
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
    struct draft draft = begin(1, false);
    add_i16(&draft, 12);
    char *packed = NULL;
    size_t n_packed = 0;
    assert_int_equal(file_read(store_packed(state, &draft), 0, &packed, &n_packed), ADELE_OK);
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
    struct draft draft = begin(1, false);
    add_i16(&draft, 12);
    draft.n += 100;
    struct nifti_volume volume;
    assert_int_equal(nifti_load(store(state, &draft), 0, &volume), ADELE_OK);
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

static void test_saved_header(void **state) {
    for (int kind = 0; kind < 4; ++kind) {
        struct draft draft = begin(kind % 2 + 1, kind / 2 == 1);
        add_i16(&draft, 12);
        set_slope(&draft, 0.5, 3.0);
        struct nifti_volume volume, back;
        assert_int_equal(nifti_load(store(state, &draft), 0, &volume), ADELE_OK);
        const char *path = scratch_path(state, "saved.nii.gz");
        assert_int_equal(nifti_save_floats(path, &volume, volume.voxels), ADELE_OK);
        assert_int_equal(nifti_load(path, 0, &back), ADELE_OK);
        assert_true(compare_f32("floats", back.voxels, volume.voxels, 1, 2, 2, 3, 0, 0));
        nifti_deinit(&back);
        uint8_t labels[12] = {0, 1, 2, 3, 4, 255};
        assert_int_equal(nifti_save_labels(path, &volume, labels), ADELE_OK);
        assert_int_equal(nifti_load(path, 0, &back), ADELE_OK);
        for (int i = 0; i < 12; ++i)
            assert_true(back.voxels[i] == (float)labels[i]);
        // The draft's type, scaling, intent and display window are all replaced.
        struct draft want = draft;
        set_datatype(&want, 2);
        bytes_put(want.bytes + (want.version == 1 ? 72 : 14), 2, want.is_big, 8);
        set_slope(&want, 1.0, 0.0);
        set_real(&want, 56, 80, 0.0);
        set_real(&want, 124, 192, 0.0);
        memset(want.bytes + (want.version == 1 ? 68 : 504), 0, want.version == 1 ? 2 : 4);
        memset(want.bytes + (want.version == 1 ? 328 : 508), 0, 6);
        assert_memory_equal(back.header, want.bytes, back.header_bytes);
        nifti_deinit(&back);
        nifti_deinit(&volume);
    }
}

static void test_same_labels_same_bytes(void **state) {
    struct nifti_volume volume;
    assert_int_equal(nifti_init(&volume, 70, 50, 40, (float[]){1, 2, 3}), ADELE_OK);
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
    assert_int_equal(nifti_init(&volume, 0, 1, 1, (float[]){1, 1, 1}), ADELE_INVALID_ARGUMENT);
    assert_int_equal(nifti_init(&volume, 1, 1, 40000, (float[]){1, 1, 1}), ADELE_INVALID_ARGUMENT);
    assert_int_equal(nifti_init(&volume, 1, 1, 1, (float[]){1, NAN, 1}), ADELE_INVALID_ARGUMENT);
    uint8_t label = 0;
    assert_int_equal(nifti_save_labels("x.nii", &volume, &label), ADELE_INVALID_ARGUMENT);
    assert_int_equal(nifti_init(&volume, 1, 1, 1, (float[]){1, 1, 1}), ADELE_OK);
    assert_int_equal(nifti_save_labels(scratch_path(state, "no/x.nii"), &volume, &label), ADELE_IO);
    assert_int_equal(nifti_save_labels(scratch_path(state, "no/x.nii.gz"), &volume, &label),
                     ADELE_IO);
    nifti_deinit(&volume);
    nifti_deinit(NULL);
}

static void test_full_disk(void **state) {
    struct nifti_volume volume;
    assert_int_equal(nifti_init(&volume, 100, 100, 100, (float[]){1, 1, 1}), ADELE_OK);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = 100000, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const char *path = scratch_path(state, "full.nii");
    adele_status status = nifti_save_floats(path, &volume, volume.voxels);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(status, ADELE_IO);
    assert_false(file_exists(path));
    nifti_deinit(&volume);
}

static adele_status save_and_load(const char *path) {
    struct nifti_volume volume = {0}, back = {0};
    adele_status status = nifti_init(&volume, 5, 4, 3, (float[]){1, 1, 1});
    if (status == ADELE_OK)
        status = nifti_save_floats(path, &volume, volume.voxels);
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
                                     : nifti_save_floats(saved, &volume, volume.voxels);
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
    assert_int_equal(nifti_init(&volume, 4, 3, 2, (float[]){0.5F, 2.0F, 3.5F}), ADELE_OK);
    for (int i = 0; i < 24; ++i)
        volume.voxels[i] = (float)i / 3.0F;
    const char *path = scratch_path(state, "new.nii.gz");
    assert_int_equal(nifti_save_floats(path, &volume, volume.voxels), ADELE_OK);
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
        struct draft draft = begin(kind % 2 + 1, kind / 2 == 1);
        add_i16(&draft, 12);
        set_slope(&draft, 0.25, -3.0);
        const char *path = store(state, &draft);
        struct nifti_volume volume;
        assert_int_equal(nifti_load(path, 0, &volume), ADELE_OK);
        nifti_image *source = oracle_read(path, NULL);
        for (size_t i = 0; i < 12; ++i)
            assert_true((float)oracle_value(source, i) == volume.voxels[i]);
        const char *saved = scratch_path(state, "copy.nii.gz");
        assert_int_equal(nifti_save_floats(saved, &volume, volume.voxels), ADELE_OK);
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
        CASE(test_versions_and_byte_orders),
        CASE(test_data_types),
        CASE(test_odd_numbers_in_the_header),
        CASE(test_extensions_are_kept),
        CASE(test_large_extension),
        CASE(test_refused_headers),
        CASE(test_claims),
        CASE(test_every_truncation),
        CASE(test_every_flip_of_a_packed_file),
        CASE(test_trailing_bytes),
        CASE(test_no_file),
        CASE(test_saved_header),
        CASE(test_same_labels_same_bytes),
        CASE(test_refused_arguments),
        CASE(test_full_disk),
        CASE(test_every_allocation_may_fail),
        CASE(test_real_image),
        CASE(test_real_labels),
        CASE(test_new_volume_by_libnifti),
        CASE(test_drafts_by_libnifti),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
