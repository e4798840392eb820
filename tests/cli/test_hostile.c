// SPDX-License-Identifier: MIT
// Data sets that mean harm: names that lead elsewhere, files that are none, sizes that are lies.
// The program says so in one line and exits with 1, or does its work; it never hangs, never takes
// more memory than it may, and writes nothing outside of its output folder.
#include "base/file.h"
#include "base/memory.h"
#include "image/byte_order.h"
#include "image/image.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"
#include "support/tiny_run.h"
#include "support/tiny_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

// A line's end, an escape that clears terminals, a byte that is no UTF-8, a quote and a comma.
#define ODD_NAME "a\nb\x1b[2J\xff\",c"

// `adele ARGUMENTS` with a gigabyte and a half of address space, of which the program and its
// libraries take a third; what hangs is ended after five minutes, which no machine needs.
#define HOSTILE(result, ...)                                                                       \
    run_limited((const char *const[]){"/bin/sh", "-c", LIMIT "exec \"$0\" \"$@\"", ADELE_CLI,      \
                                      __VA_ARGS__, NULL},                                          \
                (result))
#ifdef __SANITIZE_ADDRESS__ // whose shadow is larger than any limit
#define LIMIT ""
#else
#define LIMIT "ulimit -v 1572864; "
#endif

static void run_limited(const char *const *argv, struct program_result *out) {
    alarm(300);
    program_run(argv, out);
    alarm(0);
}

// Exit code 1, one error line with the part, a hint at most, and nothing that a terminal obeys.
static void assert_refused(struct program_result *result, const char *part) {
    const char *line = strstr(result->err, "adele: error: ");
    if (result->code != 1 || line != result->err || strstr(line + 1, "adele: error: ") != NULL ||
        strstr(line, part) == NULL)
        fail_msg("exit code %d, wanted one error line with '%s'\n%s%s", result->code, part,
                 result->out, result->err);
    for (const char *c = result->err; *c != '\0'; c++)
        assert_true((unsigned char)*c >= ' ' || *c == '\n');
    const char *end = strchr(line, '\n');
    assert_non_null(end);
    assert_true(end[1] == '\0' || strncmp(end + 1, "  hint: ", 8) == 0);
    program_result_deinit(result);
}

static void assert_done(struct program_result *result) {
    if (result->code != 0)
        fail_msg("exit code %d\n%s%s", result->code, result->out, result->err);
    program_result_deinit(result);
}

// How many entries the scratch folder has: what a verb writes outside of its output shows there.
static int count_entries(void *const *state, const char *folder) {
    struct file_list list;
    assert_int_equal(file_list_directory(scratch_path(state, folder), &list), ADELE_OK);
    int n = list.n;
    file_list_deinit(&list);
    return n;
}

static char *join(void *const *state, const char *folder, const char *name) {
    char *path = memory_printf("%s/%s", scratch_path(state, folder), name);
    assert_non_null(path);
    return path;
}

// ---- names --------------------------------------------------------------------------------------

static const char *const bad_names[] = {"../p1",   "..",   "/etc/passwd", "a/../../b",
                                        ".hidden", "a\\b", "a\x1b[2Jb",   "imagesTr/../p1"};
#define N_BAD (sizeof bad_names / sizeof bad_names[0])

static void names_of_lists_stay_in_the_folder(void **state) {
    struct program_result result;
    tiny_nnunet(state, "set");
    char *set = memory_strdup(scratch_path(state, "set"));
    char *list = memory_strdup(scratch_path(state, "list.txt"));
    char *out = memory_strdup(scratch_path(state, "out"));
    for (size_t i = 0; i < N_BAD; i++) {
        tiny_text(state, "list.txt", bad_names[i]);
        HOSTILE(&result, "noise", set, "-o", out, "--kind", "flip", "--train", list);
        assert_refused(&result, "is not the name of a case");
    }
    char *text = memory_printf("[{\"train\": [\"../../p1\"], \"val\": [\"%0300d\"]}]", 0);
    tiny_text(state, "set/splits_final.json", text);
    HOSTILE(&result, "noise", set, "-o", out, "--kind", "flip");
    assert_refused(&result, "\"../../p1\" is not the name of a case");
    assert_int_equal(count_entries(state, ""), 2); // the set and the list
    memory_free(text);
    memory_free(set);
    memory_free(list);
    memory_free(out);
}

