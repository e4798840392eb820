// SPDX-License-Identifier: MIT
#include "run_folder/claim.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "output/output_manifest.h"
#include "run_folder/run_folder.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static adele_status check_place(const struct config *config, const char *run_folder) {
    CLEANUP(output_guard_deinit) struct output_guard guard = {0};
    TRY(run_folder_guard_data(config, &guard));
    // files of an earlier attempt may look like a run
    TRY(output_guard_add_run(&guard, run_folder));
    return output_guard_check_folder(&guard, run_folder);
}

// Files of an earlier attempt are in the manifest; others are not of a run.
static adele_status check_names(const char *run_folder, const struct output_manifest *manifest) {
    for (int i = 0; output_run_names[i]; i++) {
        OWNED char *path = file_join(run_folder, output_run_names[i]);
        TRY(CHECK_MEMORY(path));
        if (file_exists(path) && !output_manifest_find(manifest, output_run_names[i]))
            return FAIL(
                ADELE_INVALID_ARGUMENT, "Choose another folder with --run, or move it away.",
                "%s is there already, and no run that was begun in %s left it", path, run_folder);
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
        return FAIL(ADELE_RUN_EXISTS,
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
    CLEANUP(output_manifest_deinit) struct output_manifest manifest = {0};
    TRY(check_folder(config, run_folder, is_resuming, &has_run, &manifest));
    return !has_run ? list_names(run_folder, &manifest) : ADELE_OK;
}

adele_status run_folder_check_new(const struct config *config, const char *run_folder) {
    bool has_run = false;
    CLEANUP(output_manifest_deinit) struct output_manifest manifest = {0};
    return check_folder(config, run_folder, false, &has_run, &manifest);
}

// ---- resuming -----------------------------------------------------------------------------------

#define MAX_NEIGHBOURS 5 // that a hint names

// Also a run that ended before its first checkpoint.
static adele_status holds_run(const char *run_folder, bool *out) {
    CLEANUP(output_manifest_deinit) struct output_manifest manifest = {0};
    TRY(run_folder_has_checkpoint(run_folder, out));
    if (*out)
        return ADELE_OK;
    TRY(output_manifest_read(run_folder, &manifest));
    *out = output_manifest_find(&manifest, output_run_names[0]) != NULL;
    return ADELE_OK;
}

// "Runs beside it: first, second. " of the runs in the same folder; "" where it has none.
static adele_status list_runs(const char *parent, char *out, size_t size) {
    CLEANUP(file_list_deinit) struct file_list list = {0};
    size_t used = 0;
    int n = 0;
    TRY(file_list_directory(parent, &list));
    for (int i = 0; i < list.n && n <= MAX_NEIGHBOURS; i++) {
        bool is_run = false;
        OWNED char *path = file_join(parent, list.names[i]);
        TRY(CHECK_MEMORY(path));
        if (run_folder_has_checkpoint(path, &is_run) == ADELE_OK && is_run &&
            used + strlen(list.names[i]) + 24 < size)
            used += (size_t)snprintf(out + used, size - used, "%s%s",
                                     n == 0                ? "Runs beside it: "
                                     : n == MAX_NEIGHBOURS ? ", ... "
                                                           : ", ",
                                     n == MAX_NEIGHBOURS ? "" : list.names[i]);
        n += is_run;
    }
    if (n > 0)
        (void)snprintf(out + used, size - used, ". ");
    return ADELE_OK;
}

static adele_status fail_not_resumable(const char *run_folder) {
    char hint[512] = "";
    size_t n = strlen(run_folder);
    while (n > 1 && run_folder[n - 1] == '/')
        n--;
    OWNED char *path = memory_printf("%.*s", (int)n, run_folder);
    OWNED char *parent = path != NULL ? path_folder(path) : NULL;
    TRY(CHECK_MEMORY(parent));
    adele_status status = ADELE_OK;
    if (file_is_directory(parent))
        status = list_runs(parent, hint, sizeof hint - 64);
    if (status != ADELE_OK && status != ADELE_IO)
        return status;
    size_t used = strlen(hint);
    (void)snprintf(hint + used, sizeof hint - used,
                   "Check the path; without --resume a new run begins.");
    return FAIL(ADELE_IO, hint, "%s: %s", run_folder,
                file_exists(run_folder) ? "holds no run that could be resumed"
                                        : "no such folder, so no run to resume");
}

adele_status run_folder_check_resumable(const char *run_folder) {
    bool is_run = false;
    TRY(holds_run(run_folder, &is_run));
    for (int i = 0; output_run_names[i] && !is_run; i++) // of something else: the claim names them
        is_run = file_exists_in(run_folder, output_run_names[i]);
    return is_run ? ADELE_OK : fail_not_resumable(run_folder);
}

void run_folder_unclaim(const char *run_folder) {
    OWNED char *manifest = file_join(run_folder, OUTPUT_MANIFEST_NAME);
    if (manifest != NULL && unlink(manifest) == 0)
        (void)rmdir(run_folder);
}
