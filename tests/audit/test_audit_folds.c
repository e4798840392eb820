// SPDX-License-Identifier: MIT
// Audits by networks that are trained without each fold in turn.
#include "adele/adele.h"

#include "base/file.h"
#include "base/memory.h"
#include "support/audits.h"
#include "support/scratch.h"
#include "support/tiny_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int count_lines(const char *text) {
    int n = 0;
    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

// The columns from `pixels` to `regions` of the row of a case; they do not depend on a bias.
static void take_counts(const char *csv, const char *name, char *out, size_t size) {
    char before[80];
    (void)snprintf(before, sizeof before, ",%s,", name);
    const char *values = strstr(csv, before);
    assert_non_null(values);
    for (int i = 0; i < 5; i++)
        values = strchr(values + 1, ',');
    const char *line_end = strchr(values, '\n');
    size_t n = line_end ? (size_t)(line_end - values) : strlen(values);
    (void)snprintf(out, size, "%.*s", (int)n, values);
    *strrchr(out, ',') = '\0'; // the pictures
}

static void every_image_is_audited_by_a_network_that_has_not_seen_it(void **state) {
    char *yaml = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    char config[4096], output[4096];
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "folds.yaml"));
    (void)snprintf(output, sizeof output, "%s", scratch_path(state, "folds"));
    assert_int_equal(file_write(config, yaml, strlen(yaml)), ADELE_OK);
    memory_free(yaml);
    struct adele_data data = {.config = config};
    struct adele_audit_options options = audit_into(state, "folds");
    options.output = output;
    struct adele_audit_summary summary;
    if (adele_audit_folds(&data, 3, "cpu", &options, &summary) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    assert_int_equal(summary.n_images, TINY_SET_TRAIN);
    char *all = audit_text(state, "folds", "audit.csv");
    assert_int_equal(count_lines(all), TINY_SET_TRAIN + 1);
    // The first fold's network was trained on the others, and says of its own part what an audit of
    // the same labels with that checkpoint does.
    char *list = audit_text(state, "folds", "fold_1.txt");
    assert_int_equal(count_lines(list), TINY_SET_TRAIN * 2 / 3);
    assert_null(strstr(list, "train_000"));
    assert_non_null(strstr(list, "train_017"));
    // In no run's folder, a checkpoint has no lists of a run: the whole set is audited.
    assert_int_equal(scratch_copy(scratch_path(state, "folds/fold_1/checkpoints/last.safetensors"),
                                  scratch_path(state, "fold_1.safetensors")),
                     ADELE_OK);
    struct adele_model *model = audit_open(state, "fold_1.safetensors");
    options.output = scratch_path(state, "fold alone");
    options.data = scratch_path(state, "set");
    options.labels = scratch_path(state, "set/noisyTr");
    (void)audit_run(model, &options);
    adele_model_close(model);
    char *one = audit_text(state, "fold alone", "audit.csv"), *rest = NULL;
    int n_same = 0;
    for (char *line = strtok_r(one, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char name[64], wanted[128], got[128];
        if (sscanf(line, "%*d,%63[^,],", name) != 1 || strstr(list, name) || name[0] != 't')
            continue;
        take_counts(line, name, wanted, sizeof wanted);
        take_counts(all, name, got, sizeof got);
        assert_string_equal(got, wanted);
        n_same++;
    }
    assert_int_equal(n_same, TINY_SET_TRAIN / 3);
    memory_free(all);
    memory_free(list);
    memory_free(one);
}

static int stop_later(void *context) {
    int *n = context;
    return (*n)-- <= 0;
}

// Two folds by the default configuration would take minutes; it is read, and the first steps run.
static void stopped_folds_are_continued(void **state) {
    struct adele_data data = {.root = scratch_path(state, "set")};
    struct adele_audit_options options = audit_into(state, "stopped");
    struct adele_audit_summary summary;
    char output[4096];
    int n = 2;
    (void)snprintf(output, sizeof output, "%s", options.output);
    options.output = output;
    options.watch.should_stop = stop_later;
    options.watch.context = &n;
    assert_int_equal(adele_audit_folds(&data, 2, "cpu", &options, &summary), ADELE_INTERRUPTED);
    assert_non_null(strstr(adele_error_hint(), "--overwrite"));
    assert_true(file_exists(scratch_path(state, "stopped/folds.yaml")));
    assert_true(file_exists(scratch_path(state, "stopped/fold_1/checkpoints/last.safetensors")));
    assert_false(file_exists(scratch_path(state, "stopped/audit.csv")));
    options.overwrite = 1;
    n = 1; // the third step in all
    assert_int_equal(adele_audit_folds(&data, 2, "cpu", &options, &summary), ADELE_INTERRUPTED);
}

static void folds_need_cases_and_a_folder(void **state) {
    struct adele_data data = {.root = scratch_path(state, "set")};
    struct adele_audit_options options = audit_into(state, "no folds");
    struct adele_audit_summary summary;
    assert_int_equal(adele_audit_folds(&data, TINY_SET_TRAIN + 1, "cpu", &options, &summary),
                     ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "19 folds of 18"));
    options.output = scratch_path(state, "set/new");
    assert_int_equal(adele_audit_folds(&data, 2, "cpu", &options, &summary),
                     ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "would fall into"));
    options.output = NULL;
    assert_int_equal(adele_audit_folds(&data, 2, "cpu", &options, &summary),
                     ADELE_INVALID_ARGUMENT);
    assert_non_null(strstr(adele_error_message(), "no output"));
    assert_false(file_exists(scratch_path(state, "no folds")));
    assert_false(file_exists(scratch_path(state, "set/new")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_image_is_audited_by_a_network_that_has_not_seen_it),
        cmocka_unit_test(stopped_folds_are_continued),
        cmocka_unit_test(folds_need_cases_and_a_folder),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
