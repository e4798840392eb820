// SPDX-License-Identifier: MIT
// Checkpoints: what is read back, and what happens to files that are damaged, foreign, or too large
// for the disk.
#include "run_folder/checkpoint_model.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "predict/model.h"
#include "run/checkpoint.h"
#include "run/settings.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#define LAST "run/checkpoints/last.safetensors"

// Learned scale weights, so that every part of the state is in use.
static const char *const settings[] = {"train.epochs=4", "loss.learn_scale_weights=true", NULL};

static int run_setup(void **state) {
    if (tiny_run_setup(state) != 0)
        return -1;
    check_ok(tiny_run(state, "run", false, settings, NULL));
    return 0;
}

// A trainer that has not trained yet, with its configuration.
struct fresh {
    struct config *config;
    struct trainer *trainer;
};

static struct fresh fresh_trainer(void *const *state, const char *const *sets) {
    struct fresh fresh = {.config = tiny_run_config(state, sets)};
    struct trainer_options options = {.config = fresh.config,
                                      .run_folder = scratch_path(state, "fresh"),
                                      .resume = true,
                                      .device = "cpu"};
    check_ok(trainer_create(&options, &fresh.trainer));
    return fresh;
}

static void fresh_deinit(struct fresh *fresh) {
    trainer_destroy(fresh->trainer);
    config_destroy(fresh->config);
}

// The bytes of the run's last checkpoint; free with memory_free.
static char *read_last(void *const *state, size_t *bytes) {
    char *text = NULL;
    check_ok(file_read(scratch_path(state, LAST), 0, &text, bytes));
    return text;
}

static size_t header_bytes(const char *file) {
    size_t bytes = 0;
    for (int i = 7; i >= 0; i--)
        bytes = bytes << 8 | (unsigned char)file[i];
    return bytes;
}

// ---- settings ---------------------------------------------------------------------------------

// Earlier versions wrote "program" for what is "official" now.
static void a_setting_that_was_only_renamed_has_not_changed(void **state) {
    struct config *same = tiny_run_config(state, settings);
    struct config *other = tiny_run_config(state, SETS("loss.form=plain"));
    char *text = NULL;
    size_t bytes = 0;
    check_ok(file_read(scratch_path(state, "run/config.resolved.yaml"), 0, &text, &bytes));
    char *form = strstr(text, "form: official");
    assert_non_null(form);
    memcpy(form, "form: program ", strlen("form: program "));
    check_ok(file_make_directory(scratch_path(state, "older")));
    check_ok(file_write(scratch_path(state, "older/config.resolved.yaml"), text, bytes));
    check_ok(run_settings_compare(scratch_path(state, "older"), same));
    assert_int_equal(run_settings_compare(scratch_path(state, "older"), other), ADELE_CONFIG);
    assert_non_null(strstr(adele_error_message(), "loss.form was official, is now plain"));
    memory_free(text);
    config_destroy(same);
    config_destroy(other);
}

// ---- back and forth -----------------------------------------------------------------------------

static void what_is_loaded_is_what_was_saved(void **state) {
    struct fresh fresh = fresh_trainer(state, settings);
    struct trainer *trainer = fresh.trainer;
    check_ok(checkpoint_load(trainer, scratch_path(state, LAST)));
    assert_int_equal(trainer->progress.epoch, 4);
    assert_int_equal(trainer->progress.step, 20);
    assert_true(trainer->progress.best_epoch >= 1 && trainer->progress.best_miou >= 0.0);
    assert_true(trainer->corrector.schedule.is_on[1] || trainer->corrector.schedule.is_on[2]);
    for (int c = 0; c < 3; c++)
        for (int epoch = 0; epoch < 4; epoch++)
            assert_true(trainer->corrector.curves.iou[c][epoch] >= 0.0);
    check_ok(checkpoint_save(trainer, scratch_path(state, "again.safetensors"), NULL));
    assert_true(same_bytes(scratch_path(state, LAST), scratch_path(state, "again.safetensors")));
    fresh_deinit(&fresh);
}

static void every_tensor_has_its_hash_and_its_pytorch_name(void **state) {
    static const char *const names[] = {"model.inc.double_conv.0.weight",
                                        "model.inc.double_conv.1.running_var",
                                        "model.outc.conv.bias",
                                        "momentum.down4.maxpool_conv.1.double_conv.3.weight",
                                        "scale_weights",
                                        "labels",
                                        "curves",
                                        "onset_epoch",
                                        "is_on",
                                        "is_done",
                                        "corrected"};
    struct safetensors *file = NULL;
    struct checkpoint_model model;
    check_ok(safetensors_open(scratch_path(state, LAST), &file));
    assert_true(safetensors_is_hashed(file));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!safetensors_find(file, names[i]))
            fail_msg("no tensor %s", names[i]);
    const struct safetensors_entry *weight = safetensors_find(file, names[0]);
    const int64_t shape[4] = {4, 1, 3, 3};
    assert_memory_equal(weight->shape, shape, sizeof shape);
    check_ok(checkpoint_read_model(file, &model));
    assert_string_equal(model.name, "unet");
    assert_string_equal(model.categories, "background\ndisc\nbox");
    assert_int_equal(model.width, 4);
    assert_int_equal(model.n_channels, 1);
    assert_int_equal(model.n_categories, 3);
    assert_int_equal(model.height, 32);
    assert_int_equal(model.image_width, 28);
    assert_int_equal(model.epoch, 4);
    safetensors_close(file);
}

