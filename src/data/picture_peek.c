// SPDX-License-Identifier: MIT
// Reads PNG's IHDR, JPEG's frame header, the first directory of a TIFF, the headers of a BMP.
#include "data/picture_peek.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void peek_png(const unsigned char *header, struct image_traits *out) {
    int color_type = header[25];
    out->n_bits = header[24] == 16 ? 16 : 8;
    out->is_indexed = color_type == 3;
    out->n_channels = color_type == 0 || color_type == 4 ? 1 : 3;
}

// Skips the segments up to the frame header (SOF), whose tenth byte is the number of components.
static void peek_jpeg(FILE *file, struct image_traits *out) {
    if (fseek(file, 2, SEEK_SET) != 0)
        return;
    unsigned char head[10];
    while (fread(head, 1, 4, file) == 4 && head[0] == 0xFF) {
        int marker = head[1];
        if (marker == 0xFF) { // fill byte
            if (fseek(file, -3, SEEK_CUR) != 0)
                return;
            continue;
        }
        int length = head[2] << 8 | head[3];
        bool is_frame =
            marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
        if (is_frame) {
            if (fread(head + 4, 1, 6, file) != 6)
                return;
            out->n_bits = 8;
            out->n_channels = head[9] == 1 ? 1 : 3;
            return;
        }
        if (length < 2 || fseek(file, length - 2, SEEK_CUR) != 0)
            return;
    }
}

void picture_peek(const char *path, struct image_traits *out) {
    static const unsigned char png_signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    memset(out, 0, sizeof *out);
    struct stat info; // opening a pipe would block
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return;
    unsigned char header[26] = {0};
    size_t bytes = fread(header, 1, sizeof header, file);
    if (bytes == sizeof header && memcmp(header, png_signature, sizeof png_signature) == 0)
        peek_png(header, out);
    else if (bytes == sizeof header && header[0] == 0xFF && header[1] == 0xD8)
        peek_jpeg(file, out);
    (void)fclose(file);
    struct image_traits traits = {0};
    bool is_tiff = memcmp(header, "II", 2) == 0 || memcmp(header, "MM", 2) == 0;
    bool is_other = is_tiff ? image_tiff_traits(path, &traits)
                            : memcmp(header, "BM", 2) == 0 && image_bmp_traits(path, &traits);
    if (is_other)
        *out = traits;
}
