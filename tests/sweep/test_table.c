// SPDX-License-Identifier: MIT
// adele table: what it trains, keeps and resumes, and what stops a single run or all of them.
#include "adele/table.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char first[4096], second[4096]; // the configurations

#define ADELE(result, ...)                                                                         \
    program_run((const char *const[]){ADELE_CLI, __VA_ARGS__, NULL}, (result))

static int setup(void **state) {
    if (ADELE_CLI[0] == '\0' || tiny_run_setup(state) != 0)
        return -1;
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    tiny_text(state, "one.yaml", text);
    tiny_text(state, "two.yaml", text);
    memory_free(text);
    (void)snprintf(first, sizeof first, "%s", scratch_path(state, "one.yaml"));
    (void)snprintf(second, sizeof second, "%s", scratch_path(state, "two.yaml"));
    return 0;
}

static void assert_says(struct program_result *result, int code, const char *text) {
    if (result->code != code || (!strstr(result->out, text) && !strstr(result->err, text)))
        fail_msg("exit code %d, not %d with '%s'\n%s%s", result->code, code, text, result->out,
                 result->err);
    program_result_deinit(result);
}

// ---- the figures --------------------------------------------------------------------------------

static int n_events[ADELE_RUN_FAILED + 1];
static void count_event(void *context, const struct adele_table_run *run) {
    n_events[run->event]++;
    assert_string_equal(run->message, "");
    (void)context;
}

// A run's folder that comes into the table's while the first run of the table is trained.
struct move {
    const char *from, *to;
};
static void move_and_count(void *context, const struct adele_table_run *run) {
    const struct move *move = context;
    if (run->event == ADELE_RUN_STARTED)
        assert_int_equal(rename(move->from, move->to), 0);
    count_event(NULL, run);
}

static void assert_spread(const struct adele_spread *spread, double a, double b) {
    assert_int_equal(spread->n, 2);
    assert_true(fabs(spread->mean - (a + b) / 2) <= 1e-12);
    assert_true(fabs(spread->deviation - fabs(a - b) / sqrt(2.0)) <= 1e-12);
}

static void mean_and_deviation_are_those_of_the_runs(void **state) {
    static const char *const sets[] = {"train.epochs=2", "train.evaluate_test=true"};
    static const char *const metric = "test/pred_vs_true/miou_foreground";
    static const char *const labels = "train/labels_vs_true/miou_foreground";
    const uint64_t seeds[] = {3, 5};
    char output[4096];
    (void)snprintf(output, sizeof output, "%s", scratch_path(state, "figures"));
    struct adele_table_options options = {.n_configs = 2,
                                          .configs = (const char *const[]){first, second},
                                          .n_seeds = 2,
                                          .seeds = seeds,
                                          .output = output,
                                          .sets = sets,
                                          .n_sets = 2,
                                          .device = "cpu",
                                          .program = ADELE_CLI,
                                          .n_jobs = 3,
                                          .on_run = count_event};
    struct adele_table *table = NULL;
    memset(n_events, 0, sizeof n_events);
    check_ok(adele_table(&options, &table));
    assert_true(n_events[ADELE_RUN_STARTED] == 4 && n_events[ADELE_RUN_DONE] == 4);
    assert_int_equal(table->n_failed, 0);
    assert_int_equal(table->n_rows, 2);
    for (int i = 0; i < 2; i++) {
        const struct adele_table_row *row = &table->rows[i];
        char runs[2][64];
        for (int k = 0; k < 2; k++)
            (void)snprintf(runs[k], sizeof runs[k], "figures/%s_seed%d", row->config,
                           (int)seeds[k]);
        assert_string_equal(row->config, i == 0 ? "one" : "two");
        assert_string_equal(row->split, "test");
        assert_spread(&row->last, tiny_run_metric(state, runs[0], 2, metric),
                      tiny_run_metric(state, runs[1], 2, metric));
        assert_spread(&row->labels, tiny_run_metric(state, runs[0], 2, labels),
                      tiny_run_metric(state, runs[1], 2, labels));
    }
    adele_table_destroy(table);
    // The seeds differ, the configurations do not.
    tiny_run_assert_same(state, "figures/one_seed3", "figures/two_seed3");
    assert_false(same_bytes(scratch_path(state, "figures/one_seed3/metrics.jsonl"),
                            scratch_path(state, "figures/one_seed5/metrics.jsonl")));
    // Finished runs are kept.
    memset(n_events, 0, sizeof n_events);
    check_ok(adele_table(&options, &table));
    assert_true(n_events[ADELE_RUN_KEPT] == 4 && n_events[ADELE_RUN_STARTED] == 0);
    adele_table_destroy(table);
    assert_true(file_exists(scratch_path(state, "figures/table.csv")));
    assert_true(file_exists(scratch_path(state, "figures/table.md")));
    // One that finished elsewhere after the table began, as by a second table, is kept too.
    char from[4096], to[4096];
    (void)snprintf(from, sizeof from, "%s", scratch_path(state, "figures/one_seed5"));
    (void)snprintf(to, sizeof to, "%s", scratch_path(state, "late/one_seed5"));
    (void)snprintf(output, sizeof output, "%s", scratch_path(state, "late"));
    struct move move = {from, to};
    options.n_configs = options.n_jobs = 1;
    options.on_run = move_and_count;
    options.context = &move;
    memset(n_events, 0, sizeof n_events);
    check_ok(adele_table(&options, &table));
    assert_true(n_events[ADELE_RUN_STARTED] == 1 && n_events[ADELE_RUN_DONE] == 1);
    assert_true(n_events[ADELE_RUN_KEPT] == 1 && table->n_failed == 0);
    adele_table_destroy(table);
}

