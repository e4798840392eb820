// SPDX-License-Identifier: MIT
// The patient in the name of a case. Which part of a name is the patient shows in all names
// together: several patients must have several images each.
#ifndef ADELE_DATA_PATIENT_NAME_H
#define ADELE_DATA_PATIENT_NAME_H

#include "adele/status.h"
#include <stddef.h>

enum patient_rule {
    // PATIENT_SLICE or PATIENT-SLICE, split at the last '_' or '-', with a number behind it (up to
    // five letters may stand before the number: "s012"), a single letter, or a side (left, right).
    // PATIENT must contain a digit (otherwise it is probably the name of the data set, as in
    // "BRATS_001") and must not be a year (Pascal VOC: "2007_000032").
    PATIENT_SLICE,
    // Whatever stands before and behind the last '_' or '-': "anna_1", "p07_lateral"; no year.
    PATIENT_ANY_SUFFIX,
    // A number and then one letter at the end: "Image_01L", "patient07b".
    PATIENT_LETTER
};
// The bytes of PATIENT; 0 when the name does not have that form.
size_t patient_name_bytes(enum patient_rule rule, const char *name);

// The rule for the names of a data set. PATIENT_SLICE where two patients or more have that form and
// one of them has several images. Else another rule, when it puts most of the cases into groups of
// 2 to 8, and there are at least four such groups; else PATIENT_SLICE. ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status patient_rule_choose(const char *const *names, int n,
                                                  enum patient_rule *out);
#endif
