// SPDX-License-Identifier: MIT
// A run's folder as a place: taking one for a new run, keeping other outputs out of one, and where
// the paths of its configuration lead once the run or its data have moved.
#ifndef ADELE_TRAIN_RUN_FOLDER_H
#define ADELE_TRAIN_RUN_FOLDER_H

#include "data/output_guard.h"
#include "train/config.h"

// Takes the folder for a run, before anything is written there; makes it. ADELE_INVALID_ARGUMENT:
//   - it holds a run already, and the run is not resumed;
//   - it lies in the data set, in a folder of labels of the configuration, or in another run;
//   - it holds a file or folder that a run would write, and that no run which was begun there left.
ADELE_MUST_CHECK adele_status run_folder_claim(const struct config *config, const char *run_folder,
                                               bool is_resuming);
// Whether the folder holds a checkpoint to go on from, whole or not.
ADELE_MUST_CHECK adele_status run_folder_has_checkpoint(const char *run_folder, bool *out);

// The run is the verb's own, and nothing may fall into its data. NULL `config`: not known.
ADELE_MUST_CHECK adele_status run_folder_guard(const char *run_folder, const struct config *config,
                                               struct output_guard *guard);

// RUN/config.resolved.yaml, whose paths lead where those of the run led: see run_paths_resolve.
ADELE_MUST_CHECK adele_status run_folder_load_config(const char *run_folder, const char *data,
                                                     struct config **out);

// ---- run_paths.c --------------------------------------------------------------------------------
// RUN/paths.json: each path of the configuration as it was given, and what it was in full.
ADELE_MUST_CHECK adele_status run_paths_write(const char *run_folder, const struct config *config);
// Paths that lead nowhere from the current folder become what the run had, where that is there
// still. NULL `data`: the data set is where it was. Otherwise it has moved to that folder; label
// folders and lists that lay in it have moved with it.
ADELE_MUST_CHECK adele_status run_paths_resolve(const char *run_folder, const char *data,
                                                struct config *config);
// A warning for each path that leads elsewhere from here than it led for the run, though what the
// run had is there still. `config` has resolved paths.
ADELE_MUST_CHECK adele_status run_paths_warn(const char *run_folder, const struct config *config);

// ---- run_settings.c -----------------------------------------------------------------------------
// Before a run goes on: says each setting that differs from the run's own. ADELE_CONFIG names all
// of those that would make the result a mixture of two runs. `config` has resolved paths.
ADELE_MUST_CHECK adele_status run_settings_compare(const char *run_folder,
                                                   const struct config *config);

#endif
