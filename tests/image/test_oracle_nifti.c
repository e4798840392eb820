// SPDX-License-Identifier: MIT
// Our NIfTI reader beside libnifti on generated files of both versions, byte orders and every data
// type, plain and compressed: the same extents and values. Damaged headers: what we read, libnifti
// reads alike; where we refuse, nothing is compared, because libnifti trusts what we do not.
#include "base/file.h"
#include "base/random.h"
#include "image/byte_order.h"
#include "image/nifti.h"
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
#include <zlib.h>

#ifdef ADELE_HAVE_LIBNIFTI
#include <nifti/nifti2_io.h>

#define MAX_FILE 4096

static const int types[][2] = {{2, 1},  {4, 2},   {8, 4},   {16, 4},
                               {64, 8}, {256, 1}, {512, 2}, {768, 4}};
#define N_TYPES (sizeof types / sizeof types[0])

struct blob {
    unsigned char bytes[MAX_FILE];
    size_t n, start; // of the voxels
    int version;
};

static void make_file(struct random_stream *random, int type, int version, bool is_big,
                      struct blob *out) {
    int n_voxels = 1, extents[3], bits = 8 * types[type][1];
    memset(out, 0, sizeof *out);
    out->version = version;
    out->start = version == 1 ? 352 : 544;
    bytes_put(out->bytes, 4, is_big, version == 1 ? 348 : 540);
    for (int i = 0; i < 8; i++) {
        int extent = i == 0 ? 3 : i < 4 ? 1 + (int)random_below(random, 6) : 1;
        if (i > 0 && i < 4)
            n_voxels *= extents[i - 1] = extent;
        double size = 0.25 * (1 + random_below(random, 9));
        if (version == 1) {
            bytes_put(out->bytes + 40 + 2 * i, 2, is_big, (uint64_t)extent);
            bytes_put_f32(out->bytes + 76 + 4 * i, is_big, (float)size);
        } else {
            bytes_put(out->bytes + 16 + 8 * i, 8, is_big, (uint64_t)extent);
            bytes_put_f64(out->bytes + 104 + 8 * i, is_big, size);
        }
    }
    bytes_put(out->bytes + (version == 1 ? 70 : 12), 2, is_big, (uint64_t)types[type][0]);
    bytes_put(out->bytes + (version == 1 ? 72 : 14), 2, is_big, (uint64_t)bits);
    if (version == 1) {
        bytes_put_f32(out->bytes + 108, is_big, 352.0F);
        bytes_put_f32(out->bytes + 112, is_big, 1.0F);
        out->bytes[123] = 2;
        memcpy(out->bytes + 344, "n+1", 4);
    } else {
        memcpy(out->bytes + 4, "n+2\0\r\n\032\n", 8);
        bytes_put(out->bytes + 168, 8, is_big, 544);
        bytes_put_f64(out->bytes + 176, is_big, 1.0);
        bytes_put(out->bytes + 500, 4, is_big, 2);
    }
    out->n = out->start + (size_t)n_voxels * (size_t)types[type][1];
    for (size_t i = out->start; i < out->n; i++)
        out->bytes[i] = (unsigned char)random_below(random, 256);
    // Any bits are a float, but NaN is not equal to anything.
    for (size_t i = out->start; types[type][0] == 16 && i < out->n; i += 4)
        bytes_put_f32(out->bytes + i, is_big, (float)random_range(random, -1e6, 1e6));
    for (size_t i = out->start; types[type][0] == 64 && i < out->n; i += 8)
        bytes_put_f64(out->bytes + i, is_big, random_range(random, -1e6, 1e6));
}

