// SPDX-License-Identifier: MIT
// When a run corrected a class, and why it did so later than the onset of its curve, or never.
#ifndef ADELE_REPORT_CLASS_CORRECTION_H
#define ADELE_REPORT_CLASS_CORRECTION_H

#include <cjson/cJSON.h>
#include <stdbool.h>

struct class_correction {
    const char *name;      // borrowed from `onset`
    int onset_epoch;       // by the fit to all values; 0: none
    int first_epoch;       // whose end corrected the class first; 0: none
    int n_not_learned;     // the last values of the curve, which are almost 0; 0: it was learned
    char explanation[800]; // sentences with the numbers and the keys; "" when nothing differs
};

// `onset`: the object of onset.json; `category`: an element of its "categories". false: the run
// corrects no class, or an earlier version wrote the file, or it is not well formed. Name and
// n_not_learned are there in each case.
bool class_correction_read(const cJSON *onset, const cJSON *category, struct class_correction *out);
#endif
