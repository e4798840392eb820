// SPDX-License-Identifier: MIT
#include "output/output.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "output/output_manifest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct output {
    char *folder;
    bool is_overwriting, has_begun;
    int n_new; // how many folders output_begin made: `folder`, the one that holds it, and so on
    bool is_synced_at_end;
    bool is_named;                  // its files are, not the folder
    void (*on_file)(void *context); // NULL: none
    void *context;
    struct output_guard guard;
    struct file_list files; // relative to the folder, in the order in which they were added
};

adele_status output_create(const char *folder, bool is_overwriting, struct output **out) {
    *out = NULL;
    if (folder[0] == '\0')
        return FAIL(ADELE_INVALID_ARGUMENT, "Name a folder.", "no folder for the output");
    struct output *output = NULL;
    TRY(ALLOCATE(&output, 1));
    output->is_overwriting = is_overwriting;
    output->folder = memory_strdup(folder);
    if (output->folder == NULL) {
        output_destroy(output);
        return CHECK_MEMORY(NULL);
    }
    *out = output;
    return ADELE_OK;
}

void output_destroy(struct output *output) {
    if (output == NULL)
        return;
    output_guard_deinit(&output->guard);
    file_list_deinit(&output->files);
    memory_free(output->folder);
    memory_free(output);
}

const char *output_folder(const struct output *output) {
    return output->folder;
}

struct output_guard *output_guard(struct output *output) {
    return &output->guard;
}

void output_set_watch(struct output *output, void (*on_file)(void *context), void *context) {
    output->on_file = on_file;
    output->context = context;
}

void output_sync_at_end(struct output *output) {
    output->is_synced_at_end = true;
}

void output_set_named(struct output *output) {
    output->is_named = true;
}

adele_status output_add(struct output *output, const char *name_format, ...) {
    va_list arguments;
    va_start(arguments, name_format);
    int n = vsnprintf(NULL, 0, name_format, arguments);
    va_end(arguments);
    OWNED char *name = n < 0 ? NULL : memory_calloc((size_t)n + 1, 1);
    TRY(CHECK_MEMORY(name));
    va_start(arguments, name_format);
    (void)vsnprintf(name, (size_t)n + 1, name_format, arguments);
    va_end(arguments);
    return file_list_add(&output->files, name, (size_t)n);
}

// ---- before -------------------------------------------------------------------------------------

static const char *move_away(const struct output *output) {
    return output->is_named ? "Move it away, or choose another name."
                            : "Move it away, or choose another folder.";
}

// A file of that name exists. It may be replaced only if adele wrote it and it is unchanged.
static adele_status check_existing(const struct output *output,
                                   const struct output_manifest *manifest, const char *name,
                                   const char *path, const struct stat *info) {
    const struct output_file *known = output_manifest_find(manifest, name);
    char xxh3[HASH_HEX_BYTES];
    int64_t bytes = 0;
    if (!output->is_overwriting)
        return FAIL(ADELE_INVALID_ARGUMENT,
                    output->is_named ? "Choose another name, or replace adele's own earlier file "
                                       "with --overwrite."
                                     : "Choose another folder, or replace adele's own earlier "
                                       "output with --overwrite.",
                    "%s is there already", path);
    if (known == NULL || !S_ISREG(info->st_mode))
        return FAIL(ADELE_INVALID_ARGUMENT, move_away(output),
                    "%s is there already, and adele did not write it (%s/" OUTPUT_MANIFEST_NAME
                    " does not list it): --overwrite does not replace it",
                    path, output->folder);
    if (known->bytes < 0)
        return ADELE_OK;
    TRY(hash_file_hex(path, xxh3, &bytes));
    if (bytes != known->bytes || strcmp(xxh3, known->xxh3) != 0)
        return FAIL(ADELE_INVALID_ARGUMENT, move_away(output),
                    "%s has been changed since adele wrote it: --overwrite does not replace it",
                    path);
    return ADELE_OK;
}

static adele_status check_files(const struct output *output,
                                const struct output_manifest *manifest) {
    for (int i = 0; i < output->files.n; i++) {
        struct stat info;
        OWNED char *path = file_join(output->folder, output->files.names[i]);
        TRY(CHECK_MEMORY(path));
        if (lstat(path, &info) == 0)
            TRY(check_existing(output, manifest, output->files.names[i], path, &info));
    }
    return ADELE_OK;
}

// Files of one folder are adjacent, so each folder is checked once.
static adele_status check_places(const struct output *output) {
    bool is_run = output_guard_is_run(&output->guard, output->folder);
    OWNED char *last = NULL;
    for (int i = 0; i < output->files.n; i++) {
        OWNED char *path = file_join(output->folder, output->files.names[i]);
        char *folder = path != NULL ? path_folder(path) : NULL;
        bool is_new = is_run || last == NULL || folder == NULL || strcmp(last, folder) != 0;
        memory_free(last);
        last = folder;
        TRY(CHECK_MEMORY(folder));
        if (is_new)
            TRY(output_guard_check(&output->guard, path));
    }
    return ADELE_OK;
}

