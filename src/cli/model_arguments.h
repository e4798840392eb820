// SPDX-License-Identifier: MIT
// The options that `adele evaluate` and `adele predict` share.
#ifndef ADELE_CLI_MODEL_ARGUMENTS_H
#define ADELE_CLI_MODEL_ARGUMENTS_H

#include "adele/model.h"
#include <argp.h>

struct model_arguments {
    const char *path, *device;
    const char *checkpoint; // of a run: "last" or "best"; NULL: the last
    int overwrite;
    struct adele_inference inference;
    struct adele_watch watch; // filled by model_arguments_run
};

extern const struct argp model_argp; // a child parser; its input is struct model_arguments *

// Opens the model and calls `work` with a progress bar, log lines and signals set up; returns the
// exit code.
int model_arguments_run(struct model_arguments *arguments,
                        adele_status (*work)(struct adele_model *model, void *context),
                        void *context);
#endif
