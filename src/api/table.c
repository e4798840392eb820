// SPDX-License-Identifier: MIT
// adele_table: which runs there are, which of them are still to be trained, and their processes.
// table_rows.c makes the table of what they left.
#include "adele/table.h"

#include "api/table_rows.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "config/config.h"
#include "data/output.h"
#include "infer/run_folder.h"
#include "run/claim.h"
#include "run/job.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct tables {
    const struct adele_table_options *options;
    struct table_run *runs; // (n_runs), configuration after configuration
    char **names;           // (n_configs), of the configurations
    struct job *jobs;       // (n_runs)
    struct output *output;
    int n_runs, n_ended, n_running, n_failed, n_jobs;
};

static void tables_deinit(struct tables *self) {
    for (int i = 0; self->runs != NULL && i < self->n_runs; i++) {
        memory_free(self->runs[i].name);
        memory_free(self->runs[i].folder);
    }
    for (int i = 0; self->names != NULL && i < self->options->n_configs; i++)
        memory_free(self->names[i]);
    memory_free(self->runs);
    memory_free(self->names);
    memory_free(self->jobs);
    output_destroy(self->output);
}

static void report_event(const struct tables *self, const struct table_run *run,
                         enum adele_run_event event, const char *message, const char *hint) {
    if (self->options->on_run != NULL)
        self->options->on_run(self->options->context,
                              &(struct adele_table_run){run->name, event, message, hint,
                                                        self->n_ended, self->n_runs});
}

// ---- the plan -----------------------------------------------------------------------------------

static adele_status check_options(const struct adele_table_options *options) {
    if (options->n_configs < 1 || options->n_seeds < 1 || options->output == NULL ||
        options->program == NULL)
        return FAIL(
            ADELE_INVALID_ARGUMENT,
            "Name a configuration and a seed or more, a folder for the runs, and the program.",
            "%d configurations, %d seeds%s", options->n_configs, options->n_seeds,
            options->output == NULL ? ", no output" : "");
    for (int i = 0; i < options->n_seeds; i++)
        for (int k = 0; k < i; k++)
            if (options->seeds[i] == options->seeds[k])
                return FAIL(ADELE_INVALID_ARGUMENT, "Name each seed once.",
                            "seed %llu is there twice", (unsigned long long)options->seeds[i]);
    return ADELE_OK;
}

static adele_status name_configs(struct tables *self) {
    const struct adele_table_options *options = self->options;
    TRY(ALLOCATE(&self->names, options->n_configs));
    for (int i = 0; i < options->n_configs; i++) {
        const char *base = file_base_name(options->configs[i]), *dot = strrchr(base, '.');
        int n = dot != NULL && dot != base ? (int)(dot - base) : (int)strlen(base);
        self->names[i] = memory_printf("%.*s", n, base);
        TRY(CHECK_MEMORY(self->names[i]));
        for (int k = 0; k < i; k++)
            if (strcmp(self->names[k], self->names[i]) == 0)
                return FAIL(ADELE_INVALID_ARGUMENT, "Give one of the files another name.",
                            "%s and %s would both train %s_seed...", options->configs[k],
                            options->configs[i], self->names[i]);
    }
    return ADELE_OK;
}

static adele_status name_runs(struct tables *self) {
    const struct adele_table_options *options = self->options;
    self->n_runs = options->n_configs * options->n_seeds;
    TRY(ALLOCATE(&self->runs, self->n_runs));
    TRY(ALLOCATE(&self->jobs, self->n_runs));
    for (int i = 0; i < self->n_runs; i++) {
        struct table_run *run = &self->runs[i];
        run->i_config = i / options->n_seeds;
        run->seed = options->seeds[i % options->n_seeds];
        run->name =
            memory_printf("%s_seed%llu", self->names[run->i_config], (unsigned long long)run->seed);
        TRY(CHECK_MEMORY(run->name));
        run->folder = file_join(options->output, run->name);
        TRY(CHECK_MEMORY(run->folder));
    }
    return ADELE_OK;
}

