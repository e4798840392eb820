// SPDX-License-Identifier: MIT
// The orientation that a camera stored with the picture: tag 0x0112 of an Exif block, which has the
// format of a TIFF file. It is in JPEG's APP1 segment or PNG's eXIf chunk. A damaged block counts
// as no orientation, because it is no reason to refuse the picture.
#include "image/byte_order.h"
#include "image/codec.h"
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT      3
#define ENTRY_BYTES     12
// Cameras write a few kilobytes; the first directory is at their start.
#define MAX_EXIF_BYTES 65536

int exif_orientation(const unsigned char *block, size_t n_bytes) {
    if (n_bytes < 10 || (memcmp(block, "II*\0", 4) != 0 && memcmp(block, "MM\0*", 4) != 0))
        return 1;
    bool is_big_endian = block[0] == 'M';
    size_t at = (size_t)bytes_get(block + 4, 4, is_big_endian);
    if (at > n_bytes - 2)
        return 1;
    size_t n_entries = (size_t)bytes_get(block + at, 2, is_big_endian);
    for (at += 2; n_entries > 0 && n_bytes - at >= ENTRY_BYTES; at += ENTRY_BYTES, n_entries--) {
        if (bytes_get(block + at, 2, is_big_endian) != TAG_ORIENTATION)
            continue;
        int value = (int)bytes_get(block + at + 8, 2, is_big_endian);
        bool is_short = bytes_get(block + at + 2, 2, is_big_endian) == TYPE_SHORT;
        return is_short && value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}

int exif_orientation_jpeg(const unsigned char *bytes, size_t n_bytes) {
    for (size_t at = 2; at + 4 <= n_bytes && bytes[at] == 0xff;) {
        int marker = bytes[at + 1];
        if (marker == 0xff) { // a fill byte
            at++;
            continue;
        }
        size_t length = (size_t)bytes_get(bytes + at + 2, 2, true);
        if (marker == 0xda || length < 2 || length > n_bytes - at - 2)
            return 1;
        if (marker == 0xe1 && length >= 8 && memcmp(bytes + at + 4, "Exif\0\0", 6) == 0)
            return exif_orientation(bytes + at + 10, length - 8);
        at += 2 + length;
    }
    return 1;
}

// From the content of the eXIf chunk whose header was read; 1 when its checksum is wrong.
static int read_chunk(FILE *file, size_t n_bytes) {
    unsigned char block[MAX_EXIF_BYTES + 4];
    if (fread(block, 1, n_bytes + 4, file) != n_bytes + 4)
        return 1;
    uLong sum = crc32(crc32(0, (const Bytef *)"eXIf", 4), block, (uInt)n_bytes);
    return sum == bytes_get(block + n_bytes, 4, true) ? exif_orientation(block, n_bytes) : 1;
}

int exif_orientation_png(FILE *file) {
    unsigned char head[8]; // length and name of a chunk
    int orientation = 1;
    if (fseek(file, 8, SEEK_SET) != 0)
        return 1;
    while (fread(head, 1, sizeof head, file) == sizeof head) {
        size_t n_bytes = (size_t)bytes_get(head, 4, true);
        if (memcmp(head + 4, "IEND", 4) == 0)
            break;
        if (memcmp(head + 4, "eXIf", 4) == 0 && n_bytes <= MAX_EXIF_BYTES) {
            orientation = read_chunk(file, n_bytes);
            break;
        }
        // After a length beyond the end of the file, the next read fails.
        if (fseek(file, (long)n_bytes + 4, SEEK_CUR) != 0)
            break;
    }
    return orientation;
}
