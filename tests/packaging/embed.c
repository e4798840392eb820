// SPDX-License-Identifier: MIT
// A program that embeds the library, as a stranger would write it: check-install builds it against
// an installation, outside of CMake. embed CONFIG DATA RUN: trains an epoch on tiny images.
#include <adele/adele.h>
#include <stdio.h>
#include <stdlib.h>

// Names that the library uses inside. A program may have functions of these names: linking must not find them twice,
// and the library must not call them.
int file_read(void);
int log_line(void);
int json_read(void);
static int called_by_library(const char *name) {
    fprintf(stderr, "the library called the program's %s\n", name);
    abort();
}
int file_read(void) {
    return called_by_library("file_read");
}
int log_line(void) {
    return called_by_library("log_line");
}
int json_read(void) {
    return called_by_library("json_read");
}

static void print_line(void *context, int is_warning, const char *line) {
    (void)context;
    printf("%s%s\n", is_warning ? "warning: " : "", line);
}

static int fail(const char *what) {
    fprintf(stderr, "%s: %s (%s)\n", what, adele_error_message(), adele_error_place());
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    char root[4096];
    snprintf(root, sizeof root, "data.root=%s", argv[2]);
    const char *sets[] = {root, "data.size=[32, 32]", "model.width=4", "train.epochs=1"};
    struct adele_train_options options = {.config = argv[1],
                                          .sets = sets,
                                          .n_sets = sizeof sets / sizeof *sets,
                                          .run_folder = argv[3],
                                          .device = "cpu"};
    struct adele_train_result result;
    adele_log_to(print_line, NULL);
    if (adele_train(&options, &result) != ADELE_OK)
        return fail("train");
    struct adele_score score;
    if (adele_evaluate(argv[3], "cpu", NULL, "test", &score) != ADELE_OK)
        return fail("evaluate");
    const double iou[] = {0.1, 0.5, 0.65, 0.7, 0.72, 0.73, 0.735, 0.737};
    struct adele_onset onset;
    adele_find_onset(iou, sizeof iou / sizeof *iou, 40, 0.9, &onset);
    printf("adele %s: %d epoch, foreground mIoU %.3f, onset %d\n", adele_version(), result.n_epochs,
           score.miou_foreground, onset.is_known ? onset.epoch : -1);
    return 0;
}
