// SPDX-License-Identifier: MIT
// The output of a verb: a folder and the files that will be written into it. Everything that must
// be refused is refused before the first byte is written:
//   - a file inside a data set, an input folder or another run (output_guard.h);
//   - an existing file, unless the user allows to replace earlier output, adele wrote it, and it is
//   unchanged since (output_manifest.h).
//
//   output_create, output_guard_add... on output_guard(), output_add for every file,
//   output_check, output_begin, [write the files], output_end, output_destroy
#ifndef ADELE_OUTPUT_OUTPUT_H
#define ADELE_OUTPUT_OUTPUT_H

#include "base/memory.h"
#include "output/output_guard.h"

struct output;
// `is_overwriting`: files of earlier outputs are replaced.
ADELE_MUST_CHECK adele_status output_create(const char *folder, bool is_overwriting,
                                            struct output **out);
void output_destroy(struct output *output); // NULL is legal
OWNER(output_destroy, struct output)
const char *output_folder(const struct output *output); // borrowed
// The guarded folders; borrowed from the output.
struct output_guard *output_guard(struct output *output);

// `on_file` is called with `context` for each file that output_end hashes, which takes long for
// large ones.
void output_set_watch(struct output *output, void (*on_file)(void *context), void *context);

// For outputs of many files: those that this thread writes between output_begin and output_end are
// not synced one by one, and output_end syncs all of them before it records them.
void output_sync_at_end(struct output *output);

// The user names each file of the output, and not their folder: messages ask for another name.
void output_set_named(struct output *output);
// A file that will be written, relative to the folder.
ADELE_MUST_CHECK adele_status output_add(struct output *output, const char *name_format, ...)
    ADELE_PRINTF(2, 3);
// The files of label_store_export: the labels of a split, and changes.csv.
ADELE_MUST_CHECK adele_status output_add_labels(struct output *output,
                                                const struct dataset *dataset,
                                                enum dataset_split split);
// Those of label_store_save_prediction for every case of a split; NAME.safetensors for each too
// when there are probabilities.
ADELE_MUST_CHECK adele_status output_add_predictions(struct output *output,
                                                     const struct dataset *dataset,
                                                     enum dataset_split split,
                                                     bool has_probabilities);
// ADELE_INVALID_ARGUMENT names the first file that may not be written, and why. Writes nothing.
ADELE_MUST_CHECK adele_status output_check(const struct output *output);
// Creates the folder and lists the files in its manifest, so that the files of a killed process are
// known as adele's.
ADELE_MUST_CHECK adele_status output_begin(struct output *output);
// Records size and hash of the files that exist now. Returns `status`, the result of writing them,
// unless that is ADELE_OK and the manifest cannot be written. After a failure before the first
// file, the folders that output_begin made are removed. NULL is legal.
ADELE_MUST_CHECK adele_status output_end(struct output *output, adele_status status);

#endif
