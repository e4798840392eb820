// SPDX-License-Identifier: MIT
// A run whose data, whose folder or whose user has moved; settings that change when it goes on; and
// which checkpoint a verb reads.
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_EPOCHS 4

// Runs `adele ARGUMENTS` in that folder of the fixture.
#define ADELE_IN(state, result, folder, ...)                                                       \
    program_run((const char *const[]){"/bin/sh", "-c", "cd \"$0\" && exec \"$@\"",                 \
                                      scratch_path(state, folder), ADELE_CLI, __VA_ARGS__, NULL},  \
                (result))

static void assert_code(const struct program_result *result, int code) {
    if (result->code != code)
        fail_msg("exit code %d, wanted %d\n%s%s", result->code, code, result->out, result->err);
}

static void assert_done(struct program_result *result, const char *part) {
    assert_code(result, 0);
    if (!strstr(result->out, part) && !strstr(result->err, part))
        fail_msg("the output lacks '%s':\n%s%s", part, result->out, result->err);
    program_result_deinit(result);
}

static void assert_refused(struct program_result *result, const char *part, const char *hint) {
    const char *line = strstr(result->err, "adele: error: ");
    const char *end = line ? strstr(line, "\n  hint: ") : NULL;
    const char *found = line ? strstr(line, part) : NULL;
    if (result->code != 1 || !end || !found || found > end || !strstr(end, hint))
        fail_msg("exit code %d, wanted an error with '%s' and the hint '%s'\n%s%s", result->code,
                 part, hint, result->out, result->err);
    program_result_deinit(result);
}

// home/set with home/tiny.yaml, whose paths are relative, and home/run trained on it from home.
static int setup(void **state) {
    if (ADELE_CLI[0] == '\0' || scratch_setup(state) != 0)
        return -1;
    struct tiny_set set = tiny_set_default(3);
    set.n_train = 6;
    set.n_val = set.n_test = 1;
    set.noise_px = 2;
    tiny_set_write(scratch_path(state, "home/set"), &set);
    char *text = tiny_set_config("set", "set/noisyTr");
    check_ok(file_write(scratch_path(state, "home/tiny.yaml"), text, strlen(text)));
    memory_free(text);
    check_ok(file_make_directory(scratch_path(state, "away")));
    struct program_result result;
    ADELE_IN(state, &result, "home", "train", "tiny.yaml", "--run", "run", "--device=cpu", "--set",
             "train.epochs=4", "--set", "train.best_by=last");
    assert_done(&result, "epoch 4: loss ");
    ADELE_IN(state, &result, "home", "labels", "run", "-o", "labels");
    assert_done(&result, "labels as they were after epoch 4: run/checkpoints/last.safetensors");
    return 0;
}

static void move(void *const *state, const char *from, const char *to) {
    assert_int_equal(rename(scratch_path(state, from), scratch_path(state, to)), 0);
}

static double score_of(void *const *state, const char *name) {
    cJSON *json = NULL;
    check_ok(json_read(scratch_path(state, name), &json));
    const cJSON *number = cJSON_GetObjectItem(json, "miou_foreground");
    double score = cJSON_IsNumber(number) ? number->valuedouble : NAN;
    cJSON_Delete(json);
    return score;
}

// The labels of both folders are the same, and changes.csv.
static void assert_same_labels(void *const *state, const char *a, const char *b) {
    static const char *const names[] = {"labelsTr/train_000.png", "labelsTr/train_005.png",
                                        "changes.csv"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char in_a[256], in_b[256];
        (void)snprintf(in_a, sizeof in_a, "%s/%s", a, names[i]);
        (void)snprintf(in_b, sizeof in_b, "%s/%s", b, names[i]);
        if (!same_bytes(scratch_path(state, in_a), scratch_path(state, in_b)))
            fail_msg("%s and %s differ", in_a, in_b);
    }
}

// ---- paths --------------------------------------------------------------------------------------

