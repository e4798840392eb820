// SPDX-License-Identifier: MIT
// Clean labels stay clean, and noisy ones are corrected as before: the veto, and what the log says
// of a correction. On the set of tiny_run.h the network's IoU with the clean labels of the box is
// some 0.1 below that with itself, and with the noisy ones 0.4.
#include "base/log.h"
#include "base/memory.h"
#include "correction/score_drop.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VETO  "correction.veto=0.12", "correction.min_points=8", "train.epochs=4"
#define CLEAN "data.noisy_labels=" // the folder's own labels

static char lines[1 << 16];

static void keep_line(void *context, enum log_level level, const char *line) {
    (void)context;
    size_t used = strlen(lines);
    (void)snprintf(lines + used, sizeof lines - used, "%s%s\n",
                   level == LOG_WARNING ? "warning: " : "", line);
}

static void run(void *const *state, const char *name, bool resume, const char *const *sets) {
    lines[0] = '\0';
    log_set_sink(keep_line, NULL);
    adele_status status = tiny_run(state, name, resume, sets, NULL);
    log_set_sink(NULL, NULL);
    check_ok(status);
}

static double changed_pixels(void *const *state, const char *name, int epoch) {
    return tiny_run_metric(state, name, epoch, "correction/changed_pixels");
}

static bool is_same_file(void *const *state, const char *run_a, const char *run_b,
                         const char *name) {
    char a[4096], b[4096];
    (void)snprintf(a, sizeof a, "%s/%s", scratch_path(state, run_a), name);
    (void)snprintf(b, sizeof b, "%s/%s", scratch_path(state, run_b), name);
    return same_bytes(a, b);
}

// Without the veto they are changed; with it the run is the one without correction.
static void clean_labels_stay(void **state) {
    run(state, "unguarded", false, SETS(CLEAN, "correction.veto=0", "train.epochs=4"));
    assert_true(changed_pixels(state, "unguarded", 3) > 100.0);
    run(state, "clean", false, SETS(CLEAN, VETO));
    for (int epoch = 1; epoch <= 4; epoch++)
        assert_true(changed_pixels(state, "clean", epoch) == 0.0);
    assert_non_null(strstr(lines, "epoch 3: box: IoU with the labels "));
    assert_non_null(strstr(lines, ": they look clean and are not corrected\n"));
    assert_null(strstr(lines, "correcting"));
    run(state, "uncorrected", false, SETS(CLEAN, "correction.enabled=false", "train.epochs=4"));
    assert_true(is_same_file(state, "clean", "uncorrected", "checkpoints/best.safetensors"));
    assert_false(is_same_file(state, "clean", "unguarded", "checkpoints/last.safetensors"));
    for (int epoch = 1; epoch <= 4; epoch++)
        assert_true(tiny_run_metric(state, "clean", epoch, "val/pred_vs_true/miou") ==
                    tiny_run_metric(state, "uncorrected", epoch, "val/pred_vs_true/miou"));
}

// The sum of the numbers before `text` in the lines of an epoch.
static double sum_before(int epoch, const char *text) {
    char begin[32];
    double sum = 0;
    int n = snprintf(begin, sizeof begin, "epoch %d: ", epoch);
    for (const char *line = strstr(lines, begin); line; line = strstr(line + n, begin)) {
        const char *end = strchr(line, '\n'), *found = strstr(line, text);
        if (!found || found > end)
            continue;
        while (found > line && strchr("0123456789", found[-1]))
            found--;
        sum += strtod(found, NULL);
    }
    return sum;
}

// The veto only looks: what it lets through is corrected in the same epoch, to the same bytes, also
// before correction.min_points values. The log has what changed, each pixel once as it goes and
// once as it comes.
static void noisy_labels_are_corrected_as_before(void **state) {
    run(state, "paper", false, SETS("train.epochs=4"));
    assert_null(strstr(lines, "with itself"));
    run(state, "asked", false, SETS(VETO));
    assert_non_null(strstr(lines, ": they are corrected\n"));
    assert_non_null(strstr(lines, "epoch 3: correcting box\n"));
    tiny_run_assert_same(state, "paper", "asked");
    double changed = changed_pixels(state, "asked", 3);
    assert_true(changed > 100.0);
    assert_true(sum_before(3, " pixels of the labels became another class") == changed);
    assert_true(sum_before(3, " became this one") == changed);
}

