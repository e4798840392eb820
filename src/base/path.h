// SPDX-License-Identifier: MIT
// Resolving and comparing paths: links and ".." are resolved, and two names of one folder (a bind
// mount, say) are recognized by device and inode.
#ifndef ADELE_BASE_PATH_H
#define ADELE_BASE_PATH_H

#include "adele/status.h"
#include <stdbool.h>
#include <stdint.h>

struct path_id {
    uint64_t device, inode;
};

// The absolute path without links, "." and "..". The path need not exist: the existing part is
// resolved and the rest appended. Caller frees *out with memory_free.
ADELE_MUST_CHECK adele_status path_resolve(const char *path, char **out);
// The file or folder that the path leads to, links followed; false when there is none.
bool path_identify(const char *path, struct path_id *out);
bool path_id_equal(struct path_id a, struct path_id b);
// Whether both lead to the same existing file or folder.
bool path_is_same(const char *path_a, const char *path_b);
// The folder of a path: "." without a slash, "/" for entries of the root. NULL when memory is
// out; caller frees with memory_free.
char *path_folder(const char *path);

#endif
