// SPDX-License-Identifier: MIT
// What `adele evaluate`, `adele predict` and `adele audit` share: their options, and that several
// processes may run them together.
#ifndef ADELE_CLI_MODEL_ARGUMENTS_H
#define ADELE_CLI_MODEL_ARGUMENTS_H

#include "adele/model.h"
#include <argp.h>
#include <stdbool.h>

struct model_arguments {
    const char *path, *device;
    const char *checkpoint; // of a run: "last" or "best"; NULL: the last
    int overwrite;
    struct adele_inference inference;
    // Filled by model_arguments_run.
    struct adele_watch watch;
    bool is_quiet; // another rank prints the results
};

extern const struct argp model_argp; // a child parser; its input is struct model_arguments *

// Which checkpoint it is, and whether its weights are the average of those of the training.
void model_print_checkpoint(const struct adele_model_info *info);

// Of a verb's help.
#define MODEL_RANKS_DOC                                                                            \
    "`mpirun -n 4 adele ...` divides the images among four processes, volumes as a whole; the "    \
    "files are the same bytes as those of one."

// Opens the model, together with the other ranks where a launcher has started several, and calls
// `work` with a progress bar, log lines and signals set up; returns the exit code.
int model_arguments_run(struct model_arguments *arguments,
                        adele_status (*work)(struct adele_model *model, void *context),
                        void *context);
#endif
