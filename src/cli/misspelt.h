// SPDX-License-Identifier: MIT
// What a misspelt word of the command line most likely means.
#ifndef ADELE_CLI_MISSPELT_H
#define ADELE_CLI_MISSPELT_H

#include "cli/cli.h"

#include <stdbool.h>

// The verb that a misspelt or shortened name most likely means; NULL: none is near.
const char *misspelt_nearest_verb(const char *name);
// False, after a message on standard error, when one of a verb's arguments is a long option that
// the verb does not have: the message names the keys of a configuration that are meant, where the
// verb takes --set, or the nearest option. What is near to neither is left to argp, whose message
// then says all that there is to say.
bool misspelt_check_options(const struct cli_verb *verb, int argc, char *const *argv);
#endif
