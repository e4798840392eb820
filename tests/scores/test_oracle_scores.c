// SPDX-License-Identifier: MIT
// Scores of random masks beside SimpleITK's (oracle_scores.py); skipped where it is not installed.
#include "scores/score_case.h"

#include "base/file.h"
#include "base/random.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/skip.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_PAIRS = 40, MOST_VOXELS = 16384, N_NUMBERS = 7 };

struct pair {
    int32_t numbers[N_NUMBERS]; // extents, spacings in thousandths, width of the boundary
    uint8_t a[MOST_VOXELS], b[MOST_VOXELS];
};

static struct grid grid_of(const struct pair *pair) {
    struct grid grid;
    for (int k = 0; k < 3; k++) {
        grid.n[k] = pair->numbers[k];
        grid.spacing[k] = pair->numbers[3 + k] / 1000.0;
    }
    return grid;
}

// Some balls, and some pixels of their own; never empty.
static void draw(struct random_stream *stream, const struct grid *grid, uint8_t *out) {
    size_t n = grid_size(grid);
    memset(out, 0, n);
    uint32_t n_balls = 1 + random_below(stream, 4), n_specks = random_below(stream, 6);
    for (uint32_t k = 0; k < n_balls; k++) {
        int c[3], r = 1 + (int)random_below(stream, 9);
        for (int axis = 0; axis < 3; axis++)
            c[axis] = (int)random_below(stream, (uint32_t)grid->n[axis]);
        for (size_t i = 0; i < n; i++) {
            int x = (int)(i % (size_t)grid->n[2]) - c[2];
            int y = (int)(i / (size_t)grid->n[2] % (size_t)grid->n[1]) - c[1];
            int z = (int)(i / (size_t)grid->n[2] / (size_t)grid->n[1]) - c[0];
            out[i] |= x * x + y * y + 4 * z * z <= r * r;
        }
    }
    for (uint32_t k = 0; k < n_specks; k++)
        out[random_below(stream, (uint32_t)n)] ^= 1;
    out[0] |= memchr(out, 1, n) == NULL;
}

static void make_pair(uint32_t sample, struct pair *pair) {
    // Extents from which 2 % of the diagonal are 1, 1, 2 and 2 pixels.
    static const int32_t shapes[4][4] = {
        {1, 23, 40, 1}, {9, 20, 24, 1}, {1, 60, 80, 2}, {2, 90, 70, 2}};
    struct random_stream stream;
    random_stream_init(&stream, 8, RANDOM_TEST, 0, sample);
    const int32_t *shape = shapes[sample % 4];
    memcpy(pair->numbers, shape, 3 * sizeof *shape);
    for (int k = 0; k < 3; k++) // the first pairs have square pixels
        pair->numbers[3 + k] = sample < 8 ? 1000 : 200 + (int32_t)random_below(&stream, 4000);
    pair->numbers[6] = shape[3];
    struct grid grid = grid_of(pair);
    draw(&stream, &grid, pair->a);
    draw(&stream, &grid, pair->b);
}

static void write_pairs(const char *path) {
    static struct pair pair;
    struct file_writer *writer = NULL;
    check_ok(file_writer_begin(path, &writer));
    for (uint32_t i = 0; i < N_PAIRS; i++) {
        make_pair(i, &pair);
        struct grid grid = grid_of(&pair);
        check_ok(file_writer_write(writer, pair.numbers, sizeof pair.numbers));
        check_ok(file_writer_write(writer, pair.a, grid_size(&grid)));
        check_ok(file_writer_write(writer, pair.b, grid_size(&grid)));
    }
    check_ok(file_writer_commit(&writer));
}

static void assert_scores(uint32_t i, const double want[7]) {
    static const char *const names[7] = {"HD95",          "ASSD",          "boundary IoU",  "Dice",
                                         "found lesions", "false lesions", "missed lesions"};
    static struct pair pair;
    struct class_score scores[2];
    make_pair(i, &pair);
    struct grid grid = grid_of(&pair);
    check_ok(score_case_compute(&grid, pair.b, pair.a, 2, scores));
    const struct class_score *score = &scores[1];
    const double got[7] = {score->measures[SCORE_hd95],         score->measures[SCORE_assd],
                           score->measures[SCORE_boundary_iou], score->measures[SCORE_dice],
                           (double)score->lesions.found,        (double)score->lesions.falses,
                           (double)score->lesions.missed};
    for (int k = 0; k < 7; k++)
        if (!(fabs(got[k] - want[k]) <= 1e-6 * fabs(want[k])))
            fail_msg("pair %u, %s: %.12g, not %.12g", i, names[k], got[k], want[k]);
}

static void random_masks_have_simpleitks_scores(void **state) {
    struct program_result result;
    write_pairs(scratch_path(state, "pairs"));
    program_run((const char *const[]){PYTHON3, PROJECT_DIR "/tests/scores/oracle_scores.py",
                                      scratch_path(state, "pairs"), NULL},
                &result);
    if (result.code != 0)
        fail_msg("oracle_scores.py: %d\n%s", result.code, result.err);
    const char *at = result.out;
    for (uint32_t i = 0; i < N_PAIRS; i++) {
        double want[7];
        for (int k = 0; k < 7; k++) {
            char *end = NULL;
            want[k] = strtod(at, &end);
            assert_true(end != at);
            at = end;
        }
        assert_scores(i, want);
    }
    program_result_deinit(&result);
}

// Code 77 of the script with no pairs: a module is missing.
static int has_oracle(void) {
    struct program_result result;
    program_run((const char *const[]){PYTHON3, PROJECT_DIR "/tests/scores/oracle_scores.py",
                                      "/dev/null", NULL},
                &result);
    int has = result.code != 77;
    program_result_deinit(&result);
    return has;
}

int main(void) {
    if (access(PYTHON3, X_OK) != 0 || !has_oracle())
        return skip_program("Python with SimpleITK and numpy (-DPython3_EXECUTABLE=...)");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_masks_have_simpleitks_scores, scratch_setup,
                                        scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