static void the_run_knows_its_full_paths(void **state) {
    static const char *const keys[] = {"data.root", "data.noisy_labels"};
    static const char *const given[] = {"set", "set/noisyTr"};
    cJSON *json = NULL;
    char *home = realpath(scratch_path(state, "home"), NULL);
    check_ok(json_read(scratch_path(state, "home/run/paths.json"), &json));
    assert_int_equal(cJSON_GetArraySize(json), 2);
    for (int i = 0; i < 2; i++) {
        const cJSON *item = cJSON_GetObjectItem(json, keys[i]);
        char *want = file_join(home, given[i]);
        assert_string_equal(cJSON_GetObjectItem(item, "given")->valuestring, given[i]);
        assert_string_equal(cJSON_GetObjectItem(item, "absolute")->valuestring, want);
        memory_free(want);
    }
    cJSON_Delete(json);
    free(home);
}

static void a_run_can_be_used_from_anywhere(void **state) {
    struct program_result result;
    ADELE_IN(state, &result, "home", "evaluate", "run", "--json", "../here.json", "--device=cpu");
    assert_done(&result, "checkpoint run/checkpoints/last.safetensors, after epoch 4");
    ADELE_IN(state, &result, "away", "evaluate", "../home/run", "--json", "../there.json",
             "--device=cpu");
    assert_done(&result, "test split, 1 images");
    assert_true(score_of(state, "here.json") > 0.0);
    assert_true(score_of(state, "here.json") == score_of(state, "there.json"));
    // From the checkpoint's own folder, by its bare name.
    ADELE_IN(state, &result, "home/run/checkpoints", "evaluate", "last.safetensors",
             "--device=cpu");
    assert_done(&result, "checkpoint last.safetensors, after epoch 4");
    ADELE_IN(state, &result, "away", "labels", "../home/run", "-o", "labels");
    assert_done(&result, "corrected labels in labels");
    assert_same_labels(state, "home/labels", "away/labels");
    ADELE_IN(state, &result, "away", "report", "../home/run", "-o", "report");
    assert_done(&result, "Figures and tables: report");
}

static void a_run_that_moved_still_works(void **state) {
    struct program_result result;
    move(state, "home/run", "away/moved");
    ADELE_IN(state, &result, "away", "evaluate", "moved", "--json", "../moved.json",
             "--device=cpu");
    assert_done(&result, "test split");
    ADELE_IN(state, &result, "away", "labels", "moved", "-o", "labels_of_moved");
    assert_done(&result, "corrected labels in");
    move(state, "away/moved", "home/run");
    assert_same_labels(state, "home/labels", "away/labels_of_moved");
}

static void data_that_moved_are_named(void **state) {
    struct program_result result;
    move(state, "home/set", "away/elsewhere");
    ADELE_IN(state, &result, "home", "labels", "run", "-o", "none");
    assert_refused(&result, "set: no such folder", "--data");
    ADELE_IN(state, &result, "home", "evaluate", "run", "--device=cpu");
    assert_refused(&result, "set: no such folder", "--data");
    assert_false(file_exists(scratch_path(state, "home/none")));
    // These two have no --data.
    ADELE_IN(state, &result, "home", "train", "tiny.yaml", "--run", "run", "--resume",
             "--device=cpu", "--set", "train.best_by=last", "--set", "data.noisy_labels=");
    assert_null(strstr(result.err, "--data"));
    assert_refused(&result, "set: no such folder", "train with --set data.root=DIR");
    ADELE_IN(state, &result, "home", "check", "--config", "tiny.yaml");
    assert_null(strstr(result.err, "--data"));
    assert_refused(&result, "set: no such folder", "correct it in the configuration");
    // The noisy labels lay in the set, and moved with it.
    ADELE_IN(state, &result, "home", "labels", "run", "-o", "moved_labels", "--data",
             "../away/elsewhere");
    assert_done(&result, "corrected labels in");
    assert_same_labels(state, "home/labels", "home/moved_labels");
    ADELE_IN(state, &result, "home", "evaluate", "run", "--data", "../away/elsewhere", "--json",
             "../elsewhere.json", "--device=cpu");
    assert_done(&result, "test split, 1 images");
    ADELE_IN(state, &result, "home", "report", "run", "-o", "moved_report", "--data",
             "../away/elsewhere");
    assert_done(&result, "Figures and tables: moved_report");
    ADELE_IN(state, &result, "home", "report", "run", "-o", "../away/elsewhere/report", "--data",
             "../away/elsewhere");
    assert_refused(&result, "would fall into the data set ../away/elsewhere", "");
    move(state, "away/elsewhere", "home/set");
}

