// SPDX-License-Identifier: MIT
#include "run_folder/metrics.h"
#include "run_folder/tensorboard.h"

#include "base/file.h"
#include "base/memory.h"
#include "support/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#define EVENTS "events.out.tfevents.0.adele"

static const char *const file_names[] = {"metrics.jsonl", "metrics.csv", EVENTS};

static char *read_text(void **state, const char *name, size_t *n_bytes) {
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read(scratch_path(state, name), 0, &text, &bytes), ADELE_OK);
    if (n_bytes != NULL)
        *n_bytes = bytes;
    return text;
}

static void assert_text(void **state, const char *name, const char *expected) {
    char *text = read_text(state, name, NULL);
    assert_string_equal(text, expected);
    memory_free(text);
}

static adele_status record(struct metrics *metrics, int epoch) {
    adele_status status = metrics_begin(metrics, epoch, 33L * epoch);
    if (status == ADELE_OK)
        status = metrics_add(metrics, 1.0 / epoch, "train/loss");
    if (status == ADELE_OK && epoch % 2 == 0)
        status = metrics_add(metrics, epoch == 4 ? NAN : 0.1 * epoch, "val/iou/%s", "heart");
    return status == ADELE_OK ? metrics_end(metrics) : status;
}

static void write_epochs(void **state, int keep, int last) {
    struct metrics *metrics = NULL;
    assert_int_equal(metrics_open(*state, keep, &metrics), ADELE_OK);
    for (int epoch = keep + 1; epoch <= last; epoch++)
        assert_int_equal(record(metrics, epoch), ADELE_OK);
    metrics_close(metrics);
}

static void test_literal_files(void **state) {
    struct metrics *metrics = NULL;
    assert_int_equal(metrics_open(*state, 0, &metrics), ADELE_OK);
    assert_int_equal(metrics_begin(metrics, 1, 33), ADELE_OK);
    assert_int_equal(metrics_add(metrics, 0.1, "train/loss"), ADELE_OK);
    assert_int_equal(metrics_add(metrics, INFINITY, "a\"b,%d", 7), ADELE_OK);
    assert_int_equal(metrics_end(metrics), ADELE_OK);
    assert_int_equal(metrics_begin(metrics, 2, 66), ADELE_OK);
    assert_int_equal(metrics_add(metrics, 1.0 / 3.0, "val/miou"), ADELE_OK);
    assert_int_equal(metrics_add(metrics, 5.0, "train/loss"), ADELE_OK);
    assert_int_equal(metrics_end(metrics), ADELE_OK);
    metrics_close(metrics);
    assert_text(state, "metrics.jsonl",
                "{\"epoch\": 1, \"step\": 33, \"train/loss\": 0.1, \"a\\\"b,7\": null}\n"
                "{\"epoch\": 2, \"step\": 66, \"val/miou\": 0.3333333333333333, "
                "\"train/loss\": 5}\n");
    assert_text(state, "metrics.csv",
                "epoch,step,train/loss,\"a\"\"b,7\",val/miou\n"
                "1,33,0.1,,\n"
                "2,66,5,,0.3333333333333333\n");
}

// What the three files hold after epochs 1 to 6 in one go.
struct snapshot {
    char *text[3];
    size_t n_bytes[3];
};

// The events hold the time at which each was written, 8 bytes behind a record's header of 12 and a
// key of 1, and a checksum at its end that covers it: no two runs have the same. Both are zeroed,
// so that everything else is compared.
static void blank_times(char *events, size_t n_bytes) {
    size_t at = 0, begin = 0;
    int64_t step;
    while (tensorboard_next_record(events, n_bytes, &at, &begin, &step)) {
        memset(events + begin + 12 + 1, 0, 8);
        memset(events + at - 4, 0, 4);
    }
    assert_int_equal(at, n_bytes);
}

static struct snapshot take_snapshot(void **state) {
    struct snapshot snapshot;
    for (int i = 0; i < 3; i++)
        snapshot.text[i] = read_text(state, file_names[i], &snapshot.n_bytes[i]);
    blank_times(snapshot.text[2], snapshot.n_bytes[2]);
    return snapshot;
}

static void assert_unchanged_and_free(void **state, struct snapshot *expected) {
    struct snapshot now = take_snapshot(state);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(now.n_bytes[i], expected->n_bytes[i]);
        assert_memory_equal(now.text[i], expected->text[i], now.n_bytes[i]);
        memory_free(now.text[i]);
        memory_free(expected->text[i]);
    }
}