// A case under another name, its image and its label map.
static void rename_case(void *const *state, const char *set, const char *labels, const char *from,
                        const char *to) {
    const char *const folders[] = {"imagesTr", "labelsTr", labels};
    for (int i = 0; i < 3 && folders[i] != NULL; i++) {
        char *old = memory_printf("%s/%s%s.png", folders[i], from, i == 0 ? "_0000" : "");
        char *new = memory_printf("%s/%s%s.png", folders[i], to, i == 0 ? "_0000" : "");
        char *old_path = join(state, set, old), *new_path = join(state, set, new);
        assert_int_equal(rename(old_path, new_path), 0);
        memory_free(old);
        memory_free(new);
        memory_free(old_path);
        memory_free(new_path);
    }
}

// Names that a folder may hold are handled, and come out as they went in.
static void odd_names_of_files_are_kept(void **state) {
    struct program_result result;
    char longest[256]; // with "_0000.png" the 255 bytes that a file system has
    (void)snprintf(longest, sizeof longest, "%0246d", 0);
    tiny_nnunet(state, "set");
    rename_case(state, "set", NULL, "p1", ODD_NAME);
    rename_case(state, "set", NULL, "p2", longest);
    char *set = memory_strdup(scratch_path(state, "set"));
    char *out = memory_strdup(scratch_path(state, "out"));
    HOSTILE(&result, "noise", set, "-o", out, "--kind", "flip", "--train", "imagesTr");
    assert_done(&result);
    char *odd = join(state, "out", "labelsTr/" ODD_NAME ".png");
    char *name = memory_printf("labelsTr/%s.png", longest), *long_path = join(state, "out", name);
    assert_true(file_exists(odd) && file_exists(long_path));
    assert_int_equal(count_entries(state, ""), 2);
    // A problem with such a file is still one line.
    char *image = join(state, "set", "imagesTr/" ODD_NAME "_0000.png");
    assert_int_equal(file_write(image, "broken", 6), ADELE_OK);
    HOSTILE(&result, "noise", set, "-o", out, "--kind", "flip", "--train", "imagesTr",
            "--overwrite");
    assert_done(&result); // reads no images
    assert_int_equal(unlink(image), 0);
    assert_int_equal(symlink("/etc/passwd", image), 0);
    HOSTILE(&result, "noise", set, "-o", out, "--kind", "flip", "--train", "imagesTr");
    assert_refused(&result, "a?b?[2J\xff\",c_0000.png: a symbolic link leads out of");
    memory_free(set);
    memory_free(out);
    memory_free(odd);
    memory_free(name);
    memory_free(long_path);
    memory_free(image);
}

// ---- files that are none ------------------------------------------------------------------------

enum trap { TRAP_PIPE, TRAP_FOLDER, TRAP_OUTSIDE, TRAP_DEVICE, TRAP_LOOP, N_TRAPS };

static void set_trap(const char *path, enum trap trap) {
    (void)unlink(path);
    int failed = trap == TRAP_PIPE      ? mkfifo(path, 0600)
                 : trap == TRAP_FOLDER  ? mkdir(path, 0700)
                 : trap == TRAP_OUTSIDE ? symlink("/etc/passwd", path)
                 : trap == TRAP_DEVICE  ? symlink("/dev/zero", path)
                                        : symlink(path, path);
    assert_int_equal(failed, 0);
}