// A set of the same name where the user is: it is taken, as given, but not for the run's own.
static void other_data_of_that_name_are_noticed(void **state) {
    struct program_result result;
    struct tiny_set set = tiny_set_default(4);
    set.n_train = 6;
    set.n_val = set.n_test = 1;
    set.noise_px = 2;
    tiny_set_write(scratch_path(state, "away/set"), &set);
    ADELE_IN(state, &result, "away", "labels", "../home/run", "-o", "wrong");
    assert_non_null(strstr(result.err,
                           "warning: data.root: set is read from the current folder; the "
                           "run had /"));
    assert_refused(&result, "its training labels have XXH3 ", "--data");
    assert_false(file_exists(scratch_path(state, "away/wrong")));
    ADELE_IN(state, &result, "away", "evaluate", "../home/run", "--device=cpu");
    assert_done(&result, "warning: data.root: set is read from the current folder");
    ADELE_IN(state, &result, "away", "evaluate", "../home/run", "--device=cpu", "--data", "set");
    assert_null(strstr(result.err, "warning"));
    assert_done(&result, "test split");
    check_ok(file_remove_tree(scratch_path(state, "away/set")));
}

// A list of the run's own is not taken for one of another data set in silence.
static void a_list_that_is_not_used_is_said(void **state) {
    struct program_result result;
    static const char train[] = "train_000\ntrain_001\ntrain_002\ntrain_003\ntrain_004\n";
    check_ok(file_write(scratch_path(state, "home/train.txt"), train, strlen(train)));
    check_ok(file_write(scratch_path(state, "home/val.txt"), "train_005\n", 10));
    check_ok(file_write(scratch_path(state, "home/one.txt"), "test_000\n", 9));
    ADELE_IN(state, &result, "home", "train", "tiny.yaml", "--run", "listed", "--device=cpu",
             "--set", "train.epochs=1", "--set", "data.split.test=one.txt", "--set",
             "data.split.train=train.txt", "--set", "data.split.val=val.txt");
    assert_done(&result, "done: 1 epoch");
    ADELE_IN(state, &result, "away", "evaluate", "../home/listed", "--device=cpu");
    assert_done(&result, "test split, 1 images"); // the list is found from elsewhere
    // The lists hold for the run's own folder, named as where the data have moved.
    ADELE_IN(state, &result, "home", "evaluate", "listed", "--split=val", "--device=cpu", "--json",
             "../listed.json");
    assert_done(&result, "val split, 1 images");
    ADELE_IN(state, &result, "home", "evaluate", "listed", "--split=val", "--data", "set",
             "--device=cpu", "--json", "../named.json");
    assert_null(strstr(result.err, "is not used"));
    assert_done(&result, "val split, 1 images");
    assert_true(same_bytes(scratch_path(state, "listed.json"), scratch_path(state, "named.json")));
    ADELE_IN(state, &result, "home", "audit", "listed", "--data", "set", "--device=cpu", "-o",
             "audit");
    assert_done(&result, "5 images; ");
    // Another data set lacks cases of the lists.
    struct tiny_set set = tiny_set_default(5);
    set.n_train = 2;
    set.n_val = set.n_test = 1;
    tiny_set_write(scratch_path(state, "away/few"), &set);
    ADELE_IN(state, &result, "home", "evaluate", "listed", "--data", "../away/few", "--split=val",
             "--device=cpu");
    assert_done(&result, "warning: data.split of the run is not used, because ../away/few does not "
                         "go with it: ../away/few");
}

// ---- resuming -----------------------------------------------------------------------------------

