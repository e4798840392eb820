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
// Frees a text of the library; NULL is legal.
void adele_free(void *text);

#ifdef __cplusplus
}
#endif
#endif
