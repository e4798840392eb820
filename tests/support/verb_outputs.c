// SPDX-License-Identifier: MIT
#include "support/verb_outputs.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "output/output_manifest.h"
#include "support/scratch.h"
#include "support/tiny_set.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

struct verb_paths verb_paths;

void verb_assert_done(struct program_result *result) {
    assert_code(result, 0);
    program_result_deinit(result);
}

void verb_assert_refused(struct program_result *result, const char *part, const char *other_part) {
    const char *line = strstr(result->err, "adele: error: ");
    const char *end = line ? strchr(line, '\n') : NULL;
    if (result->code != 1 || !end || strncmp(end, "\n  hint: ", 9) != 0 || !strstr(line, part) ||
        !strstr(line, other_part))
        fail_msg("exit code %d, wanted an error with '%s' and '%s'\n%s%s", result->code, part,
                 other_part, result->out, result->err);
    program_result_deinit(result);
}

uint64_t verb_sum_of(const char *path) {
    struct stat info;
    assert_int_equal(lstat(path, &info), 0);
    uint64_t sum = hash_xxh3(path, strlen(path));
    if (S_ISREG(info.st_mode)) {
        char *text = NULL;
        size_t bytes = 0;
        check_ok(file_read(path, 0, &text, &bytes));
        sum += 31 * hash_xxh3(text, bytes);
        memory_free(text);
    } else if (S_ISDIR(info.st_mode)) {
        struct file_list list;
        check_ok(file_list_directory(path, &list));
        for (int i = 0; i < list.n; i++) {
            char *name = file_join(path, list.names[i]);
            sum = 1000003 * sum + verb_sum_of(name);
            memory_free(name);
        }
        file_list_deinit(&list);
        char *manifest = file_join(path, OUTPUT_MANIFEST_NAME);
        sum += file_exists(manifest) ? verb_sum_of(manifest) : 0;
        memory_free(manifest);
    }
    return sum;
}

uint64_t verb_sum_of_inputs(void) {
    return verb_sum_of(verb_paths.set) + 3 * verb_sum_of(verb_paths.run) +
           7 * verb_sum_of(verb_paths.other) + 11 * verb_sum_of(verb_paths.pictures);
}

void verb_write_text(const char *path, const char *text) {
    check_ok(file_write(path, text, strlen(text)));
}

void verb_train_into(const char *folder) {
    struct program_result result;
    ADELE(&result, "train", verb_paths.yaml, "--run", folder, "--device=cpu", "--set",
          "train.epochs=3");
    verb_assert_done(&result);
}

int verb_outputs_setup(void **state) {
    if (ADELE_CLI[0] == '\0' || scratch_setup(state) != 0)
        return -1;
    struct tiny_set tiny = tiny_set_default(3);
    tiny.n_train = 6;
    tiny.n_val = 1;
    tiny.n_test = 2;
    tiny.noise_px = 2;
    (void)snprintf(verb_paths.set, sizeof verb_paths.set, "%s", scratch_path(state, "set"));
    (void)snprintf(verb_paths.run, sizeof verb_paths.run, "%s", scratch_path(state, "run"));
    (void)snprintf(verb_paths.other, sizeof verb_paths.other, "%s", scratch_path(state, "other"));
    (void)snprintf(verb_paths.pictures, sizeof verb_paths.pictures, "%s",
                   scratch_path(state, "pictures"));
    (void)snprintf(verb_paths.yaml, sizeof verb_paths.yaml, "%s", scratch_path(state, "tiny.yaml"));
    tiny_set_write(verb_paths.set, &tiny);
    char *text = tiny_set_config(verb_paths.set, scratch_path(state, "set/noisyTr"));
    verb_write_text(verb_paths.yaml, text);
    memory_free(text);
    check_ok(file_make_directory(verb_paths.pictures));
    check_ok(scratch_copy(scratch_path(state, "set/imagesTs/test_000_0000.png"),
                          scratch_path(state, "pictures/a.png")));
    check_ok(scratch_copy(scratch_path(state, "set/imagesTs/test_001_0000.png"),
                          scratch_path(state, "pictures/b.png")));
    verb_train_into(verb_paths.run);
    verb_train_into(verb_paths.other);
    return 0;
}

int verb_outputs_teardown(void **state) {
    (void)umount2(scratch_path(state, "mount"), MNT_DETACH); // of a test that failed in between
    return scratch_teardown(state);
}

void verb_run(enum verb verb, const char *folder, const char *option,
              struct program_result *result) {
    char *scores = file_join(folder, "scores.json"), *onnx = file_join(folder, "model.onnx");
    char *new_run = file_join(folder, "new");
    char *cases = file_join(folder, "scores.csv");
    char *config = file_join(folder, "config.yaml");
    switch (verb) {
    case PREDICT:
        ADELE(result, "predict", verb_paths.run, "-i", verb_paths.pictures, "-o", folder,
              "--device=cpu", option);
        break;
    case MASKS:
        ADELE(result, "evaluate", verb_paths.run, "--save-masks", folder, "--device=cpu", option);
        break;
    case SCORES:
        ADELE(result, "evaluate", verb_paths.run, "--json", scores, "--device=cpu", option);
        break;
    case CASES:
        ADELE(result, "evaluate", verb_paths.run, "--csv", cases, "--device=cpu", option);
        break;
    case LABELS:
        ADELE(result, "labels", verb_paths.run, "-o", folder, option);
        break;
    case EXPORT:
        ADELE(result, "export", verb_paths.run, "-o", onnx, option);
        break;
    case NOISE:
        ADELE(result, "noise", verb_paths.set, "-o", folder, "--kind", "flip", option);
        break;
    case REPORT:
        ADELE(result, "report", verb_paths.run, "-o", folder, option);
        break;
    case INIT:
        ADELE(result, "init", verb_paths.set, "-o", config, "--device=cpu", option);
        break;
    case AUDIT:
        ADELE(result, "audit", verb_paths.run, "-o", folder, "--mask-doubtful=255", "--device=cpu",
              option);
        break;
    case TABLE: // replaces its own files without the option
        ADELE(result, "table", verb_paths.yaml, "--seeds=0", "-o", folder, "--device=cpu");
        break;
    default: // has no such option: a run is never replaced
        ADELE(result, "train", verb_paths.yaml, "--run", new_run, "--device=cpu");
        break;
    }
    memory_free(scores);
    memory_free(onnx);
    memory_free(cases);
    memory_free(new_run);
    memory_free(config);
}
