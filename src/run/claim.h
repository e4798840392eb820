// SPDX-License-Identifier: MIT
// Before a run writes anything: whether it may have the folder, and whether a run that is resumed
// keeps its settings.
#ifndef ADELE_RUN_CLAIM_H
#define ADELE_RUN_CLAIM_H

#include "config/config.h"

// Claims the folder for a run, before anything is written there; makes it. ADELE_INVALID_ARGUMENT:
//   - it holds a run already, and the run is not resumed;
//   - it lies in the data set, in a folder of labels of the configuration, or in another run;
//   - it holds a file or folder that a run would write, and that no earlier run wrote.
ADELE_MUST_CHECK adele_status run_folder_claim(const struct config *config, const char *run_folder,
                                               bool is_resuming);

// The same refusals for a run that would be a new one; writes nothing.
ADELE_MUST_CHECK adele_status run_folder_check_new(const struct config *config,
                                                   const char *run_folder);

// After a start that was refused: removes the folder that run_folder_claim has made, if nothing but
// the claim is in it.
void run_folder_unclaim(const char *run_folder);

// settings.c
// Before a run is resumed: logs each setting that differs from the run's own. ADELE_CONFIG names
// all of those that would make the result a mixture of two runs. `config` has resolved paths.
ADELE_MUST_CHECK adele_status run_settings_compare(const char *run_folder,
                                                   const struct config *config);
// Whether a run that is resumed may have another value of that key: "train.epochs".
bool run_setting_may_change(const char *path);
#endif
