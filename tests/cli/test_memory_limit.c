// SPDX-License-Identifier: MIT
// The program under `ulimit -v`: what does not fit is refused in one line before anything is
// computed or written, and the batch that the line names does fit.
#include "base/file.h"
#include "base/memory.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// In KiB. The program itself takes 100 to 250 MB, most of it for the heaps of its threads; a batch
// of 16 needs 2000 MB, and one image at 8 times its extents 400 MB.
#define TRAIN_LIMIT "700000"
#define MODEL_LIMIT "300000"

// Runs `adele ARGUMENTS` with no more address space than that.
#define LIMITED(result, limit, ...)                                                                \
    program_run((const char *const[]){"/bin/sh", "-c",                                             \
                                      "ulimit -v " limit " && exec \"$0\" \"$@\"", ADELE_CLI,      \
                                      __VA_ARGS__, NULL},                                          \
                (result))

static void assert_code(const struct program_result *result, int code) {
    if (result->code != code)
        fail_msg("exit code %d, wanted %d\n%s%s", result->code, code, result->out, result->err);
}

// Exit code 1, and one line and a hint that have those parts.
static void assert_refused(const struct program_result *result, const char *part,
                           const char *hint) {
    assert_code(result, 1);
    const char *line = strstr(result->err, "adele: error: ");
    const char *behind = line ? strchr(line, '\n') : NULL;
    if (!behind || strstr(line + 1, "adele: error: ") || !strstr(line, part) ||
        strncmp(behind + 1, "  hint: ", 8) != 0 || !strstr(behind, hint))
        fail_msg("wanted '%s' and '%s':\n%s", part, hint, result->err);
}

static int setup(void **state) {
    if (ADELE_CLI[0] == '\0' || scratch_setup(state) != 0)
        return -1;
    struct tiny_set set = tiny_set_default(3);
    set.n_train = 16;
    set.height = set.width = 128;
    tiny_set_write(scratch_path(state, "set"), &set);
    char *text = tiny_set_config(scratch_path(state, "set"), NULL);
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    return 0;
}

// AddressSanitizer reserves terabytes of address space.
static void skip_with_sanitizer(void) {
#if defined(__SANITIZE_ADDRESS__)
    print_message("no limit of address space beside AddressSanitizer: skipped\n");
    skip();
#endif
}

static void train(void *const *state, const char *batch, struct program_result *result) {
    LIMITED(result, TRAIN_LIMIT, "train", scratch_path(state, "tiny.yaml"), "--run",
            scratch_path(state, "run"), "--device=cpu", "--set", "train.epochs=1", "--set",
            "model.width=16", "--set", batch);
}

static void the_batch_that_is_named_fits(void **state) {
    skip_with_sanitizer();
    struct program_result result;
    train(state, "train.batch=16", &result);
    assert_refused(&result, "a batch of 16 needs ", "Set train.batch to that.\n");
    const char *named = strstr(result.err, "the largest batch that fits is ");
    assert_non_null(named);
    int batch = atoi(named + strlen("the largest batch that fits is "));
    assert_in_range(batch, 1, 15);
    assert_null(strstr(result.out, "epoch 1"));
    program_result_deinit(&result);
    // Nothing but the log is there.
    struct file_list list;
    check_ok(file_list_directory(scratch_path(state, "run"), &list));
    assert_int_equal(list.n, 1);
    assert_string_equal(list.names[0], "log.txt");
    file_list_deinit(&list);
    char fits[32];
    (void)snprintf(fits, sizeof fits, "train.batch=%d", batch);
    train(state, fits, &result);
    assert_code(&result, 0);
    program_result_deinit(&result);
    assert_true(file_exists(scratch_path(state, "run/checkpoints/last.safetensors")));
}

static void other_verbs_refuse_too(void **state) {
    skip_with_sanitizer();
    struct program_result result;
    const char *run = scratch_path(state, "run"), *images = scratch_path(state, "set/imagesTs");
    LIMITED(&result, MODEL_LIMIT, "evaluate", run, "--device=cpu", "--scales", "1,8");
    assert_refused(&result, " available on cpu: ", "smaller --scales");
    program_result_deinit(&result);
    LIMITED(&result, MODEL_LIMIT, "predict", run, "-i", images, "-o", scratch_path(state, "masks"),
            "--device=cpu", "--scales=8", "--flip");
    assert_refused(&result, " available on cpu: ", "smaller --scales");
    program_result_deinit(&result);
    LIMITED(&result, MODEL_LIMIT, "predict", run, "-i", images, "-o", scratch_path(state, "masks"),
            "--device=cpu", "--scales=1,1.5", "--flip");
    assert_code(&result, 0);
    program_result_deinit(&result);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_batch_that_is_named_fits),
        cmocka_unit_test(other_verbs_refuse_too),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