static void pipes_folders_and_links_are_refused(void **state) {
    static const char *const files[] = {"dataset.json", "splits_final.json", "imagesTr/p1_0000.png",
                                        "labelsTr/p1.png", "list.txt"};
    static const char *const parts[N_TRAPS] = {"a pipe or device in the place of a file",
                                               "a folder in the place of a file", "leads out of",
                                               "leads out of", ""};
    struct program_result result;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        for (int trap = 0; trap < N_TRAPS; trap++) {
            bool is_list = i == 4;
            if (is_list && (trap == TRAP_OUTSIDE || trap == TRAP_DEVICE))
                continue; // the user's own list may lie anywhere
            if (trap == TRAP_LOOP && i == 1)
                continue; // is like no file: legal
            tiny_nnunet(state, "set");
            char *set = memory_strdup(scratch_path(state, "set"));
            char *list = memory_strdup(scratch_path(state, "set/list.txt"));
            char *path = join(state, "set", files[i]);
            set_trap(path, (enum trap)trap);
            if (is_list)
                HOSTILE(&result, "noise", set, "-o", "out", "--kind", "flip", "--train", list);
            else
                HOSTILE(&result, "noise", set, "-o", "out", "--kind", "flip");
            assert_refused(&result, parts[trap]);
            if (!is_list) {
                HOSTILE(&result, "init", set, "-o", "c.yaml", "--device=cpu");
                assert_refused(&result, parts[trap]);
            }
            memory_free(list);
            memory_free(path);
            assert_int_equal(file_remove_tree(set), ADELE_OK);
            memory_free(set);
        }
    }
}

// ---- sizes --------------------------------------------------------------------------------------

static void add_chunk(FILE *file, const char *name, const void *content, size_t n) {
    unsigned char number[4];
    uLong sum = crc32(crc32(0, (const Bytef *)name, 4), content, (uInt)n);
    bytes_put(number, 4, true, n);
    assert_int_equal(fwrite(number, 1, 4, file), 4);
    assert_int_equal(fwrite(name, 1, 4, file), 4);
    assert_int_equal(fwrite(content, 1, n, file), n);
    bytes_put(number, 4, true, n == 0 ? crc32(0, (const Bytef *)name, 4) : sum);
    assert_int_equal(fwrite(number, 1, 4, file), 4);
}

// `n` zeros through deflate, for gzip or zlib.
static size_t pack_zeros(size_t n, int window_bits, const void *start, size_t n_start,
                         unsigned char *out, size_t room) {
    static unsigned char zeros[1 << 16];
    z_stream stream = {.next_out = out, .avail_out = (uInt)room};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY),
                     Z_OK);
    stream.next_in = (Bytef *)start;
    stream.avail_in = (uInt)n_start;
    assert_int_equal(deflate(&stream, Z_NO_FLUSH), Z_OK);
    for (size_t done = 0; done < n; done += sizeof zeros) {
        stream.next_in = zeros;
        stream.avail_in = (uInt)(n - done < sizeof zeros ? n - done : sizeof zeros);
        assert_int_equal(deflate(&stream, Z_NO_FLUSH), Z_OK);
    }
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t n_packed = stream.total_out;
    deflateEnd(&stream);
    return n_packed;
}

// A whole and right file: one bit a pixel, all black.
static void write_black(const char *path, uint32_t extent) {
    size_t n = (size_t)extent * ((extent + 7) / 8 + 1), room = n / 500 + 4096;
    unsigned char header[13] = {0}, *packed = malloc(room);
    assert_non_null(packed);
    bytes_put(header, 4, true, extent);
    bytes_put(header + 4, 4, true, extent);
    header[8] = 1;
    size_t n_packed = pack_zeros(n, 15, "", 0, packed, room);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite("\x89PNG\r\n\x1a\n", 1, 8, file), 8);
    add_chunk(file, "IHDR", header, 13);
    add_chunk(file, "IDAT", packed, n_packed);
    add_chunk(file, "IEND", "", 0);
    assert_int_equal(fclose(file), 0);
    free(packed);
}

