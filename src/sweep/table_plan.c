// SPDX-License-Identifier: MIT
#include "sweep/table_plan.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

void table_plan_deinit(struct table_plan *plan) {
    for (int i = 0; plan->runs != NULL && i < plan->n_runs; i++) {
        memory_free(plan->runs[i].name);
        memory_free(plan->runs[i].folder);
        memory_free(plan->runs[i].problem);
        memory_free(plan->runs[i].problem_hint);
    }
    for (int i = 0; plan->configs != NULL && i < plan->options->n_configs; i++)
        memory_free(plan->configs[i]);
    for (int i = 0; plan->noises != NULL && i < plan->n_noises; i++)
        memory_free(plan->noises[i]);
    memory_free(plan->runs);
    memory_free(plan->configs);
    memory_free(plan->noises);
    *plan = (struct table_plan){0};
}

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

static adele_status name_configs(struct table_plan *self) {
    const struct adele_table_options *options = self->options;
    TRY(ALLOCATE(&self->configs, options->n_configs));
    for (int i = 0; i < options->n_configs; i++) {
        const char *base = file_base_name(options->configs[i]), *dot = strrchr(base, '.');
        int n = dot != NULL && dot != base ? (int)(dot - base) : (int)strlen(base);
        self->configs[i] = memory_printf("%.*s", n, base);
        TRY(CHECK_MEMORY(self->configs[i]));
        for (int k = 0; k < i; k++)
            if (strcmp(self->configs[k], self->configs[i]) == 0)
                return FAIL(ADELE_INVALID_ARGUMENT, "Give one of the files another name.",
                            "%s and %s would both train %s_seed...", options->configs[k],
                            options->configs[i], self->configs[i]);
    }
    return ADELE_OK;
}

static adele_status name_noises(struct table_plan *self) {
    const struct adele_table_options *options = self->options;
    self->n_noises = options->n_noises > 0 ? options->n_noises : 1;
    TRY(ALLOCATE(&self->noises, self->n_noises));
    for (int i = 0; i < self->n_noises; i++) {
        const struct adele_table_noise *noise = options->n_noises > 0 ? &options->noises[i] : NULL;
        if (noise == NULL)
            self->noises[i] = memory_strdup("");
        else if (noise->target_miou > 0)
            self->noises[i] = memory_printf("%s:%g", noise->kind, noise->target_miou);
        else
            self->noises[i] = memory_strdup(noise->kind);
        TRY(CHECK_MEMORY(self->noises[i]));
        for (int k = 0; k < i; k++)
            if (strcmp(self->noises[k], self->noises[i]) == 0)
                return FAIL(ADELE_INVALID_ARGUMENT, "Name each kind with a target once.",
                            "the noise %s is there twice", self->noises[i]);
    }
    return ADELE_OK;
}

// CONFIG_seed3, or CONFIG_KIND0.6_seed3.
static adele_status name_run(const struct table_plan *self, struct table_run *run) {
    const struct adele_table_options *options = self->options;
    const char *noise = self->noises[run->i_noise], *colon = strchr(noise, ':');
    int n_kind = colon != NULL ? (int)(colon - noise) : (int)strlen(noise);
    run->name = memory_printf("%s%s%.*s%s_seed%llu", self->configs[run->i_config],
                              noise[0] != '\0' ? "_" : "", n_kind, noise,
                              colon != NULL ? colon + 1 : "", (unsigned long long)run->seed);
    TRY(CHECK_MEMORY(run->name));
    run->folder = file_join(options->output, run->name);
    return CHECK_MEMORY(run->folder);
}

static adele_status name_runs(struct table_plan *self) {
    const struct adele_table_options *options = self->options;
    self->n_rows = options->n_configs * self->n_noises;
    self->n_runs = self->n_rows * options->n_seeds;
    TRY(ALLOCATE(&self->runs, self->n_runs));
    for (int i = 0; i < self->n_runs; i++) {
        struct table_run *run = &self->runs[i];
        run->i_row = i / options->n_seeds;
        run->i_config = run->i_row / self->n_noises;
        run->i_noise = run->i_row % self->n_noises;
        run->seed = options->seeds[i % options->n_seeds];
        run->seconds = run->best = run->best_epoch = run->last = run->labels_last = NAN;
        run->corrected = NAN;
        TRY(name_run(self, run));
        for (int k = 0; k < i; k++) // "a" with the noise "b" and "a_b" with none
            if (strcmp(self->runs[k].name, run->name) == 0)
                return FAIL(ADELE_INVALID_ARGUMENT, "Give one of the files another name.",
                            "%s and %s would both train %s", options->configs[run->i_config],
                            options->configs[self->runs[k].i_config], run->name);
    }
    return ADELE_OK;
}

adele_status table_plan_init(const struct adele_table_options *options, struct table_plan *out) {
    *out = (struct table_plan){.options = options};
    TRY(check_options(options));
    TRY(name_configs(out));
    TRY(name_noises(out));
    return name_runs(out);
}

void table_sets_deinit(struct table_sets *sets) {
    for (int i = 0; i < 4; i++)
        memory_free(sets->own[i]);
    memory_free(sets->sets);
}

adele_status table_sets_init(const struct table_plan *plan, const struct table_run *run,
                             struct table_sets *out) {
    const struct adele_table_options *options = plan->options;
    unsigned long long seed = run->seed;
    int n_own = 0;
    *out = (struct table_sets){0};
    out->own[n_own++] = memory_printf("train.seed=%llu", seed);
    out->own[n_own++] = memory_printf("data.noise.seed=%llu", seed);
    if (options->n_noises > 0) {
        const struct adele_table_noise *noise = &options->noises[run->i_noise];
        out->own[n_own++] = memory_printf("data.noise.kind=%s", noise->kind);
        out->own[n_own++] = memory_printf("data.noise.target_miou=%.17g", noise->target_miou);
    }
    TRY(ALLOCATE(&out->sets, options->n_sets + n_own));
    for (out->n = 0; out->n < options->n_sets; out->n++)
        out->sets[out->n] = options->sets[out->n];
    for (int i = 0; i < n_own; i++) {
        TRY(CHECK_MEMORY(out->own[i]));
        out->sets[out->n++] = out->own[i];
    }
    return ADELE_OK;
}

adele_status table_run_config(const struct table_plan *plan, const struct table_run *run,
                              struct config **out) {
    CLEANUP(table_sets_deinit) struct table_sets sets = {0};
    TRY(table_sets_init(plan, run, &sets));
    return config_load(plan->options->configs[run->i_config], sets.n, sets.sets, out);
}
