// SPDX-License-Identifier: MIT
// Whether two volumes lie at the same place in the world and, if not, a description of the
// difference.
#include "image/nifti_geometry.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// A hundredth of a voxel: larger than rounding errors of headers, too small to matter for labels.
#define TOLERANCE 0.01

static const char axis_names[] = "xyz";

static bool invert(const double affine[3][4], double out[3][3]) {
    const double(*a)[4] = affine;
    double determinant = 0.0;
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++) {
            int r1 = (c + 1) % 3, r2 = (c + 2) % 3, c1 = (r + 1) % 3, c2 = (r + 2) % 3;
            out[r][c] = a[r1][c1] * a[r2][c2] - a[r1][c2] * a[r2][c1];
        }
    for (int i = 0; i < 3; i++)
        determinant += a[0][i] * out[i][0];
    for (int i = 0; i < 9; i++)
        out[i / 3][i % 3] /= determinant;
    return determinant != 0.0;
}

static double column_length(const struct nifti_geometry *geometry, int axis) {
    double squares = 0.0;
    for (int r = 0; r < 3; r++)
        squares += geometry->affine[r][axis] * geometry->affine[r][axis];
    return sqrt(squares);
}

// Cosine of the angle between axis i of a and axis k of b.
static double cosine(const struct nifti_geometry *a, int i, const struct nifti_geometry *b, int k) {
    double sum = 0.0;
    for (int r = 0; r < 3; r++)
        sum += a->affine[r][i] * b->affine[r][k];
    return sum / (column_length(a, i) * column_length(b, k));
}

// The order of `other` whose axes run nearest to those of the reference.
static struct nifti_order nearest_order(const struct nifti_geometry *reference,
                                        const struct nifti_geometry *other) {
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    double best_sum = -1.0;
    struct nifti_order best = nifti_order_identity();
    for (int k = 0; k < 6; k++) {
        double sum = 0.0;
        for (int i = 0; i < 3; i++)
            sum += fabs(cosine(reference, i, other, orders[k][i]));
        if (sum > best_sum + 1e-6) {
            best_sum = sum;
            memcpy(best.axis, orders[k], sizeof best.axis);
        }
    }
    for (int i = 0; i < 3; i++)
        best.is_reversed[i] =
            reference->n[i] > 1 && cosine(reference, i, other, best.axis[i]) < 0.0;
    return best;
}

// mm from voxel `at` of the reference to the voxel of `other` that the order puts there.
static void shift_at(const struct nifti_geometry *reference, const struct nifti_geometry *other,
                     const struct nifti_order *order, const double at[3], double out[3]) {
    for (int r = 0; r < 3; r++) {
        out[r] = other->affine[r][3] - reference->affine[r][3];
        for (int i = 0; i < 3; i++) {
            double index = order->is_reversed[i] ? reference->n[i] - 1 - at[i] : at[i];
            out[r] += other->affine[r][order->axis[i]] * index - reference->affine[r][i] * at[i];
        }
    }
}

// The shift along each axis of the reference, in its voxels.
static void shift_in_voxels(const struct nifti_geometry *reference, const double shift[3],
                            double out[3]) {
    double inverse[3][3];
    (void)invert(reference->affine, inverse); // a geometry's affine can be inverted
    for (int i = 0; i < 3; i++) {
        out[i] = 0.0;
        for (int r = 0; r < 3; r++)
            out[i] += inverse[i][r] * shift[r];
    }
}

static double tolerance(const struct nifti_geometry *reference, const struct nifti_geometry *other,
                        int axis) {
    double squares = 0.0;
    for (int i = 0; i < 3; i++) {
        double length = column_length(reference, i) * (reference->n[i] - 1);
        squares += length * length;
    }
    return TOLERANCE + (reference->angle_error + other->angle_error) * sqrt(squares) /
                           column_length(reference, axis);
}

static bool corners_agree(const struct nifti_geometry *reference,
                          const struct nifti_geometry *other, const struct nifti_order *order) {
    for (int corner = 0; corner < 8; corner++) {
        double at[3], shift[3], voxels[3];
        for (int i = 0; i < 3; i++)
            at[i] = corner >> i & 1 ? reference->n[i] - 1 : 0;
        shift_at(reference, other, order, at, shift);
        shift_in_voxels(reference, shift, voxels);
        for (int i = 0; i < 3; i++)
            if (!(fabs(voxels[i]) <= tolerance(reference, other, i)))
                return false;
    }
    return true;
}

// ---- descriptions -------------------------------------------------------------------------------

