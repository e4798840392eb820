// SPDX-License-Identifier: MIT
// configs/schema.json: it is what the table of keys gives, and it says the same as every row of
// configs/KEYS.md, which is read here as text.
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/number.h"
#include "config/key_table.h"
#include "support/config_pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SCHEMA PROJECT_DIR "/configs/schema.json"
#define KEYS   PROJECT_DIR "/configs/KEYS.md"

static void test_the_file_is_current(void **state) {
    (void)state;
    char *want = NULL, *text = NULL;
    size_t bytes = 0;
    bool is_writing = getenv("ADELE_WRITE_KEYS") != NULL;
    assert_int_equal(config_write_schema(&want), ADELE_OK);
    if (!is_writing || file_exists(SCHEMA))
        assert_int_equal(file_read(SCHEMA, 0, &text, &bytes), ADELE_OK);
    if (text == NULL || strcmp(text, want) != 0) {
        // With ADELE_WRITE_KEYS set, the test brings the file up to date after it failed.
        if (is_writing)
            assert_int_equal(file_write(SCHEMA, want, strlen(want)), ADELE_OK);
        fail_msg("configs/schema.json differs from the table of keys; run with ADELE_WRITE_KEYS=1");
    }
    memory_free(text);
    memory_free(want);
}

// ---- against the page of keys -------------------------------------------------------------------

// The schema of a key such as "train.optimizer.lr"; on the way, that no other key is allowed.
static const cJSON *find_key(const cJSON *schema, const char *path) {
    char copy[128], *rest = NULL;
    (void)snprintf(copy, sizeof copy, "%s", path);
    for (char *name = strtok_r(copy, ".", &rest); name != NULL; name = strtok_r(NULL, ".", &rest)) {
        assert_true(
            cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(schema, "additionalProperties")));
        const cJSON *properties = cJSON_GetObjectItemCaseSensitive(schema, "properties");
        schema = cJSON_GetObjectItemCaseSensitive(properties, name);
        if (schema == NULL)
            fail_msg("the schema has no key %s", path);
    }
    return schema;
}

static const char *text_of(const cJSON *item, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, name));
    return text != NULL ? text : "";
}

// "at least 0, at most 1", as the page says it.
static void describe_range(const cJSON *item, char *out, size_t bytes) {
    const cJSON *low = cJSON_GetObjectItemCaseSensitive(item, "minimum");
    const cJSON *above = cJSON_GetObjectItemCaseSensitive(item, "exclusiveMinimum");
    const cJSON *high = cJSON_GetObjectItemCaseSensitive(item, "maximum");
    char texts[2][32];
    assert_true((low != NULL) != (above != NULL));
    number_print(cJSON_GetNumberValue(low != NULL ? low : above), 10, texts[0]);
    (void)snprintf(texts[1], sizeof texts[1], "2^64");
    if (high != NULL)
        number_print(cJSON_GetNumberValue(high), 10, texts[1]);
    (void)snprintf(out, bytes, "%s %s, %s %s", low != NULL ? "at least" : "above", texts[0],
                   high != NULL ? "at most" : "below", texts[1]);
}

static void describe(const cJSON *item, char *out, size_t bytes);

static const char *truth_text(const cJSON *value) {
    assert_true(cJSON_IsBool(value));
    return cJSON_IsTrue(value) ? "true" : "false";
}

static void describe_either(const cJSON *choices, char *out, size_t bytes) {
    const cJSON *choice;
    out[0] = '\0';
    cJSON_ArrayForEach(choice, choices) {
        size_t used = strlen(out);
        if (used > 0)
            used += (size_t)snprintf(out + used, bytes - used, ", or ");
        describe(choice, out + used, bytes - used);
    }
}

// What the schema allows, in the words of the page.
static void describe(const cJSON *item, char *out, size_t bytes) {
    const char *type = text_of(item, "type");
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(item, "enum"), *name;
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(item, "items");
    char range[128];
    const cJSON *choices = cJSON_GetObjectItemCaseSensitive(item, "anyOf");
    out[0] = '\0';
    if (choices != NULL) {
        describe_either(choices, out, bytes);
    } else if (names != NULL) {
        cJSON_ArrayForEach(name, names) {
            size_t used = strlen(out);
            (void)snprintf(out + used, bytes - used, "%s%s", used > 0 ? ", " : "",
                           cJSON_IsString(name) ? cJSON_GetStringValue(name) : truth_text(name));
        }
    } else if (strcmp(type, "string") == 0) {
        (void)snprintf(out, bytes, "text");
    } else if (strcmp(type, "boolean") == 0) {
        (void)snprintf(out, bytes, "true or false");
    } else if (strcmp(type, "array") == 0 && strcmp(text_of(items, "type"), "object") == 0) {
        const cJSON *fields = cJSON_GetObjectItemCaseSensitive(items, "properties");
        const cJSON *to = cJSON_GetObjectItemCaseSensitive(fields, "to");
        (void)snprintf(out, bytes, "a list of {from: [values], to: %g to %g, name: text}",
                       cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(to, "minimum")),
                       cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(to, "maximum")));
    } else if (strcmp(type, "array") == 0) {
        double low = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(item, "minItems"));
        double high = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(item, "maxItems"));
        char count[32] = "two";
        if (low != high)
            (void)snprintf(count, sizeof count, "%g to %g", low, high);
        bool is_whole = strcmp(text_of(items, "type"), "integer") == 0;
        describe_range(items, range, sizeof range);
        (void)snprintf(out, bytes, "%s %snumbers, each %s", count, is_whole ? "whole " : "", range);
    } else {
        bool is_whole = strcmp(type, "integer") == 0;
        describe_range(item, range, sizeof range);
        (void)snprintf(out, bytes, "a %snumber, %s", is_whole ? "whole " : "", range);
    }
}

