// SPDX-License-Identifier: MIT
// A second look into a folder where a file is not there under its exact name: endings in other
// letter case are found, and messages can name what is there instead.
#ifndef ADELE_DATA_FOLDER_CACHE_H
#define ADELE_DATA_FOLDER_CACHE_H

#include "data/dataset.h"

// The lists of a few folders, kept while a data set is opened.
struct folder_cache;
ADELE_MUST_CHECK adele_status folder_cache_new(struct folder_cache **out);
void folder_cache_free(struct folder_cache *looks); // NULL is legal

// The entry STEM + one of `endings` (a list that ends with NULL), the first of them that is there
// in any letter case. *out is borrowed until eight other folders were looked at; NULL = there is
// none.
ADELE_MUST_CHECK adele_status folder_cache_find(const struct dataset *dataset, const char *folder,
                                                const char *stem, const char *const *endings,
                                                const char **out);

// What is there instead of the file NAME (without ending): "; a.jpg is there", names that differ in
// letter case or in how Unicode composes them, "; the folder holds 3 entries, the first is ...".
// Never fails; "" when nothing is to be said.
#define FOLDER_CACHE_TEXT_BYTES 600
void folder_cache_describe(const struct dataset *dataset, const char *folder, const char *name,
                           char out[FOLDER_CACHE_TEXT_BYTES]);
// Whether two names look alike but have other bytes: composed and decomposed letters, or letter
// case (of ASCII).
bool names_look_alike(const char *a, const char *b);
#endif
