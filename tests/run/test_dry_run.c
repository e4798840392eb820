// SPDX-License-Identifier: MIT
// Batch sizes of a dry run, on the CPU and on a device that is the CPU with less memory.
#include "support/tiny_run.h"

#include "base/fail.h"
#include "base/file.h"
#include "device/device.h"
#include "support/scratch.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MOST_ROWS 16

// At the scales of the tiny set's own loss, a single image leaves batch norms no variance.
#define ONE_SCALE "loss={form: plain}"

static struct adele_device_iface small_iface;
static adele_status (*cpu_alloc)(const struct adele_device *device, size_t bytes, void **out);
static size_t free_bytes;
static bool has_host_images; // the device has memory of its own, and images lie on the host

static size_t small_free_bytes(const struct adele_device *device) {
    (void)device;
    return free_bytes;
}

// A device without room for one block of that many bytes; 0: it has room for all.
static size_t refused_bytes;

static adele_status small_alloc(const struct adele_device *device, size_t bytes, void **out) {
    *out = NULL;
    if (bytes == refused_bytes && bytes > 0)
        return FAIL(ADELE_NO_MEMORY, "", "cannot allocate %zu bytes", bytes);
    return cpu_alloc(device, bytes, out);
}

static adele_status pinned(const struct adele_device *device, size_t bytes, void **out) {
    return cpu_alloc(device, bytes, out);
}

static adele_status open_small(enum adele_precision precision, struct adele_device **out) {
    TRY(adele_device_open("cpu", precision, out));
    small_iface = *(*out)->iface;
    cpu_alloc = small_iface.alloc;
    small_iface.alloc = small_alloc;
    if (has_host_images)
        small_iface.alloc_pinned = pinned;
    small_iface.free_bytes = small_free_bytes;
    (*out)->iface = &small_iface;
    return ADELE_OK;
}

struct seen {
    int n_starts, n_rows, n_asked, stop_at; // stop_at 0: never
    struct adele_train_start start;
    struct adele_train_batch rows[MOST_ROWS];
};

static void see_start(void *context, const struct adele_train_start *start) {
    struct seen *seen = context;
    assert_int_equal(seen->n_rows, 0);
    assert_null(start->run_folder);
    seen->start = *start;
    seen->n_starts++;
}

static void see_row(void *context, const struct adele_train_batch *row) {
    struct seen *seen = context;
    assert_true(seen->n_rows < MOST_ROWS);
    seen->rows[seen->n_rows++] = *row;
}

static bool should_stop(void *context) {
    struct seen *seen = context;
    return ++seen->n_asked == seen->stop_at;
}

// Every size is measured, with few steps.
static struct dry_run_times times = {1e9, 0.0};

static adele_status dry_run(void *const *state, const char *device, struct seen *seen,
                            const char *const *sets) {
    struct config *config = tiny_run_config(state, sets);
    const struct trainer_options options = {.config = config,
                                            .device = device,
                                            .on_start = see_start,
                                            .should_stop = should_stop,
                                            .context = seen};
    adele_status status = trainer_dry_run(&options, times, see_row);
    config_destroy(config);
    return status;
}

static void assert_rows(const struct seen *seen, int n, const int *batches, int configured) {
    assert_int_equal(seen->n_rows, n);
    for (int i = 0; i < n; i++) {
        const struct adele_train_batch *row = &seen->rows[i];
        assert_int_equal(row->batch, batches[i]);
        assert_int_equal(row->is_configured, batches[i] == configured);
        if (!row->fits) {
            assert_true(isnan(row->step_seconds) && row->planned_bytes > row->available_bytes);
            continue;
        }
        assert_true(row->step_seconds > 0.0 && isfinite(row->step_seconds));
        assert_true(row->planned_bytes <= row->available_bytes);
    }
}

