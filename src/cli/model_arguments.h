// SPDX-License-Identifier: MIT
// The options that `adele evaluate` and `adele predict` share.
#ifndef ADELE_CLI_MODEL_ARGUMENTS_H
#define ADELE_CLI_MODEL_ARGUMENTS_H

#include "cli/progress.h"
#include "infer/model.h"
#include <argp.h>

struct model_arguments {
    const char *checkpoint, *device;
    const char *which; // checkpoint of a run: "last" or "best"; NULL: the last
    struct model_options options;
};

extern const struct argp model_argp; // a child parser; its input is struct model_arguments *

void model_arguments_init(struct model_arguments *arguments);
// Loads the model and calls `work` with log lines and signals set up.
int model_arguments_run(struct model_arguments *arguments,
                        adele_status (*work)(struct model *model, void *context), void *context);
#endif
