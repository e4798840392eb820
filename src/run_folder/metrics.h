// SPDX-License-Identifier: MIT
// Writes the metrics of a run into its folder, one record per epoch: metrics.jsonl, metrics.csv and
// TensorBoard events.
//
// metrics.jsonl: one line an epoch, {"epoch": 3, "step": 99, "train/loss": 0.61,
// "val/pred_vs_true/iou/heart": 0.5, ...}; a value that is not finite is null. No times and no host
// names in it: same run, same bytes. metrics.csv: the same as columns (union of the names,
// order of first appearance), empty where null. events.out.tfevents.*: TensorBoard scalars, the
// same names (TFRecord framing with masked CRC32C, protobuf by hand). This file alone has times:
// when a record ended, and what metrics_add_event adds, such as seconds.
#ifndef ADELE_RUN_FOLDER_METRICS_H
#define ADELE_RUN_FOLDER_METRICS_H

#include "adele/status.h"
#include <stddef.h>

// Functions that record take NULL, and then do nothing: of several ranks only one keeps metrics.
struct metrics;

// Opens the files of a run folder. Records of epochs > keep_epochs are dropped first (resume; 0
// starts with empty files). An incomplete last line of metrics.jsonl is dropped too. Events of the
// records that stay are kept where they are intact, and otherwise made again from the records.
ADELE_MUST_CHECK adele_status metrics_open(const char *run_folder, int keep_epochs,
                                           struct metrics **out);
// The same for a run whose records are known from its checkpoint: metrics.jsonl is replaced by
// `text`. *out_damage is the offset of the first byte that differed before, -1 if none did.
ADELE_MUST_CHECK adele_status metrics_reopen(const char *run_folder, const char *text,
                                             size_t n_bytes, struct metrics **out,
                                             long *out_damage);
// All records so far as metrics.jsonl has them; borrowed until the next one ends.
const char *metrics_text(const struct metrics *metrics, size_t *n_bytes);
void metrics_close(struct metrics *metrics); // NULL is legal
ADELE_MUST_CHECK adele_status metrics_begin(struct metrics *metrics, int epoch, long step);
ADELE_MUST_CHECK adele_status metrics_add(struct metrics *metrics, double value,
                                          const char *name_format, ...) ADELE_PRINTF(3, 4);
// A value for the events only, because it differs between two runs with the same seed.
ADELE_MUST_CHECK adele_status metrics_add_event(struct metrics *metrics, double value,
                                                const char *name);
// Appends the record durably. metrics.csv is rewritten atomically.
ADELE_MUST_CHECK adele_status metrics_end(struct metrics *metrics);
#endif
