// SPDX-License-Identifier: MIT
// Names of cases and of categories: lists in text files, and the stems of files' names.
#ifndef ADELE_DATA_NAME_LIST_H
#define ADELE_DATA_NAME_LIST_H

#include "adele/status.h"
#include "base/file.h"

// The lines of a text file without white space at both ends and without blank lines.
ADELE_MUST_CHECK adele_status name_list_read(const char *path, struct file_list *out);
// Case names from a list must be plain names: no folder, no "..".
ADELE_MUST_CHECK adele_status name_check(const char *name, const char *where);
// The file's name without its ending: how many bytes of it; n bytes when no ending is known.
size_t name_stem_bytes(const char *name, bool *is_picture, bool *is_volume);
#endif
