// SPDX-License-Identifier: MIT
#include "predict/case_thread.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdbool.h>

struct case_thread {
    pthread_t thread;
    bool has_thread; // where the system gives none, jobs are done by the caller
    pthread_mutex_t lock;
    pthread_cond_t changed;
    // Under the lock:
    case_job job; // NULL: none to do
    void *context;
    bool is_over;
    adele_status status; // of the last job, with its error; messages belong to a thread
    char *message, *hint;
};

static void keep_error(struct case_thread *self, adele_status status) {
    self->status = status;
    if (status == ADELE_OK)
        return;
    self->message = memory_strdup(adele_error_message());
    self->hint = memory_strdup(adele_error_hint());
}

static void *work(void *context) {
    struct case_thread *self = context;
    (void)pthread_mutex_lock(&self->lock);
    for (;;) {
        while (!self->job && !self->is_over)
            (void)pthread_cond_wait(&self->changed, &self->lock);
        if (!self->job)
            break;
        (void)pthread_mutex_unlock(&self->lock);
        adele_status status = self->job(self->context); // nobody changes it meanwhile
        (void)pthread_mutex_lock(&self->lock);
        keep_error(self, status);
        self->job = NULL;
        (void)pthread_cond_broadcast(&self->changed);
    }
    (void)pthread_mutex_unlock(&self->lock);
    return NULL;
}

adele_status case_thread_create(struct case_thread **out) {
    struct case_thread *self = NULL;
    TRY(ALLOCATE(&self, 1));
    (void)pthread_mutex_init(&self->lock, NULL);
    (void)pthread_cond_init(&self->changed, NULL);
    self->has_thread = pthread_create(&self->thread, NULL, work, self) == 0;
    *out = self;
    return ADELE_OK;
}

static void forget_error(struct case_thread *self) {
    memory_free(self->message);
    memory_free(self->hint);
    self->message = self->hint = NULL;
    self->status = ADELE_OK;
}

void case_thread_destroy(struct case_thread *self) {
    if (!self)
        return;
    (void)pthread_mutex_lock(&self->lock);
    self->is_over = true;
    (void)pthread_cond_broadcast(&self->changed);
    (void)pthread_mutex_unlock(&self->lock);
    if (self->has_thread)
        (void)pthread_join(self->thread, NULL);
    forget_error(self);
    (void)pthread_cond_destroy(&self->changed);
    (void)pthread_mutex_destroy(&self->lock);
    memory_free(self);
}

adele_status case_thread_wait(struct case_thread *self) {
    (void)pthread_mutex_lock(&self->lock);
    while (self->job)
        (void)pthread_cond_wait(&self->changed, &self->lock);
    (void)pthread_mutex_unlock(&self->lock);
    adele_status status = self->status;
    if (status != ADELE_OK)
        status = self->message && self->hint ? FAIL(status, self->hint, "%s", self->message)
                                             : CHECK_MEMORY(NULL);
    forget_error(self);
    return status;
}

adele_status case_thread_begin(struct case_thread *self, case_job job, void *context) {
    TRY(case_thread_wait(self));
    if (!self->has_thread) {
        keep_error(self, job(context));
        return ADELE_OK;
    }
    (void)pthread_mutex_lock(&self->lock);
    self->job = job;
    self->context = context;
    (void)pthread_cond_broadcast(&self->changed);
    (void)pthread_mutex_unlock(&self->lock);
    return ADELE_OK;
}
