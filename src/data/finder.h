// SPDX-License-Identifier: MIT
// How a data set is found on disk: what the layouts share. A problem with single cases is the
// error of dataset_open, or, for `adele check`, one more line of a report.
#ifndef ADELE_DATA_FINDER_H
#define ADELE_DATA_FINDER_H

#include "adele/status.h"
#include "base/file.h"
#include "data/dataset.h"
#include <limits.h>

#define DATASET_MAX_FILES 8 // channel files of a case

struct dataset_finder {
    struct dataset *dataset;     // under construction
    struct check_report *report; // NULL: the first problem is the error
    int capacity[SPLIT_COUNT];   // of dataset->cases
};

// One layout. `list` is what the configuration calls the list of a split; NULL = the layout's own.
struct dataset_layout_ops {
    // Categories (0 when the layout does not say), channels (0 = as the first picture has), ending.
    adele_status (*describe)(struct dataset_finder *finder);
    // The names of a split's cases, in `out`; none is legal.
    adele_status (*list)(struct dataset_finder *finder, enum dataset_split split, const char *list,
                         struct file_list *out);
    // The files of a case: image_path stays NULL when there is no image, label_path when no label.
    adele_status (*locate)(struct dataset_finder *finder, enum dataset_split split,
                           const char *list, struct dataset_case *item);
    // For reports: files that have no partner and that no split names. May be NULL.
    adele_status (*orphans)(struct dataset_finder *finder);
};
extern const struct dataset_layout_ops layout_nnunet;
extern const struct dataset_layout_ops layout_voc;
extern const struct dataset_layout_ops layout_img_ann;

// dataset_open with the problems of single cases in the report.
ADELE_MUST_CHECK adele_status dataset_find(const struct dataset_config *config,
                                           struct check_report *report, struct dataset **out);
// The layout's folder of a split's labels, "labelsTr" say. Static storage.
const char *dataset_label_folder(const struct dataset *dataset, enum dataset_split split,
                                 const struct dataset_case *item);
// The labels that a split's case is trained on or compared with; NULL when there are none.
const char *dataset_label_source(const struct dataset_case *item, enum dataset_split split);
// label_store.c: where label_store_export writes the labels of a case, "labelsTr/NAME.png" say.
// NULL when memory is out; caller frees with memory_free.
char *label_store_name(const struct dataset *dataset, enum dataset_split split,
                       const struct dataset_case *item);
ADELE_MUST_CHECK adele_status dataset_create(const struct dataset_config *config,
                                             struct dataset **out);
size_t dataset_memory_limit(const struct dataset *dataset);

// ---- finder.c -----------------------------------------------------------------------------------
ADELE_MUST_CHECK adele_status finder_problem(struct dataset_finder *finder, enum check_kind kind,
                                             const char *hint, const char *format, ...)
    ADELE_PRINTF(4, 5);
// A warning: in the report, else in the log.
ADELE_MUST_CHECK adele_status finder_warn(struct dataset_finder *finder, enum check_kind kind,
                                          const char *hint, const char *format, ...)
    ADELE_PRINTF(4, 5);
// A case without files; *out is borrowed until the next case of the split is added.
ADELE_MUST_CHECK adele_status finder_add_case(struct dataset_finder *finder,
                                              enum dataset_split split, const char *name,
                                              struct dataset_case **out);
void dataset_case_deinit(struct dataset_case *item);
// FOLDER/SUB/NAME+SUFFIX when there is such a file, else *out = NULL. A link that leads out of
// FOLDER is refused, unless the configuration follows links. `sub` may be "". Caller frees *out
// with memory_free.
ADELE_MUST_CHECK adele_status finder_file(const struct dataset *dataset, const char *folder,
                                          const char *sub, const char *name, const char *suffix,
                                          char **out);
// The same with the first of `endings` (a list that ends with NULL) that is there: as it is
// written, then in any letter case.
ADELE_MUST_CHECK adele_status finder_any(const struct dataset *dataset, const char *folder,
                                         const char *sub, const char *name,
                                         const char *const *endings, char **out);
// Endings of pictures, and of label maps: a JPEG comes last there, so that its reader can say why
// it is none.
extern const char *const finder_image_endings[], *const finder_label_endings[];
// The lines of a text file without white space at both ends and without blank lines.
ADELE_MUST_CHECK adele_status name_list_read(const char *path, struct file_list *out);
ADELE_MUST_CHECK adele_status name_list_add(struct file_list *list, const char *name,
                                            size_t n_bytes);
// Case names from a list must be plain names: no folder, no "..".
ADELE_MUST_CHECK adele_status name_check(const char *name, const char *where);
// The file's name without its ending: how many bytes of it; n bytes when no ending is known.
size_t name_stem_bytes(const char *name, bool *is_picture, bool *is_volume);
// Pictures of kinds that are not read lie in the folder: said once, in the report or the log.
ADELE_MUST_CHECK adele_status finder_name_unread(struct dataset_finder *finder, const char *folder,
                                                 const struct file_list *files);

// ---- picture_peek.c -----------------------------------------------------------------------------
struct picture_peek {
    int n_channels; // 1 or 3 as the readers answer; 0 = none of the kinds that are read
    int n_bits;
    bool is_indexed;
};
// From the first bytes of the file alone; all zero when it cannot be read.
void picture_peek(const char *path, struct picture_peek *out);
#endif