static void check_noises(void *const *state, const struct adele_table *table) {
    static const char *const runs[] = {"noises/clean_none_seed4", "noises/clean_shift_seed4",
                                       "noises/clean_shift0.7_seed4"};
    static const char *const noises[] = {"none", "shift", "shift:0.7"};
    assert_int_equal(table->n_failed, 0);
    assert_int_equal(table->n_rows, 3);
    for (int i = 0; i < 3; i++) {
        const struct adele_table_row *row = &table->rows[i];
        char metric[120];
        assert_string_equal(row->config, "clean");
        assert_string_equal(row->noise, noises[i]);
        assert_int_equal(row->n_runs, 1);
        assert_true(row->seconds.n == 1 && row->seconds.mean > 0.0);
        assert_true(row->n_classes >= 3);
        for (int c = 0; c < row->n_classes; c++) {
            (void)snprintf(metric, sizeof metric, "test/pred_vs_true/iou/%s", row->classes[c].name);
            assert_true(row->classes[c].last.mean == tiny_run_metric(state, runs[i], 1, metric));
            (void)snprintf(metric, sizeof metric, "train/labels_vs_true/iou/%s",
                           row->classes[c].name);
            double labels = tiny_run_metric(state, runs[i], 1, metric);
            assert_true(i == 0 ? isnan(row->classes[c].labels.mean)
                               : row->classes[c].labels.mean == labels);
        }
    }
    assert_true(fabs(table->rows[2].labels.mean - 0.7) <= 0.01);
}

static void assert_file_has(void *const *state, const char *name, const char *line) {
    char *text = NULL;
    size_t bytes = 0;
    check_ok(file_read(scratch_path(state, name), 0, &text, &bytes));
    if (strstr(text, line) == NULL)
        fail_msg("'%s' is not in %s:\n%s", line, name, text);
    memory_free(text);
}

