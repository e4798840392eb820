// SPDX-License-Identifier: MIT
// Checks whether a run may write into its folder, before its first byte.
#ifndef ADELE_RUN_FOLDER_CLAIM_H
#define ADELE_RUN_FOLDER_CLAIM_H

#include "config/config.h"

// Claims the folder for a run, before anything is written there; makes it. ADELE_RUN_EXISTS: it
// holds a run already, and the run is not resumed. ADELE_INVALID_ARGUMENT:
//   - it lies in the data set, in a folder of labels of the configuration, or in another run;
//   - it holds a file or folder that a run would write, and that no earlier run wrote.
ADELE_MUST_CHECK adele_status run_folder_claim(const struct config *config, const char *run_folder,
                                               bool is_resuming);

// The same refusals for a run that would be a new one; writes nothing.
ADELE_MUST_CHECK adele_status run_folder_check_new(const struct config *config,
                                                   const char *run_folder);

// ADELE_IO when the folder is not there, or nothing in it is of a run: a name that was mistyped.
// The hint names the runs beside it.
ADELE_MUST_CHECK adele_status run_folder_check_resumable(const char *run_folder);

// After a start that was refused: removes the folder that run_folder_claim has made, if nothing but
// the claim is in it.
void run_folder_unclaim(const char *run_folder);
#endif
