// SPDX-License-Identifier: MIT
// The memory that a sliding window takes depends on the picture's width and not on its height. Bare
// program runs, whose peak of resident memory the system counts.
#include "base/file.h"
#include "image/image.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

enum { WIDTH = 4000, HIGH = 1500, LOW = 128, CLASSES = 3 };

// A PNG file that is itself never whole in memory.
static void write_picture(void *const *state, const char *folder, int height) {
    const struct image header = {.width = WIDTH, .height = height, .n_channels = 1, .n_bits = 8};
    struct png_writer *writer = NULL;
    static uint8_t row[WIDTH];
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/a.png", scratch_path(state, folder));
    check_ok(file_make_directory(scratch_path(state, folder)));
    check_ok(png_writer_begin(path, &header, &writer));
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < WIDTH; x++)
            row[x] = (uint8_t)(60 + (x / 40 + y / 40) % 5 * 30 + (x * 7 + y * 13) % 11);
        check_ok(png_writer_rows(writer, 1, row));
    }
    check_ok(png_writer_commit(writer));
}

static int setup(void **state) {
    if (ADELE_CLI[0] == '\0' || tiny_run_setup(state) != 0)
        return -1;
    check_ok(tiny_run(state, "run", false,
                      SETS("train.epochs=1", "correction.enabled=false", "model.width=1"), NULL));
    write_picture(state, "low", LOW);
    write_picture(state, "high", HIGH);
    return 0;
}

// The highest peak of resident memory, in MB, of this and all programs run before.
static double peak_of(void *const *state, const char *input, const char *output,
                      const char *option) {
    struct program_result result;
    struct rusage usage;
    char run[4096], in[4096], out[4096];
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "run"));
    (void)snprintf(in, sizeof in, "%s", scratch_path(state, input));
    (void)snprintf(out, sizeof out, "%s", scratch_path(state, output));
    program_run((const char *const[]){ADELE_CLI, "predict", run, "-i", in, "-o", out,
                                      "--window=128,128", "--batch=4", "--device=cpu", option,
                                      NULL},
                &result);
    if (result.code != 0)
        fail_msg("%s", result.err);
    program_result_deinit(&result);
    assert_int_equal(getrusage(RUSAGE_CHILDREN, &usage), 0);
    return (double)usage.ru_maxrss / 1000.0;
}

static void memory_does_not_grow_with_the_height(void **state) {
#if defined(__SANITIZE_ADDRESS__)
    print_message("AddressSanitizer keeps freed memory: skipped\n");
    skip();
#endif
    struct image mask[2];
    double low = peak_of(state, "low", "low_masks", NULL);
    double high = peak_of(state, "high", "masks", NULL);
    // With the probabilities the picture, its sums and its map are whole in memory.
    double whole = peak_of(state, "high", "whole", "--probabilities");
    double map = 1e-6 * WIDTH * HIGH;
    print_message("peak of %.1f MB for %d rows, %.1f MB for %d, %.1f MB whole\n", low, LOW, high,
                  HIGH, whole);
    assert_true(high - low <= 2.0 * map);
    assert_true(whole - high >= 4.0 * CLASSES * map);
    check_ok(image_load_label(scratch_path(state, "masks/a.png"), 0, &mask[0]));
    check_ok(image_load_label(scratch_path(state, "whole/a.png"), 0, &mask[1]));
    assert_true(mask[0].width == WIDTH && mask[0].height == HIGH);
    assert_memory_equal(mask[0].pixels, mask[1].pixels, (size_t)WIDTH * HIGH);
    image_deinit(&mask[0]);
    image_deinit(&mask[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_does_not_grow_with_the_height),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
