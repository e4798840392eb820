// SPDX-License-Identifier: MIT
#include "output/output_guard.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/layout.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HINT "Choose a folder outside of it."

const char *const output_run_names[] = {"checkpoints",
                                        "labels",
                                        "log.txt",
                                        "config.resolved.yaml",
                                        "paths.json",
                                        "metrics.jsonl",
                                        "metrics.csv",
                                        "events.out.tfevents.0.adele",
                                        "onset.json",
                                        "noise.json",
                                        "examples.safetensors",
                                        NULL};

void output_guard_deinit(struct output_guard *guard) {
    for (int i = 0; i < guard->n; i++)
        memory_free(guard->folders[i].path);
    memory_free(guard->folders);
    memset(guard, 0, sizeof *guard);
}

// ---- guarded folders ----------------------------------------------------------------------------

static const struct guarded_folder *find(const struct output_guard *guard, struct path_id id) {
    for (int i = 0; i < guard->n; i++)
        if (path_id_equal(guard->folders[i].id, id))
            return &guard->folders[i];
    return NULL;
}

static adele_status add(struct output_guard *guard, const char *folder, const char *what,
                        bool is_run) {
    struct path_id id;
    if (folder == NULL || !path_identify(folder, &id) || find(guard, id) != NULL)
        return ADELE_OK;
    TRY(GROW(&guard->folders, guard->n));
    char *path = memory_strdup(folder);
    TRY(CHECK_MEMORY(path));
    guard->folders[guard->n++] = (struct guarded_folder){id, path, what, is_run};
    return ADELE_OK;
}

adele_status output_guard_add(struct output_guard *guard, const char *folder, const char *what) {
    return add(guard, folder, what, false);
}

adele_status output_guard_add_run(struct output_guard *guard, const char *folder) {
    return add(guard, folder, "the run", true);
}

static adele_status add_below(struct output_guard *guard, const char *root, const char *name) {
    OWNED char *path = file_join(root, name);
    TRY(CHECK_MEMORY(path));
    return file_is_directory(path) ? add(guard, path, "a folder of the data set", false) : ADELE_OK;
}

// A folder inside the data set may be a bind mount of another one, so every folder is listed.
adele_status output_guard_add_data(struct output_guard *guard, const char *root) {
    if (root == NULL || !file_is_directory(root))
        return ADELE_OK;
    TRY(add(guard, root, "the data set", false));
    CLEANUP(file_list_deinit) struct file_list list = {0};
    adele_status status = file_list_directory(root, &list);
    if (status != ADELE_OK)
        return status == ADELE_NO_MEMORY ? status
                                         : ADELE_OK; // cannot be read, so it is not used either
    for (int i = 0; i < list.n; i++)
        TRY(add_below(guard, root, list.names[i]));
    for (enum dataset_layout layout = LAYOUT_AUTO + 1; layout < LAYOUT_COUNT; layout++)
        for (const char *const *part = layout_ops(layout)->parts; *part != NULL; part++)
            TRY(add_below(guard, root, *part));
    return ADELE_OK;
}

// Adds the folder of a file and of the target of a symbolic link. `last` avoids checking the same
// folder for each of its files.
static adele_status add_folder_of(struct output_guard *guard, const char *path, char **last) {
    if (path == NULL)
        return ADELE_OK;
    struct stat info;
    char *folder = path_folder(path);
    TRY(CHECK_MEMORY(folder));
    bool is_new = *last == NULL || strcmp(*last, folder) != 0;
    memory_free(*last);
    *last = folder;
    if (is_new)
        TRY(add(guard, folder, "a folder of the data set", false));
    char *real = lstat(path, &info) == 0 && S_ISLNK(info.st_mode) ? realpath(path, NULL) : NULL;
    if (real == NULL)
        return ADELE_OK;
    OWNED char *target = path_folder(real);
    free(real); // allocated by realpath
    TRY(CHECK_MEMORY(target));
    return add(guard, target, "a folder of the data set", false);
}

