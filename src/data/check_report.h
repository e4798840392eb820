// SPDX-License-Identifier: MIT
// The report of `adele check`: the problems of a data set, one by one.
#ifndef ADELE_DATA_CHECK_REPORT_H
#define ADELE_DATA_CHECK_REPORT_H

#include "adele/status.h"
#include <stdbool.h>

struct adele_fingerprint;
struct dataset_config;

enum check_kind {
    CHECK_LABEL_OUT_OF_RANGE,
    CHECK_SIZE_MISMATCH,
    CHECK_GEOMETRY,
    CHECK_MISSING_PARTNER,
    CHECK_DUPLICATE_CASE,
    CHECK_PATIENT_IN_TWO_SPLITS,
    CHECK_UNREADABLE,
    CHECK_EMPTY_SPLIT,
    CHECK_NOT_FINITE,
    CHECK_CHANNELS,
    CHECK_NO_FOREGROUND,
    CHECK_PALETTE,
    CHECK_READING,
    CHECK_KINDS
};
struct check_problem {
    enum check_kind kind;
    bool is_error; // else a warning
    char *text;    // file, pixel, value
    char *hint;    // what to do
};
struct check_report {
    struct check_problem *problems;
    int n_problems;
    int n_files;                           // read
    struct adele_fingerprint *fingerprint; // of check_run; owned
};
const char *check_kind_name(enum check_kind kind); // "label_out_of_range" ...
void check_report_deinit(struct check_report *report);
ADELE_MUST_CHECK adele_status check_report_add(struct check_report *report, enum check_kind kind,
                                               bool is_error, const char *hint, const char *format,
                                               ...) ADELE_PRINTF(5, 6);

// ---- check.c ------------------------------------------------------------------------------------
// Reads every file. Fails only when the data set cannot be opened at all; problems are in the
// report.
ADELE_MUST_CHECK adele_status check_run(const struct dataset_config *config,
                                        struct check_report *out);
#endif
