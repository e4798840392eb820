// SPDX-License-Identifier: MIT
// JPEG through the TurboJPEG interface. The accurate inverse DCT is used, so that the pixels do not
// depend on the processor.
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/codec.h"
#include <string.h>
#include <turbojpeg.h>

// A JPEG file of a gigabyte holds more pixels than IMAGE_MAX_EXTENT allows.
#define JPEG_MAX_FILE_BYTES ((size_t)1 << 30)
// Huffman coding spends at least one bit on each 8 x 8 block, so a byte holds at most 512 pixels;
// a file that claims more than twice that is truncated.
#define JPEG_MAX_PIXELS_PER_BYTE 1024

struct jpeg_reader {
    const char *path;
    char *bytes;
    size_t n_bytes;
    tjhandle handle;
    int width, height, colorspace;
    int orientation;
    bool has_stray; // bytes between segments, which were removed
};

static void reader_deinit(struct jpeg_reader *reader) {
    if (reader->handle != NULL)
        tjDestroy(reader->handle);
    memory_free(reader->bytes);
}

static adele_status fail_damaged(const struct jpeg_reader *reader) {
    return FAIL(ADELE_FORMAT, "Restore the file from its source, or save it again.",
                "%s: damaged or truncated JPEG file: %s", reader->path,
                tjGetErrorStr2(reader->handle));
}

// Removes stray bytes between the segments of the header: some cameras and programs that edit tags
// leave such bytes, and every viewer skips them.
static void drop_stray(struct jpeg_reader *reader) {
    unsigned char *bytes = (unsigned char *)reader->bytes;
    size_t n = reader->n_bytes, at = 2, to = 2;
    while (at + 4 <= n) {
        int marker = bytes[at + 1];
        if (bytes[at] != 0xff || marker == 0) {
            at++;
            continue;
        }
        size_t length = marker == 0xff ? 1 : 2 + ((size_t)bytes[at + 2] << 8 | bytes[at + 3]);
        if (marker == 0xda || length == 2 || length == 3 || length > n - at)
            break;
        memmove(bytes + to, bytes + at, length);
        at += length;
        to += length;
    }
    // Without a scan there is no picture. The unchanged bytes go to the decoder, whose message is
    // then about the whole file.
    if (at == to || at + 4 > n || bytes[at + 1] != 0xda)
        return;
    memmove(bytes + to, bytes + at, n - at);
    reader->n_bytes = n - (at - to);
    reader->has_stray = true;
}

// Whether the end marker follows the scans: a truncated file has none.
static bool has_end(const struct jpeg_reader *reader) {
    const unsigned char *bytes = (const unsigned char *)reader->bytes;
    size_t n = reader->n_bytes;
    for (size_t at = 2; at + 2 <= n;) {
        int marker = bytes[at + 1];
        if (bytes[at] == 0xff && marker == 0xd9)
            return true;
        // Coded data and what belongs to it: any byte, a stuffed 0, a restart, a fill byte.
        bool is_data = bytes[at] != 0xff || marker == 0 || marker == 0xff || marker == 1 ||
                       (marker >= 0xd0 && marker <= 0xd7);
        size_t length = at + 4 <= n ? (size_t)bytes[at + 2] << 8 | bytes[at + 3] : 0;
        at += is_data ? 1 : 2 + length;
    }
    return false;
}

// Whether the decoder only complained of stray bytes after a scan ("... extraneous bytes before
// marker 0xd9"). Before a restart marker they are the rest of damaged data.
static bool is_stray_alone(const struct jpeg_reader *reader) {
    static const char text[] = "extraneous bytes before marker 0x";
    const char *at = strstr(tjGetErrorStr2(reader->handle), text);
    if (at == NULL || tjGetErrorCode(reader->handle) != TJERR_WARNING)
        return false;
    at += sizeof text - 1;
    bool is_restart = at[0] == 'd' && at[1] >= '0' && at[1] <= '7';
    return !is_restart && has_end(reader);
}

// Reads the file and its header. The caller deinits the reader, also after a failure.
static adele_status reader_init(struct jpeg_reader *reader, const char *path) {
    *reader = (struct jpeg_reader){.path = path};
    TRY(file_read(path, JPEG_MAX_FILE_BYTES, &reader->bytes, &reader->n_bytes));
    drop_stray(reader);
    reader->orientation =
        exif_orientation_jpeg((const unsigned char *)reader->bytes, reader->n_bytes);
    reader->handle = tjInitDecompress();
    if (reader->handle == NULL)
        return FAIL(ADELE_NO_MEMORY, "Close other programs.", "%s: cannot start the JPEG decoder",
                    path);
    int subsampling = 0;
    if (tjDecompressHeader3(reader->handle, (const unsigned char *)reader->bytes,
                            (unsigned long)reader->n_bytes, &reader->width, &reader->height,
                            &subsampling, &reader->colorspace) != 0)
        return fail_damaged(reader);
    return ADELE_OK;
}

