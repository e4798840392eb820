// SPDX-License-Identifier: MIT
// Internal to the files tiff*.c: an open TIFF file, its header, and its samples as pixels.
#ifndef ADELE_IMAGE_TIFF_READER_H
#define ADELE_IMAGE_TIFF_READER_H

#include "image/codec.h"

#ifdef ADELE_HAVE_TIFF
#include <stdio.h>
#include <tiffio.h>

// Memory limit of a strip or tile: in compressed files its size is arbitrary.
#define TIFF_MAX_TILE_BYTES ((uint64_t)256 << 20)

struct tiff_reader {
    const char *path;
    FILE *file;
    uint64_t file_bytes;
    TIFF *tiff;
    char message[256]; // libtiff's first
    uint32_t width, height;
    uint16_t n_file_bits, n_samples, photometric, planar, orientation;
    uint16_t *colors[3];    // of an indexed file, libtiff's
    bool has_narrow_colors; // of 8 bits, as some programs write instead of 16
    bool keep_values;
    int n_channels, n_bits; // of the pixels asked for
};

// The caller deinits the reader, also after a failure. Borrows `path`. Until then libtiff's
// messages on this thread are the reader's.
ADELE_MUST_CHECK adele_status tiff_reader_init(struct tiff_reader *reader, const char *path,
                                               bool keep_values);
void tiff_reader_deinit(struct tiff_reader *reader);
// Whose libtiff's messages on this thread are from now on, where another file may be read between
// two calls; NULL: nobody's.
void tiff_reader_watch(struct tiff_reader *reader);
// What libtiff could not read.
ADELE_MUST_CHECK adele_status tiff_reader_fail(const struct tiff_reader *reader);

unsigned tiff_reader_color(const struct tiff_reader *reader, unsigned index, int channel);
// `n` pixels of sample `plane` (of all samples when they are interleaved) to the row `y`.
void tiff_reader_store(const struct tiff_reader *reader, const unsigned char *run, size_t n, int y,
                       size_t x, int plane, struct image *out);
#endif
#endif
