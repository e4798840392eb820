// SPDX-License-Identifier: MIT
// Which regions `adele audit` leaves out because of their size.
#include "adele/audit.h"
#include "audit/audit.h"
#include "base/file.h"
#include "image/image.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void the_smallest_region_grows_with_the_image(void **state) {
    (void)state;
    assert_int_equal(audit_smallest_region(32, 28), 4);
    assert_int_equal(audit_smallest_region(256, 256), 4);
    assert_int_equal(audit_smallest_region(512, 512), 14);
    assert_int_equal(audit_smallest_region(40000, 60000), 120000); // beyond 32 bits
}

// The labels of the set with a pixel of class 1 in one corner of each, and of class 2 in another.
static void write_speckled(void *const *state, const char *folder) {
    check_ok(file_make_directory(scratch_path(state, folder)));
    for (int i = 0; i < TINY_SET_TRAIN; i++) {
        char from[64], to[64];
        struct image label;
        (void)snprintf(from, sizeof from, "set/labelsTr/train_%03d.png", i);
        (void)snprintf(to, sizeof to, "%s/train_%03d.png", folder, i);
        check_ok(image_load_label(scratch_path(state, from), 0, &label));
        ((uint8_t *)label.pixels)[0] = 1;
        ((uint8_t *)label.pixels)[label.width - 1] = 2;
        check_ok(image_save_png(scratch_path(state, to), &label));
        image_deinit(&label);
    }
}

static int64_t count_regions(void *const *state, const char *output, int min_pixels) {
    struct adele_model *model = NULL;
    struct adele_audit_options options;
    struct adele_audit_summary summary;
    char labels[4096];
    (void)snprintf(labels, sizeof labels, "%s", scratch_path(state, "speckled"));
    adele_audit_options_init(&options);
    options.output = scratch_path(state, output);
    options.labels = labels;
    options.confidence = 0.0;
    if (min_pixels > 0)
        options.min_pixels = min_pixels;
    check_ok(adele_model_open(scratch_path(state, "run"), NULL, "cpu", &model));
    check_ok(adele_model_audit(model, &options, &summary));
    adele_model_close(model);
    return summary.n_regions;
}

// Whatever is predicted in the corners, one of the two pixels is another class, in every image.
static void single_pixels_are_regions_only_where_asked_for(void **state) {
    check_ok(tiny_run(state, "run", false, SETS("train.epochs=1"), NULL));
    write_speckled(state, "speckled");
    int64_t by_default = count_regions(state, "default", 0);
    assert_int_equal(count_regions(state, "four", 4), by_default);
    assert_true(count_regions(state, "one", 1) >= by_default + TINY_SET_TRAIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_region_grows_with_the_image),
        cmocka_unit_test(single_pixels_are_regions_only_where_asked_for),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
