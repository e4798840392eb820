// SPDX-License-Identifier: MIT
// adele init: looks at a folder and writes a configuration that trains on it.
#include "adele/data.h"
#include "cli/cli.h"
#include "cli/print_fingerprint.h"
#include "cli/shell.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum init_option { OPTION_SEED = 256, OPTION_LINKS, OPTION_OVERWRITE };

struct init_arguments {
    struct adele_data data;
    struct adele_init_options init;
};

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0,
     "The configuration, a YAML file (required); lists of the splits go beside it", 0},
    {"seed", OPTION_SEED, "N", 0, "Seed of the split and of the training (default 0)", 0},
    {"device", 'd', CLI_DEVICE_VALUES, 0,
     "Fits batch and width into the memory of this device. " CLI_DEVICE_HELP, 0},
    {"follow-links", OPTION_LINKS, NULL, 0,
     "Symbolic links may lead out of the folder (data.follow_links)", 0},
    {"overwrite", OPTION_OVERWRITE, 0, 0, CLI_OVERWRITE_HELP, 0},
    {0}};

static uint64_t parse_seed(struct argp_state *state, const char *text) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
        argp_error(state, "--seed: '%s' is not a whole number from 0", text);
    return value;
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
    struct init_arguments *arguments = state->input;
    switch (key) {
    case 'o':
        arguments->init.output = text;
        return 0;
    case OPTION_SEED:
        arguments->init.seed = parse_seed(state, text);
        return 0;
    case 'd':
        arguments->init.device = text;
        return 0;
    case OPTION_LINKS:
        arguments->data.follow_links = 1;
        return 0;
    case OPTION_OVERWRITE:
        arguments->init.overwrite = 1;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->data.root != NULL)
            argp_error(state, "one DATA only; unexpected argument '%s'", text);
        arguments->data.root = text;
        return 0;
    case ARGP_KEY_END:
        if (arguments->data.root == NULL)
            argp_error(state, "name the folder of images and masks");
        if (arguments->init.output == NULL)
            argp_error(state, "say where the configuration goes: -o config.yaml");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp init_argp = {
    options,
    parse_option,
    "DATA",
    "Looks at a folder of images and masks (nnU-Net, Pascal VOC, MMSegmentation, or two folders "
    "whose files have the same names), prints what it consists of, and writes a configuration that "
    "trains on it.\vLarge images (one side above 512 pixels, and too large to train on as a whole) "
    "are trained "
    "on in patches. Where there are no validation cases, a fifth of the cases is drawn, all images "
    "of a patient in one split. Exit code: 0 done, 1 failed, 2 wrong usage.",
    NULL,
    NULL,
    NULL};

int verb_init(int argc, char **argv) {
    struct init_arguments arguments = {0};
    struct adele_init_report *report = NULL;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&init_argp, argc, argv, 0, NULL, &arguments);
    adele_status status = adele_init(&arguments.data, &arguments.init, &report);
    if (status != ADELE_OK)
        return cli_report_failure(status);
    print_fingerprint(report->root, report->fingerprint);
    if (report->n_without_mask == 1)
        printf("left out: 1 image has no mask (%s); training goes on without it\n",
               report->first_without_mask);
    else if (report->n_without_mask > 1)
        printf("left out: %d images have no mask (first: %s); training goes on without them\n",
               report->n_without_mask, report->first_without_mask);
    if (report->n_without_image == 1)
        printf("left out: 1 mask has no image (%s)\n", report->first_without_image);
    else if (report->n_without_image > 1)
        printf("left out: %d masks have no image (first: %s)\n", report->n_without_image,
               report->first_without_image);
    printf("written:");
    for (int i = 0; i < report->n_files; i++) {
        putchar(' ');
        shell_print_path(stdout, report->files[i], "");
    }
    printf("\nnext: adele check --config ");
    shell_print_path(stdout, report->files[0], "");
    printf("\n      adele train ");
    shell_print_path(stdout, report->files[0], "");
    putchar('\n');
    if (report->fingerprint->n_unreadable > 0)
        printf(
            "first mend the data: %d case%s a file that cannot be read, and a training ends with "
            "an error there; `adele check` names each\n",
            report->fingerprint->n_unreadable,
            report->fingerprint->n_unreadable == 1 ? " has" : "s have");
    adele_init_report_destroy(report);
    return CLI_OK;
}
