// SPDX-License-Identifier: MIT
#include "support/tiny_nifti.h"

#include "base/file.h"
#include "image/byte_order.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define HEADER_BYTES 352
#define MAX_BYTES    (HEADER_BYTES + 8 * TINY_NIFTI_MAX_VOXELS)

void tiny_nifti_init(struct tiny_nifti *out, const int n[3], const double spacing[3]) {
    memset(out, 0, sizeof *out);
    for (int i = 0; i < 3; i++) {
        out->n[i] = n[i];
        out->affine[i][i] = spacing[i];
    }
    assert_true(n[0] * n[1] * n[2] <= TINY_NIFTI_MAX_VOXELS);
    out->sform_code = 1;
    out->datatype = 16;
    out->slope = 1.0;
}

void tiny_nifti_turn(const struct tiny_nifti *from, const int axis[3], const int flip[3],
                     struct tiny_nifti *out) {
    *out = *from;
    for (int i = 0; i < 3; i++) {
        out->n[i] = from->n[axis[i]];
        for (int r = 0; r < 3; r++) {
            double step = from->affine[r][axis[i]];
            out->affine[r][i] = flip[i] ? -step : step;
            out->affine[r][3] += flip[i] ? step * (out->n[i] - 1) : 0.0;
        }
    }
    int at[3], source[3];
    for (at[2] = 0; at[2] < out->n[2]; at[2]++)
        for (at[1] = 0; at[1] < out->n[1]; at[1]++)
            for (at[0] = 0; at[0] < out->n[0]; at[0]++) {
                for (int i = 0; i < 3; i++)
                    source[axis[i]] = flip[i] ? out->n[i] - 1 - at[i] : at[i];
                out->values[at[0] + out->n[0] * (at[1] + out->n[1] * at[2])] =
                    from->values[source[0] + from->n[0] * (source[1] + from->n[1] * source[2])];
            }
}

static int value_bytes(int datatype) {
    switch (datatype) {
    case 2:
    case 256:
        return 1;
    case 4:
    case 512:
        return 2;
    case 8:
    case 16:
    case 768:
        return 4;
    default:
        return 8;
    }
}

static void put_value(unsigned char *at, int datatype, double value) {
    if (datatype == 16)
        bytes_put_f32(at, false, (float)value);
    else if (datatype == 64)
        bytes_put_f64(at, false, value);
    else if (value < 0)
        bytes_put(at, value_bytes(datatype), false, (uint64_t)(int64_t)value);
    else
        bytes_put(at, value_bytes(datatype), false, (uint64_t)value);
}

// A half turn around z where x and y run backwards; the handedness says the rest.
static void put_qform(unsigned char *bytes, const struct tiny_nifti *volume) {
    const double(*a)[4] = volume->affine;
    bool is_half_turn = a[0][0] < 0;
    assert_true((a[0][0] < 0) == (a[1][1] < 0)); // other ones are not needed
    bytes_put_f32(bytes + 76, false, a[2][2] < 0 ? -1.0F : 1.0F);
    bytes_put_f32(bytes + 264, false, is_half_turn ? 1.0F : 0.0F);
    for (int r = 0; r < 3; r++)
        bytes_put_f32(bytes + 268 + 4 * r, false, (float)a[r][3]);
}

static size_t make_bytes(const struct tiny_nifti *volume, unsigned char *bytes) {
    memset(bytes, 0, HEADER_BYTES);
    bytes_put(bytes, 4, false, 348);
    bytes_put(bytes + 40, 2, false, 3);
    for (int i = 0; i < 7; i++)
        bytes_put(bytes + 42 + 2 * i, 2, false, i < 3 ? (uint64_t)volume->n[i] : 1);
    // What a file written again shall still have: an intent, a display window, a description.
    bytes_put(bytes + 68, 2, false, 1002);
    bytes_put_f32(bytes + 124, false, 7.0F);
    memcpy(bytes + 148, "made by a test", 14);
    bytes_put(bytes + 70, 2, false, (uint64_t)volume->datatype);
    bytes_put(bytes + 72, 2, false, (uint64_t)(8 * value_bytes(volume->datatype)));
    bytes_put_f32(bytes + 76, false, 1.0F);
    for (int i = 0; i < 3; i++) {
        double squares = 0.0;
        for (int r = 0; r < 3; r++)
            squares += volume->affine[r][i] * volume->affine[r][i];
        bytes_put_f32(bytes + 80 + 4 * i, false, (float)sqrt(squares));
        for (int c = 0; c < 4; c++)
            bytes_put_f32(bytes + 280 + 16 * i + 4 * c, false, (float)volume->affine[i][c]);
    }
    bytes_put_f32(bytes + 108, false, HEADER_BYTES);
    bytes_put_f32(bytes + 112, false, (float)volume->slope);
    bytes_put_f32(bytes + 116, false, (float)volume->intercept);
    bytes[123] = 2;
    bytes_put(bytes + 252, 2, false, (uint64_t)volume->qform_code);
    bytes_put(bytes + 254, 2, false, (uint64_t)volume->sform_code);
    if (volume->qform_code > 0)
        put_qform(bytes, volume);
    memcpy(bytes + 344, "n+1\0", 4);
    size_t n = (size_t)volume->n[0] * (size_t)volume->n[1] * (size_t)volume->n[2];
    size_t each = (size_t)value_bytes(volume->datatype);
    for (size_t i = 0; i < n; i++)
        put_value(bytes + HEADER_BYTES + i * each, volume->datatype, volume->values[i]);
    return HEADER_BYTES + n * each;
}

void tiny_nifti_write(void *const *state, const char *path, const struct tiny_nifti *volume) {
    static unsigned char bytes[MAX_BYTES];
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, path));
    *strrchr(folder, '/') = '\0';
    assert_int_equal(file_make_directory(folder), ADELE_OK);
    size_t n = make_bytes(volume, bytes);
    if (!file_has_suffix(path, ".gz")) {
        assert_int_equal(file_write(scratch_path(state, path), bytes, n), ADELE_OK);
        return;
    }
    gzFile gz = gzopen(scratch_path(state, path), "wb1");
    assert_non_null(gz);
    assert_int_equal(gzwrite(gz, bytes, (unsigned)n), (int)n);
    assert_int_equal(gzclose(gz), Z_OK);
}

char *tiny_nifti_bytes(void *const *state, const char *path, size_t *n_bytes) {
    char *bytes = NULL;
    if (file_read(scratch_path(state, path), 0, &bytes, n_bytes) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return bytes;
}
