// SPDX-License-Identifier: MIT
// Reads the records of metrics.jsonl from the folder of a run.
#ifndef ADELE_RUN_FOLDER_RECORDS_H
#define ADELE_RUN_FOLDER_RECORDS_H

#include "adele/status.h"
#include <cjson/cJSON.h>
#include <stddef.h>

struct record {
    int epoch;
    long step;
    cJSON *values;    // the whole object, in the file's order
    const char *line; // with its newline, not NUL-terminated; borrowed from records.text
    size_t line_bytes;
};

struct records {
    char *text; // the file
    struct record *items;
    int n;
};

// Reads the records of epochs <= keep_epochs. An incomplete last line (no newline, or not JSON: the
// process died while writing) is left out; anything else malformed is ADELE_FORMAT with the line.
ADELE_MUST_CHECK adele_status records_read(const char *path, int keep_epochs, struct records *out);
void records_deinit(struct records *records); // also zeroes it
#endif
