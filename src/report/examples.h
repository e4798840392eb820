// SPDX-License-Identifier: MIT
// The examples of a run, read from examples.safetensors, brought to the size they are drawn in,
// and compared with the truth.
#ifndef ADELE_REPORT_EXAMPLES_H
#define ADELE_REPORT_EXAMPLES_H

#include "report/run.h"
#include <stdint.h>

enum example_layer { LAYER_TRUTH, LAYER_NOISY, LAYER_CORRECTED, LAYER_PREDICTION, LAYER_COUNT };

#define EXAMPLE_IGNORE 255

struct example {
    char *name;
    uint8_t *rgb;                 // (height, width, 3)
    uint8_t *labels[LAYER_COUNT]; // (height, width); NULL: not there
    double miou[LAYER_COUNT];     // foreground mIoU against the truth at full size; NaN: unknown
    double prediction_vs_noisy;   // the same of the prediction against the noisy label
    bool is_corrected;            // the corrected label differs from the noisy one
    int64_t n_changed, n_pixels;  // pixels in which they differ, of all, at full size
};

struct examples {
    int n;
    int n_in_file;
    int n_spread;      // the first of them are spread over the set, the rest the most changed ones
    int width, height; // as drawn: shrunk by a whole factor where larger than max_extent
    bool has_layer[LAYER_COUNT];
    bool has_ignored; // some pixel of some label is 255
    bool occurs[256]; // the class is in some label, as drawn
    int n_categories; // names[0] is the background
    char **categories;
    struct example *items;
};

// The first max_examples of the file, and of them with `only_spread` those that are spread over the
// set; neither height nor width is above max_extent. After an error, examples_deinit frees what was
// read.
ADELE_MUST_CHECK adele_status examples_load(const struct report_run *run, int max_examples,
                                            bool only_spread, int max_extent, struct examples *out);
void examples_deinit(struct examples *examples); // also zeroes it
// The mean over the examples of miou[layer]; NaN when none is known.
double examples_mean_miou(const struct examples *examples, enum example_layer layer);
#endif
