// SPDX-License-Identifier: MIT
// PNG reading through libpng.
//
// libpng reports an error by longjmp. Each function that calls setjmp does nothing but libpng calls
// on a struct of its caller: no local variable changes between setjmp and longjmp, and memory is
// allocated and freed outside, so that the jump leaks nothing.
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/codec.h"
#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

// deflate compresses at most by a factor of 1032; a file that claims more rows than that is
// truncated.
#define PNG_MAX_RATIO 1032
// Signature, length, name and content of the first chunk, and its checksum.
#define PNG_HEADER_BYTES 33

struct png_reader {
    const char *path;
    FILE *file;
    uint64_t file_bytes;
    png_structp png;
    png_infop info;
    png_bytep *rows;
    png_uint_32 width, height;
    int n_file_bits, color_type;
    int n_channels, n_bits; // of the pixels asked for
    bool keep_values;
    bool keep_alpha; // one more channel, the last
    int orientation;
    bool is_truncated, is_out_of_memory;
    bool is_unreadable; // the system failed to read
    char message[160];  // libpng's
};

static void on_error(png_structp png, png_const_charp message) {
    struct png_reader *reader = png_get_error_ptr(png);
    snprintf(reader->message, sizeof reader->message, "%s", message);
    longjmp(png_jmpbuf(png), 1);
}

// Damage that libpng can ignore (in an unknown text chunk, say) does not change the pixels.
static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep out, size_t bytes) {
    struct png_reader *reader = png_get_io_ptr(png);
    if (fread(out, 1, bytes, reader->file) == bytes)
        return;
    reader->is_truncated = feof(reader->file) != 0;
    reader->is_unreadable = ferror(reader->file) != 0;
    png_error(png, strerror(errno));
}

static png_voidp on_malloc(png_structp png, png_alloc_size_t bytes) {
    struct png_reader *reader = png_get_mem_ptr(png);
    void *block = memory_calloc(bytes, 1);
    if (block == NULL)
        reader->is_out_of_memory = true;
    return block;
}

static void on_free(png_structp png, png_voidp block) {
    (void)png;
    memory_free(block);
}

static adele_status fail_reading(const struct png_reader *reader) {
    if (reader->is_out_of_memory)
        return FAIL(ADELE_NO_MEMORY, "Close other programs.",
                    "%s: no memory to decode %u x %u pixels (height x width)", reader->path,
                    (unsigned)reader->height, (unsigned)reader->width);
    if (reader->is_unreadable)
        return FAIL(ADELE_IO, file_hint(EIO), "cannot read %s: %s", reader->path, reader->message);
    if (reader->is_truncated)
        return FAIL(ADELE_FORMAT, "Restore the file from its source.",
                    "%s: truncated PNG file: it ends after %llu bytes", reader->path,
                    (unsigned long long)reader->file_bytes);
    return FAIL(ADELE_FORMAT, "Restore the file from its source.", "%s: damaged PNG file: %s",
                reader->path, reader->message);
}

static void reader_deinit(struct png_reader *reader) {
    if (reader->png != NULL)
        png_destroy_read_struct(&reader->png, &reader->info, NULL);
    if (reader->file != NULL)
        fclose(reader->file);
    memory_free(reader->rows);
}

