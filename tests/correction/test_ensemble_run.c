// SPDX-License-Identifier: MIT
// correction.method: ensemble, on a tiny set: when labels are corrected and what becomes of the
// maps, runs that must leave the same bytes, resumed runs, and what is refused.
#include "run/checkpoint.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "correction/correction_ensemble.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

// Four epochs of five steps; labels are corrected after the second, at which no gate lets a class
// of such a network pass.
#define UNGATED                                                                                    \
    "correction.method=ensemble", "correction.at=0.5", "loss.form=plain", "train.epochs=4"
#define ENSEMBLE UNGATED, "correction.gate=false"
#define N_EPOCHS 4
#define AT       2

static const char *last_of(void *const *state, const char *run) {
    char name[256];
    (void)snprintf(name, sizeof name, "%s/checkpoints/last.safetensors", run);
    return scratch_path(state, name);
}

static bool has_maps(void *const *state, const char *run) {
    struct safetensors *file = NULL;
    check_ok(safetensors_open(last_of(state, run), &file));
    bool has = safetensors_find(file, "ensemble") != NULL;
    assert_string_equal(safetensors_metadata(file, "ensemble.is_open"), has ? "1" : "0");
    safetensors_close(file);
    return has;
}

static int alone_setup(void **state) {
    if (tiny_run_setup(state) != 0)
        return -1;
    check_ok(tiny_run(state, "alone", false, SETS(ENSEMBLE), NULL));
    return 0;
}

// ---- when ---------------------------------------------------------------------------------------

static void labels_are_corrected_once(void **state) {
    double before = tiny_run_metric(state, "alone", 1, "train/labels_vs_true/miou_foreground");
    for (int epoch = 1; epoch <= N_EPOCHS; epoch++) {
        bool is_at = epoch == AT;
        assert_true((tiny_run_metric(state, "alone", epoch, "correction/changed_pixels") > 0.0) ==
                    is_at);
        assert_true(tiny_run_metric(state, "alone", epoch, "correction/on/box") == is_at);
        assert_true(tiny_run_metric(state, "alone", epoch, "correction/on/disc") == is_at);
    }
    assert_true(tiny_run_metric(state, "alone", AT, "train/labels_vs_true/miou_foreground") !=
                before);
    assert_false(has_maps(state, "alone")); // freed
}

static void a_short_run_is_corrected_after_its_first_epoch(void **state) {
    check_ok(tiny_run(state, "short", false, SETS(ENSEMBLE, "train.epochs=1", "correction.at=0.1"),
                      NULL));
    assert_true(tiny_run_metric(state, "short", 1, "correction/on/box") == 1.0);
    assert_false(has_maps(state, "short"));
}

static cJSON *onsets_of(void *const *state, const char *run) {
    char name[64], *text = NULL;
    size_t n = 0;
    (void)snprintf(name, sizeof name, "%s/onset.json", run);
    check_ok(file_read(scratch_path(state, name), 0, &text, &n));
    cJSON *json = cJSON_ParseWithLength(text, n);
    assert_non_null(json);
    memory_free(text);
    return json;
}

// The epoch of the correction that onset.json names, and whether the run has ended.
static void assert_onsets_say(void *const *state, const char *run, int epoch, bool has_ended) {
    cJSON *json = onsets_of(state, run);
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(json, "ensemble_epoch");
    assert_true(cJSON_IsNumber(node) && node->valueint == epoch);
    node = cJSON_GetObjectItemCaseSensitive(json, "has_ended");
    assert_true(cJSON_IsBool(node) && cJSON_IsTrue(node) == has_ended);
    // No curve decides when.
    node = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "categories"), 0);
    assert_true(cJSON_HasObjectItem(node, "iou") && !cJSON_HasObjectItem(node, "due_epoch"));
    cJSON_Delete(json);
}

