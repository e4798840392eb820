// SPDX-License-Identifier: MIT
// A locale with a decimal comma, as a program may have set that embeds the library. It is made in
// the scratch folder, because most machines of tests have none.
#ifndef ADELE_TESTS_COMMA_LOCALE_H
#define ADELE_TESTS_COMMA_LOCALE_H

// printf writes 0.5 as "0,5" from here on, until setlocale(LC_NUMERIC, "C"). Skips the running
// CMocka test on a machine without localedef.
void comma_locale_set(void *const *state);

#endif
