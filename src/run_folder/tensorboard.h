// SPDX-License-Identifier: MIT
// Encodes the TensorBoard events in the folder of a run, by hand: a file is a sequence of records
// (length, masked CRC32C of the length, data, masked CRC32C of the data), each an Event message in
// protobuf's wire format.
//   Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
//   Summary { repeated Value value = 1; }      Value { string tag = 1; float simple_value = 2; }
#ifndef ADELE_RUN_FOLDER_TENSORBOARD_H
#define ADELE_RUN_FOLDER_TENSORBOARD_H

#include "base/buffer.h"
#include <stdbool.h>
#include <stdint.h>

// CRC32C (Castagnoli, reflected), and the rotation with offset of the record format.
uint32_t tensorboard_crc32c(const void *data, size_t n_bytes);
uint32_t tensorboard_mask(uint32_t crc);

// The first record of a file names the format.
ADELE_MUST_CHECK adele_status tensorboard_add_version(struct buffer *file, double wall_time);
// Appends one scalar to a Summary message. Beyond the range of float it becomes infinite; what is
// not finite is written as the quiet NaN, so that the bytes do not depend on where it came from.
ADELE_MUST_CHECK adele_status tensorboard_add_scalar(struct buffer *summary, const char *tag,
                                                     double value);
// Appends the record of one Event that carries `summary`.
ADELE_MUST_CHECK adele_status tensorboard_add_event(struct buffer *file, double wall_time,
                                                    int64_t step, const struct buffer *summary);
// The record that begins at data + *at, and *at behind it. False at the end, and where the bytes
// are not a whole record with right checksums. *step is 0 where an Event has none.
bool tensorboard_next_record(const void *data, size_t n_bytes, size_t *at, size_t *begin,
                             int64_t *step);
#endif