// Every configuration with each kind of noise; of one call after the other, each run once.
static void noise_multiplies_the_runs(void **state) {
    static const char *const sets[] = {"train.epochs=1"};
    const struct adele_table_noise noises[] = {{"none", 0}, {"shift", 0}, {"shift", 0.7}};
    const uint64_t seed = 4;
    char output[4096], clean[4096];
    char *text = tiny_set_config(scratch_path(state, "set"), NULL);
    tiny_text(state, "clean.yaml", text);
    memory_free(text);
    (void)snprintf(clean, sizeof clean, "%s", scratch_path(state, "clean.yaml"));
    (void)snprintf(output, sizeof output, "%s", scratch_path(state, "noises"));
    struct adele_table_options options = {.n_configs = 1,
                                          .configs = (const char *const[]){clean},
                                          .n_seeds = 1,
                                          .seeds = &seed,
                                          .output = output,
                                          .sets = sets,
                                          .n_sets = 1,
                                          .device = "cpu",
                                          .program = ADELE_CLI,
                                          .n_jobs = 2,
                                          .n_noises = 3,
                                          .noises = noises};
    struct adele_table *table = NULL;
    check_ok(adele_table(&options, &table));
    check_noises(state, table);
    assert_file_has(state, "noises/table.md", "| clean | shift:0.7 | test | 1 | ");
    // One epoch is too few for a correction.
    assert_file_has(state, "noises/table.md", " | 0/2 | ");
    assert_file_has(state, "noises/table.md",
                    "\n**Note:** Correction is enabled, but no run corrected a class: clean with "
                    "none; clean with shift; clean with shift:0.7. ");
    assert_int_equal(table->rows[0].corrected.n, 1);
    assert_true(table->rows[0].corrected.max == 0);
    assert_file_has(state, "noises/table_classes.csv", "\nclean,shift:0.7,background,test,1,");
    assert_file_has(state, "noises/table_runs.csv", "\nclean_shift0.7_seed4,clean,shift:0.7,4,");
    double seconds = table->rows[2].seconds.mean;
    adele_table_destroy(table);
    // Kept runs keep their seconds; a run whose seconds are lost has none.
    options.on_run = count_event;
    memset(n_events, 0, sizeof n_events);
    check_ok(adele_table(&options, &table));
    assert_true(n_events[ADELE_RUN_KEPT] == 3 && n_events[ADELE_RUN_STARTED] == 0);
    // A number in JSON has 15 digits where they give it back to one unit of its last place.
    assert_true(fabs(table->rows[2].seconds.mean - seconds) <= 1e-14 * seconds);
    adele_table_destroy(table);
    assert_int_equal(remove(scratch_path(state, "noises/seconds.json")), 0);
    check_ok(adele_table(&options, &table));
    assert_true(table->rows[2].seconds.n == 0 && isnan(table->rows[2].seconds.mean));
    adele_table_destroy(table);
}

// A configuration's own noise does not meet other keys when another kind takes its place.
static void noise_takes_the_place_of_the_configurations(void **state) {
    const uint64_t seed = 0;
    char output[4096];
    (void)snprintf(output, sizeof output, "%s", scratch_path(state, "both"));
    struct adele_table_options options = {.n_configs = 1,
                                          .configs = (const char *const[]){first},
                                          .n_seeds = 1,
                                          .seeds = &seed,
                                          .output = output,
                                          .sets = (const char *const[]){"data.noise.kind=flip"},
                                          .n_sets = 1,
                                          .program =
                                              "/bin/false", // each run fails; only the plan matters
                                          .n_noises = 1,
                                          .noises = &(const struct adele_table_noise){"none", 0}};
    struct adele_table *table = NULL;
    check_ok(adele_table(&options, &table));
    assert_int_equal(table->n_failed, 1);
    adele_table_destroy(table);
    options.n_noises = 0;
    assert_int_equal(adele_table(&options, &table), ADELE_CONFIG);
}

static void more_epochs_go_on_and_others_or_fewer_are_refused(void **state) {
    struct program_result result;
    char out[4096];
    (void)snprintf(out, sizeof out, "%s", scratch_path(state, "grow"));
    ADELE(&result, "table", first, "--seeds=1", "-o", out, "--device=cpu", "--set=train.epochs=1");
    assert_says(&result, 0, "one_seed1: done (1 of 1)");
    // The second configuration and another seed are trained; of one value there is no deviation.
    ADELE(&result, "table", first, second, "--seeds=1", "-o", out, "--device=cpu", "--jobs=2",
          "--set=train.epochs=2");
    assert_non_null(strstr(result.out, "one_seed1: done"));
    assert_null(strstr(result.out, "+- 0."));
    assert_says(&result, 0, "two_seed1: done");
    assert_int_equal(tiny_run_n_records(state, "grow/one_seed1"), 2);
    // Other settings of runs that are there: nothing is trained, and no file changes.
    check_ok(scratch_copy(scratch_path(state, "grow/table.md"), scratch_path(state, "before.md")));
    check_ok(scratch_copy(scratch_path(state, "grow/one_seed1.out"), scratch_path(state, "out")));
    ADELE(&result, "table", second, first, "--seeds=2,1", "-o", out, "--device=cpu",
          "--set=train.epochs=2", "--set=train.optimizer.lr=0.01");
    assert_int_equal(result.code, 1);
    assert_string_equal(result.out, "");
    assert_non_null(strstr(result.err, "2 of the 4 runs of this table are already in "));
    assert_non_null(strstr(result.err, "two_seed1 cannot be resumed"));
    assert_says(&result, 1, "train.optimizer.lr was ");
    ADELE(&result, "table", first, second, "--seeds=1", "-o", out, "--device=cpu",
          "--set=train.epochs=1");
    assert_non_null(strstr(result.err, "2 of the 2 runs of this table are already in "));
    assert_says(&result, 1, "one_seed1 has finished train.epochs 2, more than 1\n");
    assert_false(file_exists(scratch_path(state, "grow/two_seed2")));
    assert_true(same_bytes(scratch_path(state, "grow/table.md"), scratch_path(state, "before.md")));
    assert_true(same_bytes(scratch_path(state, "grow/one_seed1.out"), scratch_path(state, "out")));
}

