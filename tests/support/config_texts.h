// SPDX-License-Identifier: MIT
// Configurations written as texts in a test, under the name run.yaml.
#ifndef ADELE_TESTS_CONFIG_TEXTS_H
#define ADELE_TESTS_CONFIG_TEXTS_H

#include "config/config.h"

#define ROOT "data: {root: /d}\n" // the one key that a configuration must have

// The configuration, with the n_sets overrides "key=value"; the test fails where it is refused.
// Free it with config_destroy.
struct config *parse_ok(const char *text, int n_sets, const char *const *sets);

// It is refused with ADELE_CONFIG and a message that contains `message`. NULL `set`: no override.
void assert_refused(const char *text, const char *set, const char *message);
// The same by config_check_new alone: earlier versions have trained so, and their runs are read.
void assert_refused_when_new(const char *text, const char *set, const char *message);
#endif