static void sizes_double_up_to_the_set(void **state) {
    struct seen seen = {0};
    check_ok(dry_run(state, "cpu", &seen, SETS(ONE_SCALE, "train.batch=5")));
    assert_rows(&seen, 6, (const int[]){1, 2, 4, 5, 8, 16}, 5);
    assert_int_equal(seen.n_starts, 1);
    assert_int_equal(seen.start.batch, 5);
    for (int i = 0; i < seen.n_rows; i++)
        assert_int_equal(seen.rows[i].is_measured, 1);
    assert_int_equal(seen.rows[3].planned_bytes, seen.start.planned_bytes);
    assert_true(seen.rows[5].planned_bytes > seen.rows[2].planned_bytes);
}

// A batch that the list has is not repeated; one of more images than there are is that of all.
static void the_configured_batch_is_marked(void **state) {
    struct seen seen = {0};
    check_ok(dry_run(state, "cpu", &seen, SETS(ONE_SCALE, "train.batch=8")));
    assert_rows(&seen, 5, (const int[]){1, 2, 4, 8, 16}, 8);
    struct seen all = {0};
    check_ok(dry_run(state, "cpu", &all, SETS(ONE_SCALE, "train.batch=100")));
    assert_rows(&all, 6, (const int[]){1, 2, 4, 8, 16, 18}, 18);
}

static void a_batch_without_statistics_is_left_out(void **state) {
    struct seen seen = {0};
    check_ok(dry_run(state, "cpu", &seen, NULL));
    assert_rows(&seen, 4, (const int[]){2, 4, 8, 16}, 4);
}

// Where there is no time, the configured size is measured, and the others are computed from it.
static void time_is_limited(void **state) {
    struct seen seen = {0};
    times.in_all = 0.0;
    check_ok(dry_run(state, "cpu", &seen, SETS(ONE_SCALE)));
    times.in_all = 1e9;
    assert_rows(&seen, 5, (const int[]){1, 2, 4, 8, 16}, 4);
    for (int i = 0; i < 5; i++) {
        const struct adele_train_batch *row = &seen.rows[i];
        assert_int_equal(row->is_measured, row->batch == 4);
        assert_true(fabs(row->step_seconds / row->batch - seen.rows[2].step_seconds / 4.0) <=
                    1e-9 * seen.rows[2].step_seconds);
    }
}

// What the table says to fit can be trained, and what it says not to fit is refused.
static void the_table_ends_where_training_does(void **state) {
    struct seen all = {0}, seen = {0};
    free_bytes = SIZE_MAX;
    check_ok(dry_run(state, "small", &all, SETS(ONE_SCALE, "train.batch=16")));
    assert_true(all.rows[0].available_bytes == SIZE_MAX);
    // What is free is what a batch of 8 takes more than a run has allocated before the check.
    free_bytes = (all.rows[3].planned_bytes + all.rows[4].planned_bytes) / 2;
    check_ok(dry_run(state, "small", &seen, SETS(ONE_SCALE, "train.batch=16")));
    assert_int_equal(seen.rows[seen.n_rows - 1].batch, 16);
    int n_fit = 0;
    for (int i = 0; i < seen.n_rows; i++)
        n_fit += seen.rows[i].fits;
    assert_int_equal(seen.n_rows, 5);
    assert_rows(&seen, 5, (const int[]){1, 2, 4, 8, 16}, 16);
    assert_true(n_fit == 4);
    struct trainer_result result;
    for (int i = 0; i < 2; i++) {
        struct config *config = tiny_run_config(
            state, SETS(ONE_SCALE, "train.epochs=1", i == 0 ? "train.batch=8" : "train.batch=16"));
        const struct trainer_options options = {
            .config = config,
            .run_folder = scratch_path(state, i == 0 ? "eight" : "sixteen"),
            .device = "small"};
        assert_int_equal(trainer_run(&options, &result), i == 0 ? ADELE_OK : ADELE_NO_MEMORY);
        config_destroy(config);
    }
}

