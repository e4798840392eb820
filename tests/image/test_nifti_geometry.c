// SPDX-License-Identifier: MIT
// Where volumes lie, in which order they are stored, and how two of them differ, in words.
#include "base/file.h"
#include "base/memory.h"
#include "image/byte_order.h"
#include "image/nifti.h"
#include "support/scratch.h"
#include "support/tiny_nifti.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const int extents[3] = {5, 4, 3};
static const double sizes[3] = {1.0, 2.0, 3.0};
static const int all_axes[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                   {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

static struct tiny_nifti make(void) {
    static struct tiny_nifti volume;
    tiny_nifti_init(&volume, extents, sizes);
    for (int i = 0; i < 60; i++)
        volume.values[i] = i % 5 + 10 * (i / 5 % 4) + 100 * (i / 20);
    return volume;
}

static struct nifti_geometry probe_file(void *const *state) {
    struct nifti_geometry geometry;
    if (nifti_probe_geometry(scratch_path(state, "v/volume.nii"), &geometry) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return geometry;
}

static struct nifti_geometry probe(void *const *state, const struct tiny_nifti *volume) {
    tiny_nifti_write(state, "v/volume.nii", volume);
    return probe_file(state);
}

// One float of the file's header.
static void patch(void *const *state, int at, float value) {
    size_t n = 0;
    char *bytes = tiny_nifti_bytes(state, "v/volume.nii", &n);
    bytes_put_f32((unsigned char *)bytes + at, false, value);
    assert_int_equal(file_write(scratch_path(state, "v/volume.nii"), bytes, n), ADELE_OK);
    memory_free(bytes);
}

static void assert_affine(const struct nifti_geometry *geometry, const double want[3][4]) {
    assert_true(geometry->has_affine);
    for (int i = 0; i < 12; i++)
        if (!(fabs(geometry->affine[i / 4][i % 4] - want[i / 4][i % 4]) <= 1e-5))
            fail_msg("affine[%d][%d] is %g, not %g", i / 4, i % 4, geometry->affine[i / 4][i % 4],
                     want[i / 4][i % 4]);
}

static void assert_codes(const struct nifti_geometry *geometry, const char *want) {
    assert_string_equal(nifti_geometry_codes(geometry).letters, want);
}

// ---- reading ------------------------------------------------------------------------------------

static void a_qform_counts_where_there_is_no_sform(void **state) {
    struct tiny_nifti volume = make();
    volume.qform_code = 1;
    struct nifti_geometry geometry = probe(state, &volume);
    assert_affine(&geometry, volume.affine);
    assert_memory_equal(geometry.n, extents, sizeof extents);
    assert_codes(&geometry, "RAS");
    volume.affine[0][0] = -1.0;
    volume.affine[1][1] = -2.0;
    volume.affine[0][3] = 4.0;
    volume.sform_code = 0; // the quaternion of a half turn around z
    geometry = probe(state, &volume);
    assert_affine(&geometry, volume.affine);
    assert_codes(&geometry, "LPS");
    volume.affine[2][2] = -3.0; // shown only by the handedness
    geometry = probe(state, &volume);
    assert_affine(&geometry, volume.affine);
    assert_codes(&geometry, "LPI");
}

static void an_sform_goes_before_a_qform(void **state) {
    struct tiny_nifti volume = make();
    volume.qform_code = 1;
    (void)probe(state, &volume);
    patch(state, 264, 1.0F); // now the qform is used: a half turn
    struct nifti_geometry geometry = probe_file(state);
    assert_affine(&geometry, volume.affine);
    patch(state, 280, NAN); // an invalid sform
    geometry = probe_file(state);
    assert_codes(&geometry, "LPS");
}

// cos and sin of 35 degrees around z, as a quaternion and as a matrix.
static void quaternions_become_matrices(void **state) {
    const double angle = 35.0 * 3.14159265358979323846 / 180.0;
    struct tiny_nifti volume = make();
    volume.qform_code = 1;
    volume.sform_code = 0;
    (void)probe(state, &volume);
    patch(state, 264, (float)sin(angle / 2));
    const double want[3][4] = {{cos(angle), -2.0 * sin(angle), 0.0, 0.0},
                               {sin(angle), 2.0 * cos(angle), 0.0, 0.0},
                               {0.0, 0.0, 3.0, 0.0}};
    struct nifti_geometry geometry = probe_file(state);
    assert_affine(&geometry, want);
    assert_codes(&geometry, "RAS");
    assert_true(geometry.angle_error < 1e-6);
}

static void files_may_say_nothing(void **state) {
    struct tiny_nifti volume = make();
    volume.sform_code = 0;
    struct nifti_geometry geometry = probe(state, &volume);
    assert_false(geometry.has_affine);
    assert_true(geometry.spacing[0] == 1.0 && geometry.spacing[2] == 3.0);
    assert_codes(&geometry, "");
    volume.sform_code = 1;
    memset(volume.affine, 0, sizeof volume.affine); // a code, and nothing behind it
    geometry = probe(state, &volume);
    assert_false(geometry.has_affine);
}

static void pictures_need_no_third_direction(void **state) {
    struct tiny_nifti volume = make();
    volume.n[2] = 1;
    volume.affine[2][2] = 0.0;
    struct nifti_geometry geometry = probe(state, &volume);
    assert_true(geometry.has_affine);
    assert_codes(&geometry, "RAS");
}

static void lengths_have_units(void **state) {
    struct tiny_nifti volume = make();
    volume.affine[0][3] = 7.0;
    (void)probe(state, &volume);
    size_t n = 0;
    char *bytes = tiny_nifti_bytes(state, "v/volume.nii", &n);
    bytes[123] = 3; // micrometres
    assert_int_equal(file_write(scratch_path(state, "v/volume.nii"), bytes, n), ADELE_OK);
    memory_free(bytes);
    struct nifti_geometry geometry = probe_file(state);
    assert_true(fabs(geometry.affine[0][3] - 0.007) <= 1e-9);
    assert_true(fabs(geometry.affine[1][1] - 0.002) <= 1e-9);
}

// ---- orders -------------------------------------------------------------------------------------

static void all_orders_of_one_volume_lie_at_one_place(void **state) {
    static struct tiny_nifti turned;
    struct tiny_nifti volume = make();
    struct nifti_geometry reference = probe(state, &volume);
    for (int k = 0; k < 48; k++) {
        const int flip[3] = {k & 1, k >> 1 & 1, k >> 2 & 1};
        struct nifti_order order;
        char text[256];
        float back[60];
        tiny_nifti_turn(&volume, all_axes[k / 8], flip, &turned);
        struct nifti_geometry geometry = probe(state, &turned);
        assert_int_equal(nifti_geometry_match(&reference, &geometry, &order, text, sizeof text),
                         NIFTI_SAME_PLACE);
        assert_string_equal(text, "");
        assert_int_equal(nifti_order_is_identity(&order), k == 0);
        struct nifti_volume loaded;
        assert_int_equal(nifti_load(scratch_path(state, "v/volume.nii"), 0, &loaded), ADELE_OK);
        nifti_order_apply(&order, geometry.n, sizeof(float), loaded.voxels, back);
        for (size_t i = 0; i < 60; i++) {
            assert_true((double)back[i] == volume.values[i]);
            size_t at = nifti_order_stored_index(&order, geometry.n, i);
            assert_true((double)loaded.voxels[at] == volume.values[i]);
        }
        struct nifti_order inverse = nifti_order_inverse(&order),
                           none = nifti_order_compose(&order, &inverse);
        assert_true(nifti_order_is_identity(&none));
        float again[60];
        nifti_order_apply(&inverse, extents, sizeof(float), back, again);
        assert_memory_equal(again, loaded.voxels, sizeof again);
        struct nifti_order between =
            nifti_order_between(nifti_geometry_codes(&geometry), nifti_geometry_codes(&reference));
        assert_memory_equal(between.axis, order.axis, sizeof order.axis);
        assert_memory_equal(between.is_reversed, order.is_reversed, sizeof order.is_reversed);
        assert_string_equal(nifti_order_codes(&order, nifti_geometry_codes(&geometry)).letters,
                            "RAS");
        nifti_deinit(&loaded);
    }
}

static void codes_are_checked(void **state) {
    (void)state;
    assert_true(nifti_codes_are_valid("LPS") && nifti_codes_are_valid("SRA"));
    assert_false(nifti_codes_are_valid("") || nifti_codes_are_valid("RA") ||
                 nifti_codes_are_valid("RLS") || nifti_codes_are_valid("RAX") ||
                 nifti_codes_are_valid("RASS"));
}

static void assert_order(const int axis[3], const int flip[3], const char *want) {
    struct nifti_order order;
    char text[128];
    for (int i = 0; i < 3; i++) {
        order.axis[i] = axis[i];
        order.is_reversed[i] = flip[i] != 0;
    }
    nifti_order_describe(&order, text, sizeof text);
    assert_string_equal(text, want);
}

static void orders_have_words(void **state) {
    (void)state;
    assert_order((int[]){0, 1, 2}, (int[]){0, 0, 0}, "");
    assert_order((int[]){0, 1, 2}, (int[]){1, 0, 0}, "flipped along x");
    assert_order((int[]){0, 1, 2}, (int[]){1, 1, 0}, "flipped along x and y");
    assert_order((int[]){0, 2, 1}, (int[]){0, 0, 0}, "axes y and z exchanged");
    assert_order((int[]){2, 1, 0}, (int[]){0, 0, 0}, "axes x and z exchanged");
    assert_order((int[]){1, 0, 2}, (int[]){0, 0, 1}, "axes x and y exchanged, flipped along z");
    assert_order((int[]){1, 2, 0}, (int[]){0, 0, 0}, "axes in the order y, z, x");
}

// ---- differences --------------------------------------------------------------------------------

static void assert_differs(void *const *state, const struct tiny_nifti *other, const char *want) {
    struct tiny_nifti volume = make();
    struct nifti_geometry reference = probe(state, &volume), geometry = probe(state, other);
    struct nifti_order order;
    char text[256];
    enum nifti_match match = nifti_geometry_match(&reference, &geometry, &order, text, sizeof text);
    if (want == NULL) {
        assert_int_equal(match, NIFTI_SAME_PLACE);
        return;
    }
    assert_int_equal(match, NIFTI_OTHER_PLACE);
    assert_string_equal(text, want);
}

static void places_that_differ_have_words(void **state) {
    struct tiny_nifti other = make();
    other.affine[2][3] = 100.0;
    assert_differs(state, &other, "100 mm away along z");
    other.affine[0][3] = -2.5;
    assert_differs(state, &other, "2.5 mm away along x, 100 mm along z");
    other = make();
    other.affine[1][1] = 1.6;
    assert_differs(state, &other, "voxels 1.6 against 2.0 mm along y");
    other = make();
    other.affine[0][0] = -1.0; // the origin is still that of the other end
    assert_differs(state, &other, "flipped along x, 4 mm away along x");
    other = make();
    const double c = cos(0.1), s = sin(0.1);
    other.affine[0][0] = c, other.affine[1][0] = s;
    other.affine[0][1] = -2.0 * s, other.affine[1][1] = 2.0 * c;
    assert_differs(state, &other, "turned by 5.73 degrees");
}

// Extents that fit as stored, although two axes are exchanged according to the header.
static void axes_that_are_exchanged_have_words(void **state) {
    static struct tiny_nifti other;
    tiny_nifti_init(&other, extents, sizes);
    memset(other.affine, 0, sizeof other.affine);
    other.affine[0][0] = 1.0;
    other.affine[2][1] = 2.0;
    other.affine[1][2] = 3.0;
    assert_differs(state, &other, "axes y and z exchanged");
}

static void a_hundredth_of_a_voxel_is_no_difference(void **state) {
    struct tiny_nifti other = make();
    other.affine[1][3] = 0.018; // voxels of 2 mm
    assert_differs(state, &other, NULL);
    other.affine[1][3] = 0.022;
    assert_differs(state, &other, "0.022 mm away along y");
    other = make();
    other.affine[0][0] = 1.002; // 4 steps
    assert_differs(state, &other, NULL);
    other.affine[0][0] = 1.003;
    assert_differs(state, &other, "voxels 1.003 against 1.0 mm along x");
}

static void without_orientation_extents_and_sizes_count(void **state) {
    struct tiny_nifti other = make();
    other.sform_code = 0;
    other.affine[0][3] = 50.0; // ignored, because sform_code is 0
    assert_differs(state, &other, NULL);
    other.affine[2][2] = 2.5;
    assert_differs(state, &other, "voxels 2.5 against 3.0 mm along z");
}

// A single slice has no direction to be flipped in.
static void the_direction_of_one_slice_is_no_difference(void **state) {
    struct tiny_nifti volume = make();
    volume.n[2] = 1;
    struct nifti_geometry reference = probe(state, &volume);
    volume.affine[2][2] = -3.0;
    struct nifti_geometry geometry = probe(state, &volume);
    struct nifti_order order;
    char text[256];
    assert_int_equal(nifti_geometry_match(&reference, &geometry, &order, text, sizeof text),
                     NIFTI_SAME_PLACE);
    assert_true(nifti_order_is_identity(&order));
}

static void other_extents_are_told_apart(void **state) {
    struct tiny_nifti volume = make(), other = make();
    other.n[2] = 2;
    struct nifti_geometry reference = probe(state, &volume), geometry = probe(state, &other);
    struct nifti_order order;
    char text[256];
    assert_int_equal(nifti_geometry_match(&reference, &geometry, &order, text, sizeof text),
                     NIFTI_OTHER_EXTENTS);
}

// Turns of nearly 180 degrees around oblique axes: the first number of the quaternion (a) is the
// root of what three rounded floats leave, and that must not look like a place of its own.
static void rounded_quaternions_lie_where_their_matrix_lies(void **state) {
    static struct tiny_nifti volume;
    tiny_nifti_init(&volume, (const int[3]){512, 4, 4}, sizes);
    volume.qform_code = 1;
    volume.sform_code = 0;
    for (int k = 0; k < 200; k++) {
        double a = k % 10 * 4e-4, rest = sqrt(1.0 - a * a);
        double b = rest * sin(0.3 + k * 0.011), c = rest * cos(0.3 + k * 0.011) * 0.6;
        double d = sqrt(1.0 - a * a - b * b - c * c);
        (void)probe(state, &volume);
        patch(state, 256, (float)b);
        patch(state, 260, (float)c);
        patch(state, 264, (float)d);
        struct nifti_geometry qform = probe_file(state), exact = qform;
        const double turn[3][3] = {
            {a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)},
            {2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)},
            {2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c}};
        for (int i = 0; i < 9; i++)
            exact.affine[i / 3][i % 3] = turn[i / 3][i % 3] * sizes[i % 3];
        exact.angle_error = 0.0;
        struct nifti_order order;
        char text[256];
        if (nifti_geometry_match(&exact, &qform, &order, text, sizeof text) != NIFTI_SAME_PLACE)
            fail_msg("turn %d: %s", k, text);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_qform_counts_where_there_is_no_sform),
        TEST(an_sform_goes_before_a_qform),
        TEST(quaternions_become_matrices),
        TEST(files_may_say_nothing),
        TEST(pictures_need_no_third_direction),
        TEST(lengths_have_units),
        TEST(all_orders_of_one_volume_lie_at_one_place),
        TEST(codes_are_checked),
        TEST(orders_have_words),
        TEST(places_that_differ_have_words),
        TEST(axes_that_are_exchanged_have_words),
        TEST(a_hundredth_of_a_voxel_is_no_difference),
        TEST(without_orientation_extents_and_sizes_count),
        TEST(the_direction_of_one_slice_is_no_difference),
        TEST(other_extents_are_told_apart),
        TEST(rounded_quaternions_lie_where_their_matrix_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
