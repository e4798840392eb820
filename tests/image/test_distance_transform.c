// SPDX-License-Identifier: MIT
// The distance transform beside a search of all sources for every voxel.
#include "image/distance_transform.h"

#include "base/memory.h"
#include "base/random.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_VOXELS = 2048 };

static double nearest(const uint8_t *sources, const struct grid *grid, size_t at) {
    size_t row = (size_t)grid->n[2], slice = row * (size_t)grid->n[1];
    double best = INFINITY;
    for (size_t i = 0; i < grid_size(grid); i++) {
        if (sources[i] == 0)
            continue;
        double z = ((double)(i / slice) - (double)(at / slice)) * grid->spacing[0];
        double y = ((double)(i % slice / row) - (double)(at % slice / row)) * grid->spacing[1];
        double x = ((double)(i % row) - (double)(at % row)) * grid->spacing[2];
        double square = z * z + y * y + x * x;
        best = square < best ? square : best;
    }
    return best;
}

static void assert_exact(const uint8_t *sources, const struct grid *grid) {
    float out[MOST_VOXELS];
    assert_true(grid_size(grid) <= MOST_VOXELS);
    check_ok(distance_transform(sources, grid, out));
    for (size_t i = 0; i < grid_size(grid); i++) {
        double want = nearest(sources, grid, i);
        if (isinf(want) ? !isinf(out[i]) : !(fabs(out[i] - want) <= 1e-6 * want))
            fail_msg("%d x %d x %d, voxel %zu: %.9g, not %.9g", grid->n[0], grid->n[1], grid->n[2],
                     i, (double)out[i], want);
    }
}

static void every_grid_is_exact(void **state) {
    (void)state;
    static const struct grid grids[] = {
        {{1, 1, 1}, {1, 1, 1}},         {{1, 1, 37}, {1, 1, 0.7}},
        {{1, 31, 1}, {1, 2.5, 1}},      {{5, 1, 1}, {3, 1, 1}},
        {{1, 23, 29}, {1, 1, 1}},       {{1, 32, 33}, {1, 0.35, 2.5}},
        {{7, 11, 13}, {3.0, 1.2, 0.8}}, {{11, 13, 7}, {0.1, 1.0, 10}},
    };
    for (size_t k = 0; k < sizeof grids / sizeof *grids; k++)
        for (uint32_t sample = 0; sample < 12; sample++) {
            uint8_t sources[MOST_VOXELS] = {0};
            struct random_stream stream;
            random_stream_init(&stream, 3, RANDOM_TEST, (uint32_t)k, sample);
            // From every voxel a source to a single one in the last samples.
            uint32_t sparseness = 1u << sample;
            for (size_t i = 0; i < grid_size(&grids[k]); i++)
                sources[i] = random_below(&stream, sparseness) == 0;
            assert_exact(sources, &grids[k]);
        }
}

static void without_sources_all_is_infinite(void **state) {
    (void)state;
    const uint8_t sources[24] = {0};
    assert_exact(sources, &(struct grid){{2, 3, 4}, {1, 1, 1}});
}

static void one_source_in_millimetres(void **state) {
    (void)state;
    uint8_t sources[24] = {0};
    float out[24];
    sources[0] = 1;
    check_ok(distance_transform(sources, &(struct grid){{2, 3, 4}, {5.0, 2.0, 0.5}}, out));
    assert_true(out[0] == 0.0F);
    assert_true(out[3] == 2.25F);                  // three columns of 0.5 mm
    assert_true(out[23] == 25.0F + 16.0F + 2.25F); // the opposite corner
}

static void a_failed_allocation_is_reported(void **state) {
    (void)state;
    uint8_t sources[4] = {1};
    float out[4];
    for (long i = 0; i < 3; i++) {
        memory_fail_at(i);
        adele_status status =
            distance_transform(sources, &(struct grid){{1, 2, 2}, {1, 1, 1}}, out);
        memory_fail_at(-1);
        assert_int_equal(status, ADELE_NO_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_grid_is_exact),
        cmocka_unit_test(without_sources_all_is_infinite),
        cmocka_unit_test(one_source_in_millimetres),
        cmocka_unit_test(a_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