static uint32_t big_endian_u32(const unsigned char *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

// The checksum covers the chunk's name and its 13 bytes.
static adele_status check_first_chunk(const char *path,
                                      const unsigned char start[PNG_HEADER_BYTES]) {
    if (memcmp(start + 12, "IHDR", 4) != 0)
        return FAIL(ADELE_FORMAT, "Restore the file from its source.",
                    "%s: damaged PNG file: it does not begin with its header", path);
    if (big_endian_u32(start + 29) != (uint32_t)crc32(0, start + 12, 17))
        return FAIL(ADELE_FORMAT, "Restore the file from its source.",
                    "%s: damaged PNG file: the header's checksum is wrong", path);
    return ADELE_OK;
}

// The caller deinits the reader, also after a failure. libpng would skip chunks before the header,
// where image_png_probe finds none; it reports itself that a file is shorter than a header.
static adele_status reader_init(struct png_reader *reader, const char *path) {
    unsigned char start[PNG_HEADER_BYTES];
    *reader = (struct png_reader){.path = path};
    TRY(image_file_bytes(path, &reader->file_bytes));
    reader->file = fopen(path, "rb");
    if (reader->file == NULL)
        return FAIL(ADELE_IO, file_hint(errno), "cannot open %s: %s", path, strerror(errno));
    if (fread(start, 1, sizeof start, reader->file) == sizeof start)
        TRY(check_first_chunk(path, start));
    reader->orientation = exif_orientation_png(reader->file);
    if (ferror(reader->file) || fseek(reader->file, 0, SEEK_SET) != 0)
        return FAIL(ADELE_IO, file_hint(errno), "cannot read %s: %s", path, strerror(errno));
    reader->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, reader, on_error, on_warning,
                                           reader, on_malloc, on_free);
    if (reader->png != NULL)
        reader->info = png_create_info_struct(reader->png);
    if (reader->info == NULL)
        return fail_reading(reader);
    png_set_read_fn(reader->png, reader, on_read);
    return ADELE_OK;
}

static bool read_header(struct png_reader *reader) {
    if (setjmp(png_jmpbuf(reader->png)) != 0)
        return false;
    // Profiles, texts and other chunks are skipped: libpng would allocate the memory that such a
    // chunk claims (gigabytes) or unpacks to.
    png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    // The extents are checked by image_check_claim, whose message is more helpful.
    png_set_user_limits(reader->png, 0x7fffffff, 0x7fffffff);
    png_read_info(reader->png, reader->info);
    png_get_IHDR(reader->png, reader->info, &reader->width, &reader->height, &reader->n_file_bits,
                 &reader->color_type, NULL, NULL, NULL);
    return true;
}

static bool has_little_endian_words(void) {
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1;
}

// Chooses the pixels that come out. Only for functions that have called setjmp.
static void choose_pixels(struct png_reader *reader) {
    bool is_palette = reader->color_type == PNG_COLOR_TYPE_PALETTE;
    if (reader->keep_values)
        png_set_packing(reader->png);
    else if (is_palette)
        png_set_palette_to_rgb(reader->png);
    else if (reader->color_type == PNG_COLOR_TYPE_GRAY && reader->n_file_bits < 8)
        png_set_expand_gray_1_2_4_to_8(reader->png);
    bool has_alpha = (reader->color_type & PNG_COLOR_MASK_ALPHA) != 0;
    if ((has_alpha && !reader->keep_alpha) || (is_palette && !reader->keep_values))
        png_set_strip_alpha(reader->png);
    if (reader->n_file_bits == 16 && has_little_endian_words())
        png_set_swap(reader->png);
    png_set_interlace_handling(reader->png);
    png_read_update_info(reader->png, reader->info);
    size_t row_bytes =
        (size_t)reader->width * (size_t)reader->n_channels * ((size_t)reader->n_bits / 8);
    if (png_get_rowbytes(reader->png, reader->info) != row_bytes)
        png_error(reader->png, "rows have another length than the header says");
}

static bool read_pixels(struct png_reader *reader) {
    if (setjmp(png_jmpbuf(reader->png)) != 0)
        return false;
    choose_pixels(reader);
    png_read_image(reader->png, reader->rows);
    png_read_end(reader->png, NULL);
    return true;
}