// The least and the largest share; without a filter, and the most probable class.
static void the_ends_of_the_range(void **state) {
    static const struct {
        const char *run, *at;
        int epoch;
    } cases[] = {{"at0", "correction.at=0", 1}, {"at1", "correction.at=1", 2}};
    for (size_t i = 0; i < 2; i++) {
        const char *run = cases[i].run;
        check_ok(tiny_run(state, run, false,
                          SETS(ENSEMBLE, "train.epochs=2", cases[i].at, "correction.guide=0",
                               "correction.decision=argmax"),
                          NULL));
        for (int epoch = 1; epoch <= 2; epoch++)
            assert_true((tiny_run_metric(state, run, epoch, "correction/on/box") == 1.0) ==
                        (epoch == cases[i].epoch));
        assert_true(tiny_run_metric(state, run, cases[i].epoch, "correction/changed_pixels") > 0.0);
        assert_onsets_say(state, run, cases[i].epoch, true);
        assert_false(has_maps(state, run));
    }
}

// With a learning rate of almost nothing, the validation score does not become better for long.
static void patience_may_end_a_run_before_the_correction(void **state) {
    struct trainer_result result = {0};
    check_ok(tiny_run(state, "early", false,
                      SETS(ENSEMBLE, "train.epochs=20", "correction.at=1", "train.patience=1",
                           "train.optimizer.lr=1e-30"),
                      &result));
    assert_true(result.n_epochs < 20);
    assert_true(has_maps(state, "early"));
    assert_onsets_say(state, "early", 20, true);
}

// More epochs than planned before: no class is corrected again. The settings that are compared
// allow it.
static void a_longer_run_is_not_corrected_again(void **state) {
    check_ok(tiny_run(state, "longer", false, SETS(ENSEMBLE, "train.epochs=2"), NULL));
    assert_true(tiny_run_metric(state, "longer", 1, "correction/on/box") == 1.0);
    check_ok(tiny_run(state, "longer", true, SETS(ENSEMBLE), NULL));
    for (int epoch = 2; epoch <= N_EPOCHS; epoch++)
        assert_true(tiny_run_metric(state, "longer", epoch, "correction/changed_pixels") == 0.0);
    assert_onsets_say(state, "longer", 1, true); // not after the second, as planned now
}

static char kept[512]; // the log's line of the epoch that is kept

static void keep_line(void *context, enum log_level level, const char *line) {
    (void)context;
    (void)level;
    if (strstr(line, "as planned when the run began") != NULL)
        (void)snprintf(kept, sizeof kept, "%s", line);
}

// Interrupted before the correction: with more epochs it still comes after the second.
static void a_longer_run_keeps_the_epoch_of_the_correction(void **state) {
    tiny_run_interrupted(state, "kept", 7, SETS(ENSEMBLE));
    log_set_sink(keep_line, NULL);
    check_ok(tiny_run(state, "kept", true, SETS(ENSEMBLE, "train.epochs=6"), NULL));
    log_set_sink(NULL, NULL);
    for (int epoch = 1; epoch <= 6; epoch++)
        assert_true((tiny_run_metric(state, "kept", epoch, "correction/on/box") == 1.0) ==
                    (epoch == AT));
    assert_onsets_say(state, "kept", AT, true);
    assert_string_equal(kept, "labels are corrected after epoch 2, as planned when the run began; "
                              "a new run of 6 epochs would correct them after epoch 3");
    assert_true(tiny_run_metric(state, "kept", AT, "train/labels_vs_true/miou_foreground") ==
                tiny_run_metric(state, "alone", AT, "train/labels_vs_true/miou_foreground"));
}

// Each class once, at its own onset; the maps stay until the last one.
static void onsets_of_classes(void **state) {
    check_ok(tiny_run(state, "onset", false, SETS(ENSEMBLE, "correction.timing=onset"), NULL));
    int n_box = 0, n_disc = 0;
    for (int epoch = 1; epoch <= N_EPOCHS; epoch++) {
        n_box += tiny_run_metric(state, "onset", epoch, "correction/on/box") == 1.0;
        n_disc += tiny_run_metric(state, "onset", epoch, "correction/on/disc") == 1.0;
    }
    assert_true(n_box <= 1 && n_disc <= 1 && n_box + n_disc > 0);
    assert_true(has_maps(state, "onset") == (n_box + n_disc < 2));
}

