// SPDX-License-Identifier: MIT
// Numbers in files and messages have a decimal point, also when a program that embeds the library
// has set a locale with a decimal comma.
#ifndef ADELE_BASE_NUMBER_H
#define ADELE_BASE_NUMBER_H

// As strtod in the C locale.
double number_parse(const char *text, char **end);
// With up to n_digits significant digits, at most 17: these give back every double.
void number_print(double value, int n_digits, char out[32]);
#endif
