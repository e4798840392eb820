// SPDX-License-Identifier: MIT
// The patient in the name of a case: names of the form PATIENT_SLICE or PATIENT-SLICE, split at the
// last '_' or '-' when a number follows it (up to five letters may stand before the number:
// "s012"). PATIENT must contain a digit (otherwise it is probably the name of the data set, as in
// "BRATS_001") and must not be a year (Pascal VOC: "2007_000032").
#ifndef ADELE_DATA_PATIENT_NAME_H
#define ADELE_DATA_PATIENT_NAME_H

#include <stddef.h>

// The bytes of PATIENT; 0 when the name does not have that form.
size_t patient_name_bytes(const char *name);
#endif