static adele_status check_header(struct png_reader *reader, size_t memory_limit) {
    bool has_color = (reader->color_type & PNG_COLOR_MASK_COLOR) != 0;
    bool is_index = reader->color_type == PNG_COLOR_TYPE_PALETTE && reader->keep_values;
    reader->n_channels = (has_color && !is_index ? 3 : 1) + reader->keep_alpha;
    reader->n_bits = reader->n_file_bits == 16 ? 16 : 8;
    int n_copies = reader->orientation > 1 ? 2 : 1; // turning needs a second copy of the pixels
    TRY(image_check_claim(reader->path, reader->width, reader->height, reader->n_channels,
                          reader->n_bits * n_copies, memory_limit));
    uint64_t raw_bytes =
        (uint64_t)png_get_rowbytes(reader->png, reader->info) * (uint64_t)reader->height;
    if (raw_bytes / PNG_MAX_RATIO > reader->file_bytes)
        return FAIL(
            ADELE_FORMAT, "Restore the file from its source.",
            "%s: truncated PNG file: %llu bytes cannot hold %u x %u pixels (height x width)",
            reader->path, (unsigned long long)reader->file_bytes, (unsigned)reader->height,
            (unsigned)reader->width);
    return ADELE_OK;
}

static void copy_palette(const struct png_reader *reader, struct image_palette *out) {
    png_colorp colors = NULL;
    int n = 0;
    if (png_get_PLTE(reader->png, reader->info, &colors, &n) == 0)
        return;
    out->n = n < 256 ? n : 256;
    for (int i = 0; i < out->n; ++i) {
        out->rgb[i][0] = colors[i].red;
        out->rgb[i][1] = colors[i].green;
        out->rgb[i][2] = colors[i].blue;
    }
}

// Storage for the pixels and the row pointers that libpng fills.
static adele_status prepare(struct png_reader *reader, struct image *out) {
    int width = (int)reader->width, height = (int)reader->height;
    TRY(image_init(out, width, height, reader->keep_alpha ? 1 : reader->n_channels,
                   reader->n_bits));
    out->has_alpha = (reader->color_type & PNG_COLOR_MASK_ALPHA) != 0;
    if (reader->keep_alpha) { // room for all channels while they are read
        size_t n_values = (size_t)width * (size_t)height * (size_t)reader->n_channels;
        memory_free(out->pixels);
        out->pixels = memory_calloc(n_values, (size_t)reader->n_bits / 8);
        TRY(CHECK_MEMORY(out->pixels));
    }
    TRY(ALLOCATE(&reader->rows, height));
    size_t row_bytes = (size_t)width * (size_t)reader->n_channels * ((size_t)reader->n_bits / 8);
    for (int y = 0; y < height; ++y)
        reader->rows[y] = (png_bytep)out->pixels + (size_t)y * row_bytes;
    if (reader->keep_values && reader->color_type == PNG_COLOR_TYPE_PALETTE)
        copy_palette(reader, &out->palette);
    return ADELE_OK;
}

static adele_status load(struct png_reader *reader, size_t memory_limit, struct image *out) {
    if (!read_header(reader))
        return fail_reading(reader);
    if (reader->keep_alpha && (reader->color_type & PNG_COLOR_MASK_ALPHA) == 0)
        return FAIL(ADELE_DATA, "", "%s: no alpha channel", reader->path);
    TRY(check_header(reader, memory_limit));
    TRY(prepare(reader, out));
    return read_pixels(reader) ? ADELE_OK : fail_reading(reader);
}

adele_status image_png_load(const char *path, bool keep_values, size_t memory_limit,
                            struct image *out) {
    memset(out, 0, sizeof *out);
    CLEANUP(reader_deinit) struct png_reader reader = {0};
    TRY(reader_init(&reader, path));
    reader.keep_values = keep_values;
    TRY(load(&reader, memory_limit, out));
    return orient_image(out, reader.orientation);
}

adele_status image_png_load_alpha(const char *path, size_t memory_limit, struct image *out) {
    memset(out, 0, sizeof *out);
    CLEANUP(reader_deinit) struct png_reader reader = {0};
    TRY(reader_init(&reader, path));
    reader.keep_values = reader.keep_alpha = true;
    TRY(load(&reader, memory_limit, out));
    size_t n = (size_t)out->width * (size_t)out->height, step = (size_t)reader.n_channels;
    for (size_t i = 0; i < n; i++) {
        if (reader.n_bits == 16)
            ((uint16_t *)out->pixels)[i] = ((uint16_t *)out->pixels)[i * step + step - 1];
        else
            ((uint8_t *)out->pixels)[i] = ((uint8_t *)out->pixels)[i * step + step - 1];
    }
    return ADELE_OK;
}

