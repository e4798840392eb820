// SPDX-License-Identifier: MIT
// Audits in a scratch folder, and the files that they leave. Every failure fails the running test.
#ifndef ADELE_TESTS_AUDITS_H
#define ADELE_TESTS_AUDITS_H

#include "adele/audit.h"

// scratch/NAME on the CPU. Close with adele_model_close.
struct adele_model *audit_open(void *const *state, const char *name);
// The default options, and scratch/FOLDER as the output.
struct adele_audit_options audit_into(void *const *state, const char *folder);
struct adele_audit_summary audit_run(struct adele_model *model,
                                     const struct adele_audit_options *options);
// scratch/FOLDER/NAME. Free with memory_free.
char *audit_text(void *const *state, const char *folder, const char *name);
#endif
