// SPDX-License-Identifier: MIT
// The error record: texts, context, one record a thread.
#include "base/fail.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void test_each_code_has_its_own_text(void **state) {
    (void)state;
    assert_string_equal(adele_status_text(ADELE_OK), "ok");
    assert_string_equal(adele_status_text(ADELE_UNSUPPORTED), "unsupported");
    for (int i = 0; i < ADELE_STATUS_COUNT; i++) {
        for (int j = 0; j < i; j++)
            assert_string_not_equal(adele_status_text((adele_status)i),
                                    adele_status_text((adele_status)j));
    }
    assert_string_equal(adele_status_text(ADELE_STATUS_COUNT), "unknown status");
    assert_string_equal(adele_status_text((adele_status)-1), "unknown status");
}

static void test_fail_records_message_hint_and_place(void **state) {
    (void)state;
    int line = __LINE__ + 1;
    adele_status status = FAIL(ADELE_DATA, "Do this.", "%s: pixel %d", "a.png", 7);
    assert_int_equal(status, ADELE_DATA);
    assert_string_equal(adele_error_message(), "a.png: pixel 7");
    assert_string_equal(adele_error_hint(), "Do this.");
    char place[64];
    (void)snprintf(place, sizeof place, "test_status.c:%d", line);
    assert_string_equal(adele_error_place(), place);
}

static void test_a_message_may_quote_the_last_one(void **state) {
    (void)state;
    (void)FAIL(ADELE_IO, "Old hint.", "inner");
    (void)FAIL(ADELE_IO, adele_error_hint(), "outer (%s)", adele_error_message());
    assert_string_equal(adele_error_message(), "outer (inner)");
    assert_string_equal(adele_error_hint(), "Old hint.");
}

static void test_context_goes_before_the_message(void **state) {
    (void)state;
    adele_status status = FAIL(ADELE_FORMAT, "Hint.", "bad magic %x", 0xbeefu);
    status = fail_context(status, "%s", "scan.nii");
    assert_int_equal(status, ADELE_FORMAT);
    assert_string_equal(adele_error_message(), "scan.nii: bad magic beef");
    assert_string_equal(adele_error_hint(), "Hint.");
}

static void test_a_long_message_is_cut_not_overrun(void **state) {
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)FAIL(ADELE_IO, text, "%s", text);
    size_t n = strlen(adele_error_message());
    assert_true(n > 1000 && n < sizeof text - 1);
    assert_true(strlen(adele_error_hint()) < sizeof text - 1);
    (void)fail_context(ADELE_IO, "front");
    assert_int_equal(strlen(adele_error_message()), n);
    assert_memory_equal(adele_error_message(), "front: xxx", 10);
}

static void *fail_elsewhere(void *unused) {
    (void)FAIL(ADELE_IO, "", "other thread");
    return unused;
}

static void test_each_thread_has_its_own_record(void **state) {
    (void)state;
    pthread_t thread;
    (void)FAIL(ADELE_IO, "", "this thread");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(adele_error_message(), "this thread");
}

static adele_status pass(adele_status status, int *n_calls) {
    (*n_calls)++;
    return status;
}

static adele_status try_two(adele_status first, int *n_calls) {
    TRY(pass(first, n_calls));
    TRY(pass(ADELE_OK, n_calls));
    return ADELE_OK;
}

static void test_try_stops_at_the_first_failure(void **state) {
    (void)state;
    int n_calls = 0;
    assert_int_equal(try_two(ADELE_NUMERIC, &n_calls), ADELE_NUMERIC);
    assert_int_equal(n_calls, 1);
    assert_int_equal(try_two(ADELE_OK, &n_calls), ADELE_OK);
    assert_int_equal(n_calls, 3);
}

struct seen {
    int n;
    enum log_level level;
    char line[64];
};

static void remember(void *context, enum log_level level, const char *line) {
    struct seen *seen = context;
    seen->n++;
    seen->level = level;
    (void)snprintf(seen->line, sizeof seen->line, "%s", line);
}

// Names of files go into messages as they are; what a terminal would obey does not.
static void test_a_message_is_one_plain_line(void **state) {
    (void)state;
    adele_status status = FAIL(ADELE_DATA, "Rename\tit.", "a\nb\x1b[2J\x7f\xc3\xa9: no");
    assert_string_equal(adele_error_message(), "a?b?[2J?\xc3\xa9: no");
    assert_string_equal(adele_error_hint(), "Rename?it.");
    assert_int_equal(fail_context(status, "in\r\n%s", "x"), ADELE_DATA);
    assert_string_equal(adele_error_message(), "in??x: a?b?[2J?\xc3\xa9: no");
}

static void test_log_lines_go_to_the_sink_only(void **state) {
    (void)state;
    struct seen seen = {0};
    log_line(LOG_INFO, "dropped");
    log_set_sink(remember, &seen);
    log_line(LOG_WARNING, "epoch %d\nend\x1b[0m", 3);
    log_set_sink(NULL, NULL);
    log_line(LOG_INFO, "dropped");
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.level, LOG_WARNING);
    assert_string_equal(seen.line, "epoch 3 end?[0m");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_code_has_its_own_text),
        cmocka_unit_test(test_fail_records_message_hint_and_place),
        cmocka_unit_test(test_a_message_may_quote_the_last_one),
        cmocka_unit_test(test_context_goes_before_the_message),
        cmocka_unit_test(test_a_long_message_is_cut_not_overrun),
        cmocka_unit_test(test_each_thread_has_its_own_record),
        cmocka_unit_test(test_try_stops_at_the_first_failure),
        cmocka_unit_test(test_a_message_is_one_plain_line),
        cmocka_unit_test(test_log_lines_go_to_the_sink_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
