// SPDX-License-Identifier: MIT
// Manual pages, in roff, from the option tables.
#ifndef ADELE_CLI_MANUAL_H
#define ADELE_CLI_MANUAL_H

#include "cli/cli.h"

// To standard output: adele-VERB(1), or adele(1) when `verb` is NULL.
void manual_print(const struct cli_verb *verb);
#endif