adele_status output_check(const struct output *output) {
    CLEANUP(output_manifest_deinit) struct output_manifest manifest = {0};
    TRY(check_places(output));
    TRY(output_manifest_read(output->folder, &manifest));
    return check_files(output, &manifest);
}

// Warns of files that an earlier output left beside the new ones, because they look like a part of
// them.
static void warn_of_others(const struct output *output, const struct output_manifest *manifest) {
    if (output->is_named) // files that the user named one by one are no parts of another output
        return;
    int n_others = manifest->n;
    for (int i = 0; i < output->files.n; i++)
        n_others -= output_manifest_find(manifest, output->files.names[i]) != NULL;
    if (output->is_overwriting && n_others > 0)
        log_line(LOG_WARNING, "%s: %d file%s of an earlier output stay%s there", output->folder,
                 n_others, n_others == 1 ? "" : "s", n_others == 1 ? "s" : "");
}

static adele_status count_new(const char *folder, int *out) {
    OWNED char *path = memory_strdup(folder);
    TRY(CHECK_MEMORY(path));
    for (*out = 0; !file_exists(path); ++*out) {
        char *parent = path_folder(path);
        memory_free(path);
        path = parent;
        TRY(CHECK_MEMORY(path));
    }
    return ADELE_OK;
}

adele_status output_begin(struct output *output) {
    CLEANUP(output_manifest_deinit) struct output_manifest manifest = {0};
    TRY(count_new(output->folder, &output->n_new));
    TRY(file_make_directory(output->folder));
    TRY(output_manifest_read(output->folder, &manifest));
    warn_of_others(output, &manifest);
    for (int i = 0; i < output->files.n; i++)
        TRY(output_manifest_set(&manifest, output->files.names[i], -1, NULL));
    TRY(output_manifest_write(output->folder, &manifest));
    output->has_begun = true;
    file_delay_sync(output->is_synced_at_end);
    return ADELE_OK;
}

// ---- after --------------------------------------------------------------------------------------

static adele_status record_file(const struct output *output, const char *name,
                                struct output_manifest *manifest) {
    char xxh3[HASH_HEX_BYTES];
    int64_t bytes = 0;
    OWNED char *path = file_join(output->folder, name);
    TRY(CHECK_MEMORY(path));
    if (file_exists(path)) {
        TRY(hash_file_hex(path, xxh3, &bytes));
        TRY(output_manifest_set(manifest, name, bytes, xxh3));
    } else {
        output_manifest_drop(manifest, name);
    }
    return ADELE_OK;
}

// The manifest is read again, because another process may have written into the same folder
// meanwhile.
static adele_status record_files(const struct output *output) {
    CLEANUP(output_manifest_deinit) struct output_manifest manifest = {0};
    if (output->is_synced_at_end)
        TRY(file_sync_all(output->folder));
    TRY(output_manifest_read(output->folder, &manifest));
    for (int i = 0; i < output->files.n; i++) {
        if (output->on_file)
            output->on_file(output->context);
        TRY(record_file(output, output->files.names[i], &manifest));
    }
    return output_manifest_write(output->folder, &manifest);
}

// `folder` and those above it that were made for it. One that something else is in stays. "a/b/" is
// counted twice, as "a/b/" and "a/b".
static adele_status remove_new(const struct output *output) {
    OWNED char *path = memory_strdup(output->folder);
    TRY(CHECK_MEMORY(path));
    for (int i = 0; i < output->n_new && (rmdir(path) == 0 || errno == ENOENT); i++) {
        char *parent = path_folder(path);
        memory_free(path);
        path = parent;
        TRY(CHECK_MEMORY(path));
    }
    return ADELE_OK;
}

// After a failure before the first file: the folders that were made for the output. Another process
// may have written into them meanwhile, and then the manifest or the folder's files say so.
static adele_status remove_empty(const struct output *output) {
    CLEANUP(output_manifest_deinit) struct output_manifest manifest = {0};
    if (output->n_new == 0)
        return ADELE_OK;
    TRY(output_manifest_read(output->folder, &manifest));
    OWNED char *path = file_join(output->folder, OUTPUT_MANIFEST_NAME);
    TRY(CHECK_MEMORY(path));
    if (manifest.n > 0)
        return ADELE_OK;
    (void)unlink(path);
    return remove_new(output);
}

adele_status output_end(struct output *output, adele_status status) {
    if (output == NULL || !output->has_begun)
        return status;
    output->has_begun = false;
    file_delay_sync(false);
    if (status == ADELE_OK)
        return record_files(output);
    // The first failure is the one to report.
    OWNED char *message = memory_strdup(adele_error_message());
    OWNED char *hint = memory_strdup(adele_error_hint());
    adele_status ended = record_files(output);
    if (ended == ADELE_OK)
        ended = remove_empty(output);
    if (ended != ADELE_OK && message != NULL && hint != NULL)
        (void)FAIL(status, hint, "%s", message);
    return status;
}
