// SPDX-License-Identifier: MIT
#include "data/notes.h"

#include "base/log.h"

#include <stdio.h>

static const struct {
    const char *one, *many; // after "PATH: the picture" and "3 pictures"
    bool is_warning;
} kinds[NOTE_KINDS] = {{"is turned according to its orientation (Exif)",
                        "are turned according to their orientation (Exif)", false},
                       {"has stray bytes in its JPEG file, which were skipped",
                        "have stray bytes in their JPEG files, which were skipped", true},
                       {"is the first page of a TIFF file that has more",
                        "are the first pages of TIFF files with more", true},
                       {"has four inks (CMYK), which become RGB without a colour profile",
                        "have four inks (CMYK), which become RGB without a colour profile", true},
                       {"is gray and becomes RGB, as the others are",
                        "are gray and become RGB, as the others are", true},
                       {"is RGB but gray in every pixel, and becomes gray",
                        "are RGB but gray in every pixel, and become gray", true}};

void notes_add(struct notes *notes, unsigned bits, const char *path) {
    for (int kind = 0; kind < NOTE_KINDS; kind++)
        if ((bits >> kind & 1) != 0 && notes->n[kind]++ == 0)
            notes->first[kind] = path;
}

bool notes_text(const struct notes *notes, int kind, const char *where, char *out, size_t out_bytes,
                bool *is_warning) {
    *is_warning = kinds[kind].is_warning;
    if (notes->n[kind] == 0)
        return false;
    if (notes->n[kind] == 1)
        (void)snprintf(out, out_bytes, "%s: the picture %s", notes->first[kind], kinds[kind].one);
    else
        (void)snprintf(out, out_bytes, "%d pictures%s %s (first: %s)", notes->n[kind], where,
                       kinds[kind].many, notes->first[kind]);
    return true;
}

void notes_log(const struct notes *notes, const char *where) {
    char text[4096];
    bool is_warning;
    for (int kind = 0; kind < NOTE_KINDS; kind++)
        if (notes_text(notes, kind, where, text, sizeof text, &is_warning))
            log_line(is_warning ? LOG_WARNING : LOG_INFO, "%s", text);
}

void notes_log_case(struct notes *logged, unsigned bits, const char *path) {
    struct notes added = {0};
    for (int kind = 0; kind < NOTE_KINDS; kind++)
        if (logged->n[kind] > 0)
            bits &= ~(1u << kind);
    notes_add(&added, bits, path);
    notes_add(logged, bits, path);
    notes_log(&added, "");
}
