// SPDX-License-Identifier: MIT
// Many runs: configurations times kinds of noise times seeds, and the mean and deviation over the
// seeds.
#ifndef ADELE_TABLE_H
#define ADELE_TABLE_H

#include "adele/status.h"
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum adele_run_event {
    ADELE_RUN_KEPT,    // it had finished in an earlier call
    ADELE_RUN_STARTED, // or resumed
    ADELE_RUN_DONE,
    ADELE_RUN_FAILED // the others go on
};
// Borrowed during the call.
struct adele_table_run {
    const char *name; // "CONFIG_seed3" or "CONFIG_KIND0.6_seed3", its folder below the output
    enum adele_run_event event;
    const char *message, *hint; // why it failed; else ""
    int n_ended, n_runs;        // kept, done or failed so far, of all
};

// Noise that takes the place of the configurations' own.
struct adele_table_noise {
    const char *kind;   // data.noise.kind
    double target_miou; // data.noise.target_miou; 0: the noise is as strong as the other keys say
};

// All members may be 0 or NULL where nothing else is said.
struct adele_table_options {
    int n_configs;              // from 1
    const char *const *configs; // YAML files, whose names without ending must differ
    int n_seeds;                // from 1
    const uint64_t *seeds;      // each is train.seed and data.noise.seed of a run; all different
    const char *output; // required; holds the runs' folders, what each printed (RUN.out), table.md,
                        // table.csv, table_classes.csv, table_runs.csv and seconds.json
    const char *const *sets; // n_sets texts "key=value" that override the configurations
    int n_sets;
    const char *device;  // as for adele_train
    const char *program; // path of the program `adele`, which each run is a process of; required
    int n_jobs;          // runs at a time, among which OpenMP's threads are divided; 0: 1

    // Both on the calling thread, with `context`; may be NULL.
    void (*on_run)(void *context, const struct adele_table_run *run);
    // Asked some times a second; anything but 0 stops the runs, which save their last step, and the
    // table with ADELE_INTERRUPTED.
    int (*should_stop)(void *context);
    void *context;

    // Every configuration is trained with each; all different. 0: with its own.
    int n_noises;
    const struct adele_table_noise *noises;
};

struct adele_spread {
    int n;                  // finished runs that have the value
    double mean, deviation; // of the sample, n - 1; NaN when n is below 1, below 2
};
struct adele_table_class {
    const char *name;
    struct adele_spread last;   // IoU on the split, last epoch
    struct adele_spread labels; // IoU of the training labels after the last epoch against the truth
    double lowest;              // of `last`; NaN without a value
    int n_below;                // runs whose `last` is below ADELE_TABLE_LOW_IOU
};
#define ADELE_TABLE_LOW_IOU 0.05

// How many foreground classes had labels corrected in a run.
struct adele_table_corrected {
    int n;                 // finished runs with correction enabled; 0: the rest says nothing
    int n_classes;         // foreground classes
    double mean, min, max; // over the runs
};
// Foreground mean IoU.
struct adele_table_row {
    const char *config; // name of the configuration
    const char *split;  // on which it was measured: "test", or "val" where test was not; "" when no
                        // run has finished
    int n_runs;         // that have finished
    struct adele_spread best, last; // best epoch and last epoch, on the split
    struct adele_spread labels;     // the training labels after the last epoch, against the truth
    const char *noise;              // "KIND" or "KIND:TARGET"; "" for the configuration's own
    // Of a run's processes, from their start to their end; those whose process was killed with the
    // table's are not among them.
    struct adele_spread seconds;
    int n_classes; // with the background; 0 when no run has finished
    const struct adele_table_class *classes;
    struct adele_table_corrected corrected;
};
// The library may append fields in later versions.
struct adele_table {
    int n_rows, n_failed; // configurations times kinds of noise; runs
    const struct adele_table_row *rows;
    // Sentences that name the rows in which correction was enabled and no run corrected a class,
    // and the classes that ended below ADELE_TABLE_LOW_IOU. They are in table.md too.
    int n_notes;
    const char *const *notes;
};
// Trains what has not finished, resumes what was stopped, and keeps finished runs. *out, of the
// runs that finished, is also there when single runs failed (n_failed); destroy it with
// adele_table_destroy. The tables have the runs of this call; where none has finished, no table is
// written. Errors: ADELE_INVALID_ARGUMENT, before anything is written, for two configurations,
// seeds or noises alike, and when a file would fall into a data set or a run, or onto one that
// adele did not write; ADELE_CONFIG, before anything is written, for a configuration that cannot be
// read, and when a run is in its folder with other settings; ADELE_INTERRUPTED, ADELE_IO,
// ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status adele_table(const struct adele_table_options *options,
                                          struct adele_table **out);
void adele_table_destroy(struct adele_table *table); // NULL is legal

#ifdef __cplusplus
}
#endif
#endif
