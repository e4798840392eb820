// SPDX-License-Identifier: MIT
// Names of cases and categories: lists in text files, and file names without their endings.
#ifndef ADELE_DATA_NAME_LIST_H
#define ADELE_DATA_NAME_LIST_H

#include "adele/status.h"
#include "base/file.h"

// The lines of a text file without white space at both ends and without blank lines.
ADELE_MUST_CHECK adele_status name_list_read(const char *path, struct file_list *out);
// Lines such as "/JPEGImages/a.jpg /SegmentationClass/a.png" become "a", where the first path lies
// in a folder `images` and the second one, if there is one, has the same name in `labels`. Other
// lines stay as they are.
void name_list_strip_paths(struct file_list *list, const char *images, const char *labels);
// Case names from a list must be plain names: no folder, no "..".
ADELE_MUST_CHECK adele_status name_check(const char *name, const char *where);
// The same for all names of the list that was read from `path`; the error names the line.
ADELE_MUST_CHECK adele_status name_list_check(const struct file_list *list, const char *path);
// The length of a file name without its ending; the whole length when the ending is unknown.
size_t name_stem_bytes(const char *name, bool *is_picture, bool *is_volume);
// Appends those of `files` that are pictures, without their endings.
ADELE_MUST_CHECK adele_status name_list_add_pictures(const struct file_list *files,
                                                     struct file_list *out);
#endif
