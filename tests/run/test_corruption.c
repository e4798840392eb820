// SPDX-License-Identifier: MIT
// Flipped bits and cut files: every one is found and named, and a run that goes on mends what can
// be mended and says so.
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "predict/model.h"
#include "run/checkpoint.h"
#include "run_folder/checkpoint_model.h"
#include "run_folder/generations.h"
#include "run_folder/label_export.h"
#include "run_folder/run_folder.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SEED          20220605
#define N_DATA_FLIPS  500
#define N_TRUNCATIONS 100
#if defined(__SANITIZE_ADDRESS__)
#define HEADER_STEP 61 // a sanitizer makes reading slow
#else
#define HEADER_STEP 1
#endif
#define CORRECTED 3 // the epoch of a generation

static const char *const settings[] = {"train.epochs=4", NULL};

static int n_generations;        // of the run "alone"
static long n_tried, n_detected; // of all flips and truncations

// ---- helpers ------------------------------------------------------------------------------------

static void copy_run(void *const *state, const char *from, const char *to) {
    static const char *const folders[] = {"", "/labels", "/checkpoints"};
    check_ok(file_remove_tree(scratch_path(state, to)));
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char source[4096], target[4096];
        (void)snprintf(source, sizeof source, "%s%s", scratch_path(state, from), folders[i]);
        (void)snprintf(target, sizeof target, "%s%s", scratch_path(state, to), folders[i]);
        struct file_list list;
        check_ok(file_make_directory(target));
        check_ok(file_list_directory(source, &list));
        for (int k = 0; k < list.n; k++) {
            char *a = file_join(source, list.names[k]), *b = file_join(target, list.names[k]);
            if (!file_is_directory(a))
                check_ok(scratch_copy(a, b));
            memory_free(a);
            memory_free(b);
        }
        file_list_deinit(&list);
    }
}

static int run_setup(void **state) {
    if (tiny_run_setup(state) != 0)
        return -1;
    check_ok(tiny_run(state, "alone", false, settings, NULL));
    struct generation_list list;
    check_ok(manifest_read(scratch_path(state, "alone"), &list));
    n_generations = list.n;
    generation_list_deinit(&list);
    assert_int_equal(n_generations, 2); // of epochs 3 and 4
    return 0;
}

static void flip(const char *path, size_t at, int bit) {
    unsigned char byte = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte = (unsigned char)(byte ^ 1u << bit);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    (void)close(fd);
}

static size_t size_of(const char *path) {
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return (size_t)info.st_size;
}

// Of a safetensors file: up to the first tensor.
static size_t header_size(const char *path) {
    unsigned char length[8];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, length, 8), 8);
    (void)close(fd);
    size_t bytes = 0;
    for (int i = 7; i >= 0; i--)
        bytes = bytes << 8 | length[i];
    return 8 + bytes;
}

// Whether the file at path is refused as damaged, by a message with its name.
typedef bool detector(const char *path);

static bool is_named(const char *path, adele_status status) {
    return status == ADELE_FORMAT && strstr(adele_error_message(), file_base_name(path)) != NULL;
}

static bool checkpoint_detects(const char *path) {
    struct safetensors *file = NULL;
    adele_status status = safetensors_open(path, &file);
    if (status == ADELE_OK && !safetensors_is_hashed(file)) {
        safetensors_close(file);
        return checkpoint_is_damaged(path); // its callers add the name
    }
    safetensors_close(file);
    return is_named(path, status);
}

static bool generation_detects(const char *path) {
    struct safetensors *file = NULL;
    struct generation found;
    adele_status status = generation_open(path, CORRECTED, NULL, &file, &found);
    safetensors_close(file);
    return is_named(path, status);
}

static void try_flip(const char *path, size_t at, int bit, detector *detects) {
    flip(path, at, bit);
    bool is_detected = detects(path);
    flip(path, at, bit);
    n_tried++;
    n_detected += is_detected;
    if (!is_detected)
        fail_msg("%s: bit %d of byte %zu went unseen: %s", path, bit, at, adele_error_message());
}

static void print_figures(const char *what) {
    print_message("%s: flips tried %ld, detected %ld\n", what, n_tried, n_detected);
    assert_true(n_tried > 0);
    n_tried = n_detected = 0;
}

// ---- single files -------------------------------------------------------------------------------

