// SPDX-License-Identifier: MIT
// A thread that does one job at a time beside the thread that gives them: reading the files of the
// next case, writing those of the last one.
#ifndef ADELE_PREDICT_CASE_THREAD_H
#define ADELE_PREDICT_CASE_THREAD_H

#include "base/fail.h"

struct case_thread;
typedef adele_status (*case_job)(void *context);

ADELE_MUST_CHECK adele_status case_thread_create(struct case_thread **out);
void case_thread_destroy(struct case_thread *thread); // waits; NULL is legal

// Waits for the last job, and begins this one unless that one failed, whose error is returned then.
ADELE_MUST_CHECK adele_status case_thread_begin(struct case_thread *thread, case_job job,
                                                void *context);
// Waits for the last job, and returns its status once; its error is this thread's then.
ADELE_MUST_CHECK adele_status case_thread_wait(struct case_thread *thread);
#endif
