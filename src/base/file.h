// SPDX-License-Identifier: MIT
// Files and folders. A file is written whole or not at all: to a temporary name beside the target,
// fsync, rename, fsync of the folder (see file_delay_sync). Some network and foreign file systems
// cannot do all of this: a folder that cannot be synced is left unsynced, and a file that cannot be
// renamed onto another replaces it in several steps (file_replace.c).
#ifndef ADELE_BASE_FILE_H
#define ADELE_BASE_FILE_H

#include "base/fail.h"
#include "base/memory.h"
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

// Reads a whole file; *out is NUL-terminated beyond *out_bytes, caller frees with memory_free.
// ADELE_IO when it cannot be read, ADELE_DATA when it is larger than max_bytes (0 = no limit).
ADELE_MUST_CHECK adele_status file_read(const char *path, size_t max_bytes, char **out,
                                        size_t *out_bytes);

// Part of the name of every temporary file. Such names begin with a dot.
#define FILE_TEMPORARY_MARK ".tmp."

// Writes `bytes` to `path` atomically. On failure the old file, if any, is unchanged and no
// temporary file is left.
ADELE_MUST_CHECK adele_status file_write(const char *path, const void *data, size_t bytes);

// The same in pieces: begin, write as often as needed, then commit or abandon (which removes the
// temporary file; legal after a failed write, and on NULL).
struct file_writer;
ADELE_MUST_CHECK adele_status file_writer_begin(const char *path, struct file_writer **out);
ADELE_MUST_CHECK adele_status file_writer_write(struct file_writer *writer, const void *data,
                                                size_t bytes);
// The file that commit replaces, if there is one, is kept under the name `keep` in the same folder;
// an older file of that name is replaced. At every moment a complete file exists under one of the
// two names.
ADELE_MUST_CHECK adele_status file_writer_keep_old(struct file_writer *writer, const char *keep);
// Frees *writer, also after an error, and sets it to NULL.
ADELE_MUST_CHECK adele_status file_writer_commit(struct file_writer **writer);
void file_writer_abandon(struct file_writer *writer); // frees writer
OWNER(file_writer_abandon, struct file_writer)

// An output of thousands of small files would wait for the disk at each of them. While `is_delayed`
// the files that this thread commits are not synced; file_sync_all syncs everything on the file
// system of the folder. Between the two a power failure can leave such files empty, so it is for
// files that count only once something that is written behind file_sync_all lists them.
void file_delay_sync(bool is_delayed);
ADELE_MUST_CHECK adele_status file_sync_all(const char *folder);

// A hint for the user about this errno of a file operation. Static storage.
const char *file_hint(int error);
#define FAIL_ERRNO(what, path, error)                                                              \
    FAIL(ADELE_IO, file_hint(error), "%s: cannot %s: %s", (path), (what), strerror(error))

bool file_exists(const char *path); // anything of that name
bool file_is_directory(const char *path);
bool file_exists_in(const char *folder, const char *name); // the same for FOLDER/NAME
bool file_is_directory_in(const char *folder, const char *name);
bool file_opens(const char *path); // for reading; reading may still fail
// ADELE_DATA unless the path leads to a regular file: opening a pipe would block, and a device has
// no end.
ADELE_MUST_CHECK adele_status file_check_regular(const char *path);
// Creates the folder and its parents; succeeds when it exists.
ADELE_MUST_CHECK adele_status file_make_directory(const char *path);
// Removes a file, or a folder with its content; succeeds when there is none. Does not follow links.
ADELE_MUST_CHECK adele_status file_remove_tree(const char *path);
// Removes the temporary files that killed writers left in the folder; succeeds when there is no
// folder. No other process may be writing there.
ADELE_MUST_CHECK adele_status file_remove_temporaries(const char *path);
// Within a folder; a file with the name `to` is replaced.
ADELE_MUST_CHECK adele_status file_rename(const char *from, const char *to);

// For src/base only: replaces `to` by `from` in the same folder. Returns 0 or an errno; after a
// failure `to` is unchanged where the file system makes that possible.
int file_replace(const char *from, const char *to);
// Syncs the folder, so that renames in it survive a power failure, if its file system can.
ADELE_MUST_CHECK adele_status file_sync_folder(const char *folder);

// Locks the folder until file_unlock or the end of the process. ADELE_IO when it is locked already,
// by this or another process. On a file system without locks *lock is -1 and no other process is
// excluded.
ADELE_MUST_CHECK adele_status file_lock_folder(const char *path, int *lock);
void file_unlock(int lock); // -1 is legal

struct file_list {
    char **names; // sorted by strcmp, no folder part
    int n;
};
// Adds a copy of the first n_bytes of `name`.
ADELE_MUST_CHECK adele_status file_list_add(struct file_list *list, const char *name,
                                            size_t n_bytes);
// The entries of a folder without "." and ".." and names that start with '.'.
ADELE_MUST_CHECK adele_status file_list_directory(const char *path, struct file_list *out);
void file_list_deinit(struct file_list *list); // also zeroes it

// "a/b" from "a" and "b"; NULL when memory is out. Free with memory_free.
char *file_join(const char *folder, const char *name);
const char *file_base_name(const char *path);               // borrowed: the part after the last '/'
bool file_has_suffix(const char *path, const char *suffix); // letter case ignored
#endif
