// SPDX-License-Identifier: MIT
// Every verb of the command line that writes, with the folder that it writes into, and a data set,
// pictures and two runs that no verb may change. Every failure fails the running CMocka test.
#ifndef ADELE_TESTS_VERB_OUTPUTS_H
#define ADELE_TESTS_VERB_OUTPUTS_H

#include "support/cli_run.h"

#include <stdint.h>

// CMocka's group fixture: *state holds the scratch folder, as in scratch.h. It trains both runs.
int verb_outputs_setup(void **state);
// Also unmounts scratch/mount, of a test that failed in between.
int verb_outputs_teardown(void **state);

// Paths of the fixture, which outlive scratch_path's.
extern struct verb_paths {
    char set[4096], run[4096], other[4096], pictures[4096], yaml[4096];
} verb_paths;

// A verb that writes has its name here, a case in verb_run, and in test_output_again the first file
// that it writes.
enum verb {
    PREDICT,
    MASKS,
    SCORES,
    CASES,
    LABELS,
    EXPORT,
    NOISE,
    REPORT,
    AUDIT,
    INIT,
    TRAIN,
    TABLE,
    N_VERBS
};

// Runs the verb with `folder` as its output; TRAIN into FOLDER/new. Free the result with one of the
// asserts or program_result_deinit.
void verb_run(enum verb verb, const char *folder, const char *option,
              struct program_result *result);
// Three epochs of the fixture's configuration.
void verb_train_into(const char *folder);

// Exit code 0; frees the result.
void verb_assert_done(struct program_result *result);
// Exit code 1, one error line that has both parts, and a hint; frees the result.
void verb_assert_refused(struct program_result *result, const char *part, const char *other_part);

// Of every name and byte below the path.
uint64_t verb_sum_of(const char *path);
// Of the data set, the pictures, and both runs.
uint64_t verb_sum_of_inputs(void);
void verb_write_text(const char *path, const char *text);

#endif
