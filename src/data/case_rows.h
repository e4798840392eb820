// SPDX-License-Identifier: MIT
// A picture of a data set that is read by rows at its own size, in the memory of a few of them, and
// standardized as dataset_read_case does.
#ifndef ADELE_DATA_CASE_ROWS_H
#define ADELE_DATA_CASE_ROWS_H

#include "data/dataset.h"
#include "image/image.h"

struct case_rows {
    const struct dataset *dataset; // borrowed
    const char *path;              // borrowed: of the picture
    struct image_rows *file;
    int c, h, w;
    bool is_f16;               // standardized half floats, else u8
    bool is_gray_as_rgb;       // the file's only channel serves as all three
    float mean[3], inv_std[3]; // of the values that are read, as in struct dataset_images
    double file_mean[3], file_inv_std[3]; // of 16-bit pictures: of the file's own values
    void *row;                            // of the file: (W, C)
};

// Reads the file once for its mean and deviation (twice when it has 16 bits), then opens it again
// at its first row. *is_open is false, with nothing to close, for what must be loaded whole:
// volumes, cases of several files, files that image_rows_open does not read, and those whose
// channels have to be checked in all pixels. data.memory_limit_mb does not apply.
ADELE_MUST_CHECK adele_status case_rows_open(const struct dataset *dataset,
                                             enum dataset_split split, int i_case,
                                             struct case_rows *out, bool *is_open);
void case_rows_close(struct case_rows *rows); // also zeroes it; legal on a zeroed struct
// The next n_rows rows, channel by channel: row r of channel k goes r * W pixels behind
// out + k * plane_bytes.
ADELE_MUST_CHECK adele_status case_rows_read(struct case_rows *rows, int n_rows, char *out,
                                             size_t plane_bytes);
#endif