// Each fails, as on a machine without the device; the table of an earlier call stays.
static void tables_stay_where_no_run_finishes(void **state) {
    struct program_result result;
    char out[4096];
    (void)snprintf(out, sizeof out, "%s", scratch_path(state, "grow")); // of the test before
    ADELE(&result, "table", first, second, "--seeds=1", "-o", out, "--device=nowhere",
          "--set=train.epochs=3");
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.err, "adele: error: one_seed1: "));
    assert_non_null(strstr(result.err, "adele: error: two_seed1: "));
    assert_says(&result, 1, "No run has finished: no tables were written");
    assert_true(same_bytes(scratch_path(state, "grow/table.md"), scratch_path(state, "before.md")));
    // With the epochs that they have, they are finished as before. A folder that cannot be read is
    // a problem of its run alone, whose place in the table is empty.
    check_ok(file_write(scratch_path(state, "grow/one_seed1/config.resolved.yaml"), "data: [", 7));
    ADELE(&result, "table", first, second, "--seeds=1", "-o", out, "--device=cpu",
          "--set=train.epochs=2");
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.err, "adele: error: one_seed1: "));
    assert_says(&result, 1, "two_seed1: kept (2 of 2)");
    assert_file_has(state, "grow/table_runs.csv", "\ntwo_seed1,two,,1,");
    assert_file_has(state, "grow/table.md", "| one | - | - | 0 | - |");
}

// Classes of scratch/counted/adele_NAME whose labels were corrected.
static int count_corrected(void *const *state, const char *name) {
    char path[256];
    cJSON *onset = NULL;
    const cJSON *class;
    int n = 0;
    (void)snprintf(path, sizeof path, "counted/adele_%s/onset.json", name);
    check_ok(json_read(scratch_path(state, path), &onset));
    cJSON_ArrayForEach(class, cJSON_GetObjectItem(onset, "categories")) n +=
        cJSON_GetArraySize(cJSON_GetObjectItem(class, "corrected_epochs")) > 0;
    cJSON_Delete(onset);
    return n;
}

// Each text begins after the one before.
static void assert_in_order(const char *text, const char *const *parts) {
    for (int i = 0; parts[i] != NULL; i++) {
        const char *found = strstr(text, parts[i]);
        if (found == NULL)
            fail_msg("'%s' is not there, or not in its place:\n%s", parts[i], text);
        text = found;
    }
}

