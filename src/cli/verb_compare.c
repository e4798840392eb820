// SPDX-License-Identifier: MIT
#include "adele/scores.h"
#include "cli/cli.h"
#include "cli/print_scores.h"

#include <argp.h>
#include <stdio.h>

struct arguments {
    const char *sides[2];
    int n;
};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (arguments->n == 2)
            argp_error(state, "two runs or files only; unexpected argument '%s'", value);
        arguments->sides[arguments->n++] = value;
        return 0;
    case ARGP_KEY_END:
        if (arguments->n < 2)
            argp_error(state, "name two runs, or two files that `adele evaluate --csv` wrote");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp compare_argp = {
    .parser = parse,
    .args_doc = "A B",
    .doc = "The paired difference of two runs' scores, by class.\vA and B are files that `adele "
           "evaluate --csv FILE` wrote, or runs whose folder has such a file named scores.csv. "
           "Cases are matched by their names and must be the same on both sides. For each "
           "measure: the means over the cases in which it is defined on both sides, the mean of "
           "the differences B - A, and its percentile bootstrap interval (10,000 samples of the "
           "cases). An interval that holds 0 does not tell the two apart. Smaller distances are "
           "better."};

int verb_compare(int argc, char **argv) {
    struct arguments arguments = {0};
    struct adele_comparison *comparison = NULL;
    argp_parse(&compare_argp, argc, argv, 0, 0, &arguments);
    adele_status status = adele_compare(arguments.sides[0], arguments.sides[1], &comparison);
    if (status != ADELE_OK)
        return cli_report_failure(status);
    printf("A  %s\nB  %s\n%d cases\n\n", arguments.sides[0], arguments.sides[1],
           comparison->n_cases);
    print_comparison(comparison);
    adele_comparison_destroy(comparison);
    return CLI_OK;
}
