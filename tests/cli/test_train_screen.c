// SPDX-License-Identifier: MIT
// What `adele train` shows a person, with and without a terminal, and what it shows in a dry run.
#define _GNU_SOURCE // posix_openpt
#include "base/file.h"
#include "base/memory.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#define ADELE(result, ...)                                                                         \
    program_run((const char *const[]){ADELE_CLI, __VA_ARGS__, NULL}, (result))

static char config[4096]; // path of a configuration that trains on the tiny set

static int setup(void **state) {
    if (ADELE_CLI[0] == '\0' || tiny_run_setup(state) != 0)
        return -1;
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "tiny.yaml"));
    check_ok(file_write(config, text, strlen(text)));
    memory_free(text);
    return 0;
}

static void assert_says(const char *text, const char *part) {
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in\n%s", part, text);
}

static void assert_code(const struct program_result *result, int code) {
    if (result->code != code)
        fail_msg("exit code %d, wanted %d\n%s%s", result->code, code, result->out, result->err);
}

// Lines of the first screen, whatever the shares of the classes are.
static void assert_first_screen(void *const *state, const char *out) {
    char data[4200];
    (void)snprintf(data, sizeof data, "data      %s (nnunet)\n", scratch_path(state, "set"));
    assert_says(out, data);
    assert_says(out, "cases     train 18, val 3, test 3\n");
    assert_says(out, "images    32 x 28 (height x width), 1 channel\n");
    assert_says(out, "classes   background ");
    assert_says(out, " %, disc ");
    assert_says(out, "network   unet, 68,271 parameters, ");
    assert_says(out, " GFLOP per step of 4 images\n");
    assert_says(out, "device    cpu: ");
    assert_says(out, " planned of ");
}

// ---- a run --------------------------------------------------------------------------------------

static void train_begins_with_a_screen(void **state) {
    struct program_result result;
    char *log = NULL;
    size_t bytes = 0;
    ADELE(&result, "train", config, "--run", scratch_path(state, "run"), "--device", "cpu", "--set",
          "train.epochs=2", "--profile", "7");
    assert_code(&result, 0);
    assert_first_screen(state, result.out);
    assert_says(result.out, "steps     10 in 2 epochs of 5, the last of an epoch with 2 images\n");
    assert_says(result.out, "\nrun       ");
    assert_null(strstr(result.out, "resumes"));
    assert_says(result.out, "\ncorrects  per class, when its training IoU flattens\n"
                            "          warning: 2 values of the IoU curves ");
    assert_null(strstr(result.out, "\nnoise "));
    // The table of ops is for the log.
    assert_null(strstr(result.out, "double_conv"));
    check_ok(file_read(scratch_path(state, "run/log.txt"), 0, &log, &bytes));
    assert_says(log, "inc.double_conv.0 ");
    assert_says(log, "parameters");
    memory_free(log);
    // Where there is no terminal, the first step has a line; others come with time.
    assert_int_equal(strncmp(result.err, "epoch 1/2  step 1/10  ", 22), 0);
    assert_says(result.err, " images/s  loss ");
    assert_says(result.err, "  ETA ");
    assert_null(strchr(result.err, '\r'));
    program_result_deinit(&result);
}

static void a_resumed_run_says_where(void **state) {
    struct program_result result;
    tiny_run_interrupted(state, "resumed", 7, SETS("train.epochs=2"));
    ADELE(&result, "train", config, "--run", scratch_path(state, "resumed"), "--device", "cpu",
          "--set", "train.epochs=2", "--resume");
    assert_code(&result, 0);
    assert_says(result.out, "resumes   after step 7 of 10, in epoch 2\n");
    assert_int_equal(strncmp(result.err, "epoch 2/2  step 8/10  ", 22), 0);
    program_result_deinit(&result);
    ADELE(&result, "train", config, "--run", scratch_path(state, "resumed"), "--device", "cpu",
          "--set", "train.epochs=2", "--resume");
    assert_code(&result, 0);
    assert_says(result.out, "resumes   finished already; a larger train.epochs goes on with it\n");
    assert_null(strstr(result.out, "\ncorrected:"));
    program_result_deinit(&result);
}

