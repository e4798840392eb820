// SPDX-License-Identifier: MIT
// Whether the palettes of indexed label maps are consistent. In an indexed PNG the index is the
// category, and the colour is only for display. Programs that compress pictures renumber the
// colours of each file, and then the index has no meaning any more.
#ifndef ADELE_DATA_PALETTE_CHECK_H
#define ADELE_DATA_PALETTE_CHECK_H

#include "base/memory.h"
#include "data/case_labels.h"
#include "data/dataset.h"

// The colours that one label map uses.
struct palette_use {
    bool is_used[256];
    uint8_t rgb[256][3];
};
// *out is NULL when the label map has no palette; else free it with memory_free.
ADELE_MUST_CHECK adele_status palette_use_of(const struct case_labels *labels,
                                             struct palette_use **out);

struct palette_check; // the colours of all label maps of a data set so far
ADELE_MUST_CHECK adele_status palette_check_create(struct palette_check **out);
void palette_check_destroy(struct palette_check *check); // NULL is legal
OWNER(palette_check_destroy, struct palette_check)
// The first label map that uses an index, borrowed, and its colour there; NULL: none.
const char *palette_check_get(const struct palette_check *check, int index, uint8_t rgb[3]);
// ADELE_DATA when the index has another colour already. `path` is borrowed.
ADELE_MUST_CHECK adele_status palette_check_add_color(struct palette_check *check, const char *path,
                                                      int index, const uint8_t rgb[3]);

// ADELE_DATA when an index has another colour than in an earlier label map, or when all colours are
// grays that are values of categories, but not those of their indices. `path` is borrowed until the
// data set is closed; `use` may be NULL. One thread at a time.
ADELE_MUST_CHECK adele_status palette_check_add(const struct dataset *dataset, const char *path,
                                                const struct palette_use *use);
#endif
