// SPDX-License-Identifier: MIT
// Prevents a verb from writing into what it reads: data sets, folders of inputs, runs. Folders are
// identified by device and inode, so that links, ".." and bind mounts cannot bypass the guard.
#ifndef ADELE_OUTPUT_OUTPUT_GUARD_H
#define ADELE_OUTPUT_OUTPUT_GUARD_H

#include "base/path.h"
#include "data/dataset.h"

struct guarded_folder {
    struct path_id id;
    char *path;       // as the user gave it
    const char *what; // "the data set"; static storage
    bool is_run; // the verb's own run: new files are allowed there, but not in the run's folders
};

// Zero-initialized: guards only data sets and runs, which are recognized by their content.
struct output_guard {
    struct guarded_folder *folders;
    int n;
};
void output_guard_deinit(struct output_guard *guard); // also zeroes it

// Nothing may be written into this folder or below it. `what` has static storage. A folder that
// does not exist is skipped; NULL is legal.
ADELE_MUST_CHECK adele_status output_guard_add(struct output_guard *guard, const char *folder,
                                               const char *what);
// The run that the verb reads.
ADELE_MUST_CHECK adele_status output_guard_add_run(struct output_guard *guard, const char *folder);
// A data set given by its folder, with all folders in it.
ADELE_MUST_CHECK adele_status output_guard_add_data(struct output_guard *guard, const char *root);
// The same, and the folder of every file of the data set.
ADELE_MUST_CHECK adele_status output_guard_add_dataset(struct output_guard *guard,
                                                       const struct dataset *dataset);

// Whether a file may be written at `path`, which need not exist, nor its folder.
// ADELE_INVALID_ARGUMENT names both sides: when it would be inside a guarded folder, into any data
// set (a folder with imagesTr beside labelsTr or dataset.json, JPEGImages beside SegmentationClass
// or ImageSets, img_dir beside ann_dir), inside a run that is not the verb's own, or would replace
// a file of its own run.
ADELE_MUST_CHECK adele_status output_guard_check(const struct output_guard *guard,
                                                 const char *path);

// The same for a file of any name in that folder.
ADELE_MUST_CHECK adele_status output_guard_check_folder(const struct output_guard *guard,
                                                        const char *folder);
// Whether the folder is the verb's own run itself; then the names of files are checked too.
bool output_guard_is_run(const struct output_guard *guard, const char *folder);

// What `adele train` writes into its run's folder; ends with NULL.
extern const char *const output_run_names[];

#endif
