// SPDX-License-Identifier: MIT
// Figures and tables of runs.
#ifndef ADELE_REPORT_H
#define ADELE_REPORT_H

#include "adele/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct adele_report_options {
    int n_runs;
    const char *const *runs; // (n_runs): their folders
    const char *output;      // folder of the figures and tables; required
    const char *data;        // the runs' data set, where it has moved: nothing is written into it
    int overwrite;           // 1: files that adele wrote there earlier are replaced
};
// Writes report.html, a page for a browser that needs no other file; comparison, RUN_onset and
// RUN_panels (.png and .svg each), table.md and table.csv. *table,
// unless `table` is NULL: the table as lines for a terminal, NULL after a failure; free it with
// adele_free. Errors:
// ADELE_INVALID_ARGUMENT, before anything is written, when a file would fall into a data set or a
// run, or onto a file that is there; ADELE_IO, ADELE_FORMAT, ADELE_DATA for runs that cannot be
// read; ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status adele_report(const struct adele_report_options *options,
                                           char **table);
// What the label correction of a run did with a class. The library may append fields in later
// versions. Everything is borrowed during the call.
struct adele_class_correction {
    const char *name;
    int onset_epoch;         // by the fit to all values of the class's curve; 0: none
    int first_epoch;         // whose end corrected the class first; 0: never
    const char *explanation; // why that is never, or not the epoch after the onset: with the
                             // numbers, and the keys that change it; "" where there is nothing to
                             // explain
    int is_not_learned;      // 1: its curve ends with values of almost 0, as of a class that the
                             // network predicts nowhere
};
// Calls on_class for each foreground class of a run that corrects labels, in the order of the
// classes; not at all for one with correction.enabled: false, or made by an earlier version.
// Errors: ADELE_IO, ADELE_FORMAT: onset.json of the run cannot be read; ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status adele_run_corrections(
    const char *run, void (*on_class)(void *context, const struct adele_class_correction *on),
    void *context);
// Frees a text of the library; NULL is legal.
void adele_free(void *text);

#ifdef __cplusplus
}
#endif
#endif
