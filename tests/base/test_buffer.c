// SPDX-License-Identifier: MIT
// Text that grows: numbers with a point in every locale, and fields of CSV and JSON.
#include "base/buffer.h"
#include "base/memory.h"
#include "base/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#include "support/comma_locale.h"
#include "support/scratch.h"

static void add_numbers(struct buffer *buffer) {
    static const double values[] = {0.1, 100.0, -2.5, 1e300, 1.0 / 3.0};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(buffer_number(buffer, values[i], "null"), ADELE_OK);
        assert_int_equal(buffer_text(buffer, " "), ADELE_OK);
    }
    assert_int_equal(buffer_number(buffer, (double)NAN, "null"), ADELE_OK);
    assert_int_equal(buffer_fixed(buffer, 0.125, 6), ADELE_OK);
}

static const char numbers[] = "0.1 100 -2.5 1e+300 0.3333333333333333 null0.125000";

static void numbers_are_short_and_exact(void **state) {
    (void)state;
    struct buffer buffer = {0};
    add_numbers(&buffer);
    assert_string_equal(buffer.data, numbers);
    buffer_clear(&buffer);
    assert_int_equal(buffer_fixed(&buffer, DBL_MAX, 2), ADELE_OK);
    assert_int_equal(buffer.n_bytes, 309 + 3);
    buffer_deinit(&buffer);
}

static void numbers_have_a_point_in_a_locale_with_commas(void **state) {
    comma_locale_set(state);
    struct buffer buffer = {0};
    add_numbers(&buffer);
    char printed[32];
    number_print(0.1, 17, printed);
    assert_string_equal(printed, "0.10000000000000001");
    assert_true(number_parse(printed, NULL) == 0.1);
    (void)setlocale(LC_NUMERIC, "C");
    assert_string_equal(buffer.data, numbers);
    buffer_deinit(&buffer);
}

static void fields_are_quoted_where_they_must_be(void **state) {
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_csv_field(&buffer, "plain"), ADELE_OK);
    assert_int_equal(buffer_csv_field(&buffer, "a,\"b\""), ADELE_OK);
    assert_int_equal(buffer_json_string(&buffer, "a\"\\\n"), ADELE_OK);
    assert_string_equal(buffer.data, "plain\"a,\"\"b\"\"\"\"a\\\"\\\\\\u000a\"");
    buffer_deinit(&buffer);
}

static void a_failed_allocation_leaves_the_text(void **state) {
    (void)state;
    struct buffer buffer = {0};
    char *long_text = memory_calloc(1001, 1);
    memset(long_text, 'x', 1000);
    assert_int_equal(buffer_text(&buffer, "first"), ADELE_OK);
    memory_fail_at(0);
    assert_int_equal(buffer_printf(&buffer, "%s", long_text), ADELE_NO_MEMORY);
    memory_fail_at(1);
    assert_int_equal(buffer_printf(&buffer, "%s", long_text), ADELE_NO_MEMORY);
    memory_fail_at(-1);
    assert_string_equal(buffer.data, "first");
    assert_int_equal(buffer_printf(&buffer, "%s", long_text), ADELE_OK);
    assert_int_equal(buffer.n_bytes, 1005);
    memory_free(long_text);
    buffer_deinit(&buffer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_short_and_exact),
        cmocka_unit_test_setup_teardown(numbers_have_a_point_in_a_locale_with_commas, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test(fields_are_quoted_where_they_must_be),
        cmocka_unit_test(a_failed_allocation_leaves_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