// The pixels that a resumed run has corrected are those of the whole run.
static void a_resumed_run_counts_what_was_corrected_before(void **state) {
    struct program_result result;
    double pixels = 0.0;
    char text[80];
    tiny_run_interrupted(state, "counted", 17, SETS("train.epochs=4")); // after the correction
    ADELE(&result, "train", config, "--run", scratch_path(state, "counted"), "--device", "cpu",
          "--set", "train.epochs=4", "--resume");
    assert_code(&result, 0);
    for (int epoch = 1; epoch <= 4; epoch++)
        pixels += tiny_run_metric(state, "counted", epoch, "correction/changed_pixels");
    assert_true(tiny_run_metric(state, "counted", 3, "correction/changed_pixels") > 0.0);
    (void)snprintf(text, sizeof text, "\ncorrected: %.0f pixels of the training masks, ", pixels);
    assert_says(result.out, text);
    assert_says(result.out, "\nfirst corrected: ");
    program_result_deinit(&result);
}

// ---- the method ensemble ------------------------------------------------------------------------

// What its weights are, for each verb that reads them.
static void assert_averaged(const char *run, const char *checkpoint, bool is_averaged,
                            const char *onnx) {
    struct program_result result;
    ADELE(&result, "evaluate", run, "--checkpoint", checkpoint, "--device", "cpu");
    assert_code(&result, 0);
    assert_int_equal(count_of(result.out, "\naveraged weights (train.evaluate_averaged)\n"),
                     is_averaged);
    program_result_deinit(&result);
    ADELE(&result, "export", run, "--checkpoint", checkpoint, "-o", onnx, "--overwrite");
    assert_code(&result, 0);
    assert_int_equal(count_of(result.out, "\naveraged weights (train.evaluate_averaged)\n"),
                     is_averaged);
    program_result_deinit(&result);
}

static void an_ensemble_says_when_and_what_it_is(void **state) {
    struct program_result result;
    char run[4096], onnx[4096];
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "ensemble"));
    (void)snprintf(onnx, sizeof onnx, "%s", scratch_path(state, "model.onnx"));
    ADELE(&result, "train", config, "--run", run, "--device", "cpu", "--set",
          "correction.method=ensemble", "--set", "train.epochs=2", "--set",
          "train.optimizer.momentum=0.99");
    assert_code(&result, 0);
    assert_says(result.out, "\ncorrects  once, after epoch 1 of 2, from the ensemble\n"
                            "          warning: 1 epoch before the correction are few");
    assert_int_equal(count_of(result.err,
                              "warning: this run has loss: {form: official} at 3 scales and "
                              "train.optimizer: {name: sgd, lr: 0.1, momentum: 0.99}, but "
                              "correction.method: ensemble was measured with loss: {form: plain, "
                              "scales: [1.0]} and train.optimizer: {name: sgd, lr: 0.05, "
                              "momentum: 0.9}"),
                     1);
    // What the gate has measured (the words: test_gate).
    assert_says(result.out, "epoch 1: disc: labels ");
    assert_says(result.out, "epoch 1: box: labels ");
    program_result_deinit(&result);
    assert_averaged(run, "last", true, onnx);
    assert_averaged(run, "best", true, onnx);
    assert_averaged(scratch_path(state, "its end"), "last", false, onnx);
}

