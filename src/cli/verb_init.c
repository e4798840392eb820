// SPDX-License-Identifier: MIT
// adele init: looks at a folder and writes a configuration that trains on it.
#include "adele/data.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/print_fingerprint.h"
#include "cli/shell.h"

#include <argp.h>
#include <stdio.h>

enum init_option { OPTION_SEED = 256, OPTION_LINKS, OPTION_OVERWRITE, OPTION_METHOD };

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
    {"method", OPTION_METHOD, "adele|ensemble", 0,
     "How labels are corrected (correction.method), with the settings that go with it: each class "
     "when its memorization begins (default), or all once, from an ensemble of predictions",
     0},
    {"follow-links", OPTION_LINKS, NULL, 0,
     "Symbolic links may lead out of the folder (data.follow_links)", 0},
    {"overwrite", OPTION_OVERWRITE, 0, 0, CLI_OVERWRITE_HELP, 0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct init_arguments *arguments = state->input;
    struct adele_init_options *init = &arguments->init;
    const struct argument rows[] = {
        {ARGP_KEY_ARG, "DATA", .text = &arguments->data.root,
         .required = "name the folder of images and masks"},
        {'o', .text = &init->output,
         .required = "say where the configuration goes: -o config.yaml"},
        {OPTION_SEED, .seed = &init->seed},
        {'d', .text = &init->device},
        {OPTION_METHOD, .choice = &init->method},
        {OPTION_LINKS, .flag = &arguments->data.follow_links},
        {OPTION_OVERWRITE, .flag = &init->overwrite}};
    return ARGUMENTS_STORE(rows, key, value, state);
}

const struct argp init_argp = {
    .options = options,
    .parser = parse,
    .args_doc = "DATA",
    .doc = "Looks at a folder of images and masks (nnU-Net, Pascal VOC, MMSegmentation, or two "
           "folders whose files have the same names), prints what it consists of, and writes a "
           "configuration that trains on it.\vLarge images (one side above 512 pixels, and too "
           "large to train on as a whole) are trained on in patches. Where there are no "
           "validation cases, a fifth of the cases is drawn, all images of a patient in one "
           "split. Exit code: 0 done, 1 failed, 2 wrong usage."};

static void print_left_out(const struct adele_init_report *report) {
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
    if (report->n_absent == 1)
        printf("left out: 1 case that a list names has no image (%s)\n", report->first_absent);
    else if (report->n_absent > 1)
        printf("left out: %d cases that lists name have no image (first: %s)\n", report->n_absent,
               report->first_absent);
}

// A training ends with an error at any of these.
static void print_what_to_mend(const struct adele_fingerprint *found) {
    int n_unreadable = found->n_unreadable, n_other_size = found->n_other_size;
    if (n_unreadable == 0 && n_other_size == 0)
        return;
    printf("first mend the data: ");
    if (n_unreadable > 0)
        printf("%d case%s a file that cannot be read", n_unreadable,
               n_unreadable == 1 ? " has" : "s have");
    if (n_other_size > 0)
        printf("%s%d mask%s in size from the image", n_unreadable > 0 ? ", and " : "", n_other_size,
               n_other_size == 1 ? " differs" : "s differ");
    printf("; a training ends with an error there; `adele check` names each\n");
}

int verb_init(int argc, char **argv) {
    struct init_arguments arguments = {0};
    struct adele_init_report *report = NULL;
    argp_parse(&init_argp, argc, argv, 0, NULL, &arguments);
    adele_status status = adele_init(&arguments.data, &arguments.init, &report);
    if (status != ADELE_OK)
        return cli_report_failure(status);
    print_fingerprint(report->root, report->fingerprint);
    print_left_out(report);
    printf("written:");
    for (int i = 0; i < report->n_files; i++) {
        putchar(' ');
        shell_print_path(stdout, report->files[i], "");
    }
    putchar('\n');
    print_what_to_mend(report->fingerprint);
    printf("next: adele check --config ");
    shell_print_path(stdout, report->files[0], "");
    printf("\n      adele train ");
    shell_print_path(stdout, report->files[0], "");
    putchar('\n');
    adele_init_report_destroy(report);
    return CLI_OK;
}