// A class of the data set that no label contains has no onset, and the maps do not wait for it.
static void a_class_without_labels_keeps_no_maps(void **state) {
    check_ok(tiny_run(state, "absent", false,
                      SETS(ENSEMBLE, "correction.timing=onset", "train.epochs=8",
                           "data.label_map=[{from: [0], to: 0}, {from: [1], to: 1, name: box}, "
                           "{from: [2], to: 2, name: disc}, {from: [9], to: 3, name: absent}]"),
                      NULL));
    for (int i = 0; i < 2; i++) {
        double n = 0.0;
        for (int epoch = 1; epoch <= 8; epoch++)
            n += tiny_run_metric(state, "absent", epoch,
                                 i ? "correction/on/box" : "correction/on/disc");
        assert_true(n == 1.0);
    }
    assert_false(has_maps(state, "absent"));
}

// ---- the same bytes -----------------------------------------------------------------------------

static void the_number_of_threads_does_not_matter(void **state) {
    int n_threads = omp_get_max_threads();
    omp_set_num_threads(n_threads == 3 ? 1 : 3);
    adele_status status = tiny_run(state, "threads", false, SETS(ENSEMBLE), NULL);
    omp_set_num_threads(n_threads);
    check_ok(status);
    tiny_run_assert_same(state, "alone", "threads");
}

// The images, and the maps, too.
static void host_memory_does_not_matter(void **state) {
    check_ok(tiny_run(state, "host", false, SETS(ENSEMBLE, "data.residency=host"), NULL));
    tiny_run_assert_same(state, "alone", "host");
}

// Within the first epoch, that of the correction, and the one behind it.
static void a_resumed_run_is_the_same(void **state) {
    static const int n_steps[] = {3, 8, 13};
    char run[32];
    for (size_t i = 0; i < sizeof n_steps / sizeof *n_steps; i++) {
        (void)snprintf(run, sizeof run, "resumed%d", n_steps[i]);
        tiny_run_interrupted(state, run, n_steps[i], SETS(ENSEMBLE));
        assert_true(has_maps(state, run) == (n_steps[i] < AT * 5));
        // In host memory, where the other part was on the device.
        check_ok(tiny_run(state, run, true, SETS(ENSEMBLE, "data.residency=host"), NULL));
        tiny_run_assert_same(state, "alone", run);
    }
}

// As after a rollback: maps that were freed come back from an older checkpoint, and go again.
static void maps_come_back_from_a_checkpoint(void **state) {
    tiny_run_interrupted(state, "open", 8, SETS(ENSEMBLE));
    char open[4096], closed[4096], again[4096];
    (void)snprintf(open, sizeof open, "%s", last_of(state, "open"));
    (void)snprintf(closed, sizeof closed, "%s", last_of(state, "alone"));
    (void)snprintf(again, sizeof again, "%s", scratch_path(state, "again.safetensors"));
    struct config *config = tiny_run_config(state, SETS(ENSEMBLE));
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, "back"), .device = "cpu"};
    struct trainer *trainer = NULL;
    check_ok(trainer_create(&options, &trainer));
    const char *const paths[] = {closed, open, closed};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct ensemble *ensemble = &trainer->corrector.ensemble->ensemble;
        check_ok(checkpoint_load(trainer, paths[i]));
        assert_true(ensemble_is_open(ensemble) == (paths[i] == open));
        assert_true((ensemble->decided != NULL) == (paths[i] == open));
        assert_true((ensemble->q != NULL) == (paths[i] == open));
        check_ok(ensemble_collect(ensemble));
        check_ok(checkpoint_save(trainer, again, NULL));
        ensemble_drop_collected(ensemble);
        assert_true(same_bytes(paths[i], again));
    }
    trainer_destroy(trainer);
    config_destroy(config);
}

// ---- the gate -----------------------------------------------------------------------------------

static double changed_pixels(void *const *state, const char *run) {
    double sum = 0.0;
    for (int epoch = 1; epoch <= 12; epoch++)
        sum += tiny_run_metric(state, run, epoch, "correction/changed_pixels");
    return sum;
}

