// SPDX-License-Identifier: MIT
// What a run left in its folder, read for the report.
#ifndef ADELE_REPORT_RUN_H
#define ADELE_REPORT_RUN_H

#include "base/safetensors.h"
#include "report/report.h"
#include "run_folder/records.h"
#include <stdbool.h>

struct report_run {
    char *name; // of the folder; unique among the runs of a report, and fit for a file name
    char *path;
    struct records records;
    double *epochs;               // (records.n)
    cJSON *onset;                 // NULL: the run left no onset.json
    struct safetensors *examples; // NULL: the run left no examples.safetensors
    char *config;                 // text of config.resolved.yaml, NULL: none
};

// metrics.jsonl must be there; the rest may be missing. After an error, report_run_deinit frees
// what was read.
ADELE_MUST_CHECK adele_status report_run_load(const char *path, struct report_run *out);
// Renames it to FOLDER_NAME, with the folder around its own.
ADELE_MUST_CHECK adele_status report_run_name_by_folder(struct report_run *run);
void report_run_deinit(struct report_run *run); // also zeroes it

// The values of a metric by record, NaN where absent or null. *out is NULL when no record has a
// finite one; caller frees with memory_free.
ADELE_MUST_CHECK adele_status report_run_series(const struct report_run *run, double **out,
                                                const char *name_format, ...) ADELE_PRINTF(3, 4);
// The foreground's mean IoU of "train/early_learning" or another table, also of runs that earlier
// versions made (report.h).
ADELE_MUST_CHECK adele_status report_run_foreground(const struct report_run *run, double **out,
                                                    const char *table);

// Fills *out; its name is a copy, freed by report_summaries_destroy.
ADELE_MUST_CHECK adele_status report_run_summarize(const struct report_run *run,
                                                   struct report_summary *out);
#endif