// Files of an earlier call are replaced, because a table that goes on is made again.
static adele_status plan_table(struct tables *self) {
    const struct adele_table_options *options = self->options;
    TRY(output_create(options->output, true, &self->output));
    for (int i = 0; i < options->n_configs; i++) {
        struct config *config = NULL;
        TRY(config_load(options->configs[i], options->n_sets, options->sets, &config));
        adele_status status = run_folder_guard_data(config, output_guard(self->output));
        config_destroy(config);
        TRY(status);
    }
    for (int i = 0; i < self->n_runs; i++)
        TRY(output_add(self->output, "%s.out", self->runs[i].name));
    TRY(output_add(self->output, "table.md"));
    TRY(output_add(self->output, "table.csv"));
    TRY(output_check(self->output));
    return output_begin(self->output);
}

// ---- what has finished --------------------------------------------------------------------------

// The overrides of a run: those of the caller, and its seed.
struct run_sets {
    char seeds[2][48];
    const char **sets;
    int n;
};

static adele_status sets_init(struct run_sets *out, const struct adele_table_options *options,
                              const struct table_run *run) {
    static const char *const keys[] = {"train.seed", "data.noise.seed"};
    TRY(ALLOCATE(&out->sets, (size_t)options->n_sets + 2));
    for (out->n = 0; out->n < options->n_sets; out->n++)
        out->sets[out->n] = options->sets[out->n];
    for (int k = 0; k < 2; k++) {
        (void)snprintf(out->seeds[k], sizeof out->seeds[k], "%s=%llu", keys[k],
                       (unsigned long long)run->seed);
        out->sets[out->n++] = out->seeds[k];
    }
    return ADELE_OK;
}

// A run writes its examples after its last epoch. With another number of epochs it goes on.
static adele_status compare_with_run(struct table_run *run, struct config *config) {
    struct config *was = NULL;
    char *examples = NULL;
    TRY(run_paths_resolve(run->folder, NULL, config));
    TRY(run_settings_compare(run->folder, config));
    TRY(run_folder_path(run->folder, "examples.safetensors", &examples));
    bool has_ended = file_exists(examples);
    memory_free(examples);
    if (!has_ended)
        return ADELE_OK;
    TRY(run_folder_load_config(run->folder, NULL, &was));
    run->has_finished = was->train.epochs == config->train.epochs &&
                        was->train.iterations == config->train.iterations &&
                        was->train.patience == config->train.patience;
    config_destroy(was);
    return ADELE_OK;
}

// ADELE_CONFIG when the run that lies there has other settings.
static adele_status find_finished(const struct tables *self, struct table_run *run) {
    const struct adele_table_options *options = self->options;
    struct run_sets sets = {0};
    struct config *config = NULL;
    bool has_run = false;
    adele_status status;
    TRY(run_folder_has_checkpoint(run->folder, &has_run));
    if (!has_run)
        return ADELE_OK;
    TRY_GOTO(sets_init(&sets, options, run), done);
    TRY_GOTO(config_load(options->configs[run->i_config], sets.n, sets.sets, &config), done);
    status = compare_with_run(run, config);
done:
    config_destroy(config);
    memory_free(sets.sets);
    return status;
}

// ---- processes ----------------------------------------------------------------------------------

static adele_status find_printed(const struct tables *self, const struct table_run *run,
                                 char **out) {
    *out = memory_printf("%s/%s.out", self->options->output, run->name);
    return CHECK_MEMORY(*out);
}

static adele_status start(struct tables *self, int i) {
    const struct adele_table_options *options = self->options;
    const struct table_run *run = &self->runs[i];
    struct run_sets sets = {0};
    const char **arguments = NULL;
    char *printed = NULL;
    int n = 0, n_threads = omp_get_max_threads() / self->n_jobs;
    adele_status status;
    TRY_GOTO(sets_init(&sets, options, run), done);
    TRY_GOTO(ALLOCATE(&arguments, 2 * (size_t)sets.n + 9), done);
    TRY_GOTO(find_printed(self, run, &printed), done);
    const char *const first[] = {"adele",
                                 "train",
                                 options->configs[run->i_config],
                                 "--run",
                                 run->folder,
                                 "--resume",
                                 "--device",
                                 options->device != NULL ? options->device : "auto"};
    for (; n < 8; n++)
        arguments[n] = first[n];
    for (int k = 0; k < sets.n; k++) {
        arguments[n++] = "--set";
        arguments[n++] = sets.sets[k];
    }
    TRY_GOTO(job_start(options->program, arguments, n_threads > 1 ? n_threads : 1, printed,
                       &self->jobs[i]),
             done);
    self->n_running++;
    report_event(self, run, ADELE_RUN_STARTED, "", "");
done:
    memory_free(printed);
    memory_free(arguments);
    memory_free(sets.sets);
    return status;
}

