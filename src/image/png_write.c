// SPDX-License-Identifier: MIT
// PNG writing through libpng, atomically, row by row. As in png.c, functions that call setjmp own
// no memory.
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include <png.h>
#include <stdio.h>
#include <string.h>

OWNER(png_writer_abandon, struct png_writer)

struct png_writer {
    struct image header; // without pixels; its palette: n = 0 is gray or RGB
    char *path;
    int n_written; // rows
    struct file_writer *writer;
    adele_status write_status; // set when writing the file failed
    png_structp png;
    png_infop info;
    char message[160]; // libpng's
};

static void on_error(png_structp png, png_const_charp message) {
    struct png_writer *self = png_get_error_ptr(png);
    snprintf(self->message, sizeof self->message, "%s", message);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void on_write(png_structp png, png_bytep data, size_t bytes) {
    struct png_writer *self = png_get_io_ptr(png);
    self->write_status = file_writer_write(self->writer, data, bytes);
    if (self->write_status != ADELE_OK)
        png_error(png, "write error");
}

// file_writer_commit flushes.
static void on_flush(png_structp png) {
    (void)png;
}

static png_voidp on_malloc(png_structp png, png_alloc_size_t bytes) {
    (void)png;
    return memory_calloc(bytes, 1);
}

static void on_free(png_structp png, png_voidp block) {
    (void)png;
    memory_free(block);
}

static bool write_header(struct png_writer *self) {
    if (setjmp(png_jmpbuf(self->png)) != 0)
        return false;
    const struct image *header = &self->header;
    int color_type = header->palette.n > 0     ? PNG_COLOR_TYPE_PALETTE
                     : header->n_channels == 1 ? PNG_COLOR_TYPE_GRAY
                                               : PNG_COLOR_TYPE_RGB;
    png_set_IHDR(self->png, self->info, (png_uint_32)header->width, (png_uint_32)header->height,
                 header->n_bits, color_type, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (header->palette.n > 0) {
        png_color colors[256];
        for (int i = 0; i < header->palette.n; ++i)
            colors[i] = (png_color){header->palette.rgb[i][0], header->palette.rgb[i][1],
                                    header->palette.rgb[i][2]};
        png_set_PLTE(self->png, self->info, colors, header->palette.n);
    }
    png_write_info(self->png, self->info);
    const uint16_t one = 1;
    if (header->n_bits == 16 && *(const uint8_t *)&one == 1)
        png_set_swap(self->png); // files are big endian
    return true;
}

static bool write_rows(struct png_writer *self, int n_rows, png_const_bytep pixels) {
    if (setjmp(png_jmpbuf(self->png)) != 0)
        return false;
    size_t row_bytes = image_row_bytes(&self->header);
    for (int y = 0; y < n_rows; ++y)
        png_write_row(self->png, pixels + (size_t)y * row_bytes);
    return true;
}

static bool write_end(struct png_writer *self) {
    if (setjmp(png_jmpbuf(self->png)) != 0)
        return false;
    png_write_end(self->png, self->info);
    return true;
}

// A corrected label map may hold categories (255, say) that the source's palette did not have; they
// get their colours from the VOC map.
static void extend_palette(const struct image *image, struct image_palette *palette) {
    struct image_palette voc;
    image_palette_voc(&voc);
    const uint8_t *labels = image->pixels;
    size_t n_pixels = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < n_pixels; ++i)
        while (palette->n <= labels[i]) {
            memcpy(palette->rgb[palette->n], voc.rgb[palette->n], 3);
            ++palette->n;
        }
}

static adele_status check_header(const char *path, const struct image *image) {
    if (image->width < 1 || image->height < 1 ||
        (image->n_channels != 1 && image->n_channels != 3) ||
        (image->n_bits != 8 && image->n_bits != 16))
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "%s: cannot write an image of %d x %d pixels, %d channels, %d bits", path,
                    image->width, image->height, image->n_channels, image->n_bits);
    if (image->palette.n < 0 || image->palette.n > 256 ||
        (image->palette.n > 0 && (image->n_channels != 1 || image->n_bits != 8)))
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "%s: a palette of %d colours with %d channels of %d bits: indexed images have "
                    "1 to 256 colours and one channel of 8 bits",
                    path, image->palette.n, image->n_channels, image->n_bits);
    return ADELE_OK;
}

static adele_status fail_encoding(const struct png_writer *self) {
    if (self->write_status != ADELE_OK)
        return self->write_status; // already recorded, with the file's name
    return FAIL(ADELE_NO_MEMORY, "Close other programs.", "%s: cannot encode the PNG file: %s",
                self->path, self->message[0] != '\0' ? self->message : "out of memory");
}

static adele_status begin(struct png_writer *self, const char *path) {
    self->path = memory_strdup(path);
    TRY(CHECK_MEMORY(self->path));
    TRY(file_writer_begin(path, &self->writer));
    self->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, self, on_error, on_warning, NULL,
                                          on_malloc, on_free);
    if (self->png != NULL)
        self->info = png_create_info_struct(self->png);
    if (self->info == NULL)
        return fail_encoding(self);
    png_set_write_fn(self->png, self, on_write, on_flush);
    return write_header(self) ? ADELE_OK : fail_encoding(self);
}

adele_status png_writer_begin(const char *path, const struct image *header,
                              struct png_writer **out) {
    OWNED_BY(png_writer_abandon) struct png_writer *self = NULL;
    *out = NULL;
    TRY(check_header(path, header));
    TRY(ALLOCATE(&self, 1));
    self->header = *header;
    self->header.pixels = NULL;
    TRY(begin(self, path));
    *out = self;
    self = NULL;
    return ADELE_OK;
}

adele_status png_writer_rows(struct png_writer *self, int n_rows, const void *pixels) {
    if (n_rows < 0 || n_rows > self->header.height - self->n_written)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "%s: %d rows after %d of %d", self->path, n_rows,
                    self->n_written, self->header.height);
    if (!write_rows(self, n_rows, pixels))
        return fail_encoding(self);
    self->n_written += n_rows;
    return ADELE_OK;
}

adele_status png_writer_commit(struct png_writer *self) {
    OWNED_BY(png_writer_abandon) struct png_writer *owned = self;
    if (self->n_written < self->header.height)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "%s: %d of %d rows were written", self->path,
                    self->n_written, self->header.height);
    if (!write_end(self))
        return fail_encoding(self);
    return file_writer_commit(&self->writer);
}

void png_writer_abandon(struct png_writer *self) {
    if (self == NULL)
        return;
    if (self->png != NULL)
        png_destroy_write_struct(&self->png, &self->info);
    file_writer_abandon(self->writer);
    memory_free(self->path);
    memory_free(self);
}

adele_status image_save_png(const char *path, const struct image *image) {
    TRY(check_header(path, image));
    if (image->pixels == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "%s: an image without pixels", path);
    struct image header = *image;
    struct png_writer *writer = NULL;
    if (header.palette.n > 0)
        extend_palette(image, &header.palette);
    TRY(png_writer_begin(path, &header, &writer));
    adele_status status = png_writer_rows(writer, image->height, image->pixels);
    if (status == ADELE_OK)
        return png_writer_commit(writer);
    png_writer_abandon(writer);
    return status;
}
