// SPDX-License-Identifier: MIT
// Listings of a few folders, for files that do not exist under their exact name: endings in another
// letter case are found, and messages can name similar files.
#ifndef ADELE_DATA_FOLDER_CACHE_H
#define ADELE_DATA_FOLDER_CACHE_H

#include "data/dataset.h"

// Listings of the last eight folders, kept while a data set is open.
struct folder_cache;
ADELE_MUST_CHECK adele_status folder_cache_create(struct folder_cache **out);
void folder_cache_destroy(struct folder_cache *cache); // NULL is legal

// The entry STEM + the first of `endings` (a list that ends with NULL) that exists in any letter
// case. *out is borrowed until eight other folders were listed; NULL when there is none.
ADELE_MUST_CHECK adele_status folder_cache_find(const struct dataset *dataset, const char *folder,
                                                const char *stem, const char *const *endings,
                                                const char **out);

// What the folder contains instead of the file NAME (without ending): "; a.jpg is there", names
// that differ in letter case or in how Unicode composes them, "; the folder contains 3 entries, the
// first is ...". Never fails; "" when there is nothing to report.
#define FOLDER_CACHE_TEXT_BYTES 600
void folder_cache_describe(const struct dataset *dataset, const char *folder, const char *name,
                           char out[FOLDER_CACHE_TEXT_BYTES]);
// Whether two names are equal except for composed and decomposed letters and the case of ASCII
// letters.
bool names_look_alike(const char *a, const char *b);
#endif