// Every byte of the header: its length, names, shapes, hashes, and the blanks that fill it up.
static void each_byte_of_a_checkpoints_header(void **state) {
    char path[4096];
    struct random_stream stream;
    random_stream_init(&stream, SEED, RANDOM_TEST, 0, 0);
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, "alone/" CHECKPOINT_LAST));
    size_t n = header_size(path);
    for (size_t at = 0; at < n; at += HEADER_STEP)
        try_flip(path, at, (int)random_below(&stream, 8), checkpoint_detects);
    print_figures("header of a checkpoint");
}

static void random_bits_of_a_checkpoints_tensors(void **state) {
    char path[4096];
    struct random_stream stream;
    random_stream_init(&stream, SEED, RANDOM_TEST, 1, 0);
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, "alone/" CHECKPOINT_LAST));
    size_t header = header_size(path), n = size_of(path) - header;
    for (int i = 0; i < N_DATA_FLIPS; i++) {
        size_t at = header + random_below(&stream, (uint32_t)n);
        try_flip(path, at, (int)random_below(&stream, 8), checkpoint_detects);
        assert_non_null(strstr(adele_error_message(), "tensor \""));
    }
    print_figures("tensors of a checkpoint");
}

static void random_truncations(void **state) {
    static const char *const names[] = {"alone/" CHECKPOINT_LAST,
                                        "alone/labels/epoch_0003.safetensors"};
    struct random_stream stream;
    random_stream_init(&stream, SEED, RANDOM_TEST, 2, 0);
    for (int i = 0; i < N_TRUNCATIONS; i++) {
        char *bytes = NULL, path[4096];
        size_t n = 0;
        check_ok(file_read(scratch_path(state, names[i % 2]), 0, &bytes, &n));
        (void)snprintf(path, sizeof path, "%s", scratch_path(state, "cut.safetensors"));
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        size_t kept = random_below(&stream, (uint32_t)n);
        assert_int_equal(fwrite(bytes, 1, kept, file), kept);
        assert_int_equal(fclose(file), 0);
        memory_free(bytes);
        n_tried++;
        if (!checkpoint_detects(path))
            fail_msg("%s cut to %zu bytes went unseen", names[i % 2], kept);
        n_detected++;
    }
    print_message("truncations tried %ld, detected %ld\n", n_tried, n_detected);
    n_tried = n_detected = 0;
}

// Every bit of the header, then random ones of the labels.
static void each_bit_of_a_generation(void **state) {
    char path[4096];
    struct random_stream stream;
    random_stream_init(&stream, SEED, RANDOM_TEST, 3, 0);
    (void)snprintf(path, sizeof path, "%s",
                   scratch_path(state, "alone/labels/epoch_0003.safetensors"));
    size_t header = header_size(path), n = size_of(path) - header;
    for (size_t at = 0; at < header; at++)
        for (int bit = 0; bit < 8; bit++)
            try_flip(path, at, bit, generation_detects);
    for (int i = 0; i < N_DATA_FLIPS; i++)
        try_flip(path, header + random_below(&stream, (uint32_t)n), (int)random_below(&stream, 8),
                 generation_detects);
    print_figures("generation of labels");
}

static bool file_agrees(const char *run, const struct generation *listed) {
    struct safetensors *file = NULL;
    struct generation found;
    char *path = generation_path(run, listed->epoch);
    adele_status status = generation_open(path, listed->epoch, listed, &file, &found);
    safetensors_close(file);
    memory_free(path);
    return status == ADELE_OK && generation_same(listed, &found);
}

// The manifest alone, or against the label files that it lists.
static bool manifest_detects(const char *path) {
    char run[4096];
    (void)snprintf(run, sizeof run, "%.*s", (int)(strlen(path) - strlen("/labels/manifest.json")),
                   path);
    struct generation_list list;
    adele_status status = manifest_read(run, &list);
    if (status != ADELE_OK)
        return is_named(path, status);
    bool is_same = list.n == n_generations;
    for (int i = 0; i < list.n; i++)
        is_same = is_same && file_agrees(run, &list.items[i]);
    generation_list_deinit(&list);
    return !is_same;
}

