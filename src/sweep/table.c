// SPDX-License-Identifier: MIT
// The processes of those runs of table_plan.c that table_found.c has not found finished.
// table_rows.c makes the table of what they left.
#include "sweep/table.h"

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "config/config.h"
#include "output/output.h"
#include "run_folder/run_folder.h"
#include "sweep/job.h"
#include "sweep/table_found.h"
#include "sweep/table_plan.h"
#include "sweep/table_rows.h"
#include "sweep/table_seconds.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct tables {
    const struct adele_table_options *options;
    struct table_plan plan;
    struct job *jobs; // (plan.n_runs)
    struct table_seconds *seconds;
    struct output *output;
    int n_ended, n_running, n_failed, n_jobs;
};

static void tables_deinit(struct tables *self) {
    table_plan_deinit(&self->plan);
    table_seconds_destroy(self->seconds);
    memory_free(self->jobs);
    output_destroy(self->output);
}

static void report_event(const struct tables *self, const struct table_run *run,
                         enum adele_run_event event, const char *message, const char *hint) {
    if (self->options->on_run != NULL)
        self->options->on_run(self->options->context,
                              &(struct adele_table_run){run->name, event, message, hint,
                                                        self->n_ended, self->plan.n_runs});
}

// ---- the files ----------------------------------------------------------------------------------

// Files of an earlier call are replaced, because a table that goes on is made again.
static adele_status plan_files(struct tables *self) {
    const struct adele_table_options *options = self->options;
    TRY(output_create(options->output, true, &self->output));
    for (int i = 0; i < self->plan.n_runs; i += options->n_seeds) { // each row's first run
        struct config *config = NULL;
        TRY(table_run_config(&self->plan, &self->plan.runs[i], &config));
        adele_status status = config_check_new(config);
        if (status == ADELE_OK)
            status = run_folder_guard_data(config, output_guard(self->output));
        config_destroy(config);
        TRY(status);
    }
    for (int i = 0; i < self->plan.n_runs; i++)
        TRY(output_add(self->output, "%s.out", self->plan.runs[i].name));
    TRY(output_add(self->output, "table.md"));
    TRY(output_add(self->output, "table.csv"));
    TRY(output_add(self->output, "table_classes.csv"));
    TRY(output_add(self->output, "table_runs.csv"));
    TRY(output_add(self->output, "seconds.json"));
    return output_check(self->output);
}

// ---- processes ----------------------------------------------------------------------------------

static adele_status find_printed(const struct tables *self, const struct table_run *run,
                                 char **out) {
    *out = memory_printf("%s/%s.out", self->options->output, run->name);
    return CHECK_MEMORY(*out);
}

static adele_status start(struct tables *self, int i) {
    const struct adele_table_options *options = self->options;
    struct table_run *run = &self->plan.runs[i];
    CLEANUP(table_sets_deinit) struct table_sets sets = {0};
    OWNED const char **arguments = NULL;
    OWNED char *printed = NULL;
    int n = 0, n_threads = omp_get_max_threads() / self->n_jobs;
    TRY(table_sets_init(&self->plan, run, &sets));
    TRY(ALLOCATE(&arguments, 2 * (size_t)sets.n + 9));
    TRY(find_printed(self, run, &printed));
    const char *const first[] = {"adele",
                                 "train",
                                 options->configs[run->i_config],
                                 "--run",
                                 run->folder,
                                 "--device",
                                 options->device != NULL ? options->device : "auto"};
    for (; n < 7; n++)
        arguments[n] = first[n];
    if (run->is_begun)
        arguments[n++] = "--resume";
    for (int k = 0; k < sets.n; k++) {
        arguments[n++] = "--set";
        arguments[n++] = sets.sets[k];
    }
    // Until it ends, how long it took is not known: this process may be killed.
    TRY(table_seconds_set(self->seconds, run->name, NAN));
    run->begun = clock_seconds();
    TRY(job_start(options->program, arguments, n_threads > 1 ? n_threads : 1, printed,
                  &self->jobs[i]));
    self->n_running++;
    report_event(self, run, ADELE_RUN_STARTED, "", "");
    return ADELE_OK;
}

static void end_failed(struct tables *self, struct table_run *run, const char *message,
                       const char *hint) {
    self->n_ended++;
    self->n_failed++;
    report_event(self, run, ADELE_RUN_FAILED, message, hint);
}

