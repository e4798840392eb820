// SPDX-License-Identifier: MIT
// Numbers as people read them. Each function fills `out` and returns it.
#ifndef ADELE_CLI_NUMBER_TEXT_H
#define ADELE_CLI_NUMBER_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define NUMBER_TEXT_BYTES 48

// "12,345,678"
const char *number_text_grouped(int64_t value, char out[NUMBER_TEXT_BYTES]);
// "459.1 MB", "1.1 GB"
const char *number_text_bytes(size_t bytes, char out[NUMBER_TEXT_BYTES]);
// "0.35 s", "35 s", "14 min", "5 h 20 min"
const char *number_text_duration(double seconds, char out[NUMBER_TEXT_BYTES]);
// "128", or "128 to 256"
const char *number_text_range(int low, int high, char out[NUMBER_TEXT_BYTES]);
#endif
