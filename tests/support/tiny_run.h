// SPDX-License-Identifier: MIT
// Short training runs on a tiny set, and a look at what they leave. Every failure of the helpers
// fails the running CMocka test.
#ifndef ADELE_TESTS_TINY_RUN_H
#define ADELE_TESTS_TINY_RUN_H

#include "base/safetensors.h"
#include "run/trainer.h"
#include "support/tiny_set.h"

#include <stdbool.h>

// A list of overrides.
#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

// CMocka's group fixture: a scratch folder with the data set "set" of seed 3, whose shapes are
// grown or shrunk by 2 pixels in set/noisyTr. *state holds the path, as in scratch.h.
int tiny_run_setup(void **state);
// The same, with the run that a test compares others with: scratch/run, of five epochs.
int tiny_run_setup_full(void **state);

// tiny_set_config of the fixture's set, with overrides "key=value" that end with NULL. With noisy
// labels.
struct config *tiny_run_config(void *const *state, const char *const *sets);

// The path of a file with that configuration and no overrides, in the scratch folder.
const char *tiny_run_config_file(void *const *state);

// Trains into scratch/NAME on the CPU. `sets` ends with NULL; NULL: none. `result` may be NULL.
adele_status tiny_run(void *const *state, const char *name, bool resume, const char *const *sets,
                      struct trainer_result *result);

// The same run, interrupted after so many steps, for a later one to resume.
void tiny_run_interrupted(void *const *state, const char *name, int n_steps,
                          const char *const *sets);

// "--resume" for a run that has a checkpoint; else an option that changes nothing where --device
// cpu follows, since `adele train --run DIR --resume` refuses a folder without a run.
const char *tiny_run_resume(const char *run);

// The number `metric` of the record of that epoch in scratch/RUN/metrics.jsonl; NaN when it is null
// or not there.
double tiny_run_metric(void *const *state, const char *run, int epoch, const char *metric);
int tiny_run_n_records(void *const *state, const char *run);
// scratch/NAME: whether it is there; its tensors, which safetensors_close frees.
bool tiny_run_has(void *const *state, const char *name);
struct safetensors *tiny_run_open(void *const *state, const char *name);

// Fails unless both runs' files are there and the same, byte by byte: the last and best checkpoint,
// metrics, onsets, examples, and the folder of labels, if there is one. TensorBoard's events are
// left out, because they hold the time at which each epoch ended, and its speed.
void tiny_run_assert_same(void *const *state, const char *run_a, const char *run_b);
// Whether the files are the same; fails the test when one cannot be read.
bool same_bytes(const char *path_a, const char *path_b);

#endif
