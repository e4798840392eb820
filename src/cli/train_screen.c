// SPDX-License-Identifier: MIT
#include "cli/train_screen.h"

#include "adele/ranks.h"
#include "adele/report.h"
#include "cli/number_text.h"
#include "cli/shell.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BAR_SECONDS      0.2  // between two drawings of the bar
#define LINE_SECONDS     30.0 // between two lines where there is no terminal
#define ESTIMATE_STEPS   3    // steps and seconds that the first estimate needs
#define ESTIMATE_SECONDS 3.0
#define COLUMNS          100
#define LABEL_COLUMNS    10
#define MOST_CLASSES     24 // that are listed

// ---- the first screen ---------------------------------------------------------------------------

// Words that are separated by commas, in lines of at most COLUMNS under a label.
struct list {
    int column;
};

static void list_begin(struct list *list, const char *label) {
    printf("%-*s", LABEL_COLUMNS, label);
    list->column = LABEL_COLUMNS;
}

static void list_add(struct list *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void list_add(struct list *list, const char *format, ...) {
    char word[512];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(word, sizeof word, format, arguments);
    va_end(arguments);
    bool is_first = list->column == LABEL_COLUMNS;
    if (!is_first && list->column + n + 2 > COLUMNS) {
        printf(",\n%*s%s", LABEL_COLUMNS, "", word);
        list->column = LABEL_COLUMNS + n;
    } else {
        printf("%s%s", is_first ? "" : ", ", word);
        list->column += n + (is_first ? 0 : 2);
    }
}

static void list_end(void) {
    putchar('\n');
}

static void add_split(struct list *list, const char *name, const struct adele_train_split *split) {
    if (split->n_cases == 0)
        list_add(list, "%s none", name);
    else if (split->n_images == 0) // test alone can be left out
        list_add(list, "%s %d (not evaluated: train.evaluate_test is false)", name, split->n_cases);
    else if (split->n_images == split->n_cases)
        list_add(list, "%s %d", name, split->n_cases);
    else
        list_add(list, "%s %d with %d slices", name, split->n_cases, split->n_images);
}

static void show_data(const struct adele_train_start *start) {
    char heights[NUMBER_TEXT_BYTES], widths[NUMBER_TEXT_BYTES];
    struct list list;
    list_begin(&list, "data");
    list_add(&list, "%s (%s)", start->data_folder, start->layout);
    list_end();
    list_begin(&list, "cases");
    add_split(&list, "train", &start->train);
    add_split(&list, "val", &start->val);
    add_split(&list, "test", &start->test);
    list_end();
    list_begin(&list, "images");
    list_add(&list, "%d x %d (height x width)", start->height, start->width);
    if (start->crop_height != start->height || start->crop_width != start->width)
        list_add(&list, "trained on in crops of %d x %d", start->crop_height, start->crop_width);
    list_add(&list, "%d channel%s", start->n_channels, start->n_channels == 1 ? "" : "s");
    if (start->min_file_height != start->height || start->max_file_height != start->height ||
        start->min_file_width != start->width || start->max_file_width != start->width)
        list_add(&list, "files %s x %s",
                 number_text_range(start->min_file_height, start->max_file_height, heights),
                 number_text_range(start->min_file_width, start->max_file_width, widths));
    list_end();
}

static void show_classes(const struct adele_train_start *start) {
    struct list list;
    list_begin(&list, "classes");
    for (int c = 0; c < start->n_classes && c < MOST_CLASSES; c++)
        list_add(&list, "%s %.3g %%", start->class_names[c], 100.0 * start->class_shares[c]);
    if (start->n_classes > MOST_CLASSES)
        list_add(&list, "and %d more", start->n_classes - MOST_CLASSES);
    if (start->ignored_share > 0.0)
        list_add(&list, "ignored %.3g %% of all pixels", 100.0 * start->ignored_share);
    list_end();
}

static void show_network(const struct adele_train_start *start) {
    char number[NUMBER_TEXT_BYTES], planned[NUMBER_TEXT_BYTES], available[NUMBER_TEXT_BYTES];
    struct list list;
    list_begin(&list, "network");
    list_add(&list, "%s%s%s", start->network, start->backbone[0] != '\0' ? " on " : "",
             start->backbone);
    list_add(&list, "%s parameters", number_text_grouped(start->n_parameters, number));
    list_add(&list, "%.3g GFLOP per step of %d image%s", start->step_flops * 1e-9, start->batch,
             start->batch == 1 ? "" : "s");
    list_end();
    printf("%-*s%s, %s\n", LABEL_COLUMNS, "device", start->device, start->precision);
    if (start->n_processes > 1)
        printf("%-*s%d, each with %d of the %d parts of a batch\n", LABEL_COLUMNS, "processes",
               start->n_processes, start->n_parts / start->n_processes, start->n_parts);
    printf("%-*s%s planned%s", LABEL_COLUMNS, "memory",
           number_text_bytes(start->planned_bytes, planned),
           start->n_processes > 1 ? " by each" : "");
    if (start->available_bytes != SIZE_MAX) // else the device does not say
        printf(" of %s available", number_text_bytes(start->available_bytes, available));
    putchar('\n');
}

static void show_steps(const struct adele_train_start *start) {
    char number[NUMBER_TEXT_BYTES];
    struct list list;
    list_begin(&list, "steps");
    list_add(&list, "%s in %d epoch%s of %d", number_text_grouped(start->n_steps_total, number),
             start->n_epochs, start->n_epochs == 1 ? "" : "s", start->n_steps);
    if (start->n_last_images != start->batch)
        list_add(&list, "the last of an epoch with %d image%s", start->n_last_images,
                 start->n_last_images == 1 ? "" : "s");
    if (start->n_dropped_images > 0)
        list_add(&list, "%d image%s of each epoch left out", start->n_dropped_images,
                 start->n_dropped_images == 1 ? "" : "s");
    list_end();
}

static void show_run(const struct adele_train_start *start) {
    if (start->run_folder != NULL)
        printf("%-*s%s\n", LABEL_COLUMNS, "run", start->run_folder);
    if (start->n_done_steps >= start->n_steps_total)
        printf("%-*sfinished already; a larger train.epochs goes on with it\n", LABEL_COLUMNS,
               "resumes");
    else if (start->n_done_steps > 0)
        printf("%-*safter step %ld of %ld, in epoch %ld\n", LABEL_COLUMNS, "resumes",
               start->n_done_steps, start->n_steps_total, start->n_done_steps / start->n_steps + 1);
}

static void show_correction(const struct adele_train_start *start) {
    if (start->noise != NULL)
        printf("%-*slabels are made noisy on purpose: %s, to a foreground mIoU of %.2f "
               "(data.noise);\n%*s--set data.noise.kind=none for labels of your own\n",
               LABEL_COLUMNS, "noise", start->noise, start->noise_miou, LABEL_COLUMNS, "");
    printf("%-*s%s\n", LABEL_COLUMNS, "corrects", start->correction);
    if (start->correction_warning[0] != '\0')
        printf("%*swarning: %s\n", LABEL_COLUMNS, "", start->correction_warning);
}

static double share_of(const struct adele_train_progress *at) {
    return (double)at->n_done_steps / (double)at->n_steps_total;
}

static void show_start(void *context, const struct adele_train_start *start) {
    struct train_screen *screen = context;
    progress_clear(&screen->progress);
    show_data(start);
    show_classes(start);
    show_network(start);
    show_steps(start);
    show_correction(start);
    show_run(start);
    fflush(stdout);
    screen->n_corrected_pixels = start->n_corrected_pixels;
    screen->last = (struct adele_train_progress){.n_epochs = start->n_epochs,
                                                 .n_steps = start->n_steps,
                                                 .n_done_steps = start->n_done_steps,
                                                 .n_steps_total = start->n_steps_total,
                                                 .images_per_second = NAN,
                                                 .loss = NAN};
    screen->was_finished = start->n_done_steps >= start->n_steps_total;
    progress_restart(&screen->progress);
    screen->progress.drawn = 0.0; // however short reading the data was
    progress_draw(&screen->progress, share_of(&screen->last),
                  start->run_folder != NULL ? "first step" : "measuring", "");
}

// ---- progress -----------------------------------------------------------------------------------

static const char *loss_text(double loss, char out[NUMBER_TEXT_BYTES]) {
    snprintf(out, NUMBER_TEXT_BYTES, isfinite(loss) ? "%.4f" : "-", loss);
    return out;
}

static void show_progress(void *context, const struct adele_train_progress *at) {
    struct train_screen *screen = context;
    struct progress *progress = &screen->progress;
    char text[64], more[80], loss[NUMBER_TEXT_BYTES], left[PROGRESS_TIME_BYTES];
    screen->last = *at;
    snprintf(text, sizeof text, "epoch %d/%d  step %ld/%ld", at->epoch, at->n_epochs,
             at->n_done_steps, at->n_steps_total);
    snprintf(more, sizeof more, "  %.3g images/s  loss %s", at->images_per_second,
             loss_text(at->loss, loss));
    progress->drawn = 0.0; // the library has waited long enough
    progress_draw(progress, share_of(at), text, more);
    if (progress->is_terminal)
        return;
    progress_format_left(progress, share_of(at), left);
    fprintf(stderr, "%s%s  ETA %s\n", text, more, left);
    fflush(stderr);
}

// "about 14 min, ends 15:42", by the pace since the end of the first step, so that what is done
// once does not count.
static void show_estimate(struct train_screen *screen, double share, const char *what) {
    double elapsed = progress_seconds() - screen->first_step_at;
    double left = elapsed * (1.0 - share) / (share - screen->first_share);
    char duration[NUMBER_TEXT_BYTES], end[NUMBER_TEXT_BYTES] = "";
    time_t at = time(NULL) + (time_t)left;
    struct tm local;
    if (localtime_r(&at, &local) != NULL)
        (void)strftime(end, sizeof end, left < 20.0 * 3600.0 ? "%H:%M" : "%Y-%m-%d %H:%M", &local);
    progress_clear(&screen->progress);
    printf("%-*sabout %s, ends %s%s\n", LABEL_COLUMNS, "time", number_text_duration(left, duration),
           end, what);
    fflush(stdout);
}

static void see_step(void *context, int epoch, int n_epochs, int step, int n_steps) {
    struct train_screen *screen = context;
    (void)n_epochs;
    long n_done = (long)(epoch - 1) * screen->last.n_steps + step;
    double share = (double)n_done / (double)screen->last.n_steps_total;
    (void)n_steps;
    if (++screen->n_steps_seen == 1) {
        screen->first_step_at = progress_seconds();
        screen->first_share = share;
    } else if (!screen->has_estimated && screen->n_steps_seen > ESTIMATE_STEPS && share < 1.0 &&
               progress_seconds() - screen->first_step_at > ESTIMATE_SECONDS) {
        screen->has_estimated = true;
        show_estimate(screen, share, "");
    }
}

// Evaluation and correction take time too, which is known after an epoch.
static int see_epoch(void *context, const struct adele_epoch *epoch) {
    struct train_screen *screen = context;
    double share = (double)epoch->epoch / epoch->n_epochs;
    screen->n_corrected_pixels += epoch->n_corrected_pixels;
    if (screen->has_estimated && !screen->has_estimated_epoch && share < 1.0) {
        screen->has_estimated_epoch = true;
        show_estimate(screen, share, ", evaluation included");
    }
    return 0;
}

void train_screen_init(struct train_screen *screen, struct adele_train_options *options) {
    options->context = screen;
    options->on_start = show_start;
    options->on_step = see_step;
    options->on_epoch = see_epoch;
    options->on_progress = show_progress;
    options->progress_seconds = screen->progress.is_terminal ? BAR_SECONDS : LINE_SECONDS;
    options->should_stop = progress_should_stop;
    progress_draw(&screen->progress, 0.0, "reading the data", "");
}

// ---- the end ------------------------------------------------------------------------------------

// Classes that were corrected at another epoch than by their whole curve, or never.
struct corrections {
    int n_classes, n_never, n_explained;
};

static void count_class(void *context, const struct adele_class_correction *class) {
    struct corrections *corrections = context;
    corrections->n_classes++;
    corrections->n_never += class->first_epoch == 0;
    corrections->n_explained += class->explanation[0] != '\0';
}

// "corrected first: lung after epoch 7, heart after epoch 9".
static void show_first_epoch(void *context, const struct adele_class_correction *class) {
    int *n_shown = context;
    if (class->first_epoch > 0 && ++*n_shown <= MOST_CLASSES)
        printf("%s%s after epoch %d", *n_shown == 1 ? "first corrected: " : ", ", class->name,
               class->first_epoch);
}

static void show_class(void *context, const struct adele_class_correction *class) {
    int *n_shown = context;
    if (class->explanation[0] != '\0' && ++*n_shown <= MOST_CLASSES)
        printf("  %s: %s\n", class->name, class->explanation);
}

// "1 of 3 classes was never corrected; 1 at another epoch than by its whole curve".
static void show_counts(const struct corrections *corrections) {
    int n_never = corrections->n_never, n_other = corrections->n_explained - n_never;
    printf("%d of %d class%s %s", n_never > 0 ? n_never : n_other, corrections->n_classes,
           corrections->n_classes == 1 ? "" : "es",
           (n_never > 0 ? n_never : n_other) == 1 ? "was" : "were");
    if (n_never > 0)
        printf(" never corrected");
    if (n_never > 0 && n_other > 0)
        printf("; %d %s", n_other, n_other == 1 ? "was" : "were");
    if (n_other > 0)
        printf(" corrected at another epoch than by the whole curve");
    puts(":");
}

static void show_corrected(const struct train_screen *screen, bool is_off) {
    if (screen->n_corrected_pixels > 0)
        printf("corrected: %" PRId64 " pixel%s of the training masks, over all corrections, at "
               "the size of the training\n",
               screen->n_corrected_pixels, screen->n_corrected_pixels == 1 ? "" : "s");
    else
        printf("corrected: no pixel of the training masks%s\n",
               is_off ? " (correction.enabled: false)" : "");
}

// Without the classes where onset.json cannot be read: the run itself is complete. Whether labels
// may have been corrected.
static bool show_corrections(const struct train_screen *screen, const char *run_folder) {
    struct corrections corrections = {0};
    int n_shown = 0, n_first = 0;
    bool is_read = adele_run_corrections(run_folder, count_class, &corrections) == ADELE_OK;
    if (!screen->was_finished)
        show_corrected(screen, is_read && corrections.n_classes == 0);
    bool may_have_corrected = !is_read || corrections.n_never < corrections.n_classes;
    if (is_read && adele_run_corrections(run_folder, show_first_epoch, &n_first) == ADELE_OK &&
        n_first > 0)
        printf(n_first > MOST_CLASSES ? ", and %d more\n" : "\n", n_first - MOST_CLASSES);
    if (corrections.n_explained == 0)
        return may_have_corrected;
    show_counts(&corrections);
    if (adele_run_corrections(run_folder, show_class, &n_shown) == ADELE_OK &&
        n_shown > MOST_CLASSES)
        printf("  and %d more classes; report.html has all\n", n_shown - MOST_CLASSES);
    return may_have_corrected;
}

void train_screen_end(const struct train_screen *screen, const struct adele_train_result *result) {
    printf("done: %d epoch%s in %s\n", result->n_epochs, result->n_epochs == 1 ? "" : "s",
           result->run_folder);
    if (result->best_miou >= 0.0) {
        printf("validation foreground mIoU: best %.4f, after epoch %d", result->best_miou,
               result->best_epoch);
        if (isfinite(result->val_miou))
            printf("; last %.4f", result->val_miou);
        printf("\n");
    }
    if (isfinite(result->test_miou))
        printf("test foreground mIoU of the last epoch: %.4f\n", result->test_miou);
    bool may_have_corrected = show_corrections(screen, result->run_folder);
    printf("next: adele report ");
    shell_print_path(stdout, result->run_folder, "");
    printf(" -o ");
    shell_print_path(stdout, result->run_folder, "_report");
    printf("\n      adele audit ");
    shell_print_path(stdout, result->run_folder, "");
    if (may_have_corrected) {
        printf("\n      adele labels ");
        shell_print_path(stdout, result->run_folder, "");
        printf(" -o ");
        shell_print_path(stdout, result->run_folder, "_labels");
    }
    printf("\n");
}

void train_screen_show_resume(const struct adele_train_options *options,
                              const struct adele_train_result *result) {
    int n_processes = adele_ranks_count(options->ranks);
    fprintf(stderr, "  to go on: ");
    if (n_processes > 1)
        fprintf(stderr, "mpirun -n %d ", n_processes);
    fprintf(stderr, "adele train ");
    shell_print_path(stderr, options->config, "");
    fprintf(stderr, " --run ");
    shell_print_path(stderr, result->run_folder, "");
    for (int i = 0; i < options->n_sets; i++) {
        fprintf(stderr, " --set ");
        shell_print_word(stderr, options->sets[i]);
    }
    if (options->device != NULL) {
        fprintf(stderr, " --device ");
        shell_print_word(stderr, options->device);
    }
    fprintf(stderr, " --resume\n");
}

// ---- a dry run ----------------------------------------------------------------------------------

void train_screen_batch(void *context, const struct adele_train_batch *batch) {
    struct train_screen *screen = context;
    char memory[NUMBER_TEXT_BYTES], seconds[NUMBER_TEXT_BYTES], step[NUMBER_TEXT_BYTES + 1],
        speed[NUMBER_TEXT_BYTES];
    progress_clear(&screen->progress);
    if (screen->n_batches++ == 0)
        printf("\n   batch       memory        step    images/s\n");
    printf(" %c %5d  %11s", batch->is_configured ? '>' : ' ', batch->batch,
           number_text_bytes(batch->planned_bytes, memory));
    if (!batch->fits) {
        printf("  does not fit: %s available\n", number_text_bytes(batch->available_bytes, memory));
    } else if (isnan(batch->step_seconds)) {
        printf("  %10s  %10s\n", "-", "-");
        screen->has_memory_alone = true;
    } else {
        const char *mark = batch->is_measured ? "" : "~";
        snprintf(step, sizeof step, "%s%s", mark,
                 number_text_duration(batch->step_seconds, seconds));
        snprintf(speed, sizeof speed, "%s%.3g", mark, batch->batch / batch->step_seconds);
        printf("  %10s  %10s\n", step, speed);
        screen->has_unmeasured = screen->has_unmeasured || !batch->is_measured;
    }
    fflush(stdout);
}

void train_screen_end_batches(const struct train_screen *screen) {
    printf(" >       train.batch of the configuration\n");
    if (screen->has_unmeasured)
        printf(
            " ~       not measured: as fast for each image as the last batch that was measured\n");
    if (screen->has_memory_alone)
        printf(" -       the memory is that of each process; steps are measured with one alone\n");
    printf("dry run: nothing was written\n");
}
