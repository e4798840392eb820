// SPDX-License-Identifier: MIT
// Which runs a table has: configurations times kinds of noise times seeds.
#ifndef ADELE_SWEEP_TABLE_PLAN_H
#define ADELE_SWEEP_TABLE_PLAN_H

#include "adele/table.h"
#include "config/config.h"

#include <stdbool.h>

struct table_run {
    char *name, *folder;
    int i_config, i_noise, i_row; // i_noise: 0 also without noises
    uint64_t seed;
    // Of table_found_check.
    bool is_begun; // it has a checkpoint
    bool has_finished;
    bool has_other_settings;      // than it would be trained with
    char *problem, *problem_hint; // why the run that is there can be neither kept nor resumed;
                                  // NULL: nothing hinders that
    double begun, earlier; // when its process was started, and the seconds of those before; NaN:
                           // not known
    double seconds;        // of all its processes; NaN: not known
    // What table_rows_create reads from a finished run.
    double best, best_epoch, last, labels_last;
    double corrected; // foreground classes with corrected labels; NaN: it corrects none
    int n_foreground;
};

struct table_plan {
    const struct adele_table_options *options;
    char **configs;         // (n_configs) names of the configurations
    char **noises;          // (n_noises) as users write them; "" for the configurations' own
    int n_noises;           // 1 also without noises
    struct table_run *runs; // (n_runs), row after row: configurations, in each the noises
    int n_runs, n_rows;
};
// The options are borrowed. Free with table_plan_deinit, also after a failure.
// ADELE_INVALID_ARGUMENT for two configurations, seeds or noises alike, or no configuration or
// seed.
ADELE_MUST_CHECK adele_status table_plan_init(const struct adele_table_options *options,
                                              struct table_plan *out);
void table_plan_deinit(struct table_plan *plan); // legal on a zeroed struct

// The overrides of a run: those of the caller, its noise, and its seed.
struct table_sets {
    char *own[4];
    const char **sets;
    int n;
};
ADELE_MUST_CHECK adele_status table_sets_init(const struct table_plan *plan,
                                              const struct table_run *run, struct table_sets *out);
void table_sets_deinit(struct table_sets *sets); // legal on a zeroed struct
// With these overrides. ADELE_CONFIG for a configuration that cannot be read, or noise that it does
// not take.
ADELE_MUST_CHECK adele_status table_run_config(const struct table_plan *plan,
                                               const struct table_run *run, struct config **out);
#endif
