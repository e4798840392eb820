// SPDX-License-Identifier: MIT
#include "sweep/table_found.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "run/settings.h"
#include "run_folder/run_folder.h"

// A run writes its examples after its last epoch. With more epochs it goes on; with fewer it
// cannot.
static adele_status compare_with_run(struct table_run *run, struct config *config) {
    OWNED_BY(config_destroy) struct config *was = NULL;
    OWNED char *examples = NULL;
    TRY(run_paths_resolve(run->folder, NULL, config));
    adele_status status = run_settings_compare(run->folder, config);
    run->has_other_settings = status == ADELE_CONFIG;
    TRY(status);
    TRY(run_folder_path(run->folder, "examples.safetensors", &examples));
    if (!file_exists(examples))
        return ADELE_OK;
    TRY(run_folder_load_config(run->folder, NULL, &was));
    // Of its length, where both are given in the same unit.
    bool by_iterations = config->train.iterations > 0;
    int had = by_iterations ? was->train.iterations : was->train.epochs;
    int wanted = by_iterations ? config->train.iterations : config->train.epochs;
    run->has_other_settings = by_iterations == (was->train.iterations > 0) && wanted < had;
    if (run->has_other_settings)
        return FAIL(ADELE_CONFIG, "Take as many epochs, or more, or another folder (-o).",
                    "%s has finished %s %d, more than %d", run->folder,
                    by_iterations ? "train.iterations" : "train.epochs", had, wanted);
    run->has_finished = was->train.epochs == config->train.epochs &&
                        was->train.iterations == config->train.iterations &&
                        was->train.patience == config->train.patience;
    return ADELE_OK;
}

static adele_status find_run(const struct table_plan *plan, const struct table_seconds *seconds,
                             struct table_run *run) {
    OWNED_BY(config_destroy) struct config *config = NULL;
    bool has_run = false;
    run->earlier = 0;
    run->has_finished = false;
    TRY(run_folder_has_checkpoint(run->folder, &has_run));
    run->is_begun = has_run;
    if (!has_run)
        return ADELE_OK;
    run->earlier = run->seconds = table_seconds_get(seconds, run->name);
    TRY(table_run_config(plan, run, &config));
    return compare_with_run(run, config);
}

static adele_status keep_problem(struct table_run *run) {
    run->problem = memory_strdup(adele_error_message());
    TRY(CHECK_MEMORY(run->problem));
    run->problem_hint = memory_strdup(adele_error_hint());
    return CHECK_MEMORY(run->problem_hint);
}

// Names the first one, whose message has the keys and both values.
static adele_status refuse(const struct table_plan *plan, int n_other) {
    const struct table_run *first = plan->runs;
    while (!first->has_other_settings)
        first++;
    return FAIL(ADELE_CONFIG,
                "Use the settings that these runs were trained with, or another folder (-o) for "
                "the new ones.",
                "%d of the %d runs of this table %s already in %s, with other settings; nothing "
                "was trained or written. The first one: %s",
                n_other, plan->n_runs, n_other == 1 ? "is" : "are", plan->options->output,
                first->problem);
}

adele_status table_found_again(const struct table_plan *plan, const struct table_seconds *seconds,
                               struct table_run *run) {
    adele_status status = find_run(plan, seconds, run);
    if (status == ADELE_OK || status == ADELE_NO_MEMORY)
        return status;
    return keep_problem(run);
}

adele_status table_found_check(struct table_plan *plan, const struct table_seconds *seconds) {
    int n_other = 0;
    for (int i = 0; i < plan->n_runs; i++) {
        struct table_run *run = &plan->runs[i];
        TRY(table_found_again(plan, seconds, run));
        n_other += run->has_other_settings;
    }
    return n_other > 0 ? refuse(plan, n_other) : ADELE_OK;
}