// `adele check` with a configuration of that limit; what it says is in the report on stdout.
static void check_with_limit(void *const *state, int limit_mb, int code, const char *part) {
    struct program_result result;
    char *set = memory_strdup(scratch_path(state, "set"));
    char *text = memory_printf("data: {root: %s, memory_limit_mb: %d}\n", set, limit_mb);
    tiny_text(state, "limit.yaml", text);
    char *config = memory_strdup(scratch_path(state, "limit.yaml"));
    HOSTILE(&result, "check", "--config", config);
    if (result.code != code || strstr(result.out, part) == NULL)
        fail_msg("exit code %d, wanted %d and '%s':\n%s%s", result.code, code, part, result.out,
                 result.err);
    program_result_deinit(&result);
    memory_free(set);
    memory_free(text);
    memory_free(config);
}

static void pictures_of_every_size(void **state) {
    tiny_nnunet(state, "set");
    tiny_picture(state, "set/imagesTr/p1_0000.png", 1, 1, 1, 8, 1);
    tiny_label(state, "set/labelsTr/p1.png", 1, 1, 3, false, 1);
    check_with_limit(state, 64, 0, " 0 errors");
    char *image = join(state, "set", "imagesTr/p1_0000.png");
    char *label = join(state, "set", "labelsTr/p1.png");
    // 9 million pixels of 5 bytes each: within 64 MiB.
    write_black(image, 3000);
    write_black(label, 3000);
    check_with_limit(state, 64, 0, " 0 errors");
    check_with_limit(
        state, 40, 1,
        "3000 x 3000 pixels (height x width) take 45000000 bytes, the limit is 41943040");
    write_black(image, 30000); // a file of some 110 kB
    check_with_limit(state, 64, 1, "30000 x 30000 pixels (height x width) take 4500000000 bytes");
    check_with_limit(state, 4096, 1, "30000 x 30000 pixels (height x width) take 4500000000 bytes");
    memory_free(image);
    memory_free(label);
}

// A NIfTI-2 header of 8-bit voxels and `n` zeros behind it, compressed.
static void write_volume(const char *path, const int64_t extents[3], size_t n) {
    unsigned char header[544] = {0};
    size_t room = n / 500 + 4096;
    unsigned char *packed = malloc(room);
    assert_non_null(packed);
    bytes_put(header, 4, false, 540);
    memcpy(header + 4, "n+2\0\r\n\032\n", 8);
    bytes_put(header + 12, 2, false, 2);
    bytes_put(header + 14, 2, false, 8);
    for (int i = 0; i < 8; i++) {
        bytes_put(header + 16 + 8 * i, 8, false, i == 0 ? 3 : i < 4 ? (uint64_t)extents[i - 1] : 1);
        bytes_put_f64(header + 104 + 8 * i, false, 1.0);
    }
    bytes_put(header + 168, 8, false, 544);
    size_t n_packed = pack_zeros(n, 31, header, sizeof header, packed, room);
    assert_int_equal(file_write(path, packed, n_packed), ADELE_OK);
    free(packed);
}

static void volumes_of_every_size(void **state) {
    tiny_volumes(state, "set");
    char *image = join(state, "set", "imagesTr/v1_0000.nii.gz");
    char *label = join(state, "set", "labelsTr/v1.nii.gz");
    write_volume(image, (const int64_t[]){1, 1, 32768}, 32768);
    write_volume(label, (const int64_t[]){1, 1, 32768}, 32768);
    check_with_limit(state, 64, 1, "4 files looked at, 1 error,"); // that no slice has foreground
    write_volume(image, (const int64_t[]){1, 1, 65535}, 65535);
    check_with_limit(state, 64, 1, "dimension 3 has 65535 voxels, the largest accepted extent");
    write_volume(image, (const int64_t[]){512, 512, 100}, 512 * 512 * 100); // 26 MB in 26 kB
    check_with_limit(state, 64, 1, "take 104857600 bytes, the limit is 67108864");
    write_volume(image, (const int64_t[]){30000, 30000, 30000}, 100);
    check_with_limit(state, 1 << 30, 1, "bytes cannot hold 30000 x 30000 x 30000 voxels");
    write_volume(image, (const int64_t[]){1, 1, 1}, (size_t)64 << 20); // all behind the last voxel
    check_with_limit(state, 64, 1, "more than 1048576 bytes follow the last voxel");
    memory_free(image);
    memory_free(label);
}