static void each_bit_of_the_manifest(void **state) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, "alone/labels/manifest.json"));
    assert_false(manifest_detects(path));
    size_t n = size_of(path);
    for (size_t at = 0; at < n; at++)
        for (int bit = 0; bit < 8; bit++)
            try_flip(path, at, bit, manifest_detects);
    print_figures("manifest");
}

// ---- the use of a generation --------------------------------------------------------------------

static void labels_of_a_damaged_generation_are_not_given_out(void **state) {
    char run[4096], out[4096], path[4200];
    copy_run(state, "alone", "used");
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "used"));
    (void)snprintf(out, sizeof out, "%s", scratch_path(state, "exported"));
    (void)snprintf(path, sizeof path, "%s/labels/epoch_0003.safetensors", run);
    check_ok(label_export_write(&(struct label_export){
        .run_folder = run, .folder = out, .epoch = CORRECTED, .is_overwriting = true}));
    flip(path, size_of(path) - 9, 0);
    assert_int_equal(
        label_export_write(&(struct label_export){
            .run_folder = run, .folder = out, .epoch = CORRECTED, .is_overwriting = true}),
        ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), "epoch_0003.safetensors"));
    assert_non_null(strstr(adele_error_message(), "tensor \"labels\""));
    flip(path, size_of(path) - 9, 0);
    (void)snprintf(path, sizeof path, "%s/labels/manifest.json", run);
    flip(path, size_of(path) / 2, 1);
    assert_int_equal(
        label_export_write(&(struct label_export){
            .run_folder = run, .folder = out, .epoch = CORRECTED, .is_overwriting = true}),
        ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), "manifest.json"));
    (void)snprintf(path, sizeof path, "%s/checkpoints/last.safetensors", run);
    flip(path, size_of(path) - 9, 0);
    assert_int_equal(label_export_write(&(struct label_export){
                         .run_folder = run, .folder = out, .epoch = -1, .is_overwriting = true}),
                     ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), "last.safetensors"));
}

// ---- going on -----------------------------------------------------------------------------------

static char warnings[8192]; // of the run that went on, a line each
static int n_warnings;

static void keep_warning(void *context, enum log_level level, const char *line) {
    (void)context;
    if (level != LOG_WARNING)
        return;
    size_t used = strlen(warnings);
    (void)snprintf(warnings + used, sizeof warnings - used, "%s\n", line);
    n_warnings++;
}

static adele_status go_on(void *const *state, const char *run) {
    warnings[0] = '\0';
    n_warnings = 0;
    log_set_sink(keep_warning, NULL);
    adele_status status = tiny_run(state, run, true, settings, NULL);
    log_set_sink(NULL, NULL);
    return status;
}

static void assert_warned(const char *part) {
    if (n_warnings != 1 || !strstr(warnings, part))
        fail_msg("%d warnings, wanted one with '%s': %s", n_warnings, part, warnings);
}

// One byte in the middle of RUN/NAME.
static void damage(void *const *state, const char *run, const char *name) {
    char path[4200];
    (void)snprintf(path, sizeof path, "%s/%s", scratch_path(state, run), name);
    flip(path, size_of(path) * 2 / 3, 2);
}

static void a_run_falls_back_to_the_checkpoint_before(void **state) {
    copy_run(state, "alone", "back");
    damage(state, "back", CHECKPOINT_LAST);
    check_ok(go_on(state, "back"));
    assert_warned("last.safetensors: tensor \"");
    assert_warned("resuming from " CHECKPOINT_PREVIOUS " instead, after epoch 3");
    tiny_run_assert_same(state, "alone", "back");
    assert_true(file_exists(scratch_path(state, "back/" CHECKPOINT_DAMAGED)));
    check_ok(go_on(state, "back"));
    assert_int_equal(n_warnings, 0); // the damaged one is out of the way
}

// Not by a bit: by the disk, that answers with an input/output error.
static void a_run_falls_back_where_the_disk_cannot_read(void **state) {
    copy_run(state, "alone", "disk");
    char path[4096];
    (void)snprintf(path, sizeof path, "%s",
                   scratch_path(state, "disk/checkpoints/last.safetensors"));
    assert_int_equal(remove(path), 0);
    assert_int_equal(symlink("/proc/self/mem", path), 0); // opens, and has nothing at its beginning
    check_ok(go_on(state, "disk"));
    assert_warned(
        "cannot read: Input/output error; resuming from checkpoints/previous.safetensors");
    tiny_run_assert_same(state, "alone", "disk");
}

