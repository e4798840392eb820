// SPDX-License-Identifier: MIT
#include "support/cli_run.h"
#include "base/file.h"
#include "base/memory.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void assert_code(const struct program_result *result, int code) {
    if (result->code != code)
        fail_msg("exit code %d, wanted %d\n%s%s", result->code, code, result->out, result->err);
}

void assert_failed(struct program_result *result, int code, const char *part) {
    assert_code(result, code);
    if (!strstr(result->err, part))
        fail_msg("standard error lacks '%s':\n%s", part, result->err);
    program_result_deinit(result);
}

void assert_error(struct program_result *result, const char *part) {
    const char *line = strstr(result->err, "adele: error: ");
    if (!line || strstr(line + 1, "adele: error: "))
        fail_msg("not one error line:\n%s", result->err);
    assert_failed(result, 1, part);
}

void assert_there(void *const *state, const char *name) {
    if (!file_exists(scratch_path(state, name)))
        fail_msg("%s is not there", name);
}

int cli_run_setup(void **state) {
    if (ADELE_CLI[0] == '\0' || tiny_run_setup(state) != 0)
        return -1;
    // For builds with sanitizers: what fontconfig keeps until the end is no leak of ours.
    if (setenv("LSAN_OPTIONS", "suppressions=" PROJECT_DIR "/tests/lsan.supp", 0) != 0)
        return -1;
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    struct program_result result;
    ADELE(&result, "train", scratch_path(state, "tiny.yaml"), "--run", scratch_path(state, "run"),
          "--set", "train.epochs=4", "--device=cpu");
    assert_code(&result, 0);
    assert_non_null(strstr(result.out, "epoch 4: loss "));
    assert_non_null(strstr(result.out, "done: 4 epochs in "));
    // Lines, no bar, where there is no terminal.
    assert_int_equal(strncmp(result.err, "epoch 1/4  step 1/20  ", 22), 0);
    assert_null(strchr(result.err, '\r'));
    program_result_deinit(&result);
    return 0;
}