// A folder that --resume finds no run in may be a mistyped one.
static void only_a_run_is_resumed(void **state) {
    struct program_result result;
    ADELE_IN(state, &result, "home", "train", "tiny.yaml", "--run", "rum", "--resume",
             "--device=cpu");
    assert_non_null(strstr(result.err, "  hint: Runs beside it: "));
    assert_non_null(strstr(result.err, "run"));
    assert_refused(&result, "error: rum: no such folder, so no run to resume",
                   ". Check the path; without --resume a new run begins.");
    assert_false(file_exists(scratch_path(state, "home/rum")));
    check_ok(file_make_directory(scratch_path(state, "home/notes/inner")));
    ADELE_IN(state, &result, "home", "train", "tiny.yaml", "--run", "notes/inner/", "--resume",
             "--device=cpu");
    assert_null(strstr(result.err, "Runs beside it"));
    assert_refused(&result, "error: notes/inner/: holds no run that could be resumed",
                   "Check the path; without --resume a new run begins.");
    // A run that ended before its first checkpoint is one.
    ADELE_IN(state, &result, "home", "train", "tiny.yaml", "--run", "early", "--device=cpu",
             "--set", "data.root=nowhere");
    assert_code(&result, 1);
    program_result_deinit(&result);
    ADELE_IN(state, &result, "home", "train", "tiny.yaml", "--run", "early", "--resume",
             "--device=cpu", "--set", "train.epochs=1");
    assert_done(&result, "warning: no checkpoint in early: the run begins at its first epoch");
    // Without a name the folder is that of the configuration, as the run's first start made it.
    ADELE_IN(state, &result, "home", "train", "tiny.yaml", "--resume", "--device=cpu", "--set",
             "train.epochs=1");
    assert_done(&result, "the run begins at its first epoch");
}

// The refusal of a folder that holds a run ends with the command that goes on.
static void a_run_that_is_there_is_named_with_its_command(void **state) {
    struct program_result result;
    ADELE_IN(state, &result, "home", "train", "tiny.yaml", "--run", "run", "--device=cpu", "--set",
             "train.epochs=9");
    assert_non_null(strstr(result.err, "\n  to go on: adele train tiny.yaml --run run --set "
                                       "train.epochs=9 --device cpu --resume\n"));
    assert_refused(&result, "error: run holds a run already", "Continue it with --resume");
}

// ---- settings -----------------------------------------------------------------------------------

static void resuming_says_what_differs(void **state) {
    struct program_result result;
    ADELE_IN(state, &result, "home", "train", "tiny.yaml", "--run", "longer", "--device=cpu",
             "--set", "train.epochs=1");
    assert_done(&result, "done: 1 epoch in");
    // From elsewhere: the data are found by the run's own record.
    ADELE_IN(state, &result, "away", "train", "../home/tiny.yaml", "--run", "../home/longer",
             "--resume", "--device=cpu", "--set", "train.epochs=2", "--set",
             "train.checkpoint_every=2");
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "train.epochs is now 2; the run had 1\n"));
    assert_non_null(strstr(result.out, "resuming after epoch 1\n"));
    assert_non_null(strstr(result.out, "train.checkpoint_every is now 2; the run had 1\n"));
    assert_null(strstr(result.out, "data.root is now")); // another text, the same folder
    assert_done(&result, "done: 2 epochs in");
    ADELE_IN(state, &result, "home", "train", "tiny.yaml", "--run", "longer", "--resume",
             "--device=cpu", "--set", "train.epochs=2", "--set", "train.checkpoint_every=2");
    assert_code(&result, 0);
    assert_null(strstr(result.out, " is now "));
    program_result_deinit(&result);
}

static void a_mixture_is_refused(void **state) {
    static const char *const sets[][2] = {
        {"model.width=6", "model.width was 4, is now 6"},
        {"train.batch=3", "train.batch was 4, is now 3"},
        {"train.seed=9", "train.seed was "},
        {"train.optimizer.lr=0.002", "train.optimizer.lr was "},
        {"loss.lambda=0.5", "loss.lambda was 1, is now 0.5"},
        {"correction.tau=0.9", "correction.tau was "},
        {"data.size=[48, 48]", "data.size was "},
        {"data.split.test=none", "data.split.test was none, is now \"none\""},
        {"data.label_map=[{from: [0], to: 0}, {from: [1, 2], to: 1}]", "data.label_map was "}};
    struct program_result result;
    char last[4096], copy[4096];
    (void)snprintf(last, sizeof last, "%s",
                   scratch_path(state, "home/run/checkpoints/last.safetensors"));
    (void)snprintf(copy, sizeof copy, "%s", scratch_path(state, "last.safetensors"));
    check_ok(scratch_copy(last, copy));
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        ADELE_IN(state, &result, "home", "train", "tiny.yaml", "--run", "run", "--resume",
                 "--device=cpu", "--set", "train.epochs=5", "--set", "train.best_by=last", "--set",
                 sets[i][0]);
        assert_refused(&result, sets[i][1], "config.resolved.yaml");
        assert_true(same_bytes(last, copy));
    }
    // All of them in one message.
    ADELE_IN(state, &result, "home", "train", "tiny.yaml", "--run", "run", "--resume",
             "--device=cpu", "--set", sets[0][0], "--set", sets[1][0]);
    assert_non_null(strstr(result.err, sets[0][1]));
    assert_non_null(strstr(result.err, "train.best_by was last, is now val"));
    assert_refused(&result, sets[1][1], "--run");
}

