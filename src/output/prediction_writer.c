// SPDX-License-Identifier: MIT
#include "output/prediction_writer.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/label_lookup.h"
#include "image/image.h"
#include "output/label_store.h"

struct prediction_writer {
    const struct dataset *dataset; // borrowed
    struct png_writer *png;
    int width, n_bits;
    void *row; // of the file's values
};

static adele_status check_values(const struct dataset *dataset, const char *path, int n_bits) {
    for (int c = 0; c < dataset->n_categories; c++) {
        int32_t value = dataset->lookup->value[c];
        if (value < 0 || value > (n_bits == 16 ? UINT16_MAX : UINT8_MAX))
            return FAIL(ADELE_DATA, "Name values in data.label_map that the files can represent.",
                        "%s: value %d does not fit into a PNG mask of %d bits", path, (int)value,
                        n_bits);
    }
    return ADELE_OK;
}

static adele_status begin(struct prediction_writer *self, const char *path, int height, int width) {
    struct image header = {
        .width = width, .height = height, .n_channels = 1, .n_bits = self->n_bits};
    TRY(check_values(self->dataset, path, self->n_bits));
    if (self->dataset->has_palette && self->n_bits == 8)
        image_palette_voc(&header.palette);
    self->row = memory_calloc(image_row_bytes(&header), 1);
    TRY(CHECK_MEMORY(self->row));
    return png_writer_begin(path, &header, &self->png);
}

adele_status prediction_writer_begin(const struct dataset *dataset, const struct dataset_case *item,
                                     int height, int width, const char *folder,
                                     struct prediction_writer **out) {
    struct prediction_writer *self = NULL;
    *out = NULL;
    TRY(file_make_directory(folder));
    char *path = memory_printf("%s/%s%s", folder, item->name, dataset->file_ending);
    TRY(CHECK_MEMORY(path));
    adele_status status = ALLOCATE(&self, 1);
    if (status == ADELE_OK) {
        *self = (struct prediction_writer){
            .dataset = dataset, .width = width, .n_bits = label_store_prediction_bits(dataset)};
        status = begin(self, path, height, width);
    }
    memory_free(path);
    if (status == ADELE_OK)
        *out = self;
    else
        prediction_writer_abandon(self);
    return status;
}

adele_status prediction_writer_rows(struct prediction_writer *self, int n_rows,
                                    const uint8_t *classes) {
    const int32_t *value = self->dataset->lookup->value;
    for (int y = 0; y < n_rows; y++, classes += self->width) {
        for (int x = 0; x < self->width; x++) {
            if (self->n_bits == 16)
                ((uint16_t *)self->row)[x] = (uint16_t)value[classes[x]];
            else
                ((uint8_t *)self->row)[x] = (uint8_t)value[classes[x]];
        }
        TRY(png_writer_rows(self->png, 1, self->row));
    }
    return ADELE_OK;
}

adele_status prediction_writer_commit(struct prediction_writer *self) {
    adele_status status = png_writer_commit(self->png);
    self->png = NULL;
    prediction_writer_abandon(self);
    return status;
}

void prediction_writer_abandon(struct prediction_writer *self) {
    if (self == NULL)
        return;
    png_writer_abandon(self->png);
    memory_free(self->row);
    memory_free(self);
}
