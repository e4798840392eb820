// SPDX-License-Identifier: MIT
// What image.c, label.c and the decoders share. Internal to src/image, except for tests.
#ifndef ADELE_IMAGE_CODEC_H
#define ADELE_IMAGE_CODEC_H

#include "image/image.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// The size of a regular file; anything else of that name (folder, pipe) is ADELE_IO, because
// opening a pipe would block.
ADELE_MUST_CHECK adele_status image_file_bytes(const char *path, uint64_t *out);

struct image_rows;

// What a kind of file is read by.
struct image_codec {
    bool is_exact; // the values of pixels are those that were saved; not of JPEG
    // `keep_values`: palette indices and 1, 2, 4-bit grays come out as they are in the file, and
    // the palette is filled; without, palettes become RGB and small grays are scaled to 0..255.
    // The caller frees *out after an error, too.
    adele_status (*load)(const char *path, bool keep_values, size_t memory_limit,
                         struct image *out);
    adele_status (*probe)(const char *path, int *width, int *height);
    // *out is NULL where the file's rows do not lie in the picture's order. NULL: of no file.
    adele_status (*rows)(const char *path, struct image_rows **out);
};
// By the first bytes; ADELE_FORMAT when they are of another kind.
ADELE_MUST_CHECK adele_status image_find_codec(const char *path, const struct image_codec **out);

// Refuses extents outside 1..IMAGE_MAX_EXTENT and decoded sizes above `memory_limit` (0 = none),
// before any memory is allocated for them.
ADELE_MUST_CHECK adele_status image_check_claim(const char *path, uint64_t width, uint64_t height,
                                                int n_channels, int n_bits, size_t memory_limit);

ADELE_MUST_CHECK adele_status image_png_load(const char *path, bool keep_values,
                                             size_t memory_limit, struct image *out);
// Only the alpha channel, as a gray picture: for messages.
ADELE_MUST_CHECK adele_status image_png_load_alpha(const char *path, size_t memory_limit,
                                                   struct image *out);
ADELE_MUST_CHECK adele_status image_png_probe(const char *path, int *width, int *height);

// A file that is read by rows (image_rows_open); the codec's own struct begins with it.
struct image_rows {
    struct image header; // without pixels
    int n_read;          // rows so far
    adele_status (*read)(struct image_rows *rows, int n_rows, void *out);
    void (*close)(struct image_rows *rows); // also frees it
};
ADELE_MUST_CHECK adele_status image_png_rows(const char *path, struct image_rows **out);
ADELE_MUST_CHECK adele_status image_tiff_rows(const char *path, struct image_rows **out);

ADELE_MUST_CHECK adele_status image_jpeg_load(const char *path, bool keep_values,
                                              size_t memory_limit, struct image *out);
ADELE_MUST_CHECK adele_status image_jpeg_probe(const char *path, int *width, int *height);

ADELE_MUST_CHECK adele_status image_tiff_load(const char *path, bool keep_values,
                                              size_t memory_limit, struct image *out);
ADELE_MUST_CHECK adele_status image_tiff_probe(const char *path, int *width, int *height);

ADELE_MUST_CHECK adele_status image_bmp_load(const char *path, bool keep_values,
                                             size_t memory_limit, struct image *out);
ADELE_MUST_CHECK adele_status image_bmp_probe(const char *path, int *width, int *height);

// ---- exif.c: orientations, 1 to 8; 1: as stored, or none given ----------------------------------
int exif_orientation(const unsigned char *block, size_t n_bytes);
int exif_orientation_jpeg(const unsigned char *bytes, size_t n_bytes); // of the whole file
// Moves the file's position; ferror reports a read error.
int exif_orientation_png(FILE *file);

// ---- orient.c -----------------------------------------------------------------------------------
void orient_extents(int orientation, int *width, int *height);
// Turns the pixels; needs as much memory again meanwhile.
ADELE_MUST_CHECK adele_status orient_image(struct image *image, int orientation);
#endif
