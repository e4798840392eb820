// SPDX-License-Identifier: MIT
// The predicted mask of a picture, written by rows: the file that label_store_save_prediction
// writes from a whole map.
#ifndef ADELE_OUTPUT_PREDICTION_WRITER_H
#define ADELE_OUTPUT_PREDICTION_WRITER_H

#include "data/dataset.h"

struct prediction_writer;
// FOLDER/NAME.png of `height` x `width` pixels, for all of which rows must follow. The folder is
// made when it is not there.
ADELE_MUST_CHECK adele_status prediction_writer_begin(const struct dataset *dataset,
                                                      const struct dataset_case *item, int height,
                                                      int width, const char *folder,
                                                      struct prediction_writer **out);
ADELE_MUST_CHECK adele_status prediction_writer_rows(struct prediction_writer *writer, int n_rows,
                                                     const uint8_t *classes); // (n_rows, width)
ADELE_MUST_CHECK adele_status
prediction_writer_commit(struct prediction_writer *writer);       // frees it, always
void prediction_writer_abandon(struct prediction_writer *writer); // frees it; NULL is legal
#endif
