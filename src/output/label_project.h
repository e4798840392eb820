// SPDX-License-Identifier: MIT
// Corrected classes of an image in memory, brought to its file, which may have another size.
#ifndef ADELE_OUTPUT_LABEL_PROJECT_H
#define ADELE_OUTPUT_LABEL_PROJECT_H

#include <stdint.h>

// A map in memory before and after the correction, (h, w).
struct label_change {
    const uint8_t *before, *after;
    int h, w;
};

// The new classes of a file whose classes are `source`, both (height, width).
//
// A pixel of the file belongs to the pixel in memory that is nearest to it. Where that one changed,
// the file's pixels of the class that it had get the new one. All others keep their own class: the
// file may be finer than the map in memory, and what no correction decided on does not change. But
// nothing is left of a contour that has moved: pixels of a class that was among the 3 x 3 pixels in
// memory around them, and is there no more, get the class that is there now. Ignored pixels of the
// file stay ignored.
void label_project(const struct label_change *change, const uint8_t *source, int height, int width,
                   uint8_t *out);
#endif
