// SPDX-License-Identifier: MIT
// `adele audit --folds`: trains a network without each fold in turn, and audits the fold with it.
#ifndef ADELE_AUDIT_AUDIT_FOLDS_H
#define ADELE_AUDIT_AUDIT_FOLDS_H

#include "adele/data.h"
#include "audit/audit.h"

// Everything is borrowed.
struct audit_folds {
    const struct adele_data *data;        // as the caller gave it
    const struct config *config;          // that of data->config; NULL: none was given
    const struct dataset_config *dataset; // what both say
    // `labels` and model.data are NULL, `folder` is not. The stop is asked for in each step and
    // batch. model.ranks divide the folds.
    const struct audit_options *options;
    const char *device; // of this rank
    int n_folds;
};

// Collective. ADELE_INTERRUPTED after a stop: the same call goes on there. *out_classes: of the
// data set. See adele_audit_folds.
ADELE_MUST_CHECK adele_status audit_folds_run(const struct audit_folds *folds,
                                              struct audit_result *out, int *out_classes);
#endif
