// SPDX-License-Identifier: MIT
// A job runs beside the thread that gives it, one at a time, and its error arrives there once.
#include "predict/case_thread.h"

#include "base/fail.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

struct job {
    pthread_mutex_t gate; // the job waits for it
    pthread_t by;
    int *n_done, order;
    adele_status status;
};

static adele_status run(void *context) {
    struct job *job = context;
    (void)pthread_mutex_lock(&job->gate);
    (void)pthread_mutex_unlock(&job->gate);
    job->by = pthread_self();
    job->order = ++*job->n_done;
    return job->status == ADELE_OK ? ADELE_OK : FAIL(job->status, "the hint", "job %d", job->order);
}

static void jobs_run_beside_the_caller_in_order(void **state) {
    struct case_thread *thread = NULL;
    int n_done = 0;
    struct job jobs[2] = {{.gate = PTHREAD_MUTEX_INITIALIZER, .n_done = &n_done},
                          {.gate = PTHREAD_MUTEX_INITIALIZER, .n_done = &n_done}};
    (void)state;
    assert_int_equal(case_thread_create(&thread), ADELE_OK);
    (void)pthread_mutex_lock(&jobs[0].gate);
    assert_int_equal(case_thread_begin(thread, run, &jobs[0]), ADELE_OK); // would hang if it waited
    (void)pthread_mutex_unlock(&jobs[0].gate);
    assert_int_equal(case_thread_begin(thread, run, &jobs[1]), ADELE_OK);
    assert_int_equal(jobs[0].order, 1); // begin has waited for it
    assert_int_equal(case_thread_wait(thread), ADELE_OK);
    assert_int_equal(jobs[1].order, 2);
    assert_false(pthread_equal(jobs[0].by, pthread_self()));
    case_thread_destroy(thread);
}

static void an_error_arrives_once(void **state) {
    struct case_thread *thread = NULL;
    int n_done = 0;
    struct job bad = {.gate = PTHREAD_MUTEX_INITIALIZER, .n_done = &n_done, .status = ADELE_DATA};
    struct job good = {.gate = PTHREAD_MUTEX_INITIALIZER, .n_done = &n_done};
    (void)state;
    assert_int_equal(case_thread_create(&thread), ADELE_OK);
    assert_int_equal(case_thread_begin(thread, run, &bad), ADELE_OK);
    (void)FAIL(ADELE_IO, "another hint", "another message");
    assert_int_equal(case_thread_begin(thread, run, &good), ADELE_DATA);
    assert_string_equal(adele_error_message(), "job 1");
    assert_string_equal(adele_error_hint(), "the hint");
    assert_int_equal(n_done, 1); // the next job was not begun
    assert_int_equal(case_thread_wait(thread), ADELE_OK);
    assert_int_equal(case_thread_begin(thread, run, &good), ADELE_OK);
    assert_int_equal(case_thread_wait(thread), ADELE_OK);
    assert_int_equal(n_done, 2);
    case_thread_destroy(thread);
}

static void destroying_waits_for_the_job(void **state) {
    struct case_thread *thread = NULL;
    int n_done = 0;
    struct job job = {.gate = PTHREAD_MUTEX_INITIALIZER, .n_done = &n_done, .status = ADELE_IO};
    (void)state;
    assert_int_equal(case_thread_create(&thread), ADELE_OK);
    assert_int_equal(case_thread_begin(thread, run, &job), ADELE_OK);
    case_thread_destroy(thread);
    assert_int_equal(n_done, 1);
    case_thread_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_beside_the_caller_in_order),
        cmocka_unit_test(an_error_arrives_once),
        cmocka_unit_test(destroying_waits_for_the_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
