// SPDX-License-Identifier: MIT
// The tables of scores of single cases, to standard output.
#ifndef ADELE_CLI_PRINT_SCORES_H
#define ADELE_CLI_PRINT_SCORES_H

#include "adele/scores.h"

void print_case_scores(const struct adele_case_scores *scores);
void print_comparison(const struct adele_comparison *comparison);
#endif