static void json_of_every_size(void **state) {
    static const char start[] = "{\"channel_names\": {\"0\": \"x\"}, \"file_ending\": \".png\", ";
    struct program_result result;
    tiny_nnunet(state, "set");
    char *set = memory_strdup(scratch_path(state, "set"));
    char *text = memory_printf(
        "%s\"numTraining\": 1e300, \"labels\": {\"a\": 0, \"b\": 1, \"c\": 2}}", start);
    tiny_text(state, "set/dataset.json", text);
    check_with_limit(state, 64, 0, " 0 errors"); // a count that nobody needs
    memory_free(text);
    text = memory_printf("%s\"labels\": {\"a\": 0, \"b\": 4294967297}}", start);
    tiny_text(state, "set/dataset.json", text);
    HOSTILE(&result, "check", set);
    assert_refused(&result, "\"b\" has no value from 0 to 65535");
    char *path = join(state, "set", "dataset.json");
    assert_int_equal(truncate(path, (off_t)100 << 20), 0);
    HOSTILE(&result, "check", set);
    assert_refused(&result, "dataset.json: larger than the 67108864 bytes allowed for it");
    memory_free(path);
    memory_free(text);
    memory_free(set);
}

// ---- a trained network on them ------------------------------------------------------------------

static void labels_and_predictions_stay_in_their_folders(void **state) {
    struct program_result result;
    rename_case(state, "set", "noisyTr", "train_000", ODD_NAME);
    assert_int_equal(unlink(scratch_path(state, "set/splits_final.json")), 0);
    static const char *const sets[] = {"data.split.train=imagesTr",
                                       "data.split.val=none",
                                       "train.best_by=last",
                                       "train.epochs=2",
                                       "train.batch=3",
                                       NULL};
    struct trainer_result trained;
    if (tiny_run(state, "run", false, sets, &trained) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    char *run = memory_strdup(scratch_path(state, "run"));
    char *out = memory_strdup(scratch_path(state, "out"));
    char *corrected = memory_strdup(scratch_path(state, "corrected"));
    char *images = memory_strdup(scratch_path(state, "images"));
    int n_before = count_entries(state, "");
    HOSTILE(&result, "labels", run, "-o", corrected);
    assert_done(&result);
    char *odd = join(state, "corrected", "labelsTr/" ODD_NAME ".png");
    assert_true(file_exists(odd));
    assert_int_equal(count_entries(state, ""), n_before + 1);
    // Predictions: an odd name, the longest one, one pixel.
    char name[300];
    tiny_picture(state, "images/" ODD_NAME ".png", 32, 28, 1, 8, 1);
    (void)snprintf(name, sizeof name, "images/%0251d.png", 0);
    tiny_picture(state, name, 32, 28, 1, 8, 2);
    tiny_picture(state, "images/pixel.png", 1, 1, 1, 8, 3);
    HOSTILE(&result, "predict", run, "-i", images, "-o", out, "--device=cpu");
    assert_done(&result);
    assert_int_equal(count_entries(state, "out"), 3);
    assert_int_equal(count_entries(state, ""), n_before + 3); // images, out, corrected
    assert_int_equal(symlink("/etc/passwd", scratch_path(state, "images/z.png")), 0);
    HOSTILE(&result, "predict", run, "-i", images, "-o", out, "--device=cpu");
    assert_refused(&result, "leads out of");
    memory_free(run);
    memory_free(out);
    memory_free(corrected);
    memory_free(images);
    memory_free(odd);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        CASE(names_of_lists_stay_in_the_folder),
        CASE(odd_names_of_files_are_kept),
        CASE(pipes_folders_and_links_are_refused),
        CASE(pictures_of_every_size),
        CASE(volumes_of_every_size),
        CASE(json_of_every_size),
        cmocka_unit_test_setup_teardown(labels_and_predictions_stay_in_their_folders,
                                        tiny_run_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
