// SPDX-License-Identifier: MIT
// What a shell offers after `adele`, from the option tables.
#ifndef ADELE_CLI_COMPLETION_H
#define ADELE_CLI_COMPLETION_H

// To standard output: a script for bash or zsh to read.
void completion_print_bash(void);
void completion_print_zsh(void);
#endif