// The settings of a preset cause no warning; the screen names the noise that is put into labels.
static void the_ensemble_preset_does_not_warn(void **state) {
    struct program_result result;
    (void)state;
    ADELE(&result, "train", config, "--dry-run", "--device", "cpu", "--set",
          "correction.method=ensemble", "--set", "loss.form=plain", "--set", "train.epochs=24",
          "--set", "correction.veto=0.2", "--set", "data.noisy_labels=", "--set",
          "data.noise={kind: shift, target_miou: 0.6}");
    assert_code(&result, 0);
    assert_says(result.out, "\ncorrects  once, after epoch 8 of 24, from the ensemble\n\n");
    assert_says(result.out, "\nnoise     labels are made noisy on purpose: shift, to a foreground "
                            "mIoU of 0.6");
    assert_says(result.out, " (data.noise);\n          --set data.noise.kind=none for labels of "
                            "your own\n");
    assert_null(strstr(result.err, "was measured"));
    // Once, and not for each batch size.
    assert_int_equal(count_of(result.err, "correction.method: ensemble does not use "), 1);
    program_result_deinit(&result);
    ADELE(&result, "train", config, "--dry-run", "--device", "cpu", "--set",
          "correction.method=ensemble", "--set", "loss.form=plain", "--set",
          "train.optimizer={name: adamw, lr: 0.001}", "--set", "train.optimizer.momentum=");
    assert_code(&result, 0);
    assert_int_equal(count_of(result.err, "warning: this run has train.optimizer: {name: adamw, "
                                          "lr: 0.001}, but correction.method: ensemble was "),
                     1);
    program_result_deinit(&result);
    static const char *const ungated[][2] = {
        // correction.decision, the end of the warning
        {"correction.decision=area",
         ", whose labels become worse; correction.gate: learned leaves these alone\n"},
        {"correction.decision=argmax", ", whose labels become worse\n"}};
    for (int i = 0; i < 2; i++) {
        ADELE(&result, "train", config, "--dry-run", "--device", "cpu", "--set",
              "correction.method=ensemble", "--set", "correction.gate=false", "--set",
              ungated[i][0]);
        assert_code(&result, 0);
        assert_says(result.err, "warning: correction.gate: false corrects also classes that the ");
        assert_says(result.err, ungated[i][1]);
        program_result_deinit(&result);
    }
}

// ---- the end ------------------------------------------------------------------------------------

static void without_a_validation_split_there_is_no_best(void **state) {
    struct program_result result;
    struct tiny_set set = tiny_set_default(3);
    char root[4200];
    set.n_val = 0;
    tiny_set_write(scratch_path(state, "no val"), &set);
    (void)snprintf(root, sizeof root, "data.root=%s", scratch_path(state, "no val"));
    ADELE(&result, "train", config, "--run", scratch_path(state, "no val run"), "--device", "cpu",
          "--set", root, "--set", "data.noisy_labels=", "--set", "train.epochs=1");
    assert_code(&result, 0);
    assert_says(result.out, "cases     train 18, val none, ");
    assert_null(strstr(result.out, "best"));
    assert_null(strstr(result.out, "-1"));
    program_result_deinit(&result);
}

// What a person wants to know at the end, and the commands that come next.
static void a_run_ends_with_its_scores_and_what_comes_next(void **state) {
    struct program_result result;
    char next[3 * 4200];
    const char *run = scratch_path(state, "its end");
    ADELE(&result, "train", config, "--run", run, "--device", "cpu", "--set", "train.epochs=2",
          "--set", "correction.enabled=false", "--set", "train.evaluate_test=false");
    assert_code(&result, 0);
    assert_says(result.out, "cases     train 18, val 3, test 3 (not evaluated: "
                            "train.evaluate_test is false)\n");
    assert_says(result.out, "\nvalidation foreground mIoU: best ");
    assert_says(result.out, ", after epoch ");
    assert_says(result.out, "; last ");
    assert_says(result.out, "\ncorrected: no pixel of the training masks "
                            "(correction.enabled: false)\n");
    assert_null(strstr(result.out, "never corrected"));
    // Quoted, because of the space.
    (void)snprintf(next, sizeof next,
                   "next: adele report '%s' -o '%s_report'\n      adele audit '%s'\n", run, run,
                   run);
    assert_says(result.out, next);
    assert_null(strstr(result.out, "adele labels")); // nothing was corrected
    assert_null(strstr(result.out, "no checkpoint in"));
    program_result_deinit(&result);
    // The log has the same, for who finds the run later.
    char path[4200], *log = NULL;
    size_t bytes = 0;
    (void)snprintf(path, sizeof path, "%s/log.txt", run);
    check_ok(file_read(path, 0, &log, &bytes));
    (void)snprintf(next, sizeof next, " s  done: 2 epochs in %s; the weights are ", run);
    assert_says(log, next);
    assert_says(log,
                " are checkpoints/last.safetensors, the best ones checkpoints/best.safetensors\n");
    assert_says(log, " s  validation foreground mIoU: best 0.");
    assert_says(log, "; last 0.");
    memory_free(log);
}

