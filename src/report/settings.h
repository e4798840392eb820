// SPDX-License-Identifier: MIT
// The text of a config.resolved.yaml as keys and values, to compare runs by them.
#ifndef ADELE_REPORT_SETTINGS_H
#define ADELE_REPORT_SETTINGS_H

#include "adele/status.h"

struct setting {
    char *key, *value; // "train.optimizer.lr", "0.01"
};
struct settings {
    int n;
    struct setting *items; // in the file's order
    char *made_by;         // of its first line: "adele 0.1.0 / compiler gcc 12.2.0 / ..."; ""
};

// The file is written by adele: two blanks a level, one key a line. Other lines are left out. NULL
// `text`: no settings. After an error, settings_deinit frees what was read.
ADELE_MUST_CHECK adele_status settings_parse(const char *text, struct settings *out);
void settings_deinit(struct settings *settings);                             // also zeroes it
const char *settings_find(const struct settings *settings, const char *key); // NULL: not there
#endif
