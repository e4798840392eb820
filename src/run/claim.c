// SPDX-License-Identifier: MIT
#include "run/claim.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/output_manifest.h"
#include "infer/run_folder.h"

#include <string.h>
#include <unistd.h>

static adele_status check_place(const struct config *config, const char *run_folder) {
    struct output_guard guard = {0};
    adele_status status = run_folder_guard_data(config, &guard);
    if (status == ADELE_OK) // files of an earlier attempt may look like a run
        status = output_guard_add_run(&guard, run_folder);
    if (status == ADELE_OK)
        status = output_guard_check_folder(&guard, run_folder);
    output_guard_deinit(&guard);
    return status;
}

// Files of an earlier attempt are in the manifest; others are not of a run.
static adele_status check_names(const char *run_folder, const struct output_manifest *manifest) {
    for (int i = 0; output_run_names[i]; i++) {
        char *path = file_join(run_folder, output_run_names[i]);
        TRY(CHECK_MEMORY(path));
        adele_status status = ADELE_OK;
        if (file_exists(path) && !output_manifest_find(manifest, output_run_names[i]))
            status = FAIL(
                ADELE_INVALID_ARGUMENT, "Choose another folder with --run, or move it away.",
                "%s is there already, and no run that was begun in %s left it", path, run_folder);
        memory_free(path);
        TRY(status);
    }
    return ADELE_OK;
}

static adele_status list_names(const char *run_folder, struct output_manifest *manifest) {
    TRY(file_make_directory(run_folder));
    bool is_listed = true;
    for (int i = 0; output_run_names[i]; i++) {
        is_listed = is_listed && output_manifest_find(manifest, output_run_names[i]);
        TRY(output_manifest_set(manifest, output_run_names[i], -1, NULL));
    }
    return is_listed ? ADELE_OK : output_manifest_write(run_folder, manifest);
}

// *out_has_run: its checkpoint is there, and the run is to be resumed.
static adele_status check_folder(const struct config *config, const char *run_folder,
                                 bool is_resuming, bool *out_has_run,
                                 struct output_manifest *manifest) {
    TRY(run_folder_has_checkpoint(run_folder, out_has_run));
    if (*out_has_run && !is_resuming)
        return FAIL(ADELE_INVALID_ARGUMENT,
                    "Continue it with --resume, or choose another folder with --run.",
                    "%s holds a run already", run_folder);
    if (*out_has_run)
        return ADELE_OK;
    TRY(check_place(config, run_folder));
    TRY(output_manifest_read(run_folder, manifest));
    return check_names(run_folder, manifest);
}

adele_status run_folder_claim(const struct config *config, const char *run_folder,
                              bool is_resuming) {
    bool has_run = false;
    struct output_manifest manifest = {0};
    adele_status status = check_folder(config, run_folder, is_resuming, &has_run, &manifest);
    if (status == ADELE_OK && !has_run)
        status = list_names(run_folder, &manifest);
    output_manifest_deinit(&manifest);
    return status;
}

adele_status run_folder_check_new(const struct config *config, const char *run_folder) {
    bool has_run = false;
    struct output_manifest manifest = {0};
    adele_status status = check_folder(config, run_folder, false, &has_run, &manifest);
    output_manifest_deinit(&manifest);
    return status;
}

void run_folder_unclaim(const char *run_folder) {
    char *manifest = file_join(run_folder, OUTPUT_MANIFEST_NAME);
    if (manifest != NULL && unlink(manifest) == 0)
        (void)rmdir(run_folder);
    memory_free(manifest);
}
