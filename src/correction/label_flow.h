// SPDX-License-Identifier: MIT
// What corrections change. RUN/labels/epoch_NNNN.json, beside the labels of that correction: how
// many pixels went from which class to which. `adele report` draws it.
//   {"epoch": 12, "changed_pixels": 345, "classes": ["background", "heart"],
//    "flow": [{"from": 0, "to": 1, "pixels": 300}, ...]}
// by from and to, ascending; 255 is ignored pixels.
#ifndef ADELE_CORRECTION_LABEL_FLOW_H
#define ADELE_CORRECTION_LABEL_FLOW_H

#include "loader/run_data.h"

// `before`: the device's plain (N, H, W) labels before the correction of `epoch`, which the current
// ones are compared with.
ADELE_MUST_CHECK adele_status label_flow_save(const struct run_data *data, const uint8_t *before,
                                              const char *run_folder, int epoch);
// The pixels of each training image whose current label differs from the one that the run began
// with: *out (N); caller frees with memory_free.
ADELE_MUST_CHECK adele_status label_flow_count_changed(const struct run_data *data, int64_t **out);
#endif
