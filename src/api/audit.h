// SPDX-License-Identifier: MIT
// What the files of adele/audit.h share.
#ifndef ADELE_API_AUDIT_H
#define ADELE_API_AUDIT_H

#include "adele/audit.h"
#include "audit/audit.h"

// ADELE_INVALID_ARGUMENT for an option out of its range. *out borrows from `options`.
ADELE_MUST_CHECK adele_status audit_options_read(const struct adele_audit_options *options,
                                                 struct audit_options *out);
void audit_summary_fill(const struct audit_result *result, int n_classes,
                        struct adele_audit_summary *out);
#endif
