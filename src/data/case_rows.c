// SPDX-License-Identifier: MIT
#include "data/case_rows.h"

#include "base/fail.h"
#include "base/half.h"
#include "base/memory.h"
#include "data/notes.h"
#include "data/standardize.h"

#include <string.h>

void case_rows_close(struct case_rows *rows) {
    image_rows_close(rows->file);
    memory_free(rows->row);
    memset(rows, 0, sizeof *rows);
}

// ---- statistics ---------------------------------------------------------------------------------

// The value of a 16-bit sample as case_image_plane gives it.
static float wide_value(const struct case_rows *rows, size_t at) {
    return (float)((const uint16_t *)rows->row)[at] / 257.0f;
}

// What a pass over the file sums, one a channel of the file.
struct row_sums {
    uint64_t counts[3][256];      // of 8-bit values
    double values[3], squares[3]; // of 16-bit ones, in the order of the rows; squared differences
};

static void add_row(const struct case_rows *rows, int n_channels, bool is_second,
                    struct row_sums *sums) {
    size_t at = 0;
    for (int x = 0; x < rows->w; x++)
        for (int k = 0; k < n_channels; k++, at++) {
            if (!rows->is_f16) {
                sums->counts[k][((const uint8_t *)rows->row)[at]]++;
            } else if (!is_second) {
                sums->values[k] += (double)wide_value(rows, at);
            } else {
                double difference = (double)wide_value(rows, at) - rows->file_mean[k];
                sums->squares[k] += difference * difference;
            }
        }
}

// Reads all rows and opens the file again.
static adele_status read_through(struct case_rows *rows, bool is_second, struct row_sums *sums) {
    int n_channels = image_rows_describe(rows->file)->n_channels;
    for (int y = 0; y < rows->h; y++) {
        TRY(image_rows_read(rows->file, 1, rows->row));
        add_row(rows, n_channels, is_second, sums);
    }
    image_rows_close(rows->file);
    rows->file = NULL;
    return image_rows_open(rows->path, &rows->file);
}

// A file that is replaced while it is read could have other extents.
static adele_status check_same(const struct case_rows *rows) {
    const struct image *header = rows->file != NULL ? image_rows_describe(rows->file) : NULL;
    if (header != NULL && header->width == rows->w && header->height == rows->h &&
        header->n_channels == (rows->is_gray_as_rgb ? 1 : rows->c) &&
        header->n_bits == (rows->is_f16 ? 16 : 8))
        return ADELE_OK;
    return FAIL(ADELE_IO, "Try again.", "%s: changed while it was read", rows->path);
}

static adele_status sum_rows(struct case_rows *rows, struct row_sums *sums) {
    TRY(read_through(rows, false, sums));
    TRY(check_same(rows));
    if (!rows->is_f16)
        return ADELE_OK;
    for (int k = 0; k < 3; k++)
        rows->file_mean[k] = sums->values[k] / ((double)rows->h * (double)rows->w);
    TRY(read_through(rows, true, sums));
    return check_same(rows);
}

static void set_numbers(struct case_rows *rows, const struct row_sums *sums) {
    size_t n = (size_t)rows->h * (size_t)rows->w;
    for (int k = 0; k < rows->c; k++) {
        int from = rows->is_gray_as_rgb ? 0 : k;
        double mean = rows->file_mean[from], inv_std;
        if (rows->dataset->config.normalize == NORMALIZE_IMAGENET)
            standardize_imagenet(k, &mean, &inv_std);
        else if (rows->is_f16)
            inv_std = standardize_inverse(sums->squares[from], n);
        else
            standardize_from_counts(sums->counts[from], n, &mean, &inv_std);
        rows->file_mean[k] = mean;
        rows->file_inv_std[k] = inv_std;
        rows->mean[k] = rows->is_f16 ? 0.0f : (float)mean;
        rows->inv_std[k] = rows->is_f16 ? 1.0f : (float)inv_std;
    }
}

static adele_status measure(struct case_rows *rows) {
    OWNED struct row_sums *sums = NULL;
    TRY(ALLOCATE(&sums, 1));
    if (rows->dataset->config.normalize != NORMALIZE_IMAGENET)
        TRY(sum_rows(rows, sums));
    set_numbers(rows, sums);
    return ADELE_OK;
}

// ---- reading ------------------------------------------------------------------------------------

static void log_notes(const struct case_rows *rows) {
    unsigned bits = image_rows_describe(rows->file)->notes;
    if (rows->is_gray_as_rgb)
        bits |= CASE_NOTE_TO_RGB;
    notes_log_case(rows->dataset->logged_notes, bits, rows->path);
}

// Whether the file's channels are the data set's, or become so without a check of all pixels.
static bool match_channels(struct case_rows *rows, int n_channels) {
    const struct dataset *dataset = rows->dataset;
    rows->c = dataset->n_channels;
    rows->is_gray_as_rgb = n_channels == 1 && rows->c == 3 && dataset->has_rgb;
    bool is_normalized = dataset->config.normalize != NORMALIZE_IMAGENET || rows->c == 3;
    return (n_channels == rows->c || rows->is_gray_as_rgb) && is_normalized;
}

adele_status case_rows_open(const struct dataset *dataset, enum dataset_split split, int i_case,
                            struct case_rows *out, bool *is_open) {
    const struct dataset_case *item = &dataset->cases[split][i_case];
    *out = (struct case_rows){.dataset = dataset, .path = item->image_path[0]};
    *is_open = false;
    if (dataset->is_volume || item->n_files != 1)
        return ADELE_OK;
    TRY(image_rows_open(out->path, &out->file));
    if (out->file == NULL)
        return ADELE_OK;
    const struct image *header = image_rows_describe(out->file);
    out->h = header->height;
    out->w = header->width;
    out->is_f16 = header->n_bits == 16;
    *is_open = match_channels(out, header->n_channels);
    if (!*is_open) {
        case_rows_close(out);
        return ADELE_OK;
    }
    size_t row_bytes = image_row_bytes(header);
    out->row = memory_calloc(row_bytes, 1);
    adele_status status = CHECK_MEMORY(out->row);
    if (status == ADELE_OK)
        status = measure(out);
    if (status == ADELE_OK)
        log_notes(out);
    else
        case_rows_close(out);
    return status;
}

static void store_row(const struct case_rows *rows, int r, char *out, size_t plane_bytes) {
    size_t step = rows->is_gray_as_rgb ? 1 : (size_t)rows->c, w = (size_t)rows->w;
    for (int k = 0; k < rows->c; k++) {
        size_t at = rows->is_gray_as_rgb ? 0 : (size_t)k;
        char *plane = out + (size_t)k * plane_bytes;
        uint8_t *narrow = (uint8_t *)plane + (size_t)r * w;
        uint16_t *wide = (uint16_t *)(void *)plane + (size_t)r * w;
        for (size_t x = 0; x < w; x++, at += step) {
            if (rows->is_f16)
                wide[x] = half_from_float(
                    (float)((wide_value(rows, at) - rows->file_mean[k]) * rows->file_inv_std[k]));
            else
                narrow[x] = ((const uint8_t *)rows->row)[at];
        }
    }
}

adele_status case_rows_read(struct case_rows *rows, int n_rows, char *out, size_t plane_bytes) {
    for (int r = 0; r < n_rows; r++) {
        TRY(image_rows_read(rows->file, 1, rows->row));
        store_row(rows, r, out, plane_bytes);
    }
    return ADELE_OK;
}
