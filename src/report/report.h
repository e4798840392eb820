// SPDX-License-Identifier: MIT
// Figures and tables of one or more runs, from the files in their folders.
//
// Read from RUN: metrics.jsonl (names below); onset.json; examples.safetensors;
// labels/epoch_NNNN.json (correction/label_flow.h); audit/audit.csv; config.resolved.yaml.
//   metric names: train/loss, train/cross_entropy, train/consistency, train/pred_vs_noisy/iou/CAT,
//   train/pred_vs_true/iou/CAT,
//     train/labels_vs_true/iou/CAT, train/early_learning/iou/CAT, train/memorization/iou/CAT,
//     correction/changed_pixels, correction/on/CAT (0 or 1), {val,test}/pred_vs_true/iou/CAT,
//     .../dice/CAT, .../dice_foreground. Each table has .../miou (the mean of all categories) and
//     .../miou_foreground; runs of earlier versions lack the second in train/pred_vs_*,
//     train/early_learning and train/memorization, and have the foreground's mean as the first.
//   onset.json: {"pipeline":"segthor","r":0.9,"categories":[
//     {"name":"heart","iou":[...],"fit":{"a":..,"b":..,"c":..}|null,"t0":..,"dt":..,"n_dropped":..,
//      "onset_epoch":int|null,"corrected_epochs":[..],"due_epoch":int|null,"veto":null|{..},
//      "gate":null|{..}}]}
//     onset_epoch is what the fit says, as `adele onset` does: the labels are first rewritten at
//     the end of a later epoch, the first of corrected_epochs ("on_epoch" of earlier versions).
//     due_epoch, veto, gate (correction/onset_file.c) and "corrects" explain the difference
//     (class_correction.h); earlier versions did not write them. "ensemble_epoch": with the method
//     ensemble, the epoch after which it corrects all classes, which have no due_epoch then.
//     "has_ended": whether the run has.
//   examples.safetensors: image u8 (N, C, H, W), noisy, corrected, prediction u8 (N, H, W), truth
//   u8 (N, H, W, optional);
//     metadata: "categories" = names joined by '\n', "names" = case names joined by '\n', "spread"
//     = how many of the first are spread over the set; the others are the most changed ones
#ifndef ADELE_REPORT_REPORT_H
#define ADELE_REPORT_REPORT_H

#include "adele/status.h"

struct output; // output/output.h

struct report_summary { // of one run, NaN where a metric is absent
    char *name;
    int n_epochs;
    double best, best_epoch,
        last;          // of test/pred_vs_true/miou_foreground, or val/ when test is absent
    const char *split; // "test" or "val": static
    double labels_first, labels_last; // train/labels_vs_true/miou_foreground
    double early_learning_last, memorization_last;
};

// Writes into the folder of `output`, which protects the inputs that the caller named and the runs
// themselves: for every run RUN_onset.png/.svg (per category: IoU curve, its fit, the
// onset; IoU_el and IoU_m when there), RUN_panels.png/.svg (image, truth, noisy label, corrected
// label, prediction), and for all runs together comparison.png/.svg (validation/test foreground
// mIoU by epoch, one line a run), table.md, table.csv, and report.html (page.h). *out_summaries has
// one element a run; free with report_summaries_destroy.
ADELE_MUST_CHECK adele_status report_write(int n_runs, const char *const *runs,
                                           struct output *output,
                                           struct report_summary **out_summaries);
void report_summaries_destroy(int n_runs, struct report_summary *summaries);
// The table as text lines for a terminal; caller frees with memory_free.
ADELE_MUST_CHECK adele_status report_table(int n_runs, const struct report_summary *summaries,
                                           char **out);
#endif
