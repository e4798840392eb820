// SPDX-License-Identifier: MIT
// What the layouts share for finding the files of a data set. A problem of a single case is an
// error of dataset_open, but for `adele check` a line of its report.
#ifndef ADELE_DATA_FINDER_H
#define ADELE_DATA_FINDER_H

#include "adele/status.h"
#include "base/file.h"
#include "data/check_report.h"
#include "data/dataset.h"

struct dataset_finder {
    struct dataset *dataset;     // under construction
    struct check_report *report; // NULL: the first problem is the error
    char empty_list[4096];       // path of the train split's list when no name is in it, or ""
};

// Adds an error or a warning to the report. Without a report an error is returned, and a warning is
// logged.
ADELE_MUST_CHECK adele_status finder_report(struct dataset_finder *finder, bool is_error,
                                            enum check_kind kind, const char *hint,
                                            const char *format, ...) ADELE_PRINTF(5, 6);
// Adds a case without files; *out is borrowed until the next case of the split is added.
ADELE_MUST_CHECK adele_status finder_add_case(struct dataset_finder *finder,
                                              enum dataset_split split, const char *name,
                                              struct dataset_case **out);
// FOLDER/SUB/NAME+SUFFIX when there is such a file, else *out = NULL. A link that leads out of
// FOLDER is refused, unless the configuration follows links. `sub` may be "". Caller frees *out
// with memory_free.
ADELE_MUST_CHECK adele_status finder_file(const struct dataset *dataset, const char *folder,
                                          const char *sub, const char *name, const char *suffix,
                                          char **out);
// The same with the first of `endings` (a list that ends with NULL) for which there is a file:
// first with the exact ending, then in any letter case.
ADELE_MUST_CHECK adele_status finder_any(const struct dataset *dataset, const char *folder,
                                         const char *sub, const char *name,
                                         const char *const *endings, char **out);
// The entries of ROOT/SUB; none when there is no such folder.
ADELE_MUST_CHECK adele_status finder_list(const struct dataset *dataset, const char *sub,
                                          struct file_list *out);
// Reads the names in a split's list, one a line.
ADELE_MUST_CHECK adele_status finder_read_list(struct dataset_finder *finder,
                                               enum dataset_split split, const char *path,
                                               struct file_list *out);
// Reads the category names from the first of the two files that exists in ROOT. *is_found is false
// when neither does.
ADELE_MUST_CHECK adele_status finder_read_names(struct dataset *dataset, const char *const files[2],
                                                bool *is_found);
// Endings of pictures and of label maps. JPEG is among the latter so that its reader can explain
// why a JPEG file is not a label map.
extern const char *const finder_image_endings[], *const finder_label_endings[];
// Warns once of pictures of unsupported kinds in the folder, in the report or the log.
ADELE_MUST_CHECK adele_status finder_report_unread(struct dataset_finder *finder,
                                                   const char *folder,
                                                   const struct file_list *files);

#endif
