// SPDX-License-Identifier: MIT
// An output of a verb: a folder, and the files that will be written into it. All that can be
// refused is refused before the first byte is written:
//   - a file that would fall into a data set, an input folder or another run (output_guard.h);
//   - a file that is there already, unless the user wants earlier output replaced, and adele wrote
//     it, and nobody has changed it since (output_manifest.h).
//
//   output_create, output_guard_add... on output_guard(), output_add for every file,
//   output_check, output_begin, [write the files], output_end, output_destroy
#ifndef ADELE_DATA_OUTPUT_H
#define ADELE_DATA_OUTPUT_H

#include "data/output_guard.h"

struct output;
// `is_overwriting`: files of earlier outputs are replaced.
ADELE_MUST_CHECK adele_status output_create(const char *folder, bool is_overwriting,
                                            struct output **out);
void output_destroy(struct output *output);             // NULL is legal
const char *output_folder(const struct output *output); // borrowed
// What nothing may fall into; borrowed from the output.
struct output_guard *output_guard(struct output *output);

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
// Makes the folder and announces the files in its manifest; a writer that is killed leaves files
// that are known as adele's.
ADELE_MUST_CHECK adele_status output_begin(struct output *output);
// Notes size and hash of the files that are there now. `status` is how the writing ended, and is
// what this returns unless it is ADELE_OK and the notes cannot be written. NULL is legal.
ADELE_MUST_CHECK adele_status output_end(struct output *output, adele_status status);

#endif
