// SPDX-License-Identifier: MIT
// The memory that an audit takes does not depend on the number of images. Bare program runs, whose
// peak of resident memory the system counts. They have one thread and one arena of malloc, because
// what freed blocks leave resident grows with both, and so with the machine's processors.
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
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIDE = 128, FEW = 100, MANY = 1000 };

// The peak of resident memory of `adele ...`, in MB.
static double run_adele(const char *const *argv) {
    struct rusage usage;
    int status = 0;
    pid_t pid = program_start(argv);
    assert_int_equal(wait4(pid, &status, 0, &usage), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s %s: status %d", argv[0], argv[1], status);
    return (double)usage.ru_maxrss / 1000.0;
}

// Further images of the test split are the first one under other names.
static void add_test_image(void *const *state, const char *folder, const char *ending, int i) {
    char from[100], to[100];
    (void)snprintf(from, sizeof from, "set/%s/test_000%s", folder, ending);
    (void)snprintf(to, sizeof to, "set/%s/test_%03d%s", folder, i, ending);
    assert_int_equal(link(scratch_path(state, from), scratch_path(state, to)), 0);
}

// The validation split has few images, the test split many: both are listed in every run.
static int setup(void **state) {
    if (ADELE_CLI[0] == '\0' || scratch_setup(state) != 0)
        return -1;
    program_set_threads(1);
    if (setenv("MALLOC_ARENA_MAX", "1", 1) != 0)
        return -1;
    struct tiny_set set = tiny_set_default(3);
    set.n_train = 4;
    set.n_val = FEW;
    set.n_test = 1;
    set.height = set.width = SIDE;
    tiny_set_write(scratch_path(state, "set"), &set);
    for (int i = 1; i < MANY; i++) {
        add_test_image(state, "imagesTs", "_0000.png", i);
        add_test_image(state, "labelsTs", ".png", i);
    }
    char *text = tiny_set_config(scratch_path(state, "set"), NULL);
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    // A program of its own, so that the test's memory, which its children begin with, stays small.
    (void)run_adele((const char *const[]){
        ADELE_CLI, "train", scratch_path(state, "tiny.yaml"), "--run", scratch_path(state, "run"),
        "--device", "cpu", "--set", "train.epochs=1", "--set", "model.width=1", "--set",
        "correction.enabled=false", "--set", "train.evaluate_test=false", "--set",
        "data.split.val=none", NULL});
    return 0;
}

static double audit(void *const *state, const char *split) {
    return run_adele((const char *const[]){
        ADELE_CLI, "audit", scratch_path(state, "run"), "--data", scratch_path(state, "set"),
        "--split", split, "-o", scratch_path(state, split), "--regions", "100", "--min-pixels", "1",
        "--overlays", "10", "--device", "cpu", NULL});
}

static void memory_does_not_grow_with_the_number_of_images(void **state) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("a sanitizer keeps freed memory, or more beside each block: skipped\n");
    skip();
#endif
    struct rusage own;
    double few = audit(state, "val"), many = audit(state, "test");
    double map = 1e-6 * SIDE * SIDE * (MANY - FEW);
    print_message("peak of %.1f MB for %d images, %.1f MB for %d\n", few, FEW, many, MANY);
    // An image and a mask each would be two maps of a byte a pixel, the probabilities twelve. Names
    // and paths of the cases and the rows of the table take some 3 MB.
    assert_true(many - few <= 0.6 * map);
    assert_int_equal(getrusage(RUSAGE_SELF, &own), 0);
    assert_true(few > (double)own.ru_maxrss / 1000.0); // it is the program's own
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_does_not_grow_with_the_number_of_images),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