// What onset.json says of a class; 0 or 1.
static bool passed_gate(void *const *state, const char *run, int i_class) {
    cJSON *json = onsets_of(state, run);
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(json, "categories");
    const cJSON *gate =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(classes, i_class), "gate");
    const cJSON *corrects = cJSON_GetObjectItemCaseSensitive(gate, "corrects");
    assert_true(cJSON_IsBool(corrects));
    bool passes = cJSON_IsTrue(corrects);
    cJSON_Delete(json);
    return passes;
}

// The network has learned both classes when the labels would be corrected, after the eighth epoch:
// on the clean labels the areas deviate by 0.04 and the labels agree with the ensemble better than
// its two decisions with each other; on the noisy ones the areas deviate by 0.56, all of it
// one-sided.
#define GATED                                                                                      \
    UNGATED, "train.epochs=12", "train.seed=9", "correction.at=0.67", "correction.beta=0.5"

// The network is the one of a run without correction, too.
static void the_gate_keeps_clean_labels(void **state) {
    char best[4096];
    check_ok(tiny_run(state, "clean", false, SETS(GATED, "data.noisy_labels="), NULL));
    assert_false(passed_gate(state, "clean", 0) || passed_gate(state, "clean", 1));
    assert_true(changed_pixels(state, "clean") == 0.0);
    check_ok(tiny_run(state, "uncorrected", false,
                      SETS("correction.enabled=false", "train.average=true", "loss.form=plain",
                           "train.epochs=12", "train.seed=9", "data.noisy_labels="),
                      NULL));
    (void)snprintf(best, sizeof best, "%s",
                   scratch_path(state, "uncorrected/checkpoints/best.safetensors"));
    assert_true(same_bytes(scratch_path(state, "clean/checkpoints/best.safetensors"), best));
}

// Both classes are learned.
static void a_gate_of_learned_classes_corrects_clean_labels(void **state) {
    check_ok(tiny_run(state, "learned", false,
                      SETS(GATED, "data.noisy_labels=", "correction.gate=learned"), NULL));
    assert_true(passed_gate(state, "learned", 0) && passed_gate(state, "learned", 1));
    assert_true(changed_pixels(state, "learned") > 0.0);
}

static void the_gate_lets_noisy_labels_be_corrected(void **state) {
    check_ok(tiny_run(state, "noisy", false, SETS(GATED), NULL));
    assert_true(passed_gate(state, "noisy", 0) && passed_gate(state, "noisy", 1));
    assert_true(changed_pixels(state, "noisy") > 100.0);
    tiny_run_interrupted(state, "resumed_noisy", 43, SETS(GATED)); // in the ninth epoch
    check_ok(tiny_run(state, "resumed_noisy", true, SETS(GATED), NULL));
    tiny_run_assert_same(state, "noisy", "resumed_noisy");
}

// What a class's gate measures when every seventh number of the first image's maps is `value`.
static struct gate_record measure(struct trainer *trainer, uint16_t value) {
    struct correction_ensemble *self = trainer->corrector.ensemble;
    struct ensemble *ensemble = &self->ensemble;
    static struct schedule_decision decision;
    size_t n = (size_t)ensemble->logits.c * (size_t)ensemble->logits.h * (size_t)ensemble->logits.w;
    check_ok(ensemble_collect(ensemble));
    for (size_t i = 0; i < n; i += 7)
        ensemble->collected[i] = value;
    check_ok(ensemble_restore(ensemble, ensemble->collected));
    ensemble_drop_collected(ensemble);
    decision = (struct schedule_decision){.any = true, .correct = {1, 1, 1}};
    check_ok(ensemble_decide(ensemble, 1, false, ensemble->decided));
    check_ok(ensemble_gate_apply(&self->gate, 1, &decision));
    return self->gate.records[1];
}