// ---- checkpoints --------------------------------------------------------------------------------

static void a_verb_says_which_checkpoint_it_reads(void **state) {
    struct program_result result;
    cJSON *json = NULL;
    ADELE_IN(state, &result, "home", "evaluate", "run", "--checkpoint", "best", "--json",
             "best.json", "--device=cpu");
    assert_done(&result, "checkpoint run/checkpoints/best.safetensors, after epoch 4");
    check_ok(json_read(scratch_path(state, "home/best.json"), &json));
    assert_string_equal(cJSON_GetObjectItem(json, "checkpoint")->valuestring,
                        "best.safetensors"); // wherever the run lies
    assert_int_equal(cJSON_GetObjectItem(json, "epoch")->valueint, N_EPOCHS);
    cJSON_Delete(json);
    ADELE_IN(state, &result, "home", "predict", "run", "--checkpoint=last", "-i", "set/imagesTs",
             "-o", "masks", "--device=cpu");
    assert_done(&result, "checkpoint run/checkpoints/last.safetensors, after epoch 4");
    ADELE_IN(state, &result, "home", "evaluate", "run/checkpoints/last.safetensors", "--checkpoint",
             "best", "--device=cpu");
    assert_refused(&result, "--checkpoint best", "run's folder");
    ADELE_IN(state, &result, "home", "evaluate", "run", "--checkpoint", "first");
    assert_int_equal(result.code, 2);
    assert_non_null(strstr(result.err, "--checkpoint: 'first' is none of last|best"));
    program_result_deinit(&result);
}

// The best checkpoint has no labels; those of its epoch are in the last generation until then.
static void labels_of_the_best_checkpoint(void **state) {
    struct program_result result;
    assert_true(file_exists(scratch_path(state, "home/run/labels/epoch_0004.safetensors")));
    ADELE_IN(state, &result, "home", "labels", "run", "-o", "best", "--checkpoint", "best");
    assert_done(&result, "labels as they were after epoch 4: run/labels/epoch_0004.safetensors");
    ADELE_IN(state, &result, "home", "labels", "run", "-o", "four", "--epoch", "4");
    assert_done(&result, "labels as they were after epoch 4");
    assert_same_labels(state, "home/best", "home/four");
    ADELE_IN(state, &result, "home", "labels", "run", "-o", "both", "--epoch", "4", "--checkpoint",
             "last");
    assert_int_equal(result.code, 2);
    program_result_deinit(&result);
    ADELE_IN(state, &result, "home", "train", "tiny.yaml", "--run", "plain", "--device=cpu",
             "--set", "train.epochs=1", "--set", "correction.enabled=false");
    assert_done(&result, "done: 1 epoch");
    ADELE_IN(state, &result, "home", "labels", "plain", "-o", "none", "--checkpoint", "best");
    assert_refused(&result, "is of epoch 1, until which no label had been corrected", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_run_knows_its_full_paths),
        cmocka_unit_test(a_run_can_be_used_from_anywhere),
        cmocka_unit_test(a_run_that_moved_still_works),
        cmocka_unit_test(data_that_moved_are_named),
        cmocka_unit_test(other_data_of_that_name_are_noticed),
        cmocka_unit_test(a_list_that_is_not_used_is_said),
        cmocka_unit_test(only_a_run_is_resumed),
        cmocka_unit_test(a_run_that_is_there_is_named_with_its_command),
        cmocka_unit_test(resuming_says_what_differs),
        cmocka_unit_test(a_mixture_is_refused),
        cmocka_unit_test(a_verb_says_which_checkpoint_it_reads),
        cmocka_unit_test(labels_of_the_best_checkpoint),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