static void end_failed(struct tables *self, struct table_run *run, const char *message,
                       const char *hint) {
    self->n_ended++;
    self->n_failed++;
    report_event(self, run, ADELE_RUN_FAILED, message, hint);
}

static adele_status end(struct tables *self, int i, bool is_stopping) {
    struct table_run *run = &self->runs[i];
    char *printed = NULL, *message = NULL, *hint = NULL;
    self->n_running--;
    run->has_finished = self->jobs[i].status == 0;
    if (run->has_finished) {
        self->n_ended++;
        report_event(self, run, ADELE_RUN_DONE, "", "");
    }
    if (run->has_finished || is_stopping) // what was asked to stop has not failed
        return ADELE_OK;
    TRY(find_printed(self, run, &printed));
    adele_status status = job_reason(&self->jobs[i], printed, &message, &hint);
    if (status == ADELE_OK)
        end_failed(self, run, message, hint);
    memory_free(printed);
    memory_free(message);
    memory_free(hint);
    return status;
}

static bool should_stop(const struct tables *self) {
    const struct adele_table_options *options = self->options;
    return options->should_stop != NULL && options->should_stop(options->context) != 0;
}

// Kept, or failed because another run lies there; otherwise its process is started.
static adele_status begin_run(struct tables *self, int i) {
    struct table_run *run = &self->runs[i];
    adele_status status = find_finished(self, run);
    if (status == ADELE_NO_MEMORY)
        return status;
    if (status != ADELE_OK) {
        end_failed(self, run, adele_error_message(), adele_error_hint());
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
    for (int i = 0; i < self->n_runs; i++)
        if (self->jobs[i].pid > 0 && job_has_ended(&self->jobs[i]) && status == ADELE_OK)
            status = end(self, i, is_stopping);
    (void)nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    return status;
}

// Every process is waited for, also after a failure here.
static adele_status stop_all(struct tables *self) {
    for (int i = 0; i < self->n_runs; i++)
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
    while ((i_next < self->n_runs || self->n_running > 0) && status == ADELE_OK) {
        if (should_stop(self))
            status = FAIL(ADELE_INTERRUPTED, "The same command goes on.",
                          "interrupted; %d of %d runs are there", self->n_ended, self->n_runs);
        else if (i_next < self->n_runs && self->n_running < self->n_jobs)
            status = begin_run(self, i_next++);
        else
            status = wait_some(self, false);
    }
    if (self->n_running == 0)
        return status;
    char *message = memory_strdup(adele_error_message()), *hint = memory_strdup(adele_error_hint());
    (void)stop_all(self);
    status = FAIL(status, hint != NULL ? hint : "", "%s", message != NULL ? message : "");
    memory_free(message);
    memory_free(hint);
    return status;
}

// ---- the call -----------------------------------------------------------------------------------

static adele_status make_table(struct tables *self, struct adele_table **out) {
    TRY(table_rows_create(self->options, self->names, self->n_runs, self->runs, out));
    (*out)->n_failed = self->n_failed;
    return table_rows_write(*out, self->options->output);
}

adele_status adele_table(const struct adele_table_options *options, struct adele_table **out) {
    struct tables self = {.options = options, .n_jobs = options->n_jobs > 0 ? options->n_jobs : 1};
    adele_status status;
    *out = NULL;
    TRY(check_options(options));
    TRY_GOTO(name_configs(&self), done);
    TRY_GOTO(name_runs(&self), done);
    self.n_jobs = self.n_jobs < self.n_runs ? self.n_jobs : self.n_runs;
    TRY_GOTO(plan_table(&self), done);
    status = train_all(&self);
    if (status == ADELE_OK)
        status = make_table(&self, out);
    status = output_end(self.output, status);
    if (status != ADELE_OK) {
        adele_table_destroy(*out);
        *out = NULL;
    }
done:
    tables_deinit(&self);
    return status;
}
