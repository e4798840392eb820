// SPDX-License-Identifier: MIT
// JPEG through the TurboJPEG interface. The accurate inverse DCT is taken, so that the pixels do
// not depend on the processor's fast paths.
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/codec.h"
#include <string.h>
#include <turbojpeg.h>

// A JPEG file of a gigabyte holds more pixels than IMAGE_MAX_EXTENT allows.
#define JPEG_MAX_FILE_BYTES ((size_t)1 << 30)
// Huffman coding spends at least one bit on each 8 x 8 block, so a byte holds at most 512 pixels;
// with a factor 2 to spare, a file that claims more has lost its end.
#define JPEG_MAX_PIXELS_PER_BYTE 1024

struct jpeg_reader {
    const char *path;
    char *bytes;
    size_t n_bytes;
    tjhandle handle;
    int width, height, colorspace;
};

static void reader_deinit(struct jpeg_reader *reader) {
    if (reader->handle != NULL)
        tjDestroy(reader->handle);
    memory_free(reader->bytes);
}

static adele_status fail_damaged(const struct jpeg_reader *reader) {
    return FAIL(ADELE_FORMAT, "Restore the file from its source, or save it anew.",
                "%s: damaged or truncated JPEG file: %s", reader->path,
                tjGetErrorStr2(reader->handle));
}

// Reads the file and its header. The caller deinits the reader, also after a failure.
static adele_status reader_init(struct jpeg_reader *reader, const char *path) {
    *reader = (struct jpeg_reader){.path = path};
    TRY(file_read(path, JPEG_MAX_FILE_BYTES, &reader->bytes, &reader->n_bytes));
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

static adele_status check_header(const struct jpeg_reader *reader, int n_channels,
                                 size_t memory_limit) {
    // A file of several scans (a progressive one) keeps two bytes of coefficients for each sample.
    TRY(image_check_claim(reader->path, (uint64_t)reader->width, (uint64_t)reader->height,
                          n_channels, 24, memory_limit));
    if (reader->colorspace == TJCS_CMYK || reader->colorspace == TJCS_YCCK)
        return FAIL(ADELE_DATA, "Convert the image to RGB.",
                    "%s: the JPEG file has four ink channels (CMYK); gray and RGB are read",
                    reader->path);
    uint64_t n_pixels = (uint64_t)reader->width * (uint64_t)reader->height;
    if (n_pixels / JPEG_MAX_PIXELS_PER_BYTE > reader->n_bytes)
        return FAIL(ADELE_FORMAT, "Restore the file from its source.",
                    "%s: truncated JPEG file: %zu bytes cannot hold %d x %d pixels", reader->path,
                    reader->n_bytes, reader->width, reader->height);
    return ADELE_OK;
}

adele_status image_jpeg_load(const char *path, size_t memory_limit, struct image *out) {
    memset(out, 0, sizeof *out);
    adele_status status = ADELE_OK;
    struct jpeg_reader reader;
    TRY_GOTO(reader_init(&reader, path), done);
    int n_channels = reader.colorspace == TJCS_GRAY ? 1 : 3;
    TRY_GOTO(check_header(&reader, n_channels, memory_limit), done);
    TRY_GOTO(image_init(out, reader.width, reader.height, n_channels, 8), done);
    // Without the stop flag a truncated file would decode to gray rows and pass as whole.
    if (tjDecompress2(reader.handle, (const unsigned char *)reader.bytes,
                      (unsigned long)reader.n_bytes, out->pixels, reader.width, 0, reader.height,
                      n_channels == 1 ? TJPF_GRAY : TJPF_RGB,
                      TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS) != 0) {
        status = fail_damaged(&reader);
        image_deinit(out);
    }
done:
    reader_deinit(&reader);
    return status;
}

adele_status image_jpeg_probe(const char *path, int *width, int *height) {
    struct jpeg_reader reader;
    adele_status status = reader_init(&reader, path);
    if (status == ADELE_OK)
        status = image_check_claim(path, (uint64_t)reader.width, (uint64_t)reader.height, 3, 8, 0);
    if (status == ADELE_OK) {
        *width = reader.width;
        *height = reader.height;
    }
    reader_deinit(&reader);
    return status;
}