// A category that was left alone is asked about again at the next epoch, after a resume too.
static void a_resumed_run_asks_the_same(void **state) {
    int n_steps = 17; // of 5 an epoch: in the fourth
    tiny_run_interrupted(state, "resumed", n_steps, SETS(CLEAN, VETO));
    run(state, "resumed", true, SETS(CLEAN, VETO));
    assert_non_null(strstr(lines, "epoch 4: box: IoU with the labels "));
    assert_true(is_same_file(state, "clean", "resumed", "checkpoints/last.safetensors"));
    assert_true(is_same_file(state, "clean", "resumed", "metrics.jsonl"));
    assert_true(is_same_file(state, "clean", "resumed", "onset.json"));
}

// ---- validation after a correction --------------------------------------------------------------

#define N_EPOCHS 8

static char disc[450] = "disc"; // name of the first class

// The mean falls because one of the two classes does.
static void add_scores(struct metrics *metrics, double mean, bool is_box) {
    check_ok(metrics_add(metrics, mean, "val/pred_vs_true/%s", "miou_foreground"));
    check_ok(metrics_add(metrics, is_box ? 0.9 : mean, "val/pred_vs_true/iou/%s", disc));
    check_ok(metrics_add(metrics, is_box ? mean : 0.9, "val/pred_vs_true/iou/%s", "box"));
}

// Whether the epoch's end warns of a fall that stays, where these are the validation scores (a
// negative one: not evaluated), the box or the disc is the class that they are of, and the disc's
// labels were corrected at the end of those epochs.
static bool warns_of(void *const *state, int epoch, const double *scores, const char *corrected,
                     bool is_box) {
    char *names[] = {"background", disc, "box"};
    struct dataset dataset = {.category_names = names};
    struct run_data data = {.n_categories = 3, .dataset = &dataset};
    const struct epoch_plan epochs = {.n_epochs = N_EPOCHS};
    unsigned char table[(N_EPOCHS + 1) * 256] = {0};
    struct corrector *corrector = test_calloc(1, sizeof *corrector);
    struct metrics *metrics = NULL;
    corrector->data = &data;
    corrector->epochs = &epochs;
    corrector->corrected = table;
    check_ok(metrics_open(*state, 0, &metrics));
    for (int e = 1; e <= epoch; e++) {
        check_ok(metrics_begin(metrics, e, e));
        if (scores[e - 1] >= 0)
            add_scores(metrics, scores[e - 1], is_box);
        check_ok(metrics_end(metrics));
        table[e * 256 + 1] = corrected[e - 1] == 'c';
    }
    lines[0] = '\0';
    log_set_sink(keep_line, NULL);
    check_ok(score_drop_warn(corrector, metrics, epoch));
    log_set_sink(NULL, NULL);
    metrics_close(metrics);
    test_free(corrector);
    return strstr(lines, "before the labels were corrected") != NULL;
}

static bool warns(void *const *state, int epoch, const double *scores, const char *corrected) {
    return warns_of(state, epoch, scores, corrected, false);
}