static void test_resume_gives_the_same_bytes(void **state) {
    for (int keep = 0; keep <= 6; keep++) {
        write_epochs(state, 0, 6);
        struct snapshot whole = take_snapshot(state);
        write_epochs(state, keep, 6);
        assert_unchanged_and_free(state, &whole);
    }
}

// Times are in no other file, so that a resumed run keeps those of the epochs that stay.
static void test_resume_keeps_the_times(void **state) {
    write_epochs(state, 0, 4);
    size_t n_whole = 0, n_cut = 0;
    char *whole = read_text(state, EVENTS, &n_whole);
    write_epochs(state, 2, 2);
    char *cut = read_text(state, EVENTS, &n_cut);
    assert_true(n_cut < n_whole);
    assert_memory_equal(cut, whole, n_cut);
    // A byte that is changed in the last one costs that one its time.
    cut[n_cut - 6] = (char)(cut[n_cut - 6] ^ 1);
    assert_int_equal(file_write(scratch_path(state, EVENTS), cut, n_cut), ADELE_OK);
    write_epochs(state, 2, 2);
    size_t n_mended = 0, at = 0, begin = 0, n_records = 0;
    char *mended = read_text(state, EVENTS, &n_mended);
    int64_t step = 0;
    assert_int_equal(n_mended, n_cut);
    while (tensorboard_next_record(mended, n_mended, &at, &begin, &step))
        n_records++;
    assert_int_equal(at, n_mended);
    assert_int_equal(n_records, 3); // the version and two epochs
    assert_memory_equal(mended, whole, begin);
    memory_free(whole);
    memory_free(cut);
    memory_free(mended);
}

static void test_values_for_the_events_alone(void **state) {
    struct metrics *metrics = NULL;
    assert_int_equal(metrics_open(*state, 0, &metrics), ADELE_OK);
    assert_int_equal(metrics_add_event(metrics, 1.0, "time/x"), ADELE_INVALID_ARGUMENT);
    assert_int_equal(metrics_begin(metrics, 1, 33), ADELE_OK);
    assert_int_equal(metrics_add(metrics, 0.5, "train/loss"), ADELE_OK);
    assert_int_equal(metrics_add_event(metrics, 2.5, "time/epoch_seconds"), ADELE_OK);
    assert_int_equal(metrics_end(metrics), ADELE_OK);
    metrics_close(metrics);
    assert_text(state, "metrics.jsonl", "{\"epoch\": 1, \"step\": 33, \"train/loss\": 0.5}\n");
    assert_text(state, "metrics.csv", "epoch,step,train/loss\n1,33,0.5\n");
    size_t n = 0;
    char *events = read_text(state, EVENTS, &n);
    size_t i = 0; // the name lies among bytes that are no text
    while (i + 18 <= n && memcmp(events + i, "time/epoch_seconds", 18) != 0)
        i++;
    assert_true(i + 18 <= n);
    memory_free(events);
}

static void test_resume_drops_what_is_later_and_torn(void **state) {
    write_epochs(state, 0, 3);
    struct snapshot three = take_snapshot(state);
    write_epochs(state, 0, 5);
    char *text = read_text(state, "metrics.jsonl", NULL);
    char *torn = memory_printf("%s{\"epoch\": 6, \"st", text);
    assert_int_equal(file_write(scratch_path(state, "metrics.jsonl"), torn, strlen(torn)),
                     ADELE_OK);
    memory_free(text);
    memory_free(torn);
    write_epochs(state, 3, 3);
    assert_unchanged_and_free(state, &three);
}

static void test_keep_zero_ignores_what_is_there(void **state) {
    assert_int_equal(file_write(scratch_path(state, "metrics.jsonl"), "rubbish\nmore\n", 13),
                     ADELE_OK);
    write_epochs(state, 0, 1);
    assert_text(state, "metrics.jsonl", "{\"epoch\": 1, \"step\": 33, \"train/loss\": 1}\n");
}

static void test_malformed_line_is_named(void **state) {
    static const char *const texts[] = {
        "{\"epoch\": 1, \"step\": 1}\nrubbish\n{\"epoch\": 3, \"step\": 1}\n",
        "{\"epoch\": 1, \"step\": 1}\n{\"epoch\": 1.5, \"step\": 1}\n",
        "{\"epoch\": 1, \"step\": 1}\n{\"epoch\": 2}\n",
        "{\"epoch\": 1, \"step\": 1}\n[2]\n",
        "{\"epoch\": 2, \"step\": 1}\n{\"epoch\": 2, \"step\": 2}\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *path = scratch_path(state, "metrics.jsonl");
        assert_int_equal(file_write(path, texts[i], strlen(texts[i])), ADELE_OK);
        struct metrics *metrics = NULL;
        assert_int_equal(metrics_open(*state, 5, &metrics), ADELE_FORMAT);
        assert_null(metrics);
        assert_non_null(strstr(adele_error_message(), "metrics.jsonl:2"));
        assert_string_not_equal(adele_error_hint(), "");
    }
}

