// SPDX-License-Identifier: MIT
// The position of a volume in the world, from the fields of its header.
#include "image/nifti_geometry.h"

#include "image/byte_order.h"
#include "image/nifti_header.h"

#include <math.h>
#include <string.h>

static const struct nifti_field qform_code = {252, 344};
static const struct nifti_field sform_code = {254, 348};
static const struct nifti_field quatern_b = {256, 352}; // then c, d and the three offsets
static const struct nifti_field srow = {280, 400};

// No scanner is larger, so larger offsets are damage.
#define MAX_MM 1e9
// Twice the distance from 1 to the next float: what rounding three numbers of a quaternion to
// floats may add to the sum of their squares.
#define SQUARES_ERROR 1.2e-7
// Below this the first number of a quaternion is a rounded 0 (as in the format's own library).
#define SMALLEST_SQUARE 1e-7

struct field_reader {
    const unsigned char *bytes;
    const struct nifti_header *header;
};

static int read_code(const struct field_reader *from, struct nifti_field field) {
    bool is_big = from->header->is_big_endian;
    return from->header->version == 1 ? bytes_get_i16(from->bytes + field.at_1, is_big)
                                      : (int)bytes_get_i32(from->bytes + field.at_2, is_big);
}

static double read_real(const struct field_reader *from, struct nifti_field field, int i) {
    return nifti_field_real(from->bytes, from->header, field, i);
}

// An axis of one voxel may have no direction in the file (2-D pictures); then any direction is
// correct.
static void complete_flat_axis(struct nifti_geometry *geometry) {
    double(*a)[4] = geometry->affine;
    for (int i = 0; i < 3; i++) {
        int u = (i + 1) % 3, v = (i + 2) % 3;
        if (geometry->n[i] != 1 || a[0][i] != 0.0 || a[1][i] != 0.0 || a[2][i] != 0.0)
            continue;
        double length = 0.0, cross[3];
        for (int r = 0; r < 3; r++) {
            int s = (r + 1) % 3, t = (r + 2) % 3;
            cross[r] = a[s][u] * a[t][v] - a[t][u] * a[s][v];
            length += cross[r] * cross[r];
        }
        for (int r = 0; r < 3 && length > 0.0; r++)
            a[r][i] = geometry->spacing[i] * cross[r] / sqrt(length);
    }
}

static bool is_usable(const struct nifti_geometry *geometry) {
    const double(*a)[4] = geometry->affine;
    double volume = 1.0;
    for (int i = 0; i < 4; i++) {
        double squares = 0.0;
        for (int r = 0; r < 3; r++) {
            if (!(fabs(a[r][i]) <= MAX_MM))
                return false;
            squares += a[r][i] * a[r][i];
        }
        if (i < 3)
            volume *= sqrt(squares);
    }
    double determinant = a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1]) -
                         a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0]) +
                         a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0]);
    return volume > 1e-18 && fabs(determinant) > 1e-6 * volume;
}

static bool read_sform(const struct field_reader *from, double mm_per_unit,
                       struct nifti_geometry *out) {
    if (read_code(from, sform_code) <= 0)
        return false;
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            out->affine[r][c] = mm_per_unit * read_real(from, srow, 4 * r + c);
    out->angle_error = 0.0;
    complete_flat_axis(out);
    return is_usable(out);
}

// The first number of a unit quaternion whose others are q[1..3], which are scaled where their
// squares add up to more than 1. Near a half turn it is the root of a small difference, so that the
// rounding of the others makes the angle uncertain.
static void complete_quaternion(double q[4], double *angle_error) {
    double squares = q[1] * q[1] + q[2] * q[2] + q[3] * q[3];
    bool is_exact = true; // whole turns and half turns around an axis have nothing to round
    for (int i = 1; i < 4; i++)
        is_exact = is_exact && (q[i] == 0.0 || fabs(q[i]) == 1.0);
    double rest = 1.0 - squares;
    if (rest < SMALLEST_SQUARE) {
        for (int i = 1; i < 4; i++)
            q[i] /= sqrt(squares);
        rest = 0.0;
    }
    q[0] = sqrt(rest);
    *angle_error = is_exact ? 0.0 : 2.0 * (sqrt(rest + SQUARES_ERROR) - q[0]);
}

static bool read_qform(const struct field_reader *from, double mm_per_unit,
                       struct nifti_geometry *out) {
    if (read_code(from, qform_code) <= 0)
        return false;
    double q[4], handedness = read_real(from, nifti_pixdim, 0) < 0.0 ? -1.0 : 1.0;
    for (int i = 1; i < 4; i++) {
        q[i] = read_real(from, quatern_b, i - 1);
        if (!(fabs(q[i]) <= 1.001))
            return false;
    }
    complete_quaternion(q, &out->angle_error);
    double a = q[0], b = q[1], c = q[2], d = q[3];
    const double rotation[3][3] = {
        {a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)},
        {2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)},
        {2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c}};
    for (int r = 0; r < 3; r++) {
        for (int i = 0; i < 3; i++)
            out->affine[r][i] = rotation[r][i] * out->spacing[i] * (i == 2 ? handedness : 1.0);
        out->affine[r][3] = mm_per_unit * read_real(from, quatern_b, 3 + r);
    }
    return is_usable(out);
}

void nifti_geometry_read(const unsigned char *bytes, const struct nifti_header *header,
                         struct nifti_geometry *out) {
    struct field_reader from = {bytes, header};
    *out = (struct nifti_geometry){.n = {header->nx, header->ny, header->nz}};
    for (int i = 0; i < 3; i++)
        out->spacing[i] = (double)header->spacing[i];
    out->has_affine =
        read_sform(&from, header->mm_per_unit, out) || read_qform(&from, header->mm_per_unit, out);
}

struct nifti_codes nifti_geometry_codes(const struct nifti_geometry *geometry) {
    static const char letters[3][2] = {{'L', 'R'}, {'P', 'A'}, {'I', 'S'}};
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct nifti_codes codes = {""};
    if (!geometry->has_affine)
        return codes;
    double cosine[3][3], best_sum = -1.0; // of world axis r and stored axis i
    int best = 0;
    for (int i = 0; i < 3; i++) {
        double length = 0.0;
        for (int r = 0; r < 3; r++)
            length += geometry->affine[r][i] * geometry->affine[r][i];
        for (int r = 0; r < 3; r++)
            cosine[r][i] = geometry->affine[r][i] / sqrt(length);
    }
    for (int k = 0; k < 6; k++) {
        double sum = 0.0;
        for (int i = 0; i < 3; i++)
            sum += fabs(cosine[orders[k][i]][i]);
        // The margin makes equal sums (45 degrees) choose the same order whatever the rounding.
        if (sum > best_sum + 1e-6) {
            best_sum = sum;
            best = k;
        }
    }
    for (int i = 0; i < 3; i++)
        codes.letters[i] = letters[orders[best][i]][cosine[orders[best][i]][i] > 0.0];
    return codes;
}
