// SPDX-License-Identifier: MIT
// The figures and tables of a report, one function each. Files go to FOLDER/STEM.*.
#ifndef ADELE_REPORT_FIGURES_H
#define ADELE_REPORT_FIGURES_H

#include "report/run.h"

// comparison.c: one line per run: foreground mIoU on held-out data; beside it, where the runs know
// the truth, the correctness of the training labels and the agreement with the wrong labels.
ADELE_MUST_CHECK adele_status figure_comparison(int n_runs, const struct report_run *runs,
                                                const struct report_summary *summaries,
                                                const char *folder, const char *stem);
// onset_figure.c: per category the IoU curve, its fit and the onset. Writes nothing when the run
// has no onset.json.
ADELE_MUST_CHECK adele_status figure_onset(const struct report_run *run, const char *folder,
                                           const char *stem);
// panels.c: examples as rows. Writes nothing when the run has no examples.safetensors.
ADELE_MUST_CHECK adele_status figure_panels(const struct report_run *run, const char *folder,
                                            const char *stem);
// table.c: table.md (with the configuration of each run below it) and table.csv.
ADELE_MUST_CHECK adele_status table_write(int n_runs, const struct report_run *runs,
                                          const struct report_summary *summaries,
                                          const char *folder);
// page.c: report.html, a page for a browser. Pictures are left out, and counted, where it would
// become much larger than max_bytes.
ADELE_MUST_CHECK adele_status page_write(int n_runs, const struct report_run *runs,
                                         const struct report_summary *summaries, size_t max_bytes,
                                         const char *folder);
#endif
