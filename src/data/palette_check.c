// SPDX-License-Identifier: MIT
#include "data/palette_check.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/label_lookup.h"

#include <string.h>

#define HINT                                                                                       \
    "Save the masks as gray PNG of class numbers, or with one palette; do not compress "           \
    "them with programs that renumber palettes."

struct palette_check {
    const char *path[256]; // the first label map with this index; NULL = none yet
    uint8_t rgb[256][3];
};

adele_status palette_check_create(struct palette_check **out) {
    return ALLOCATE(out, 1);
}

void palette_check_destroy(struct palette_check *check) {
    memory_free(check);
}

adele_status palette_use_of(const struct case_labels *labels, struct palette_use **out) {
    *out = NULL;
    if (labels->palette.n == 0)
        return ADELE_OK;
    struct palette_use *use = NULL;
    TRY(ALLOCATE(&use, 1));
    size_t n = (size_t)labels->n_slices * (size_t)labels->height * (size_t)labels->width;
    for (size_t i = 0; i < n; i++) // an index beyond the palette has no colour
        if (labels->values[i] >= 0 && labels->values[i] < labels->palette.n)
            use->is_used[labels->values[i]] = true;
    memcpy(use->rgb, labels->palette.rgb, sizeof use->rgb);
    *out = use;
    return ADELE_OK;
}

// Detects a gray label map that was converted to an indexed one: each colour is the gray of a
// category, but the indices have another order.
static adele_status check_grays(const struct dataset *dataset, const char *path,
                                const struct palette_use *use) {
    int moved = -1;
    for (int i = 0; i < 256; i++) {
        const uint8_t *rgb = use->rgb[i];
        if (!use->is_used[i])
            continue;
        int category = label_lookup_category(dataset->lookup, rgb[0]);
        bool is_gray = rgb[0] == rgb[1] && rgb[1] == rgb[2];
        if (!is_gray || category < 0 || category == LABEL_IGNORE)
            return ADELE_OK; // an ordinary palette
        if (rgb[0] != i)
            moved = i;
    }
    if (moved < 0)
        return ADELE_OK;
    return FAIL(ADELE_DATA, HINT,
                "%s: the palette shows index %d as the gray %d, and all its colours are grays of "
                "classes: a gray mask whose values were renumbered",
                path, moved, use->rgb[moved][0]);
}

const char *palette_check_get(const struct palette_check *check, int index, uint8_t rgb[3]) {
    memcpy(rgb, check->rgb[index], sizeof check->rgb[index]);
    return check->path[index];
}

adele_status palette_check_add_color(struct palette_check *check, const char *path, int index,
                                     const uint8_t rgb[3]) {
    uint8_t *known = check->rgb[index];
    if (check->path[index] == NULL) {
        check->path[index] = path;
        memcpy(known, rgb, sizeof check->rgb[index]);
    } else if (memcmp(rgb, known, sizeof check->rgb[index]) != 0) {
        return FAIL(ADELE_DATA, HINT,
                    "%s: the palette shows index %d in the colour (%d, %d, %d), that of %s in "
                    "(%d, %d, %d): the index, which is the class here, does not mean the "
                    "same in both",
                    path, index, rgb[0], rgb[1], rgb[2], check->path[index], known[0], known[1],
                    known[2]);
    }
    return ADELE_OK;
}

adele_status palette_check_add(const struct dataset *dataset, const char *path,
                               const struct palette_use *use) {
    if (use == NULL)
        return ADELE_OK;
    TRY(check_grays(dataset, path, use));
    for (int i = 0; i < 256; i++)
        if (use->is_used[i])
            TRY(palette_check_add_color(dataset->palettes, path, i, use->rgb[i]));
    return ADELE_OK;
}
