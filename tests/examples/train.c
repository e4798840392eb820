// SPDX-License-Identifier: MIT
// Trains a run and prints a line after each epoch; ends when the validation has not become better
// for five epochs. train CONFIG.yaml RUN [KEY=VALUE ...]
#include <adele/adele.h>
#include <stdio.h>

struct progress {
    double best;
    int best_epoch;
};

static int print_epoch(void *context, const struct adele_epoch *epoch) {
    struct progress *progress = context;
    printf("epoch %d of %d: loss %.3f, %lld labels corrected\n", epoch->epoch, epoch->n_epochs,
           epoch->loss, (long long)epoch->n_corrected_pixels);
    if (epoch->val.classes == NULL) // not evaluated: nothing says whether it has become better
        return 0;
    for (int c = 0; c < epoch->n_classes; c++)
        printf("  %-20s IoU %.3f\n", epoch->class_names[c], epoch->val.classes[c]);
    if (epoch->val.foreground > progress->best) {
        progress->best = epoch->val.foreground;
        progress->best_epoch = epoch->epoch;
    }
    return epoch->epoch - progress->best_epoch >= 5; // anything but 0 stops the run
}

static void print_warning(void *context, enum adele_log_level level, const char *line) {
    (void)context;
    if (level == ADELE_LOG_WARNING)
        fprintf(stderr, "warning: %s\n", line);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: train CONFIG.yaml RUN [KEY=VALUE ...]\n");
        return 2;
    }
    struct progress progress = {-1.0, 0};
    struct adele_train_options options = {.config = argv[1],
                                          .run_folder = argv[2],
                                          .sets = (const char *const *)argv + 3,
                                          .n_sets = argc - 3,
                                          .on_epoch = print_epoch,
                                          .context = &progress};
    struct adele_train_result result;
    adele_log_to(print_warning, NULL);
    adele_status status = adele_train(&options, &result);
    if (status != ADELE_OK && status != ADELE_INTERRUPTED) {
        fprintf(stderr, "train: %s\n%s\n", adele_error_message(), adele_error_hint());
        return 1;
    }
    printf("%d epochs, the best is %d: %s\n", result.n_epochs, result.best_epoch,
           result.run_folder);
    return 0;
}