// With a decimal point, and with enough digits to distinguish the two.
static void print_pair(double a, double b, char out_a[32], char out_b[32]) {
    for (int digits = 4; digits <= 17; digits++) {
        (void)snprintf(out_a, 32, "%.*g", digits, a);
        (void)snprintf(out_b, 32, "%.*g", digits, b);
        if (strcmp(out_a, out_b) != 0)
            break;
    }
    if (strpbrk(out_a, ".en") == NULL)
        strcat(out_a, ".0");
    if (strpbrk(out_b, ".en") == NULL)
        strcat(out_b, ".0");
}

static bool describe_spacing(const double reference[3], const double other[3], const int n[3],
                             char *text, size_t size) {
    for (int i = 0; i < 3; i++) {
        if (fabs(other[i] - reference[i]) * (n[i] - 1) <= TOLERANCE * reference[i])
            continue;
        char a[32], b[32];
        print_pair(other[i], reference[i], a, b);
        (void)snprintf(text, size, "voxels %s against %s mm along %c", a, b, axis_names[i]);
        return true;
    }
    return false;
}

static double degrees_apart(const struct nifti_geometry *reference,
                            const struct nifti_geometry *other, const struct nifti_order *order) {
    double largest = 0.0;
    for (int i = 0; i < 3; i++) {
        double c = fabs(cosine(reference, i, other, order->axis[i]));
        double angle = c < 1.0 ? acos(c) * 180.0 / 3.14159265358979323846 : 0.0;
        largest = angle > largest ? angle : largest;
    }
    return largest;
}

// The shift of the centres, which a small rotation does not change.
static void describe_shift(const struct nifti_geometry *reference,
                           const struct nifti_geometry *other, const struct nifti_order *order,
                           char *text, size_t size) {
    double middle[3], shift[3], voxels[3];
    for (int i = 0; i < 3; i++)
        middle[i] = (reference->n[i] - 1) / 2.0;
    shift_at(reference, other, order, middle, shift);
    shift_in_voxels(reference, shift, voxels);
    size_t length = 0;
    for (int i = 0; i < 3; i++)
        if (fabs(voxels[i]) > TOLERANCE && length < size)
            length += (size_t)snprintf(text + length, size - length, "%s%.4g mm%s along %c",
                                       length > 0 ? ", " : "",
                                       fabs(voxels[i]) * column_length(reference, i),
                                       length > 0 ? "" : " away", axis_names[i]);
}

static void describe_place(const struct nifti_geometry *reference,
                           const struct nifti_geometry *other, const struct nifti_order *order,
                           char *text, size_t size) {
    double spacing[2][3];
    for (int i = 0; i < 3; i++) {
        spacing[0][i] = column_length(reference, i);
        spacing[1][i] = column_length(other, order->axis[i]);
    }
    nifti_order_describe(order, text, size);
    size_t length = strlen(text);
    char rest[160] = "";
    double degrees = degrees_apart(reference, other, order);
    if (describe_spacing(spacing[0], spacing[1], reference->n, rest, sizeof rest))
        length = 0; // a different voxel size cannot come from another storage order
    else if (degrees >= 0.01)
        (void)snprintf(rest, sizeof rest, "turned by %.3g degrees", degrees);
    else
        describe_shift(reference, other, order, rest, sizeof rest);
    (void)snprintf(text + length, size - length, "%s%s", length > 0 && rest[0] ? ", " : "", rest);
    if (text[0] == '\0')
        (void)snprintf(text, size, "corners more than %g voxels apart", TOLERANCE);
}

enum nifti_match nifti_geometry_match(const struct nifti_geometry *reference,
                                      const struct nifti_geometry *other, struct nifti_order *order,
                                      char *text, size_t size) {
    const int *n = reference->n;
    bool is_same_size = memcmp(n, other->n, sizeof other->n) == 0;
    text[0] = '\0';
    *order = nifti_order_identity();
    if (!reference->has_affine || !other->has_affine) {
        if (!is_same_size)
            return NIFTI_OTHER_EXTENTS;
        return describe_spacing(reference->spacing, other->spacing, n, text, size)
                   ? NIFTI_OTHER_PLACE
                   : NIFTI_SAME_PLACE;
    }
    struct nifti_order nearest = nearest_order(reference, other);
    int extents[3];
    nifti_order_extents(&nearest, other->n, extents);
    if (memcmp(n, extents, sizeof extents) != 0) {
        if (!is_same_size)
            return NIFTI_OTHER_EXTENTS;
        nifti_order_describe(&nearest, text, size);
        return NIFTI_OTHER_PLACE;
    }
    if (corners_agree(reference, other, &nearest)) {
        *order = nearest;
        return NIFTI_SAME_PLACE;
    }
    describe_place(reference, other, &nearest, text, size);
    return NIFTI_OTHER_PLACE;
}
