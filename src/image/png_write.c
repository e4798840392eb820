// SPDX-License-Identifier: MIT
// PNG writing through libpng, atomically. As in png.c, functions that call setjmp own no memory.
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include <png.h>
#include <stdio.h>
#include <string.h>

struct png_saver {
    const struct image *image;
    struct image_palette palette; // n = 0: gray or RGB
    struct file_writer *writer;
    adele_status write_status; // set when writing the file failed
    png_structp png;
    png_infop info;
    char message[160]; // libpng's
};

static void on_error(png_structp png, png_const_charp message) {
    struct png_saver *saver = png_get_error_ptr(png);
    snprintf(saver->message, sizeof saver->message, "%s", message);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void on_write(png_structp png, png_bytep data, size_t bytes) {
    struct png_saver *saver = png_get_io_ptr(png);
    saver->write_status = file_writer_write(saver->writer, data, bytes);
    if (saver->write_status != ADELE_OK)
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

static bool write_picture(struct png_saver *saver) {
    if (setjmp(png_jmpbuf(saver->png)) != 0)
        return false;
    const struct image *image = saver->image;
    int color_type = saver->palette.n > 0     ? PNG_COLOR_TYPE_PALETTE
                     : image->n_channels == 1 ? PNG_COLOR_TYPE_GRAY
                                              : PNG_COLOR_TYPE_RGB;
    png_set_IHDR(saver->png, saver->info, (png_uint_32)image->width, (png_uint_32)image->height,
                 image->n_bits, color_type, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (saver->palette.n > 0) {
        png_color colors[256];
        for (int i = 0; i < saver->palette.n; ++i)
            colors[i] = (png_color){saver->palette.rgb[i][0], saver->palette.rgb[i][1],
                                    saver->palette.rgb[i][2]};
        png_set_PLTE(saver->png, saver->info, colors, saver->palette.n);
    }
    png_write_info(saver->png, saver->info);
    const uint16_t one = 1;
    if (image->n_bits == 16 && *(const uint8_t *)&one == 1)
        png_set_swap(saver->png); // files are big endian
    size_t row_bytes =
        (size_t)image->width * (size_t)image->n_channels * ((size_t)image->n_bits / 8);
    for (int y = 0; y < image->height; ++y)
        png_write_row(saver->png, (png_const_bytep)image->pixels + (size_t)y * row_bytes);
    png_write_end(saver->png, saver->info);
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

static adele_status check_image(const char *path, const struct image *image) {
    if (image->pixels == NULL || image->width < 1 || image->height < 1 ||
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

static adele_status fail_encoding(const char *path, const struct png_saver *saver) {
    if (saver->write_status != ADELE_OK)
        return saver->write_status; // already recorded, with the file's name
    return FAIL(ADELE_NO_MEMORY, "Close other programs.", "%s: cannot encode the PNG file: %s",
                path, saver->message[0] != '\0' ? saver->message : "out of memory");
}

adele_status image_save_png(const char *path, const struct image *image) {
    TRY(check_image(path, image));
    struct png_saver saver = {.image = image, .palette = image->palette};
    if (saver.palette.n > 0)
        extend_palette(image, &saver.palette);
    adele_status status = ADELE_OK;
    TRY_GOTO(file_writer_begin(path, &saver.writer), done);
    saver.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &saver, on_error, on_warning, NULL,
                                          on_malloc, on_free);
    if (saver.png != NULL)
        saver.info = png_create_info_struct(saver.png);
    if (saver.info == NULL) {
        status = fail_encoding(path, &saver);
        goto done;
    }
    png_set_write_fn(saver.png, &saver, on_write, on_flush);
    if (!write_picture(&saver)) {
        status = fail_encoding(path, &saver);
        goto done;
    }
    status = file_writer_commit(saver.writer);
    saver.writer = NULL;
done:
    if (saver.png != NULL)
        png_destroy_write_struct(&saver.png, &saver.info);
    file_writer_abandon(saver.writer);
    return status;
}