// Rows are in the order in which configurations and noises are named.
static void corrected_classes_are_counted(void **state) {
    struct program_result result;
    char plain[4096], adele[4096], row[2][80];
    char *text = tiny_set_config(scratch_path(state, "set"), NULL);
    tiny_text(state, "adele.yaml", text);
    *strstr(text, "correction: {") = '\0'; // the last section
    char *off = memory_printf("%scorrection: {enabled: false}\n", text);
    tiny_text(state, "plain.yaml", off);
    memory_free(off);
    memory_free(text);
    (void)snprintf(plain, sizeof plain, "%s", scratch_path(state, "plain.yaml"));
    (void)snprintf(adele, sizeof adele, "%s", scratch_path(state, "adele.yaml"));
    ADELE(&result, "table", plain, adele, "--seeds=1,0", "--noise=shift:0.6,flip:0.7", "-o",
          scratch_path(state, "counted"), "--device=cpu", "--jobs=2");
    assert_says(&result, 0, " corrected ");
    int n_corrected = 0;
    for (int i = 0; i < 2; i++) {
        const int n[2] = {count_corrected(state, i == 0 ? "shift0.6_seed1" : "flip0.7_seed1"),
                          count_corrected(state, i == 0 ? "shift0.6_seed0" : "flip0.7_seed0")};
        n_corrected += n[0] + n[1];
        if (n[0] == n[1])
            (void)snprintf(row[i], sizeof row[i], " | %d/2 | ", n[0]);
        else
            (void)snprintf(row[i], sizeof row[i], " | %.1f/2 (%d..%d) | ", (n[0] + n[1]) / 2.0,
                           n[0] < n[1] ? n[0] : n[1], n[0] < n[1] ? n[1] : n[0]);
    }
    assert_true(n_corrected > 0);
    size_t n_bytes = 0;
    check_ok(file_read(scratch_path(state, "counted/table.md"), 0, &text, &n_bytes));
    assert_in_order(text, (const char *const[]){"| plain | shift:0.6 | ", " | - | ",
                                                "| plain | flip:0.7 | ", " | - | ",
                                                "| adele | shift:0.6 | ", row[0],
                                                "| adele | flip:0.7 | ", row[1], NULL});
    memory_free(text);
    check_ok(file_read(scratch_path(state, "counted/table.csv"), 0, &text, &n_bytes));
    assert_in_order(text, (const char *const[]){"\nplain,", ",shift:0.6,", ",,,,2\n", "plain,",
                                                ",flip:0.7,", ",,,,2\n", "adele,", ",shift:0.6,",
                                                "adele,", ",flip:0.7,", NULL});
    memory_free(text);
}

static void what_a_run_said_is_repeated(void **state) {
    struct program_result result;
    char bad[4096];
    tiny_text(state, "bad.yaml", "data: {root: nowhere/set, size: [32, 28]}\n");
    (void)snprintf(bad, sizeof bad, "%s", scratch_path(state, "bad.yaml"));
    ADELE(&result, "table", bad, first, "--seeds=0", "-o", scratch_path(state, "said"),
          "--device=cpu", "--set=train.epochs=1");
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.err, "adele: error: bad_seed0: nowhere/set"));
    assert_non_null(strstr(result.err, "\n  hint: "));
    assert_non_null(strstr(result.out, "\nbad "));
    assert_says(&result, 1, "one_seed0: done (2 of 2)");
}

// ---- stopped ------------------------------------------------------------------------------------

static pid_t start(void *const *state, const char *out) {
    char seeds[] = "--seeds=0..1";
    return program_start((const char *const[]){ADELE_CLI, "table", first, seeds, "-o",
                                               scratch_path(state, out), "--device=cpu", "--jobs=2",
                                               NULL});
}

static void wait_for(const char *path) {
    double begun = seconds_now();
    while (!file_exists(path)) {
        if (seconds_now() - begun > 300.0)
            fail_msg("%s does not come", path);
        seconds_sleep(0.005);
    }
}

static void finish(void *const *state, const char *out) {
    struct program_result result;
    ADELE(&result, "table", first, "--seeds=0..1", "-o", scratch_path(state, out), "--device=cpu",
          "--jobs=2");
    assert_says(&result, 0, "(2 of 2)");
}

// Until no process has the run's folder.
static void wait_unlocked(const char *run) {
    double begun = seconds_now();
    int lock = -1;
    while (file_lock_folder(run, &lock) != ADELE_OK) {
        if (seconds_now() - begun > 300.0)
            fail_msg("%s stays locked", run);
        seconds_sleep(0.005);
    }
    file_unlock(lock);
}

// SIGKILL ends the runs as well, which go on later with the same bytes as if nothing had been.
static void killed_and_started_again_it_goes_on(void **state) {
    static const char *const last = "checkpoints/last.safetensors";
    char path[4200], run[4096];
    finish(state, "whole");
    pid_t pid = start(state, "killed");
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "killed/one_seed0"));
    (void)snprintf(path, sizeof path, "%s/%s", run, last);
    wait_for(path);
    assert_int_equal(kill(pid, SIGKILL), 0);
    int code = program_wait(pid);
    assert_true(code == 128 + SIGKILL || code == 0); // 0: it had ended before the signal came
    wait_unlocked(run);
    wait_unlocked(scratch_path(state, "killed/one_seed1"));
    finish(state, "killed");
    tiny_run_assert_same(state, "whole/one_seed0", "killed/one_seed0");
    tiny_run_assert_same(state, "whole/one_seed1", "killed/one_seed1");
}