static double value_of(const nifti_image *image, size_t i) {
    const char *at = (const char *)image->data + i * (size_t)image->nbyper;
    switch (image->datatype) {
    case 2:
        return *(const uint8_t *)at;
    case 256:
        return *(const int8_t *)at;
    case 4:
        return *(const int16_t *)(const void *)at;
    case 512:
        return *(const uint16_t *)(const void *)at;
    case 8:
        return *(const int32_t *)(const void *)at;
    case 768:
        return *(const uint32_t *)(const void *)at;
    case 16:
        return (double)*(const float *)(const void *)at;
    case 64:
        return *(const double *)(const void *)at;
    default:
        fail_msg("data type %d", image->datatype);
        return 0.0;
    }
}

static void store(const char *path, const struct blob *blob, bool is_packed) {
    if (!is_packed) {
        assert_int_equal(file_write(path, blob->bytes, blob->n), ADELE_OK);
        return;
    }
    gzFile file = gzopen(path, "wb6");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, blob->bytes, (unsigned)blob->n), (int)blob->n);
    assert_int_equal(gzclose(file), Z_OK);
}

// Answers 1 when we read it, and then libnifti reads the same.
static int compare(const char *path, const char *what) {
    struct nifti_volume volume;
    if (nifti_load(path, 1 << 22, &volume) != ADELE_OK)
        return 0;
    nifti_image *image = nifti_image_read(path, 1);
    if (image == NULL)
        fail_msg("%s: libnifti refuses it, and we do not", what);
    assert_int_equal(volume.nx, image->nx);
    assert_int_equal(volume.ny, image->ny);
    assert_int_equal(volume.nz, image->nz);
    double slope = image->scl_slope, intercept = image->scl_inter;
    bool is_scaled = isfinite(slope) && slope != 0.0;
    for (size_t i = 0; i < (size_t)image->nvox; i++) {
        double want = value_of(image, i);
        float scaled =
            (float)(is_scaled ? want * slope + (isfinite(intercept) ? intercept : 0.0) : want);
        if (volume.voxels[i] != scaled && !(isnan(volume.voxels[i]) && isnan(scaled)))
            fail_msg("%s: voxel %zu is %g, libnifti says %g", what, i, (double)volume.voxels[i],
                     (double)scaled);
    }
    nifti_image_free(image);
    nifti_deinit(&volume);
    return 1;
}

// `is_damaged`: one bit of the fields for type, extents, scale and position of the voxels is
// flipped.
static int compare_all(void *const *state, bool is_damaged, int n_turns) {
    struct random_stream random;
    int n_read = 0;
    random_stream_init(&random, is_damaged ? 8 : 7, RANDOM_TEST, 0, 0);
    for (int k = 0; k < (int)N_TYPES * 8 * n_turns; k++) {
        int version = 1 + (k & 1);
        struct blob blob;
        char what[64];
        make_file(&random, k / 8 % (int)N_TYPES, version, (k & 2) != 0, &blob);
        if (is_damaged) {
            size_t from = version == 1 ? 40 : 12, to = version == 1 ? 120 : 192;
            size_t at = from + random_below(&random, (uint32_t)(to - from));
            blob.bytes[at] ^= (unsigned char)(1u << random_below(&random, 8));
        }
        const char *path = scratch_path(state, (k & 4) != 0 ? "packed.nii.gz" : "v.nii");
        store(path, &blob, (k & 4) != 0);
        (void)snprintf(what, sizeof what, "file %d", k);
        n_read += compare(path, what);
    }
    return n_read;
}

static void every_kind_of_file(void **state) {
    nifti_set_debug_level(0);
    assert_int_equal(compare_all(state, false, 2), (int)N_TYPES * 8 * 2);
}

static void damaged_headers(void **state) {
    nifti_set_debug_level(0);
    int n_all = (int)N_TYPES * 8 * 8, n_read = compare_all(state, true, 8);
    print_message("%d damaged headers: both read %d alike, we refuse %d\n", n_all, n_read,
                  n_all - n_read);
    assert_true(n_read > 0 && n_read < n_all);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {CASE(every_kind_of_file), CASE(damaged_headers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
    return skip_program("libnifti when the tests are built");
}
#endif
