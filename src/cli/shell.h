// SPDX-License-Identifier: MIT
// Words of a command that a person can paste into a shell.
#ifndef ADELE_CLI_SHELL_H
#define ADELE_CLI_SHELL_H

#include <stdio.h>

// In single quotes where a shell would read the word otherwise than as it is.
void shell_print_word(FILE *to, const char *word);
// The same for a path with something behind it; one that begins with '-' gets "./" before it, so
// that it is no option. Trailing slashes of the path are left out.
void shell_print_path(FILE *to, const char *path, const char *suffix);
#endif
