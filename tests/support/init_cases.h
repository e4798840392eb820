// SPDX-License-Identifier: MIT
// Folders for `adele init`, and what it says and writes. Every failure fails the running test.
#ifndef ADELE_TESTS_INIT_CASES_H
#define ADELE_TESTS_INIT_CASES_H

#include "config/config.h"
#include "support/program.h"

#define ADELE(result, ...)                                                                         \
    program_run((const char *const[]){ADELE_CLI, __VA_ARGS__, NULL}, (result))

// Exit code 0, and this part of the output. Frees the result, as the next one does.
void init_done(struct program_result *result, const char *part);
// Exit code 1, one error with this part, and a hint.
void init_refused(struct program_result *result, const char *part);

// A bright square on a noisy ground of that size; the mask has `value` there.
void init_sized_case(void *const *state, const char *images, const char *masks, const char *name,
                     int i, int value, int width, int height);
void init_case(void *const *state, const char *images, const char *masks, const char *name, int i,
               int value); // of 32 x 32 pixels
int init_count_lines(void *const *state, const char *path);
// A configuration of fewer than 30 lines. Free with config_destroy.
struct config *init_load(void *const *state, const char *path);
void init_train(void *const *state, const char *yaml, const char *run); // an epoch
#endif