static void the_best_one_holds_the_model_alone(void **state) {
    struct safetensors *file = NULL;
    check_ok(safetensors_open(scratch_path(state, "run/checkpoints/best.safetensors"), &file));
    check_ok(checkpoint_check(file));
    assert_non_null(safetensors_find(file, "model.outc.conv.weight"));
    assert_null(safetensors_find(file, "labels"));
    safetensors_close(file);
    struct fresh fresh = fresh_trainer(state, settings);
    adele_status status =
        checkpoint_load(fresh.trainer, scratch_path(state, "run/checkpoints/best.safetensors"));
    assert_int_not_equal(status, ADELE_OK);
    assert_non_null(strstr(adele_error_message(), "best.safetensors"));
    fresh_deinit(&fresh);
}

// ---- damage -------------------------------------------------------------------------------------

static void write_bad(void *const *state, const char *bytes, size_t n) {
    check_ok(file_write(scratch_path(state, "bad.safetensors"), bytes, n));
}

static void a_truncated_file_is_refused(void **state) {
    size_t bytes = 0;
    char *file = read_last(state, &bytes);
    size_t header = header_bytes(file);
    const size_t lengths[] = {
        0,          1,          7,         8,        9, 8 + header / 2, 8 + header - 1,
        8 + header, 9 + header, bytes / 2, bytes - 1};
    struct fresh fresh = fresh_trainer(state, settings);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        write_bad(state, file, lengths[i]);
        adele_status status =
            checkpoint_load(fresh.trainer, scratch_path(state, "bad.safetensors"));
        if (status != ADELE_FORMAT || !strstr(adele_error_message(), "bad.safetensors"))
            fail_msg("%zu bytes: status %d, %s", lengths[i], status, adele_error_message());
    }
    memory_free(file);
    fresh_deinit(&fresh);
}

// One bit, anywhere: in the length, the header, or the numbers of any tensor.
static void a_flipped_bit_is_found(void **state) {
    size_t bytes = 0;
    char *file = read_last(state, &bytes);
    size_t header = header_bytes(file);
    struct fresh fresh = fresh_trainer(state, settings);
    struct random_stream stream;
    random_stream_init(&stream, 11, RANDOM_TEST, 0, 0);
    for (int i = 0; i < 90; i++) {
        size_t at = i < 8    ? (size_t)i
                    : i < 60 ? 8 + random_below(&stream, (uint32_t)header)
                             : 8 + header + random_below(&stream, (uint32_t)(bytes - 8 - header));
        int bit = (int)random_below(&stream, 8);
        file[at] = (char)(file[at] ^ 1 << bit);
        write_bad(state, file, bytes);
        adele_status status =
            checkpoint_load(fresh.trainer, scratch_path(state, "bad.safetensors"));
        const char *message = adele_error_message();
        bool names_tensor = i < 60 || strstr(message, "tensor \"");
        if (status != ADELE_FORMAT || !strstr(message, "bad.safetensors") || !names_tensor)
            fail_msg("bit %d of byte %zu: status %d, %s", bit, at, status, message);
        file[at] = (char)(file[at] ^ 1 << bit);
    }
    memory_free(file);
    fresh_deinit(&fresh);
}

// The same through the program's own doors: a resumed run and a loaded model.
static void a_damaged_checkpoint_stops_a_run_and_stays_as_it_is(void **state) {
    size_t bytes = 0;
    char *file = read_last(state, &bytes);
    struct model model;
    file[bytes - 100] = (char)(file[bytes - 100] ^ 4);
    check_ok(file_make_directory(scratch_path(state, "damaged/checkpoints")));
    check_ok(file_write(scratch_path(state, "damaged/checkpoints/last.safetensors"), file, bytes));
    write_bad(state, file, bytes);
    assert_int_equal(tiny_run(state, "damaged", true, settings, NULL), ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), "damaged/checkpoints/last.safetensors"));
    assert_true(same_bytes(scratch_path(state, "damaged/checkpoints/last.safetensors"),
                           scratch_path(state, "bad.safetensors")));
    assert_int_equal(model_load(scratch_path(state, "damaged"), NULL, "cpu", &model), ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), "damaged/checkpoints/last.safetensors"));
    memory_free(file);
}