// ---- by rows ------------------------------------------------------------------------------------

struct png_rows {
    struct image_rows base;
    struct png_reader reader;
    char *path;
};

static bool begin_rows(struct png_reader *reader) {
    if (setjmp(png_jmpbuf(reader->png)) != 0)
        return false;
    choose_pixels(reader);
    return true;
}

static bool read_rows(struct png_reader *reader, int n_rows, size_t row_bytes, bool is_end,
                      png_bytep out) {
    if (setjmp(png_jmpbuf(reader->png)) != 0)
        return false;
    for (int y = 0; y < n_rows; y++)
        png_read_row(reader->png, out + (size_t)y * row_bytes, NULL);
    if (is_end) // finds what is wrong behind the last row, as image_png_load does
        png_read_end(reader->png, NULL);
    return true;
}

static adele_status on_rows(struct image_rows *base, int n_rows, void *out) {
    struct png_rows *rows = (struct png_rows *)base;
    bool is_end = base->n_read + n_rows == base->header.height;
    return read_rows(&rows->reader, n_rows, image_row_bytes(&base->header), is_end, out)
               ? ADELE_OK
               : fail_reading(&rows->reader);
}

static void on_close(struct image_rows *base) {
    struct png_rows *rows = (struct png_rows *)base;
    reader_deinit(&rows->reader);
    memory_free(rows->path);
    memory_free(rows);
}

// *is_by_rows is false for pictures that are interlaced or turned.
static adele_status open_rows(struct png_rows *rows, const char *path, bool *is_by_rows) {
    struct png_reader *reader = &rows->reader;
    rows->path = memory_strdup(path);
    TRY(CHECK_MEMORY(rows->path));
    TRY(reader_init(reader, rows->path));
    if (!read_header(reader))
        return fail_reading(reader);
    TRY(check_header(reader, 0));
    *is_by_rows = (reader->orientation < 2 || reader->orientation > 8) &&
                  png_get_interlace_type(reader->png, reader->info) == PNG_INTERLACE_NONE;
    rows->base.header = (struct image){.width = (int)reader->width,
                                       .height = (int)reader->height,
                                       .n_channels = reader->n_channels,
                                       .n_bits = reader->n_bits};
    return begin_rows(reader) ? ADELE_OK : fail_reading(reader);
}

adele_status image_png_rows(const char *path, struct image_rows **out) {
    struct png_rows *rows = NULL;
    bool is_by_rows = false;
    *out = NULL;
    TRY(ALLOCATE(&rows, 1));
    rows->base.read = on_rows;
    rows->base.close = on_close;
    adele_status status = open_rows(rows, path, &is_by_rows);
    if (status == ADELE_OK && is_by_rows)
        *out = &rows->base;
    else
        on_close(&rows->base);
    return status;
}

adele_status image_png_probe(const char *path, int *width, int *height) {
    unsigned char start[PNG_HEADER_BYTES];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return FAIL(ADELE_IO, file_hint(errno), "cannot open %s: %s", path, strerror(errno));
    size_t n_start = fread(start, 1, sizeof start, file);
    int orientation = n_start == sizeof start ? exif_orientation_png(file) : 1;
    int error = ferror(file) ? errno : 0;
    fclose(file);
    if (error != 0)
        return FAIL(ADELE_IO, file_hint(error), "cannot read %s: %s", path, strerror(error));
    if (n_start < sizeof start)
        return FAIL(ADELE_FORMAT, "Restore the file from its source.",
                    "%s: truncated PNG file: it ends after %zu bytes", path, n_start);
    TRY(check_first_chunk(path, start));
    uint32_t claimed_width = big_endian_u32(start + 16);
    uint32_t claimed_height = big_endian_u32(start + 20);
    TRY(image_check_claim(path, claimed_width, claimed_height, 1, 8, 0));
    *width = (int)claimed_width;
    *height = (int)claimed_height;
    orient_extents(orientation, width, height);
    return ADELE_OK;
}
