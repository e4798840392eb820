// SPDX-License-Identifier: MIT
// Folders of runs with values that a person can check, for the tests of the report.
#ifndef ADELE_TESTS_MADE_UP_RUN_H
#define ADELE_TESTS_MADE_UP_RUN_H

#include <stdbool.h>

// RUN/NAME with this text; NAME's folder is created.
void made_up_file(const char *run, const char *name, const char *text);
// Five epochs on split "test": foreground mIoU 0.5, 0.625, 0.75, between, `last`; class IoU, the
// training labels, both agreements, the loss, and corrections of 300 and 40 pixels after epochs 4
// and 5. `class_name` is the one foreground class.
void made_up_metrics(const char *run, const char *class_name, double last);
// onset.json: the class has a fit, an onset at epoch 3, and corrections after epochs 4 and 5.
void made_up_onset(const char *run, const char *class_name);

struct made_up_examples {
    int n, n_spread; // n_spread 0: not in the file, as in earlier versions
    int h, w;
    bool with_truth;
    bool is_random; // pixels and labels are noise, which cannot be compressed
    bool predicts_nothing;
    const char *class_name;
    const char *case_name; // of all: CASE_NAME and the number
};
// examples.safetensors. Example i has i rows of 8 pixels that the corrected label has and the noisy
// one has not: the truth is the left half.
void made_up_examples(const char *run, const struct made_up_examples *made_up);
#endif