static void a_file_of_another_program_is_refused(void **state) {
    struct safetensors_writer *writer = NULL;
    const float values[2] = {1.0f, 2.0f};
    const int64_t shape[1] = {2};
    check_ok(safetensors_writer_create(&writer));
    check_ok(safetensors_writer_add(writer, "weight", SAFETENSORS_F32, 1, shape, values));
    check_ok(safetensors_writer_save(writer, scratch_path(state, "bad.safetensors")));
    safetensors_writer_destroy(writer);
    struct fresh fresh = fresh_trainer(state, settings);
    assert_int_equal(checkpoint_load(fresh.trainer, scratch_path(state, "bad.safetensors")),
                     ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), "bad.safetensors"));
    assert_non_null(strstr(adele_error_message(), "adele.format"));
    assert_int_equal(checkpoint_load(fresh.trainer, scratch_path(state, "none.safetensors")),
                     ADELE_IO);
    assert_non_null(strstr(adele_error_message(), "none.safetensors"));
    fresh_deinit(&fresh);
}

// ---- a checkpoint of another run ----------------------------------------------------------------

static void assert_refused(void *const *state, const char *const *sets, adele_status want,
                           const char *part) {
    struct fresh fresh = fresh_trainer(state, sets);
    adele_status status = checkpoint_load(fresh.trainer, scratch_path(state, LAST));
    if (status != want || !strstr(adele_error_message(), LAST) ||
        !strstr(adele_error_message(), part))
        fail_msg("status %d, %s; wanted %d and '%s'", status, adele_error_message(), want, part);
    assert_true(adele_error_hint()[0] != '\0');
    fresh_deinit(&fresh);
}

static void other_labels_are_refused(void **state) {
    char set[4200];
    (void)snprintf(set, sizeof set, "data.noisy_labels=%s", scratch_path(state, "set/labelsTr"));
    assert_refused(state, SETS(set, "loss.learn_scale_weights=true"), ADELE_DATA, "XXH3");
}

static void another_width_is_refused(void **state) {
    assert_refused(state, SETS("model.width=5"), ADELE_FORMAT, "model.inc.double_conv.0.weight");
}

static void fewer_epochs_than_are_done_are_refused(void **state) {
    assert_refused(state, SETS("train.epochs=3"), ADELE_CONFIG, "train.epochs");
}

static void another_size_is_refused(void **state) {
    assert_refused(state, SETS("data.size=[36, 32]"), ADELE_DATA, "XXH3");
}

// ---- a full disk --------------------------------------------------------------------------------

// Temporary files begin with a dot, which file_list_directory leaves out.
static void assert_no_temporary(const char *folder) {
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    for (const struct dirent *entry = readdir(entries); entry; entry = readdir(entries))
        assert_null(strstr(entry->d_name, "tmp"));
    (void)closedir(entries);
}

// A limit on the size of files stands for a disk that is full in the middle of a checkpoint.
static void a_full_disk_leaves_the_checkpoint_before(void **state) {
    struct rlimit before, small;
    char copy[4096], last[4096], folder[4096];
    (void)snprintf(last, sizeof last, "%s",
                   scratch_path(state, "full/checkpoints/last.safetensors"));
    (void)snprintf(copy, sizeof copy, "%s", scratch_path(state, "copy.safetensors"));
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "full/checkpoints"));
    check_ok(tiny_run(state, "full", false, SETS("train.epochs=1"), NULL));
    check_ok(scratch_copy(last, copy));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 300000; // labels and metrics go in, weights with momenta do not
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    adele_status status =
        tiny_run(state, "full", true, SETS("train.epochs=2", "train.evaluate_every=2"), NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, old);
    assert_int_equal(status, ADELE_IO);
    assert_non_null(strstr(adele_error_message(), "last.safetensors"));
    assert_true(same_bytes(last, copy));
    assert_no_temporary(folder);
    check_ok(tiny_run(state, "full", true, SETS("train.epochs=2"), NULL));
    assert_int_equal(tiny_run_n_records(state, "full"), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_setting_that_was_only_renamed_has_not_changed),
        cmocka_unit_test(what_is_loaded_is_what_was_saved),
        cmocka_unit_test(every_tensor_has_its_hash_and_its_pytorch_name),
        cmocka_unit_test(the_best_one_holds_the_model_alone),
        cmocka_unit_test(a_truncated_file_is_refused),
        cmocka_unit_test(a_flipped_bit_is_found),
        cmocka_unit_test(a_damaged_checkpoint_stops_a_run_and_stays_as_it_is),
        cmocka_unit_test(a_file_of_another_program_is_refused),
        cmocka_unit_test(other_labels_are_refused),
        cmocka_unit_test(another_width_is_refused),
        cmocka_unit_test(fewer_epochs_than_are_done_are_refused),
        cmocka_unit_test(another_size_is_refused),
        cmocka_unit_test(a_full_disk_leaves_the_checkpoint_before),
    };
    return cmocka_run_group_tests(tests, run_setup, scratch_teardown);
}