adele_status output_guard_add_dataset(struct output_guard *guard, const struct dataset *dataset) {
    OWNED char *images = NULL, *labels = NULL, *noisy = NULL, *truth = NULL;
    TRY(output_guard_add_data(guard, dataset->root));
    TRY(output_guard_add(guard, dataset->config.noisy_labels, "the folder of noisy labels"));
    TRY(output_guard_add(guard, dataset->config.true_labels, "the folder of true labels"));
    for (int split = 0; split < SPLIT_COUNT; split++)
        for (int i = 0; i < dataset->n_cases[split]; i++) {
            const struct dataset_case *item = &dataset->cases[split][i];
            for (int k = 0; k < DATASET_MAX_FILES; k++)
                TRY(add_folder_of(guard, item->image_path[k], &images));
            TRY(add_folder_of(guard, item->label_path, &labels));
            TRY(add_folder_of(guard, item->noisy_path, &noisy));
            TRY(add_folder_of(guard, item->truth_path, &truth));
        }
    return ADELE_OK;
}

bool output_guard_is_run(const struct output_guard *guard, const char *folder) {
    struct path_id id;
    const struct guarded_folder *guarded = path_identify(folder, &id) ? find(guard, id) : NULL;
    return guarded != NULL && guarded->is_run;
}

// ---- checking a path ----------------------------------------------------------------------------

// A folder of images alone, with whatever is in it, does not make its parent a data set.
static bool holds_layout(const char *folder, const char *const *parts) {
    const char *images = parts[0];
    if (images == NULL || !file_exists_in(folder, images))
        return false;
    size_t n = strlen(images);
    for (int i = 1; parts[i] != NULL; i++) {
        bool is_of_images = strncmp(parts[i], images, n) == 0 && parts[i][n] == '/';
        if (!is_of_images && file_exists_in(folder, parts[i]))
            return true;
    }
    return false;
}

static bool is_data_set(const char *folder) {
    for (enum dataset_layout layout = LAYOUT_AUTO + 1; layout < LAYOUT_COUNT; layout++)
        if (holds_layout(folder, layout_ops(layout)->parts))
            return true;
    return false;
}

static bool is_run_folder(const char *folder) {
    return file_exists_in(folder, "config.resolved.yaml") && file_exists_in(folder, "checkpoints");
}

static bool is_run_name(const char *name, size_t n) {
    for (int i = 0; output_run_names[i] != NULL; i++)
        if (strlen(output_run_names[i]) == n && memcmp(output_run_names[i], name, n) == 0)
            return true;
    return false;
}

// `below`: the rest of the path after the folder, up to the file name.
static adele_status check_folder(const struct output_guard *guard, const char *path,
                                 const char *folder, const char *below) {
    struct path_id id;
    if (!path_identify(folder, &id))
        return ADELE_OK;
    const struct guarded_folder *guarded = find(guard, id);
    if (guarded != NULL && !guarded->is_run)
        return FAIL(ADELE_INVALID_ARGUMENT, HINT, "the output %s would fall into %s %s", path,
                    guarded->what, guarded->path);
    if (is_data_set(folder))
        return FAIL(ADELE_INVALID_ARGUMENT, HINT, "the output %s would fall into the data set %s",
                    path, folder);
    size_t n = strcspn(below, "/");
    if (guarded != NULL && is_run_name(below, n))
        return FAIL(ADELE_INVALID_ARGUMENT, "Choose a folder outside of the run.",
                    "the output %s would fall onto %.*s of the run %s", path, (int)n, below,
                    guarded->path);
    if (guarded == NULL && is_run_folder(folder))
        return FAIL(ADELE_INVALID_ARGUMENT, HINT, "the output %s would fall into another run, %s",
                    path, folder);
    return ADELE_OK;
}

// Checks `folder` and all its parents for a file `name` in it. `shown` is the path as the user gave
// it.
static adele_status check_chain(const struct output_guard *guard, const char *shown,
                                const char *folder, const char *name) {
    OWNED char *place = NULL;
    TRY(path_resolve(folder, &place));
    OWNED char *whole = file_join(place, name);
    TRY(CHECK_MEMORY(whole));
    for (size_t n = strlen(place);;) {
        OWNED char *part = memory_printf("%.*s", n > 0 ? (int)n : 1, whole);
        TRY(CHECK_MEMORY(part));
        TRY(check_folder(guard, shown, part, whole + (n > 1 ? n + 1 : 1)));
        if (n <= 1)
            return ADELE_OK;
        while (n > 0 && whole[n - 1] != '/')
            n--;
        n -= n > 0; // the slash
    }
}

adele_status output_guard_check(const struct output_guard *guard, const char *path) {
    OWNED char *folder = path_folder(path);
    TRY(CHECK_MEMORY(folder));
    return check_chain(guard, path, folder, file_base_name(path));
}

adele_status output_guard_check_folder(const struct output_guard *guard, const char *folder) {
    return check_chain(guard, folder, folder, "");
}
