// SPDX-License-Identifier: MIT
// Before a run writes: whether the folder is free for it, and whether a run that goes on keeps its
// settings.
#ifndef ADELE_RUN_CLAIM_H
#define ADELE_RUN_CLAIM_H

#include "config/config.h"

// Takes the folder for a run, before anything is written there; makes it. ADELE_INVALID_ARGUMENT:
//   - it holds a run already, and the run is not resumed;
//   - it lies in the data set, in a folder of labels of the configuration, or in another run;
//   - it holds a file or folder that a run would write, and that no run which was begun there left.
ADELE_MUST_CHECK adele_status run_folder_claim(const struct config *config, const char *run_folder,
                                               bool is_resuming);

// settings.c
// Before a run goes on: says each setting that differs from the run's own. ADELE_CONFIG names all
// of those that would make the result a mixture of two runs. `config` has resolved paths.
ADELE_MUST_CHECK adele_status run_settings_compare(const char *run_folder,
                                                   const struct config *config);
// Whether a run that goes on may have another value of that key than before: "train.epochs".
bool run_setting_may_change(const char *path);
#endif