// Why a class was not corrected: on the screen, and in the report.
static void a_run_ends_with_the_classes_that_it_did_not_correct(void **state) {
    struct program_result result;
    char labels[4200], path[4200], *page = NULL;
    const char *run = scratch_path(state, "clean");
    size_t bytes = 0;
    (void)snprintf(labels, sizeof labels, "data.noisy_labels=%s",
                   scratch_path(state, "set/labelsTr"));
    ADELE(&result, "train", config, "--run", run, "--device", "cpu", "--set", "train.epochs=4",
          "--set", labels, "--set", "correction.veto=0.9");
    assert_code(&result, 0);
    assert_says(result.out,
                "\ncorrected: no pixel of the training masks\n"
                "2 of 2 classes were never corrected:\n  disc: never corrected, because ");
    assert_says(result.out,
                "\n  box: never corrected, because its labels look clean. A correction takes ");
    assert_says(result.out, " is more than 0.9 above that with the labels (correction.veto). ");
    assert_says(result.out,
                ". Lower correction.veto only where you know that the masks are wrong.\n");
    assert_null(strstr(result.out, "first corrected"));
    assert_null(strstr(result.out, "adele labels"));
    program_result_deinit(&result);
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, "clean labels"));
    ADELE(&result, "labels", run, "-o", path);
    assert_code(&result, 0);
    assert_says(result.out, "the labels that the run was given are in ");
    assert_null(strstr(result.out, "corrected"));
    program_result_deinit(&result);
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, "clean report"));
    ADELE(&result, "report", run, "-o", path);
    assert_code(&result, 0);
    program_result_deinit(&result);
    check_ok(file_read(scratch_path(state, "clean report/report.html"), 0, &page, &bytes));
    assert_says(page, "<li>box: never corrected, because its labels look clean. A correction ");
    memory_free(page);
}

// Where the files have another size than the training, both counts of pixels say which they are of.
static void counts_say_of_which_size_they_are(void **state) {
    struct program_result result;
    char run[4200], path[4200], *page = NULL;
    size_t bytes = 0;
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "larger"));
    ADELE(&result, "train", config, "--run", run, "--device", "cpu", "--set", "train.epochs=4",
          "--set", "data.size=[48,42]");
    assert_code(&result, 0);
    assert_says(result.out, " pixels of the training masks, over all corrections, at the size of "
                            "the training\n");
    assert_says(result.out, "\n      adele labels ");
    program_result_deinit(&result);
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, "larger_labels"));
    ADELE(&result, "labels", run, "-o", path);
    assert_code(&result, 0);
    assert_says(result.err,
                " of all 16128 pixels of the training masks changed ("); // 18 files of 32 x 28
    assert_says(result.err, "\nthese are pixels of the label files; the training and its report "
                            "count at 48 x 42 pixels (height x width)\n");
    program_result_deinit(&result);
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, "larger_report"));
    ADELE(&result, "report", run, "-o", path);
    assert_code(&result, 0);
    program_result_deinit(&result);
    check_ok(file_read(scratch_path(state, "larger_report/report.html"), 0, &page, &bytes));
    assert_says(page, "Pixels that corrections changed<span class=\"small\">summed over all "
                      "corrections, at the size of the training</span>");
    assert_says(page, "training labels at the size of the training, by class before (rows) and "
                      "after; adele labels counts those of the label files.");
    memory_free(page);
}

static void a_folder_is_no_configuration(void **state) {
    struct program_result result;
    ADELE(&result, "train", scratch_path(state, "set"));
    assert_code(&result, 1);
    assert_says(result.err, ": is a folder, not a configuration");
    assert_says(result.err, "`adele init FOLDER -o FILE.yaml`");
    program_result_deinit(&result);
}