static void what_is_not_finite_counts_as_zero(void **state) {
    static const uint16_t bad[] = {0x7E00, 0xFE00, 0x7C00, 0xFC00}; // NaN and infinity
    tiny_run_interrupted(state, "finite", 8, SETS(UNGATED));
    struct config *config = tiny_run_config(state, SETS(UNGATED));
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, "finite"), .device = "cpu"};
    struct trainer *trainer = NULL;
    check_ok(trainer_create(&options, &trainer));
    check_ok(checkpoint_load(trainer, last_of(state, "finite")));
    const struct gate_record zero = measure(trainer, 0), one = measure(trainer, 0x3C00);
    assert_true(zero.epoch == 1.0 && one.known != zero.known);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct gate_record record = measure(trainer, bad[i]);
        assert_memory_equal(&record, &zero, sizeof zero);
    }
    trainer_destroy(trainer);
    config_destroy(config);
}

// ---- errors -------------------------------------------------------------------------------------

static void a_damaged_map_is_named(void **state) {
    struct safetensors *file = NULL;
    char *bytes = NULL, path[4096];
    size_t n = 0;
    tiny_run_interrupted(state, "damaged", 3, SETS(ENSEMBLE)); // there is no older checkpoint
    (void)snprintf(path, sizeof path, "%s", last_of(state, "damaged"));
    check_ok(safetensors_open(path, &file));
    const struct safetensors_entry *entry = safetensors_find(file, "ensemble");
    assert_non_null(entry);
    char first[16];
    memcpy(first, entry->data, sizeof first);
    size_t map = entry->bytes;
    safetensors_close(file);
    check_ok(file_read(path, 0, &bytes, &n));
    assert_true(map > sizeof first);
    // The maps of the first epoch are zeros, as no other tensor of that size is.
    size_t at = 0;
    for (size_t run = 0; at < n && run < map; at++)
        run = bytes[at] == 0 ? run + 1 : 0;
    bytes[at - map / 2] ^= 4;
    check_ok(file_write(path, bytes, n));
    memory_free(bytes);
    assert_int_equal(tiny_run(state, "damaged", true, SETS(ENSEMBLE), NULL), ADELE_FORMAT);
    if (!strstr(adele_error_message(), "tensor \"ensemble\" is damaged"))
        fail_msg("%s", adele_error_message());
}

static void assert_refused(void *const *state, const char *says) {
    adele_status status = tiny_run(state, "method", true, SETS("loss.form=plain"), NULL);
    if (status != ADELE_CONFIG || !strstr(adele_error_message(), says))
        fail_msg("%d: %s", (int)status, adele_error_message());
}

// Also where the settings cannot be compared: the checkpoint itself says which method it is of.
static void another_method_is_refused(void **state) {
    tiny_run_interrupted(state, "method", 3, SETS(ENSEMBLE));
    assert_refused(state, "correction.method was ensemble, is now adele");
    char path[4096];
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, "method/config.resolved.yaml"));
    check_ok(file_remove_tree(path));
    assert_refused(state, "with correction.method: ensemble");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_corrected_once),
        cmocka_unit_test(a_short_run_is_corrected_after_its_first_epoch),
        cmocka_unit_test(the_ends_of_the_range),
        cmocka_unit_test(patience_may_end_a_run_before_the_correction),
        cmocka_unit_test(a_longer_run_is_not_corrected_again),
        cmocka_unit_test(a_longer_run_keeps_the_epoch_of_the_correction),
        cmocka_unit_test(onsets_of_classes),
        cmocka_unit_test(a_class_without_labels_keeps_no_maps),
        cmocka_unit_test(the_number_of_threads_does_not_matter),
        cmocka_unit_test(host_memory_does_not_matter),
        cmocka_unit_test(a_resumed_run_is_the_same),
        cmocka_unit_test(maps_come_back_from_a_checkpoint),
        cmocka_unit_test(the_gate_keeps_clean_labels),
        cmocka_unit_test(a_gate_of_learned_classes_corrects_clean_labels),
        cmocka_unit_test(the_gate_lets_noisy_labels_be_corrected),
        cmocka_unit_test(what_is_not_finite_counts_as_zero),
        cmocka_unit_test(a_damaged_map_is_named),
        cmocka_unit_test(another_method_is_refused),
    };
    return cmocka_run_group_tests(tests, alone_setup, scratch_teardown);
}