static void test_misuse(void **state) {
    struct metrics *metrics = NULL;
    char name[600];
    assert_int_equal(metrics_open(*state, 0, &metrics), ADELE_OK);
    assert_int_equal(metrics_add(metrics, 1.0, "x"), ADELE_INVALID_ARGUMENT);
    assert_int_equal(metrics_end(metrics), ADELE_INVALID_ARGUMENT);
    assert_int_equal(metrics_begin(metrics, 1, 1), ADELE_OK);
    assert_int_equal(metrics_begin(metrics, 2, 1), ADELE_INVALID_ARGUMENT);
    assert_int_equal(metrics_add(metrics, 1.0, "x"), ADELE_OK);
    assert_int_equal(metrics_add(metrics, 1.0, "x"), ADELE_INVALID_ARGUMENT);
    assert_int_equal(metrics_add(metrics, 1.0, "epoch"), ADELE_INVALID_ARGUMENT);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(metrics_add(metrics, 1.0, "%s", name), ADELE_INVALID_ARGUMENT);
    assert_int_equal(metrics_add(metrics, 1.0, "%s", ""), ADELE_INVALID_ARGUMENT);
    assert_int_equal(metrics_end(metrics), ADELE_OK);
    assert_int_equal(metrics_begin(metrics, 1, 2), ADELE_INVALID_ARGUMENT);
    metrics_close(metrics);
    metrics_close(NULL);
    assert_text(state, "metrics.jsonl", "{\"epoch\": 1, \"step\": 1, \"x\": 1}\n");
}

static void test_missing_folder(void **state) {
    struct metrics *metrics = NULL;
    assert_int_equal(metrics_open(scratch_path(state, "none"), 0, &metrics), ADELE_IO);
    assert_non_null(strstr(adele_error_message(), "metrics.jsonl"));
}

// A limit on the size of files stands for a full disk: a record that does not fit leaves no trace,
// and recording goes on once there is room.
static void test_full_disk(void **state) {
    write_epochs(state, 0, 2);
    struct snapshot two = take_snapshot(state);
    struct metrics *metrics = NULL;
    assert_int_equal(metrics_open(*state, 2, &metrics), ADELE_OK);
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);
    // Room for a part of the event, and none for the line.
    struct rlimit small = {.rlim_cur = two.n_bytes[2] + 20, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    adele_status status = record(metrics, 3);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, old_handler);
    assert_int_equal(status, ADELE_IO);
    assert_unchanged_and_free(state, &two);
    assert_int_equal(record(metrics, 3), ADELE_OK);
    metrics_close(metrics);
    struct snapshot resumed = take_snapshot(state);
    write_epochs(state, 0, 3);
    assert_unchanged_and_free(state, &resumed);
}

static adele_status resume_and_record(const char *folder) {
    struct metrics *metrics = NULL;
    adele_status status = metrics_open(folder, 2, &metrics);
    if (status == ADELE_OK)
        status = record(metrics, 3);
    if (status == ADELE_OK)
        status = record(metrics, 4);
    metrics_close(metrics);
    return status;
}

static void test_every_allocation_may_fail(void **state) {
    write_epochs(state, 0, 4);
    struct snapshot whole = take_snapshot(state);
    long n_failures = 0;
    for (long i = 0;; i++) {
        memory_fail_at(i);
        adele_status status = resume_and_record(*state);
        bool has_failed = memory_count() > i;
        memory_fail_at(-1);
        if (!has_failed) {
            assert_int_equal(status, ADELE_OK);
            break;
        }
        assert_int_equal(status, ADELE_NO_MEMORY);
        n_failures++;
    }
    assert_true(n_failures > 20);
    assert_unchanged_and_free(state, &whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_literal_files, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_resume_gives_the_same_bytes, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(test_resume_keeps_the_times, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(test_values_for_the_events_alone, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(test_resume_drops_what_is_later_and_torn, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(test_keep_zero_ignores_what_is_there, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(test_malformed_line_is_named, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(test_misuse, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_missing_folder, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_every_allocation_may_fail, scratch_setup,
                                        scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
