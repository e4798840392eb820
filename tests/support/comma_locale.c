// SPDX-License-Identifier: MIT
#include "support/comma_locale.h"

#include "base/file.h"
#include "support/scratch.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

void comma_locale_set(void *const *state) {
    static const char source[] = "LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \".\"\n"
                                 "grouping 3;3\nEND LC_NUMERIC\n";
    char command[4096];
    assert_int_equal(file_write(scratch_path(state, "source"), source, sizeof source - 1),
                     ADELE_OK);
    // -c: without the other categories, of which localedef warns.
    (void)snprintf(command, sizeof command,
                   "cd '%s' && localedef -c -f ANSI_X3.4-1968 -i ./source ./commas 2>/dev/null",
                   scratch_path(state, "."));
    int code = system(command);
    assert_true(code != -1);
    assert_int_equal(setenv("LOCPATH", scratch_path(state, "."), 1), 0);
    if (setlocale(LC_NUMERIC, "commas") == NULL)
        skip();
    char text[16];
    (void)snprintf(text, sizeof text, "%.1f", 0.5);
    assert_string_equal(text, "0,5");
}