// The default as the page writes it: "`0.01`", "none"; the second one of pipeline voc is in the
// description.
static void check_default(const char *path, const cJSON *item, const char *cell) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, "default");
    char *plain = value != NULL ? cJSON_PrintUnformatted(value) : NULL, want[128];
    if (value == NULL) {
        if (strcmp(cell, "none") != 0 && strcmp(cell, "required") != 0)
            fail_msg("%s: the schema has no default, KEYS.md has %s", path, cell);
        return;
    }
    (void)snprintf(want, sizeof want, "%s",
                   cJSON_IsString(value) ? cJSON_GetStringValue(value) : plain);
    const char *end = strchr(cell + 1, '`');
    assert_true(cell[0] == '`' && end != NULL);
    char got[128];
    (void)snprintf(got, sizeof got, "%.*s", (int)(end - cell - 1), cell + 1);
    if (!cJSON_IsString(value)) { // "[1.0, 0.7]" and "[1,0.7]" are the same numbers
        cJSON *parsed = cJSON_Parse(got);
        if (!cJSON_Compare(parsed, value, 1))
            fail_msg("%s: default %s in the schema, %s in KEYS.md", path, want, cell);
        cJSON_Delete(parsed);
    } else if (strcmp(want, got) != 0) {
        fail_msg("%s: default %s in the schema, %s in KEYS.md", path, want, cell);
    }
    cJSON_free(plain);
    const char *voc = strstr(end, "; voc: `");
    if (voc != NULL) {
        (void)snprintf(want, sizeof want, "voc the default is %.*s.",
                       (int)strcspn(voc + strlen("; voc: `"), "`"), voc + strlen("; voc: `"));
        assert_non_null(strstr(text_of(item, "description"), want));
    }
}

// "| `key` | default | allowed | meaning |"
static void check_row(const cJSON *schema, char *line) {
    char *cells[4], *at = line + 2, want[512];
    for (int i = 0; i < 4; i++) {
        char *end = strstr(at, " |");
        assert_non_null(end);
        *end = '\0';
        cells[i] = at;
        at = end + strlen(" | ");
    }
    cells[0][strlen(cells[0]) - 1] = '\0';
    const char *path = cells[0] + 1;
    const cJSON *item = find_key(schema, path);
    describe(item, want, sizeof want);
    if (strcmp(want, cells[2]) != 0)
        fail_msg("%s: the schema allows '%s', KEYS.md '%s'", path, want, cells[2]);
    check_default(path, item, cells[1]);
    size_t n = strlen(cells[3]);
    if (strncmp(text_of(item, "description"), cells[3], n) != 0)
        fail_msg("%s: the schema says '%s'", path, text_of(item, "description"));
}

static int count_keys(const cJSON *schema) {
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(schema, "properties"), *item;
    int n = 0;
    if (properties == NULL)
        return 1;
    cJSON_ArrayForEach(item, properties) {
        n += count_keys(item);
    }
    return n;
}

static void test_it_says_what_the_page_says(void **state) {
    (void)state;
    char *page = NULL, *rest = NULL;
    size_t bytes = 0;
    cJSON *schema = NULL;
    int n_rows = 0;
    assert_int_equal(json_read(SCHEMA, &schema), ADELE_OK);
    assert_int_equal(file_read(KEYS, 0, &page, &bytes), ADELE_OK);
    for (char *line = strtok_r(page, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "| `", 3) != 0)
            continue;
        check_row(schema, line);
        n_rows++;
    }
    assert_int_equal(n_rows, CONFIG_N_KEYS);
    assert_int_equal(count_keys(schema), n_rows); // and no other keys
    memory_free(page);
    cJSON_Delete(schema);
}

static void test_what_must_be_given_is_required(void **state) {
    (void)state;
    cJSON *schema = NULL;
    assert_int_equal(json_read(SCHEMA, &schema), ADELE_OK);
    char *text = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(schema, "required"));
    assert_string_equal(text, "[\"data\"]");
    cJSON_free(text);
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(schema, "properties");
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(properties, "data");
    text = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(data, "required"));
    assert_string_equal(text, "[\"root\"]");
    cJSON_free(text);
    cJSON_Delete(schema);
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    char *text = NULL;
    long n = 0;
    adele_status status = ADELE_NO_MEMORY;
    for (; status != ADELE_OK; n++) {
        memory_fail_at(n);
        status = config_write_schema(&text);
        memory_fail_at(-1);
        assert_true(status == ADELE_OK || (status == ADELE_NO_MEMORY && text == NULL));
    }
    assert_true(n > 5);
    memory_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_file_is_current),
        cmocka_unit_test(test_it_says_what_the_page_says),
        cmocka_unit_test(test_what_must_be_given_is_required),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
