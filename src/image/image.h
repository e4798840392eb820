// SPDX-License-Identifier: MIT
// Pictures in memory, and the files they come from and go to.
// H, W: height and width in pixels; rows from the top; channels interleaved (H, W, C).
#ifndef ADELE_IMAGE_IMAGE_H
#define ADELE_IMAGE_IMAGE_H

#include "adele/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

// The largest width or height that any reader accepts.
#define IMAGE_MAX_EXTENT 32768

// What a reader did that the user should be told of, in image.notes.
enum image_note {
    IMAGE_NOTE_TURNED = 1, // according to the file's orientation
    // JPEG: bytes between segments were skipped; the picture is complete.
    IMAGE_NOTE_STRAY_BYTES = 2,
    IMAGE_NOTE_PAGES = 4, // TIFF: more than one page, of which the first was read
    IMAGE_NOTE_INKS = 8   // JPEG: four inks (CMYK) became RGB, without a colour profile
};

struct image_palette {
    int n; // 0 = none
    uint8_t rgb[256][3];
};

// A picture. 8 or 16 bits a channel; 1 (gray) or 3 (RGB) channels. Alpha is dropped by the readers.
struct image {
    int width, height, n_channels;
    int n_bits;      // 8 or 16
    void *pixels;    // (H, W, C), uint8_t or uint16_t
    bool has_alpha;  // the file has an alpha channel, which is not among the pixels
    int orientation; // 2..8: how the stored picture was turned; other values: it was not
    unsigned notes;  // of enum image_note
    struct image_palette palette; // of an indexed file read by image_load_label; else n = 0
};

void image_deinit(struct image *image); // also zeroes it; legal on a zeroed struct
ADELE_MUST_CHECK adele_status image_init(struct image *out, int width, int height, int n_channels,
                                         int n_bits);

// Reads PNG (8/16 bit; grays of 1, 2, 4 bits scaled to 0..255; gray, RGB, palette -> RGB, alpha
// dropped; interlaced), JPEG (accurate DCT; gray, RGB, or CMYK -> RGB), TIFF (the first page; bits
// and colours as for PNG, and white-is-zero) or BMP (not compressed), by the file's signature, not
// its name. The picture is turned according to the orientation of Exif or TIFF: extents are those
// of the picture as viewers show it. `memory_limit` bytes of decoded pixels, 0 = none.
// ADELE_FORMAT/IO/DATA name the file and what is wrong (truncated, bad checksum, too large). On
// failure `out` is zeroed.
ADELE_MUST_CHECK adele_status image_load(const char *path, size_t memory_limit, struct image *out);

// Reads a label map: PNG, TIFF or BMP, gray (value = category; 1, 2, 4 bits unscaled) or indexed
// (index = category, the palette kept). 1 channel out, of 16 bits for a 16-bit file (instance ids),
// else of 8. RGB whose three channels are equal everywhere is accepted as gray; other colour images
// are ADELE_DATA.
ADELE_MUST_CHECK adele_status image_load_label(const char *path, size_t memory_limit,
                                               struct image *out);

// ---- rows.c: a picture read row by row, in the memory of a few rows -----------------------------
struct image_rows;
// The pixels are those of image_load. *out is NULL for files that have to be loaded whole: JPEG and
// BMP, pictures that are turned, interlaced PNG, TIFF of several planes or of very high tiles.
ADELE_MUST_CHECK adele_status image_rows_open(const char *path, struct image_rows **out);
void image_rows_close(struct image_rows *rows); // NULL is legal
// Extents, channels, bits and notes; without pixels. Borrowed.
const struct image *image_rows_describe(const struct image_rows *rows);
// The next n_rows rows, (n_rows, W, C); ADELE_INVALID_ARGUMENT beyond the last one.
ADELE_MUST_CHECK adele_status image_rows_read(struct image_rows *rows, int n_rows, void *out);
// W * C * bytes of a sample.
static inline size_t image_row_bytes(const struct image *image) {
    return (size_t)image->width * (size_t)image->n_channels * ((size_t)image->n_bits / 8);
}

// Only the extents, from the header, after turning: for checks.
ADELE_MUST_CHECK adele_status image_probe(const char *path, int *width, int *height);

// What a file's header says of its picture; false when it cannot be read.
struct image_traits {
    int n_channels, n_bits; // of image_load
    bool is_indexed;        // image_load_label returns a palette
};
bool image_tiff_traits(const char *path, struct image_traits *out);
bool image_bmp_traits(const char *path, struct image_traits *out);

// Writes PNG, atomically. A palette (n > 0) makes an indexed file; pixel values beyond the palette
// get their colours from image_palette_voc.
ADELE_MUST_CHECK adele_status image_save_png(const char *path, const struct image *image);

// The same by rows, in the memory of a few of them: begin, all rows from the first on, then commit,
// or abandon, which leaves no file. `header` is a picture without pixels, whose palette, where it
// has one, holds all colours.
struct png_writer;
ADELE_MUST_CHECK adele_status png_writer_begin(const char *path, const struct image *header,
                                               struct png_writer **out);
ADELE_MUST_CHECK adele_status png_writer_rows(struct png_writer *writer, int n_rows,
                                              const void *pixels);
ADELE_MUST_CHECK adele_status png_writer_commit(struct png_writer *writer); // frees it, always
void png_writer_abandon(struct png_writer *writer); // frees it; NULL is legal

// The picture, 8 bits a channel, as a JPEG file that is added to `out` (base/buffer.h). Colours
// keep the full resolution. Quality 1 .. 100.
ADELE_MUST_CHECK adele_status image_encode_jpeg(const struct image *image, int quality,
                                                struct buffer *out);

// The colour map of PASCAL VOC for 256 categories (bits of the index spread over R, G, B).
void image_palette_voc(struct image_palette *out);

// ---- resize.c: (H, W) planes --------------------------------------------------------------------
// The pixel of n_in along an axis that is nearest to pixel i of n_out:
// floor((i + 0.5) n_in / n_out).
static inline int resize_nearest_index(int i, int n_in, int n_out) {
    return (int)((2 * (int64_t)i + 1) * n_in / (2 * (int64_t)n_out));
}
// Each pixel is the nearest one of `in`. Here and below, planes do not overlap.
void resize_nearest_u8(const uint8_t *in, int in_h, int in_w, uint8_t *out, int out_h, int out_w);
// Bilinear with half-pixel centres and edge clamp; when shrinking, averaged over the covered area
// (triangle filter widened by the scale), so that nothing aliases.
ADELE_MUST_CHECK adele_status resize_linear_f32(const float *in, int in_h, int in_w, float *out,
                                                int out_h, int out_w);
// Cubic convolution, a = -0.75, half-pixel centres, edge clamp, no antialiasing: what OpenCV's
// INTER_CUBIC computes. METHOD section 6 uses it for noise synthesis.
ADELE_MUST_CHECK adele_status resize_cubic_f32(const float *in, int in_h, int in_w, float *out,
                                               int out_h, int out_w);

// ---- morphology.c: binary masks (0 / not 0) -----------------------------------------------------
// `n_iterations` passes of a 3 x 3 square, in place. Outside the mask counts as not lowering an
// erosion and not raising a dilation (OpenCV's default border).
ADELE_MUST_CHECK adele_status morphology_erode(uint8_t *mask, int height, int width,
                                               int n_iterations);
ADELE_MUST_CHECK adele_status morphology_dilate(uint8_t *mask, int height, int width,
                                                int n_iterations);
#endif