static bool has_inks(const struct jpeg_reader *reader) {
    return reader->colorspace == TJCS_CMYK || reader->colorspace == TJCS_YCCK;
}

static adele_status check_header(const struct jpeg_reader *reader, int n_channels,
                                 size_t memory_limit) {
    // A file of several scans (a progressive one) keeps two bytes of coefficients for each sample.
    TRY(image_check_claim(reader->path, (uint64_t)reader->width, (uint64_t)reader->height,
                          n_channels + (has_inks(reader) ? 4 : 0), 24, memory_limit));
    uint64_t n_pixels = (uint64_t)reader->width * (uint64_t)reader->height;
    if (n_pixels / JPEG_MAX_PIXELS_PER_BYTE > reader->n_bytes)
        return FAIL(
            ADELE_FORMAT, "Restore the file from its source.",
            "%s: truncated JPEG file: %zu bytes cannot hold %d x %d pixels (height x width)",
            reader->path, reader->n_bytes, reader->height, reader->width);
    return ADELE_OK;
}

// Files with four inks hold what each leaves of the light (255: no ink), as Adobe's programs write
// them and viewers take them all to be.
static void inks_to_rgb(size_t n_pixels, const uint8_t *inks, uint8_t *rgb) {
    for (size_t i = 0; i < n_pixels; i++)
        for (size_t c = 0; c < 3; c++)
            rgb[3 * i + c] = (uint8_t)((inks[4 * i + c] * inks[4 * i + 3] + 127) / 255);
}

// Without the stop flag a truncated file would be decoded to gray rows without an error. A file
// whose only error is stray bytes is decoded again without the flag.
static adele_status decode_as(struct jpeg_reader *reader, int format, void *pixels,
                              struct image *out) {
    int flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS;
    out->notes = reader->has_stray ? IMAGE_NOTE_STRAY_BYTES : 0;
    for (int turn = 0; turn < 2; turn++) {
        int result =
            tjDecompress2(reader->handle, (const unsigned char *)reader->bytes,
                          (unsigned long)reader->n_bytes, pixels, reader->width, 0, reader->height,
                          format, flags | (turn == 0 ? TJFLAG_STOPONWARNING : 0));
        if (result == 0)
            return ADELE_OK;
        if (!is_stray_alone(reader))
            break;
        out->notes |= IMAGE_NOTE_STRAY_BYTES;
        if (turn == 1)
            return ADELE_OK;
    }
    return fail_damaged(reader);
}

static adele_status decode(struct jpeg_reader *reader, struct image *out) {
    size_t n_pixels = (size_t)reader->width * (size_t)reader->height;
    if (!has_inks(reader))
        return decode_as(reader, out->n_channels == 1 ? TJPF_GRAY : TJPF_RGB, out->pixels, out);
    OWNED uint8_t *inks = NULL;
    TRY(ALLOCATE(&inks, 4 * n_pixels));
    TRY(decode_as(reader, TJPF_CMYK, inks, out));
    inks_to_rgb(n_pixels, inks, out->pixels);
    out->notes |= IMAGE_NOTE_INKS;
    return ADELE_OK;
}

adele_status image_jpeg_load(const char *path, bool keep_values, size_t memory_limit,
                             struct image *out) {
    (void)keep_values; // there are no others
    memset(out, 0, sizeof *out);
    CLEANUP(reader_deinit) struct jpeg_reader reader = {0};
    TRY(reader_init(&reader, path));
    int n_channels = reader.colorspace == TJCS_GRAY ? 1 : 3;
    TRY(check_header(&reader, n_channels, memory_limit));
    TRY(image_init(out, reader.width, reader.height, n_channels, 8));
    TRY(decode(&reader, out));
    return orient_image(out, reader.orientation);
}

adele_status image_jpeg_probe(const char *path, int *width, int *height) {
    CLEANUP(reader_deinit) struct jpeg_reader reader = {0};
    TRY(reader_init(&reader, path));
    TRY(image_check_claim(path, (uint64_t)reader.width, (uint64_t)reader.height, 3, 8, 0));
    *width = reader.width;
    *height = reader.height;
    orient_extents(reader.orientation, width, height);
    return ADELE_OK;
}