// Where already the buffers of a batch do not fit, its row and the message of a training have the
// same numbers.
static void a_batch_whose_buffers_do_not_fit(void **state) {
    struct seen all = {0}, seen = {0};
    struct trainer_result result;
    char expected[128];
    free_bytes = SIZE_MAX;
    check_ok(dry_run(state, "small", &all, SETS(ONE_SCALE, "train.batch=16")));
    free_bytes = (all.rows[3].planned_bytes + all.rows[4].planned_bytes) / 2;
    refused_bytes = 16 * 32 * 28; // the labels of a step of 16 images
    check_ok(dry_run(state, "small", &seen, SETS(ONE_SCALE, "train.batch=16")));
    const struct adele_train_batch *row = &seen.rows[seen.n_rows - 1];
    assert_int_equal(row->batch, 16);
    assert_int_equal(row->fits, 0);
    assert_true(row->planned_bytes > all.rows[3].planned_bytes); // of this batch, not of the last
    assert_true(row->planned_bytes > row->available_bytes);
    (void)snprintf(expected, sizeof expected,
                   "a batch of 16 needs %zu MB, %zu MB are available on ",
                   row->planned_bytes / 1000000, row->available_bytes / 1000000);
    struct config *config =
        tiny_run_config(state, SETS(ONE_SCALE, "train.epochs=1", "train.batch=16"));
    const struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, "buffers"), .device = "small"};
    assert_int_equal(trainer_run(&options, &result), ADELE_NO_MEMORY);
    if (strstr(adele_error_message(), expected) == NULL)
        fail_msg("'%s' is not in '%s'", expected, adele_error_message());
    config_destroy(config);
    refused_bytes = 0;
}

static void nothing_fits(void **state) {
    struct seen seen = {0};
    free_bytes = 1 << 12;
    assert_int_equal(dry_run(state, "small", &seen, SETS(ONE_SCALE)), ADELE_NO_MEMORY);
    assert_non_null(strstr(adele_error_message(), "a batch of one image needs more than "));
    assert_true(adele_error_hint()[0] != '\0');
    assert_int_equal(seen.n_starts, 1); // with the plan that does not fit
    assert_int_equal(seen.n_rows, 0);
    assert_true(seen.start.planned_bytes > seen.start.available_bytes);
}

// A prefetch has room for the largest batch that is tried, not for the configured one alone.
static void images_may_stay_on_the_host(void **state) {
    struct seen seen = {0};
    free_bytes = SIZE_MAX;
    has_host_images = true;
    check_ok(
        dry_run(state, "small", &seen, SETS(ONE_SCALE, "train.batch=2", "data.residency=host")));
    has_host_images = false;
    assert_rows(&seen, 5, (const int[]){1, 2, 4, 8, 16}, 2);
}

static void a_signal_ends_it(void **state) {
    struct seen seen = {.stop_at = 4};
    assert_int_equal(dry_run(state, "cpu", &seen, SETS(ONE_SCALE)), ADELE_INTERRUPTED);
    assert_non_null(strstr(adele_error_message(), "dry run"));
    assert_int_equal(seen.n_asked, 4);
}

static void nothing_is_written(void **state) {
    struct seen seen = {0};
    struct file_list before, after;
    check_ok(file_list_directory(scratch_path(state, "."), &before));
    check_ok(dry_run(state, "cpu", &seen, SETS(ONE_SCALE)));
    check_ok(file_list_directory(scratch_path(state, "."), &after));
    assert_int_equal(after.n, before.n);
    file_list_deinit(&before);
    file_list_deinit(&after);
}

static int setup(void **state) {
    adele_device_provide("small", open_small);
    return tiny_run_setup(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_double_up_to_the_set),
        cmocka_unit_test(the_configured_batch_is_marked),
        cmocka_unit_test(a_batch_without_statistics_is_left_out),
        cmocka_unit_test(time_is_limited),
        cmocka_unit_test(the_table_ends_where_training_does),
        cmocka_unit_test(a_batch_whose_buffers_do_not_fit),
        cmocka_unit_test(nothing_fits),
        cmocka_unit_test(images_may_stay_on_the_host),
        cmocka_unit_test(a_signal_ends_it),
        cmocka_unit_test(nothing_is_written),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
