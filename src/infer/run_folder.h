// SPDX-License-Identifier: MIT
// The folder of a run for those who read it: its configuration, keeping other outputs out of it,
// and where the paths of its configuration lead once the run or its data have moved.
#ifndef ADELE_INFER_RUN_FOLDER_H
#define ADELE_INFER_RUN_FOLDER_H

#include "base/json.h"
#include "config/config.h"
#include "data/output_guard.h"

#define RUN_CONFIG          "config.resolved.yaml"
#define CHECKPOINT_BEST     "checkpoints/best.safetensors"
#define CHECKPOINT_LAST     "checkpoints/last.safetensors"
#define CHECKPOINT_PREVIOUS "checkpoints/previous.safetensors" // what was the last one before
#define CHECKPOINT_DAMAGED  "checkpoints/damaged.safetensors"  // kept for inspection

// RUN/NAME; caller frees *out with memory_free.
ADELE_MUST_CHECK adele_status run_folder_path(const char *run_folder, const char *name, char **out);
// Writes `json` to RUN/NAME and frees it, also after an error. Nothing is written when it is not
// complete because memory ran out while it was built.
ADELE_MUST_CHECK adele_status run_folder_write_json(const char *run_folder, const char *name,
                                                    cJSON *json, bool is_complete);
// Whether the folder holds a checkpoint to go on from, whole or not.
ADELE_MUST_CHECK adele_status run_folder_has_checkpoint(const char *run_folder, bool *out);

// Keeps outputs out of the data set and of the label folders of the configuration.
ADELE_MUST_CHECK adele_status run_folder_guard_data(const struct config *config,
                                                    struct output_guard *guard);

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
#endif
