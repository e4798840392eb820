// SPDX-License-Identifier: MIT
#include "base/number.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

// Makes the C locale that of the calling thread; the old one is returned in *old.
static locale_t enter_c_locale(locale_t *old) {
    locale_t c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    *old = c_locale != (locale_t)0 ? uselocale(c_locale) : (locale_t)0;
    return c_locale;
}

static void leave_c_locale(locale_t c_locale, locale_t old) {
    if (c_locale == (locale_t)0)
        return;
    (void)uselocale(old);
    freelocale(c_locale);
}

double number_parse(const char *text, char **end) {
    locale_t old;
    locale_t c_locale = enter_c_locale(&old);
    double value = strtod(text, end);
    leave_c_locale(c_locale, old);
    return value;
}

void number_print(double value, int n_digits, char out[32]) {
    locale_t old;
    locale_t c_locale = enter_c_locale(&old);
    (void)snprintf(out, 32, "%.*g", n_digits, value);
    leave_c_locale(c_locale, old);
}