// ---- on a terminal ------------------------------------------------------------------------------

// Runs the program with a terminal of so many columns as its standard error; what it wrote there,
// up to its end, or until it has written `until` (NULL: up to its end) and was interrupted for it.
static char *run_until(const char *until, int columns, int code, const char *const *argv) {
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0)
        skip(); // a system without pseudo-terminals
    const char *name = ptsname(terminal);
    assert_non_null(name);
    FILE *side = fopen(name, "r+");
    assert_non_null(side);
    const struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    assert_int_equal(ioctl(terminal, TIOCSWINSZ, &size), 0);
    pid_t pid = program_start_heard(argv, side);
    (void)fclose(side); // so that reading ends with the program
    char *text = NULL;
    size_t used = 0;
    for (;;) {
        text = realloc(text, used + 4097);
        assert_non_null(text);
        ssize_t n = read(terminal, text + used, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
        text[used] = '\0';
        if (until != NULL && strstr(text, until) != NULL) {
            assert_int_equal(kill(pid, SIGINT), 0);
            until = NULL;
        }
    }
    text[used] = '\0';
    assert_int_equal(program_wait(pid), code);
    (void)close(terminal);
    return text;
}

static char *run_on_terminal(int columns, const char *const *argv) {
    return run_until(NULL, columns, 0, argv);
}

static void a_terminal_gets_a_bar(void **state) {
    char run[4096];
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "bar"));
    char *text = run_on_terminal(120, (const char *const[]){ADELE_CLI, "train", config, "--run",
                                                            run, "--device", "cpu", "--set",
                                                            "train.epochs=1", NULL});
    assert_int_equal(strncmp(text, "\r\033[Kreading the data [....", 23), 0);
    assert_says(text, "first step [....");
    assert_says(text, "epoch 1/1  step 1/5 [#####.......................]  20 %  ");
    assert_says(text, " images/s  loss ");
    assert_null(strchr(text, '\n'));
    // It is removed at the end.
    assert_string_equal(text + strlen(text) - 4, "\r\033[K");
    free(text);
}

// After some steps and seconds a line says when the run will end; evaluations are not in it before
// the first epoch has ended. The run is long enough for both, and is interrupted then.
static void the_end_is_estimated(void **state) {
    char command[9000];
    (void)snprintf(command, sizeof command,
                   "exec %s train %s --run %s --device cpu --set train.epochs=2000 1>&2", ADELE_CLI,
                   config, scratch_path(state, "long"));
    char *text = run_until(", evaluation included", 120, 130,
                           (const char *const[]){"/bin/sh", "-c", command, NULL});
    const char *line = strstr(text, "time      about "), *end = strstr(text, ", ends ");
    assert_true(line != NULL && end != NULL && end > line && end - line < 40);
    int hour = -1, minute = -1, n_read = 0;
    assert_int_equal(sscanf(end, ", ends %d:%d%n", &hour, &minute, &n_read), 2);
    assert_true(hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && n_read == 12);
    const char *second = strstr(end, "time      about ");
    assert_non_null(second);
    assert_true(strstr(second, ", evaluation included") - second < 60);
    // The message after a signal, and that the run can go on.
    assert_says(text, "finishing this step; once more to stop without saving");
    assert_says(text, "adele: interrupted in epoch ");
    assert_says(text, " steps; all of it is saved in ");
    assert_null(strstr(text, "error"));
    assert_says(text, "to go on: adele train ");
    assert_says(text, " --set train.epochs=2000 --device cpu --resume");
    free(text);
}