static void a_last_checkpoint_that_is_gone_is_said(void **state) {
    copy_run(state, "alone", "gone");
    check_ok(file_remove_tree(scratch_path(state, "gone/" CHECKPOINT_LAST)));
    assert_int_equal(tiny_run(state, "gone", false, settings, NULL), ADELE_RUN_EXISTS);
    check_ok(go_on(state, "gone"));
    assert_warned("last.safetensors is missing");
    tiny_run_assert_same(state, "alone", "gone");
}

static void two_damaged_checkpoints_stop_it_and_stay(void **state) {
    copy_run(state, "alone", "both");
    damage(state, "both", CHECKPOINT_LAST);
    damage(state, "both", CHECKPOINT_PREVIOUS);
    copy_run(state, "both", "both_before");
    assert_int_equal(go_on(state, "both"), ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), "last.safetensors: tensor \""));
    assert_non_null(strstr(adele_error_message(), "previous.safetensors: tensor \""));
    tiny_run_assert_same(state, "both_before", "both");
}

static void a_file_is_mended(void *const *state, const char *name, const char *warning) {
    copy_run(state, "alone", "mended");
    damage(state, "mended", name);
    check_ok(go_on(state, "mended"));
    assert_warned(warning);
    tiny_run_assert_same(state, "alone", "mended");
}

static void metrics_manifest_and_newest_labels_are_mended(void **state) {
    a_file_is_mended(state, "metrics.jsonl", "metrics.jsonl is damaged at byte");
    a_file_is_mended(state, "labels/manifest.json", "manifest.json");
    a_file_is_mended(state, "labels/epoch_0004.safetensors", "epoch_0004.safetensors: tensor");
}

// The checkpoint holds the newest ones only.
static void older_labels_are_named_and_stay(void **state) {
    copy_run(state, "alone", "older");
    damage(state, "older", "labels/epoch_0003.safetensors");
    copy_run(state, "older", "older_before");
    check_ok(go_on(state, "older"));
    assert_warned("epoch_0003.safetensors: tensor \"labels\"");
    assert_warned("goes on without the labels of that epoch");
    tiny_run_assert_same(state, "older_before", "older");
}

// The whole program: the line is on the terminal and in log.txt.
static void the_program_says_so(void **state) {
    char config[4096], run[4096], *text;
    if (ADELE_CLI[0] == '\0')
        skip();
    copy_run(state, "alone", "program");
    damage(state, "program", CHECKPOINT_LAST);
    text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "tiny.yaml"));
    (void)snprintf(run, sizeof run, "%s", scratch_path(state, "program"));
    check_ok(file_write(config, text, strlen(text)));
    memory_free(text);
    const char *const argv[] = {ADELE_CLI,  "train", config,  "--run",     run, "--resume",
                                "--device", "cpu",   "--set", settings[0], NULL};
    struct program_result result;
    program_run(argv, &result);
    assert_int_equal(result.code, 0);
    const char *wanted = "resuming from " CHECKPOINT_PREVIOUS " instead";
    assert_non_null(strstr(result.err, wanted));
    program_result_deinit(&result);
    size_t bytes = 0;
    check_ok(file_read(scratch_path(state, "program/log.txt"), 0, &text, &bytes));
    assert_non_null(strstr(text, wanted));
    memory_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_of_a_checkpoints_header),
        cmocka_unit_test(random_bits_of_a_checkpoints_tensors),
        cmocka_unit_test(random_truncations),
        cmocka_unit_test(each_bit_of_a_generation),
        cmocka_unit_test(each_bit_of_the_manifest),
        cmocka_unit_test(labels_of_a_damaged_generation_are_not_given_out),
        cmocka_unit_test(a_run_falls_back_to_the_checkpoint_before),
        cmocka_unit_test(a_run_falls_back_where_the_disk_cannot_read),
        cmocka_unit_test(a_last_checkpoint_that_is_gone_is_said),
        cmocka_unit_test(two_damaged_checkpoints_stop_it_and_stay),
        cmocka_unit_test(metrics_manifest_and_newest_labels_are_mended),
        cmocka_unit_test(older_labels_are_named_and_stay),
        cmocka_unit_test(the_program_says_so),
    };
    return cmocka_run_group_tests(tests, run_setup, scratch_teardown);
}
