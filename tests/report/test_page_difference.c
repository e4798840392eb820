// SPDX-License-Identifier: MIT
// The colours of the panel "difference" of report.html, in the PNG that the page holds.
#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include "report/figures.h"
#include "support/made_up_run.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct made_up_examples changed = {
    .n = 6, .n_spread = 2, .h = 24, .w = 20, .class_name = "heart", .case_name = "case_"};

// The caller frees it. (GCC 12 warns of a dangling pointer where `text` is not static.)
static char *page_of(void **state, const char *path) {
    static char *text;
    struct report_run run;
    struct report_summary summary;
    size_t n_bytes = 0;
    assert_int_equal(report_run_load(path, &run), ADELE_OK);
    assert_int_equal(report_run_summarize(&run, &summary), ADELE_OK);
    assert_int_equal(page_write(1, &run, &summary, (size_t)1 << 24, *state), ADELE_OK);
    report_run_deinit(&run);
    memory_free(summary.name);
    assert_int_equal(file_read(scratch_path(state, "report.html"), 0, &text, &n_bytes), ADELE_OK);
    return text;
}

// The last picture of the page's differences, written to FILE.
static void save_difference(const char *page, const char *file) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static unsigned char bytes[1 << 16];
    const char *at = strstr(page, "alt=\"difference of case_5\"");
    size_t n = 0;
    uint32_t bits = 0;
    assert_non_null(at);
    at = strstr(at, "base64,");
    assert_non_null(at);
    at += strlen("base64,");
    for (int k = 1; *at != '"' && *at != '='; at++, k++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, *at) - digits);
        if (k % 4 == 0) {
            assert_true(n + 3 <= sizeof bytes);
            bytes[n++] = (unsigned char)(bits >> 16);
            bytes[n++] = (unsigned char)(bits >> 8);
            bytes[n++] = (unsigned char)bits;
        }
    }
    if (*at == '=') // the rest of a PNG is its last checksum
        bytes[n++] = (unsigned char)(at[1] == '=' ? bits >> 4 : bits >> 10);
    if (*at == '=' && at[1] != '=')
        bytes[n++] = (unsigned char)(bits >> 2);
    assert_int_equal(file_write(file, bytes, n), ADELE_OK);
}

// Pixels that became class 1 have its colour where the truth is not known; blue else, because the
// truth says so. Example 5 has 5 rows of 8 pixels that were changed.
static void test_differences_have_colours(void **state) {
    static const uint8_t expected[2][3] = {{0x56, 0xB4, 0xE9}, {0x00, 0x72, 0xB2}};
    const char *run = scratch_path(state, "run");
    made_up_metrics(run, "heart", 0.5);
    for (int with_truth = 0; with_truth < 2; with_truth++) {
        struct made_up_examples examples = changed;
        struct image image;
        examples.with_truth = with_truth;
        made_up_examples(run, &examples);
        char *page = page_of(state, run);
        save_difference(page, scratch_path(state, "difference.png"));
        memory_free(page);
        assert_int_equal(image_load(scratch_path(state, "difference.png"), 0, &image), ADELE_OK);
        assert_int_equal(image.n_channels, 3);
        const uint8_t *pixel = image.pixels; // the first was changed
        for (int k = 0; k < 3; k++)
            if (abs(pixel[k] - expected[with_truth][k]) > 2) // the picture is premultiplied
                fail_msg("channel %d is %d, wanted %d", k, pixel[k], expected[with_truth][k]);
        image_deinit(&image);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differences_have_colours),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
