// SPDX-License-Identifier: MIT
// The command line: main.c finds the verb; each verb has a file verb_NAME.c: parse with argp, call
// the library, return an exit code. The option tables are the one source of --help, of the manual
// pages (manual.c) and of the shells' completion (completion.c).
#ifndef ADELE_CLI_CLI_H
#define ADELE_CLI_CLI_H

#include "adele/data.h"
#include "adele/status.h"
#include <argp.h>
#include <stddef.h>

enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 };

// X(name, one line of help): the list of verbs. int verb_NAME(int argc, char **argv); argv[0] is
// "adele NAME". NAME_argp is its parser.
#define CLI_VERBS(X)                                                                               \
    X(init, "look at a folder and write a configuration that trains on it")                        \
    X(train, "train a network on noisy labels and correct them")                                   \
    X(evaluate, "IoU, Dice and surface distances of a checkpoint on a data set")                   \
    X(compare, "differences of two runs' scores, case by case, with an interval")                  \
    X(predict, "write masks for a folder of images")                                               \
    X(noise, "make noisy labels from clean ones")                                                  \
    X(check, "problems of a data set: file, pixel, value, and what to do")                         \
    X(audit, "images, classes and regions whose labels are doubtful, most doubtful first")         \
    X(table, "train configurations with several seeds: mean and deviation of each")                \
    X(labels, "the corrected labels of a run, as files like the input's")                          \
    X(export, "the network of a run as an ONNX file for other programs")                           \
    X(report, "curves, onsets, panels and tables of one or more runs")                             \
    X(onset, "onset epochs of recorded IoU curves")                                                \
    X(selftest, "test the kernels of a GPU beside simpler ones and the CPU")                       \
    X(info, "build, libraries and devices")                                                        \
    X(help, "what a command does; manual pages and shell completion")
#define CLI_VERB_DECLARE(name, help)                                                               \
    int verb_##name(int argc, char **argv);                                                        \
    extern const struct argp name##_argp;
CLI_VERBS(CLI_VERB_DECLARE)
#undef CLI_VERB_DECLARE

struct cli_verb {
    const char *name, *help;
    int (*run)(int argc, char **argv);
    const struct argp *argp;
};
extern const struct cli_verb cli_verbs[];
extern const size_t cli_n_verbs;
// NULL when there is none of that name.
const struct cli_verb *cli_verb_find(const char *name);

// `adele` before the verb: its options, and what it is for. Read by people only, see main().
extern const struct argp cli_argp;
#define CLI_EXIT_CODES "0 done, 1 failed, 2 wrong usage, 130 interrupted after saving"
void cli_print_help(void); // of `adele --help`, to standard output

// Of the option of every verb that writes files.
#define CLI_OVERWRITE_HELP                                                                         \
    "Replace files that adele itself wrote there earlier and nobody has changed since"

// Of the option of verbs that read a data set without a configuration.
#define CLI_LAYOUT_NAME(id, name) "|" #name
#define CLI_LAYOUTS               "auto" ADELE_LAYOUTS(CLI_LAYOUT_NAME)

// Of the option of verbs that choose a device.
#define CLI_DEVICE_VALUES "auto|cpu|cuda|cuda:N"
#define CLI_DEVICE_HELP                                                                            \
    "Default: auto. /ENGINE behind a name forces an engine: cpu/direct, cuda/cudnn"

// Prints "adele: error: MESSAGE" and "  hint: HINT" of the last failure to stderr; returns the exit
// code: 1. For ADELE_INTERRUPTED, which is no error, "adele: MESSAGE", and 130.
int cli_report_failure(adele_status status);

// What is written from the option tables, to standard output: the manual page adele-VERB(1), in
// roff, or adele(1) when `verb` is NULL; a script for bash or zsh to read.
void manual_print(const struct cli_verb *verb);
void completion_print_bash(void);
void completion_print_zsh(void);
#endif
