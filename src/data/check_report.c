// SPDX-License-Identifier: MIT
#include "data/check_report.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/fingerprint.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *check_kind_name(enum check_kind kind) {
    static const char *const names[CHECK_KINDS] = {"label_out_of_range",
                                                   "size_mismatch",
                                                   "geometry",
                                                   "missing_partner",
                                                   "duplicate_case",
                                                   "patient_in_two_splits",
                                                   "unreadable",
                                                   "empty_split",
                                                   "not_finite",
                                                   "channels",
                                                   "no_foreground",
                                                   "palette",
                                                   "reading"};
    return (unsigned)kind < CHECK_KINDS ? names[kind] : "unknown";
}

void check_report_deinit(struct check_report *report) {
    for (int i = 0; i < report->n_problems; i++) {
        memory_free(report->problems[i].text);
        memory_free(report->problems[i].hint);
    }
    memory_free(report->problems);
    fingerprint_destroy(report->fingerprint);
    memset(report, 0, sizeof *report);
}

adele_status check_report_add(struct check_report *report, enum check_kind kind, bool is_error,
                              const char *hint, const char *format, ...) {
    TRY(GROW(&report->problems, report->n_problems));
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    text_make_plain(text);
    struct check_problem *problem = &report->problems[report->n_problems++];
    *problem = (struct check_problem){.kind = kind,
                                      .is_error = is_error,
                                      .text = memory_strdup(text),
                                      .hint = memory_strdup(hint)};
    TRY(CHECK_MEMORY(problem->text));
    return CHECK_MEMORY(problem->hint);
}