// Literal scores: 0.9 before, and then three evaluations that do not come back to within 0.01.
static void a_fall_after_a_correction_is_warned_of(void **state) {
    const double falls[] = {0.7, 0.9, 0.8, 0.85, 0.88, 0.84, 0.84, 0.84};
    const double recovers[] = {0.7, 0.9, 0.8, 0.85, 0.895, 0.6, 0.6, 0.6};
    const double seldom[] = {-1, 0.9, -1, 0.8, -1, 0.8, -1, 0.8};
    for (int epoch = 1; epoch <= N_EPOCHS; epoch++) {
        assert_true(warns(state, epoch, falls, ".c......") == (epoch == 5));
        assert_false(warns(state, epoch, recovers, ".c......"));
        assert_false(warns(state, epoch, falls, "........"));
        assert_true(warns(state, epoch, seldom, "..c.....") == (epoch == 8));
        // Of corrections in a row, the first one is looked at, once.
        assert_true(warns(state, epoch, falls, ".ccccccc") == (epoch == 5));
    }
    // A run that ends sooner is judged by what there is.
    assert_true(warns(state, 8, falls, "......c."));
    assert_true(warns(state, 5, falls, ".c......"));
    assert_non_null(strstr(lines, "warning: validation mIoU was 0.9000 before the labels were "
                                  "corrected at the end of epoch 2, and is at most 0.8800 since "
                                  "then; lower: disc (corrected). Unless the validation labels are "
                                  "as noisy, the correction did harm, or the network memorizes the "
                                  "errors that are left; compare with correction.enabled: false"));
}

// The first evaluation after a class was corrected for the first time; 0.88 is not more than 0.02
// lower than 0.9.
static void a_large_fall_is_warned_of_at_once(void **state) {
    const double falls[] = {0.7, 0.9, 0.8, 0.85, 0.5, 0.6, 0.5, 0.6};
    const double slightly[] = {0.7, 0.9, 0.881, 0.85, 0.84, 0.83, 0.82, 0.81};
    const double seldom[] = {-1, 0.9, -1, 0.8, -1, 0.7, -1, 0.6};
    for (int epoch = 1; epoch <= N_EPOCHS; epoch++) {
        (void)warns(state, epoch, falls, ".c......");
        assert_true((strstr(lines, "validation mIoU fell from ") != NULL) == (epoch == 3));
        (void)warns(state, epoch, falls, "..cccccc");
        assert_null(strstr(lines, "validation mIoU fell from "));
        (void)warns(state, epoch, slightly, ".c......");
        assert_null(strstr(lines, "validation mIoU fell from "));
        (void)warns(state, epoch, seldom, "..c.....");
        assert_true((strstr(lines, "validation mIoU fell from ") != NULL) == (epoch == 4));
    }
    (void)warns(state, 3, falls, ".c......");
    assert_string_equal(lines,
                        "warning: validation mIoU fell from 0.9000 after epoch 2 to 0.8000 "
                        "after epoch 3, the first evaluation since the labels were "
                        "corrected at the end of epoch 2; whether it stays lower is reported "
                        "after 3 evaluations\n");
    // At the end of a run, what there is is all that is known: one warning.
    (void)warns(state, 8, (const double[]){0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.9, 0.8}, "......c.");
    assert_non_null(strstr(lines, "before the labels were corrected"));
    assert_null(strstr(lines, "fell from"));
}

// The correction of one class is no reason why another one falls.
static void a_fall_of_a_class_that_was_left_alone_is_not_blamed(void **state) {
    const double falls[] = {0.7, 0.9, 0.8, 0.85, 0.88};
    assert_true(warns_of(state, 5, falls, ".c...", true));
    assert_non_null(strstr(lines, "; lower: box (left as it was). Unless the validation labels are "
                                  "as noisy, the network memorizes the errors in labels that were "
                                  "not corrected; compare"));
    assert_null(strstr(lines, "harm"));
}

// The warning holds the whole name of a class, or counts the class as one more.
static void a_name_without_room_is_counted(void **state) {
    const double falls[] = {0.7, 0.9, 0.8, 0.85, 0.88};
    memset(disc, 'd', sizeof disc - 1);
    assert_true(warns(state, 5, falls, ".c..."));
    memcpy(disc, "disc", sizeof "disc");
    assert_non_null(strstr(lines, "; lower: 1 more. Unless"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_labels_stay),
        cmocka_unit_test(noisy_labels_are_corrected_as_before),
        cmocka_unit_test(a_resumed_run_asks_the_same),
        cmocka_unit_test(a_fall_after_a_correction_is_warned_of),
        cmocka_unit_test(a_large_fall_is_warned_of_at_once),
        cmocka_unit_test(a_fall_of_a_class_that_was_left_alone_is_not_blamed),
        cmocka_unit_test(a_name_without_room_is_counted),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
