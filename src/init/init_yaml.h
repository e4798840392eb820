// SPDX-License-Identifier: MIT
// The text of the configuration that `adele init` writes: under 30 lines, with comments.
#ifndef ADELE_INIT_INIT_YAML_H
#define ADELE_INIT_INIT_YAML_H

#include "base/buffer.h"
#include "data/folder_guess.h"
#include "init/init_fit.h"
#include "init/label_guess.h"
#include "init/split_guess.h"

struct init_choices {
    const char *root; // absolute
    bool follow_links;
    uint64_t seed;
    const struct dataset *dataset; // with the splits of the configuration
    const struct adele_fingerprint *fingerprint;
    struct folder_guess folders;
    struct label_guess labels;
    struct split_guess split;
    struct init_fit fit;
    char *lists[2]; // absolute paths of the files of train and val; NULL: the layout's own
};
ADELE_MUST_CHECK adele_status init_yaml_write(const struct init_choices *choices,
                                              struct buffer *out);
#endif
