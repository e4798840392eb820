// SPDX-License-Identifier: MIT
// README.md explains every column of metrics.csv.
#include "base/file.h"
#include "base/memory.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// The names of tables end with their first two parts ("val/pred_vs_true/..."), and that of
// correction/on with the name of a class.
static void assert_explained(const char *readme, const char *column) {
    char name[256];
    const char *rest = strchr(column, '/') != NULL ? strchr(strchr(column, '/') + 1, '/') : NULL;
    bool is_class = strncmp(column, "correction/on/", 14) == 0;
    if (rest == NULL)
        (void)snprintf(name, sizeof name, "`%s`", column);
    else
        (void)snprintf(name, sizeof name, "`%.*s/%s`", (int)(rest - column), column,
                       is_class ? "CLASS" : "...");
    if (strstr(readme, name) == NULL)
        fail_msg("README.md does not explain %s of metrics.csv", name);
}

static void every_column_is_explained(void **state) {
    char *readme = NULL, *csv = NULL;
    size_t bytes = 0;
    int n = 0;
    check_ok(tiny_run(state, "run", false, SETS("train.epochs=1"), NULL));
    check_ok(file_read(PROJECT_DIR "/README.md", 0, &readme, &bytes));
    check_ok(file_read(scratch_path(state, "run/metrics.csv"), 0, &csv, &bytes));
    char *rest = NULL, *header = strtok_r(csv, "\n", &rest);
    for (char *column = strtok_r(header, ",", &rest); column != NULL;
         column = strtok_r(NULL, ",", &rest), n++)
        if (strcmp(column, "epoch") != 0 && strcmp(column, "step") != 0)
            assert_explained(readme, column);
    assert_true(n > 30);
    memory_free(readme);
    memory_free(csv);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_column_is_explained)};
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