static adele_status end(struct tables *self, int i, bool is_stopping) {
    struct table_run *run = &self->plan.runs[i];
    OWNED char *printed = NULL, *message = NULL, *hint = NULL;
    self->n_running--;
    run->seconds = run->earlier + clock_seconds() - run->begun;
    TRY(table_seconds_set(self->seconds, run->name, run->seconds));
    run->has_finished = self->jobs[i].status == 0;
    if (run->has_finished) {
        self->n_ended++;
        report_event(self, run, ADELE_RUN_DONE, "", "");
    }
    if (run->has_finished || is_stopping) // what was asked to stop has not failed
        return ADELE_OK;
    TRY(find_printed(self, run, &printed));
    TRY(job_reason(&self->jobs[i], printed, &message, &hint));
    end_failed(self, run, message, hint);
    return ADELE_OK;
}

static bool should_stop(const struct tables *self) {
    const struct adele_table_options *options = self->options;
    return options->should_stop != NULL && options->should_stop(options->context) != 0;
}

// Kept, or failed because the run that is there cannot be resumed; otherwise its process is
// started. Another call may have trained it since this one began.
static adele_status begin_run(struct tables *self, int i) {
    struct table_run *run = &self->plan.runs[i];
    if (run->problem == NULL)
        TRY(table_found_again(&self->plan, self->seconds, run));
    if (run->problem != NULL) {
        end_failed(self, run, run->problem, run->problem_hint);
        return ADELE_OK;
    }
    if (!run->has_finished)
        return start(self, i);
    self->n_ended++;
    report_event(self, run, ADELE_RUN_KEPT, "", "");
    return ADELE_OK;
}

static adele_status wait_some(struct tables *self, bool is_stopping) {
    adele_status status = ADELE_OK;
    for (int i = 0; i < self->plan.n_runs; i++)
        if (self->jobs[i].pid > 0 && job_has_ended(&self->jobs[i]) && status == ADELE_OK)
            status = end(self, i, is_stopping);
    (void)nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    return status;
}

// Every process is waited for, also after a failure here.
static adele_status stop_all(struct tables *self) {
    for (int i = 0; i < self->plan.n_runs; i++)
        job_stop(&self->jobs[i]);
    adele_status status = ADELE_OK;
    while (self->n_running > 0) {
        adele_status ended = wait_some(self, true);
        status = status == ADELE_OK ? ended : status;
    }
    return status;
}

static adele_status train_all(struct tables *self) {
    adele_status status = ADELE_OK;
    int i_next = 0;
    while ((i_next < self->plan.n_runs || self->n_running > 0) && status == ADELE_OK) {
        if (should_stop(self))
            status = FAIL(ADELE_INTERRUPTED, "The same command goes on.",
                          "interrupted; %d of %d runs are there", self->n_ended, self->plan.n_runs);
        else if (i_next < self->plan.n_runs && self->n_running < self->n_jobs)
            status = begin_run(self, i_next++);
        else
            status = wait_some(self, false);
    }
    if (self->n_running == 0)
        return status;
    OWNED char *message = memory_strdup(adele_error_message());
    OWNED char *hint = memory_strdup(adele_error_hint());
    (void)stop_all(self);
    return FAIL(status, hint != NULL ? hint : "", "%s", message != NULL ? message : "");
}

// ---- the call -----------------------------------------------------------------------------------

// Where no run has finished, the tables of an earlier call say more than empty ones would.
static adele_status make_table(struct tables *self, struct adele_table **out) {
    bool has_any = false;
    TRY(table_rows_create(&self->plan, out));
    (*out)->n_failed = self->n_failed;
    for (int i = 0; i < (*out)->n_rows; i++)
        has_any = has_any || (*out)->rows[i].n_runs > 0;
    return has_any ? table_files_write(*out, &self->plan) : ADELE_OK;
}

adele_status table_train(const struct adele_table_options *options, struct adele_table **out) {
    CLEANUP(tables_deinit)
    struct tables self = {.options = options, .n_jobs = options->n_jobs > 0 ? options->n_jobs : 1};
    *out = NULL;
    TRY(table_plan_init(options, &self.plan));
    TRY(ALLOCATE(&self.jobs, self.plan.n_runs));
    self.n_jobs = self.n_jobs < self.plan.n_runs ? self.n_jobs : self.plan.n_runs;
    TRY(plan_files(&self));
    TRY(table_seconds_open(options->output, &self.seconds));
    TRY(table_found_check(&self.plan, self.seconds));
    TRY(output_begin(self.output));
    adele_status status = train_all(&self);
    if (status == ADELE_OK)
        status = make_table(&self, out);
    status = output_end(self.output, status);
    if (status != ADELE_OK) {
        table_rows_destroy(*out);
        *out = NULL;
    }
    return status;
}