// A line that is wider than the terminal could not be removed.
static void a_bar_is_no_wider_than_the_terminal(void **state) {
    char run[4096];
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "narrow"));
    char *text = run_on_terminal(40, (const char *const[]){ADELE_CLI, "train", config, "--run", run,
                                                           "--device", "cpu", "--set",
                                                           "train.epochs=1", NULL});
    assert_says(text, "epoch 1/1  step 1/5");
    int n_lines = 0;
    for (char *line = strtok(text, "\r"); line != NULL; line = strtok(NULL, "\r")) {
        assert_int_equal(strncmp(line, "\033[K", 3), 0);
        if (strlen(line + 3) >= 40)
            fail_msg("%zu columns: '%s'", strlen(line + 3), line + 3);
        n_lines++;
    }
    assert_true(n_lines >= 3);
    free(text);
}

// ---- a dry run ----------------------------------------------------------------------------------

static void a_dry_run_lists_batches_and_writes_nothing(void **state) {
    struct program_result result;
    struct file_list before, after;
    check_ok(file_list_directory(scratch_path(state, "."), &before));
    ADELE(&result, "train", config, "--dry-run", "--run", scratch_path(state, "dry"), "--device",
          "cpu", "--set", "loss={form: plain}");
    assert_code(&result, 0);
    assert_first_screen(state, result.out);
    assert_says(result.out, "   batch       memory        step    images/s\n       1  ");
    assert_says(result.out, "\n >     4  ");
    assert_says(result.out, "\n      16  ");
    assert_says(result.out, " >       train.batch of the configuration\n");
    assert_says(result.out, "dry run: nothing was written\n");
    assert_null(strstr(result.out, "\nrun  "));
    assert_string_equal(result.err, "");
    program_result_deinit(&result);
    check_ok(file_list_directory(scratch_path(state, "."), &after));
    assert_int_equal(after.n, before.n);
    assert_false(file_exists(scratch_path(state, "dry")));
    file_list_deinit(&before);
    file_list_deinit(&after);
}

static void assert_refused(struct program_result *result, int code, const char *part) {
    assert_code(result, code);
    assert_says(result->err, part);
    program_result_deinit(result);
}

static void a_dry_run_of_nothing_is_refused(void **state) {
    struct program_result result;
    // A folder that the run itself could not have.
    ADELE(&result, "train", config, "--dry-run", "--device=cpu", "--run",
          scratch_path(state, "set/run"));
    assert_refused(&result, 1, "would fall into the data set");
    ADELE(&result, "train", config, "--dry-run", "--resume");
    assert_refused(&result, 2, "--dry-run cannot be used with --resume");
    ADELE(&result, "train", config, "--dry-run", "--profile", "3");
    assert_refused(&result, 2, "--dry-run cannot be used with --profile");
    ADELE(&result, "train", scratch_path(state, "none.yaml"), "--dry-run");
    assert_refused(&result, 1, "none.yaml");
    ADELE(&result, "train", config, "--dry-run", "--device", "cpu", "--set", "data.root=/nowhere");
    assert_refused(&result, 1, "/nowhere");
    ADELE(&result, "train", config, "--dry-run", "--device", "cpu", "--set",
          "data.augment.enabled=true", "--set", "correction.source=training_pass");
    assert_refused(&result, 1, "correction.source: training_pass cannot be used");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_begins_with_a_screen),
        cmocka_unit_test(a_resumed_run_says_where),
        cmocka_unit_test(a_resumed_run_counts_what_was_corrected_before),
        cmocka_unit_test(a_run_ends_with_its_scores_and_what_comes_next),
        cmocka_unit_test(an_ensemble_says_when_and_what_it_is), // reads the run of the one before
        cmocka_unit_test(the_ensemble_preset_does_not_warn),
        cmocka_unit_test(without_a_validation_split_there_is_no_best),
        cmocka_unit_test(a_run_ends_with_the_classes_that_it_did_not_correct),
        cmocka_unit_test(counts_say_of_which_size_they_are),
        cmocka_unit_test(a_folder_is_no_configuration),
        cmocka_unit_test(a_terminal_gets_a_bar),
        cmocka_unit_test(the_end_is_estimated),
        cmocka_unit_test(a_bar_is_no_wider_than_the_terminal),
        cmocka_unit_test(a_dry_run_lists_batches_and_writes_nothing),
        cmocka_unit_test(a_dry_run_of_nothing_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