static void interrupted_its_runs_save_and_end(void **state) {
    char path[4096];
    pid_t pid = start(state, "stopped");
    (void)snprintf(path, sizeof path, "%s",
                   scratch_path(state, "stopped/one_seed0/config.resolved.yaml"));
    wait_for(path);
    assert_int_equal(kill(pid, SIGINT), 0);
    int code = program_wait(pid);
    assert_true(code == 130 || code == 0); // 0: the runs had ended before the signal came
    wait_unlocked(scratch_path(state, "stopped/one_seed0")); // at once: they were waited for
    finish(state, "stopped");
    tiny_run_assert_same(state, "whole/one_seed0", "stopped/one_seed0");
}

// ---- refused before the first byte --------------------------------------------------------------

static void bad_input_is_named(void **state) {
    struct program_result result;
    char out[4096], other[4096];
    (void)snprintf(out, sizeof out, "%s", scratch_path(state, "bad"));
    check_ok(file_make_directory(scratch_path(state, "folder")));
    (void)snprintf(other, sizeof other, "%s", scratch_path(state, "folder/one.yaml"));
    check_ok(scratch_copy(first, other));
    ADELE(&result, "table", first, other, "-o", out);
    assert_says(&result, 1, "would both train one_seed...");
    ADELE(&result, "table", first, "--seeds=1,0..2", "-o", out);
    assert_says(&result, 1, "seed 1 is there twice");
    ADELE(&result, "table", "nowhere/c.yaml", "-o", out);
    assert_says(&result, 1, "nowhere/c.yaml");
    ADELE(&result, "table", first, "-o", out, "--set=train.epohcs=1");
    assert_says(&result, 1, "train.epochs");
    ADELE(&result, "table", first, "-o", scratch_path(state, "set/runs"));
    assert_says(&result, 1, "would fall into the data set");
    assert_false(file_exists(scratch_path(state, "set/runs")));
    assert_false(file_exists(out));
    static const char *const seeds[] = {"", "a", "3..1", "1,", "1..", "-1", "1 2", "0..1000"};
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        ADELE(&result, "table", first, "-o", out, "--seeds", seeds[i]);
        assert_says(&result, 2, "--seeds");
    }
    static const char *const noises[] = {"", "flip:", "flip:1", "flip:0.6x", "flip,", ":0.5"};
    for (size_t i = 0; i < sizeof noises / sizeof *noises; i++) {
        ADELE(&result, "table", first, "-o", out, "--noise", noises[i]);
        assert_says(&result, 2, "--noise");
    }
    ADELE(&result, "table", first, "-o", out, "--noise=flips:0.6");
    assert_says(&result, 1, "data.noise.kind");
    ADELE(&result, "table", first, "-o", out, "--noise=none,none");
    assert_says(&result, 1, "the noise none is there twice");
    ADELE(&result, "table", first, "-o", out, "--noise=flip:0.6");
    assert_says(&result, 1, "data.noisy_labels");
    ADELE(&result, "table", first, "-o", out, "--noise=none,flip:0.6",
          "--set=data.noisy_labels=", "--set=data.true_labels=labelsTr");
    assert_says(&result, 1, "data.true_labels");
    assert_false(file_exists(out));
    ADELE(&result, "table", first, "--jobs=0");
    assert_says(&result, 2, "--jobs 0");
    struct adele_table *table = NULL;
    assert_int_equal(adele_table(&(struct adele_table_options){0}, &table), ADELE_INVALID_ARGUMENT);
    assert_null(table);
    adele_table_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mean_and_deviation_are_those_of_the_runs),
        cmocka_unit_test(noise_multiplies_the_runs),
        cmocka_unit_test(noise_takes_the_place_of_the_configurations),
        cmocka_unit_test(more_epochs_go_on_and_others_or_fewer_are_refused),
        cmocka_unit_test(tables_stay_where_no_run_finishes),
        cmocka_unit_test(corrected_classes_are_counted),
        cmocka_unit_test(what_a_run_said_is_repeated),
        cmocka_unit_test(killed_and_started_again_it_goes_on),
        cmocka_unit_test(interrupted_its_runs_save_and_end),
        cmocka_unit_test(bad_input_is_named),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
