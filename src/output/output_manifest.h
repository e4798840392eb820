// SPDX-License-Identifier: MIT
// Which files of a folder adele wrote: FOLDER/.adele-output.json. Listed files that are unchanged
// may be replaced by a later output; no other files may.
//
//   {"written_by": "adele", "files": [{"name": "labelsTr/a.png", "bytes": 1204, "xxh3": "..."},
//                                     {"name": "labelsTr/b.png"}]}
// A file without size and hash was planned, but its writer was killed before it was done.
#ifndef ADELE_OUTPUT_OUTPUT_MANIFEST_H
#define ADELE_OUTPUT_OUTPUT_MANIFEST_H

#include "base/hash.h"
#include <stdint.h>

#define OUTPUT_MANIFEST_NAME ".adele-output.json"

struct output_file {
    char *name;    // relative to the folder
    int64_t bytes; // -1: planned
    char xxh3[HASH_HEX_BYTES];
};

struct output_manifest {
    struct output_file *files; // sorted by name
    int n;
};
void output_manifest_deinit(struct output_manifest *manifest); // also zeroes it

// Empty when there is none. ADELE_FORMAT when the file is not a manifest.
ADELE_MUST_CHECK adele_status output_manifest_read(const char *folder, struct output_manifest *out);
// Without files the manifest is removed.
ADELE_MUST_CHECK adele_status output_manifest_write(const char *folder,
                                                    const struct output_manifest *manifest);
// NULL when it is not listed; borrowed until the manifest changes.
const struct output_file *output_manifest_find(const struct output_manifest *manifest,
                                               const char *name);
// Lists the file, or updates its entry. NULL `xxh3`: planned.
ADELE_MUST_CHECK adele_status output_manifest_set(struct output_manifest *manifest,
                                                  const char *name, int64_t bytes,
                                                  const char *xxh3);
void output_manifest_drop(struct output_manifest *manifest, const char *name);

#endif
