// SPDX-License-Identifier: MIT
#include "support/init_cases.h"

#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include "support/scratch.h"
#include "support/tiny_dataset.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void init_done(struct program_result *result, const char *part) {
    if (result->code != 0 || strstr(result->out, part) == NULL)
        fail_msg("exit code %d, wanted 0 and '%s'\n%s%s", result->code, part, result->out,
                 result->err);
    program_result_deinit(result);
}

void init_refused(struct program_result *result, const char *part) {
    const char *line = strstr(result->err, "adele: error: ");
    const char *end = line != NULL ? strchr(line, '\n') : NULL;
    if (result->code != 1 || end == NULL || strncmp(end, "\n  hint: ", 9) != 0 ||
        strstr(line, part) == NULL || strstr(end, "adele: error: ") != NULL)
        fail_msg("exit code %d, wanted an error with '%s'\n%s%s", result->code, part, result->out,
                 result->err);
    program_result_deinit(result);
}

void init_sized_case(void *const *state, const char *images, const char *masks, const char *name,
                     int i, int value, int width, int height) {
    struct image picture, mask;
    char path[256];
    check_ok(image_init(&picture, width, height, 1, 8));
    check_ok(image_init(&mask, width, height, 1, 8));
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int dy = y - 4 - i % 12, dx = x - 4 - (i * 7) % 12;
            bool is_inside = dy >= 0 && dy < 12 && dx >= 0 && dx < 12;
            ((uint8_t *)picture.pixels)[y * width + x] =
                (uint8_t)((is_inside ? 180 : 40) + (x * 31 + y * 17 + i * 5) % 40);
            ((uint8_t *)mask.pixels)[y * width + x] = (uint8_t)(is_inside ? value : 0);
        }
    ((uint8_t *)picture.pixels)[0] = (uint8_t)i; // no two are the same
    (void)snprintf(path, sizeof path, "%s/%s.png", images, name);
    tiny_text(state, path, ""); // makes the folder
    check_ok(image_save_png(scratch_path(state, path), &picture));
    (void)snprintf(path, sizeof path, "%s/%s.png", masks, name);
    tiny_text(state, path, "");
    check_ok(image_save_png(scratch_path(state, path), &mask));
    image_deinit(&picture);
    image_deinit(&mask);
}

void init_case(void *const *state, const char *images, const char *masks, const char *name, int i,
               int value) {
    init_sized_case(state, images, masks, name, i, value, 32, 32);
}

int init_count_lines(void *const *state, const char *path) {
    char *text = NULL;
    size_t bytes = 0;
    int n = 0;
    check_ok(file_read(scratch_path(state, path), 0, &text, &bytes));
    for (size_t i = 0; i < bytes; i++)
        n += text[i] == '\n';
    memory_free(text);
    return n;
}

struct config *init_load(void *const *state, const char *path) {
    struct config *config = NULL;
    check_ok(config_load(scratch_path(state, path), 0, NULL, &config));
    assert_true(init_count_lines(state, path) < 30);
    return config;
}

void init_train(void *const *state, const char *yaml, const char *run) {
    struct program_result result;
    ADELE(&result, "check", "--config", scratch_path(state, yaml));
    init_done(&result, " 0 errors");
    ADELE(&result, "train", scratch_path(state, yaml), "--run", scratch_path(state, run), "--set",
          "train.epochs=1", "--device=cpu");
    init_done(&result, "done: 1 epoch in ");
}
