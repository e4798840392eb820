// SPDX-License-Identifier: MIT
// The folder of a run: its files and configuration, protecting it from other outputs, and the paths
// of its configuration after the run or its data have moved.
#ifndef ADELE_RUN_FOLDER_RUN_FOLDER_H
#define ADELE_RUN_FOLDER_RUN_FOLDER_H

#include "base/json.h"
#include "config/config.h"
#include "output/output_guard.h"

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
// Whether the folder holds a checkpoint to resume from, damaged or not.
ADELE_MUST_CHECK adele_status run_folder_has_checkpoint(const char *run_folder, bool *out);

// Forbids outputs in the data set and in the label folders of the configuration.
ADELE_MUST_CHECK adele_status run_folder_guard_data(const struct config *config,
                                                    struct output_guard *guard);

// Forbids outputs over the run's own files and in its data. NULL `config`: not known.
ADELE_MUST_CHECK adele_status run_folder_guard(const char *run_folder, const struct config *config,
                                               struct output_guard *guard);

// RUN/config.resolved.yaml with its paths resolved (run_paths_resolve).
ADELE_MUST_CHECK adele_status run_folder_load_config(const char *run_folder, const char *data,
                                                     struct config **out);

// ---- run_paths.c --------------------------------------------------------------------------------
// RUN/paths.json: each path of the configuration as it was given, and as an absolute path.
ADELE_MUST_CHECK adele_status run_paths_write(const char *run_folder, const struct config *config);
// A path that does not exist from the current folder becomes the run's absolute path, if that still
// exists. NULL `data`: the data set has not moved. Otherwise it has moved to that folder, with the
// label folders and lists that were in it.
ADELE_MUST_CHECK adele_status run_paths_resolve(const char *run_folder, const char *data,
                                                struct config *config);
// A warning for each path that is another file from here than it was for the run, whose file still
// exists. `config` has resolved paths.
ADELE_MUST_CHECK adele_status run_paths_warn(const char *run_folder, const struct config *config);
#endif
