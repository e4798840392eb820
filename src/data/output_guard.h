// SPDX-License-Identifier: MIT
// Keeps what a verb writes out of what it reads: data sets, folders of inputs, runs. A place is
// known by what it is (device and inode), so that neither links nor ".." nor bind mounts lead
// around the guard.
#ifndef ADELE_DATA_OUTPUT_GUARD_H
#define ADELE_DATA_OUTPUT_GUARD_H

#include "base/path.h"
#include "data/dataset.h"

struct guarded_folder {
    struct path_id id;
    char *path;       // as it was named
    const char *what; // "the data set"; static storage
    bool is_run;      // the verb's own run: new files are welcome there, but not in its own folders
};

// Zero-initialized: guards only what every guard knows by its look, which is data sets and runs.
struct output_guard {
    struct guarded_folder *folders;
    int n;
};
void output_guard_deinit(struct output_guard *guard); // also zeroes it

// Nothing may be written into this folder or below it. `what` has static storage. A folder that is
// not there is left out; NULL is none.
ADELE_MUST_CHECK adele_status output_guard_add(struct output_guard *guard, const char *folder,
                                               const char *what);
// The run that the verb reads.
ADELE_MUST_CHECK adele_status output_guard_add_run(struct output_guard *guard, const char *folder);
// A data set by its folder, with the folders in it.
ADELE_MUST_CHECK adele_status output_guard_add_data(struct output_guard *guard, const char *root);
// The same, and every folder that a file of the data set lies in.
ADELE_MUST_CHECK adele_status output_guard_add_dataset(struct output_guard *guard,
                                                       const struct dataset *dataset);

// Whether a file may be written at `path`, which need not exist, nor its folder.
// ADELE_INVALID_ARGUMENT names both sides: when it would fall into a guarded folder, into any data
// set (a folder with imagesTr beside labelsTr or dataset.json, JPEGImages beside SegmentationClass
// or ImageSets, img_dir beside ann_dir), into a run that is not the verb's own, or onto what its
// own run keeps.
ADELE_MUST_CHECK adele_status output_guard_check(const struct output_guard *guard,
                                                 const char *path);

// The same for a file of any name in that folder.
ADELE_MUST_CHECK adele_status output_guard_check_folder(const struct output_guard *guard,
                                                        const char *folder);
// Whether the folder is the verb's own run itself; then the names of its files count as well.
bool output_guard_is_run(const struct output_guard *guard, const char *folder);

// What `adele train` writes into its run's folder; ends with NULL.
extern const char *const output_run_names[];

#endif
