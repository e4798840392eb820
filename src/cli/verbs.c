// SPDX-License-Identifier: MIT
// The table of the verbs.
#include "cli/cli.h"

#include <string.h>

const struct cli_verb cli_verbs[] = {
#define VERB_ROW(name, help) {#name, help, verb_##name, &name##_argp},
    CLI_VERBS(VERB_ROW)
#undef VERB_ROW
};
const size_t cli_n_verbs = sizeof cli_verbs / sizeof *cli_verbs;

const struct cli_verb *cli_verb_find(const char *name) {
    for (size_t i = 0; i < cli_n_verbs; i++)
        if (strcmp(name, cli_verbs[i].name) == 0)
            return &cli_verbs[i];
    return NULL;
}
