// SPDX-License-Identifier: MIT
// What the readers did to pictures that the user may want to know: one line of the log for each
// kind, with the number of pictures.
#ifndef ADELE_DATA_NOTES_H
#define ADELE_DATA_NOTES_H

#include <stdbool.h>
#include <stddef.h>

// Bits after those of enum image_note.
enum case_note { CASE_NOTE_TO_RGB = 16, CASE_NOTE_TO_GRAY = 32 };
#define NOTE_KINDS 6

struct notes {
    int n[NOTE_KINDS];
    const char *first[NOTE_KINDS]; // paths, borrowed
};
void notes_add(struct notes *notes, unsigned bits, const char *path);
// "3 pictures of the train split ... (first: PATH)"; false when there is none of the kind. `where`
// may be "". *is_warning is false for what is usual.
bool notes_text(const struct notes *notes, int kind, const char *where, char *out, size_t out_bytes,
                bool *is_warning);
// Logs a line for each kind.
void notes_log(const struct notes *notes, const char *where);
// Of one case that is read on its own: adds to `logged`, and logs what is new there.
void notes_log_case(struct notes *logged, unsigned bits, const char *path);
#endif
