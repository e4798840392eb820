// SPDX-License-Identifier: MIT
// Files and folders. A file is written whole or not at all: to a temporary name beside the target,
// fsync, rename, fsync of the folder. Network and foreign file systems lack some of that: there, a
// folder that cannot be synced is left unsynced, and a file that cannot be renamed onto another
// takes its place in steps (file_replace.c).
#ifndef ADELE_BASE_FILE_H
#define ADELE_BASE_FILE_H

#include "adele/status.h"
#include <stdbool.h>
#include <stddef.h>

// Reads a whole file; *out is NUL-terminated beyond *out_bytes, caller frees with memory_free.
// ADELE_IO when it cannot be read, ADELE_DATA when it is larger than max_bytes (0 = no limit).
ADELE_MUST_CHECK adele_status file_read(const char *path, size_t max_bytes, char **out,
                                        size_t *out_bytes);

// In the name of every temporary file, which begins with a dot.
#define FILE_TEMPORARY_MARK ".tmp."

// Writes `bytes` to `path` atomically. On failure the old file, if any, is untouched and nothing is
// left.
ADELE_MUST_CHECK adele_status file_write(const char *path, const void *data, size_t bytes);

// The same in pieces: begin, write as often as needed, then commit or abandon (which removes the
// temporary file; legal after a failed write, and on NULL).
struct file_writer;
ADELE_MUST_CHECK adele_status file_writer_begin(const char *path, struct file_writer **out);
ADELE_MUST_CHECK adele_status file_writer_write(struct file_writer *writer, const void *data,
                                                size_t bytes);
// The file that commit replaces, if there is one, stays under the name `keep` in the same folder,
// in the place of what has that name. At every moment a whole file has one of the two names.
ADELE_MUST_CHECK adele_status file_writer_keep_old(struct file_writer *writer, const char *keep);
ADELE_MUST_CHECK adele_status file_writer_commit(struct file_writer *writer); // frees writer
void file_writer_abandon(struct file_writer *writer);                         // frees writer

// What a user can do about that errno of a file or a folder; static storage.
const char *file_hint(int error);

bool file_exists(const char *path); // anything of that name
bool file_is_directory(const char *path);
bool file_opens(const char *path); // for reading; what reading it then gives is another question
// ADELE_DATA unless the path leads to a regular file: opening a pipe waits for ever, and a device
// has no end.
ADELE_MUST_CHECK adele_status file_check_regular(const char *path);
// Makes the folder and its parents; fine when it is there.
ADELE_MUST_CHECK adele_status file_make_directory(const char *path);
// Removes a file or a folder with what is in it; fine when it is not there. Does not follow links.
ADELE_MUST_CHECK adele_status file_remove_tree(const char *path);
// Removes the temporary files that killed writers left in the folder; fine when it is not there.
// Nobody may be writing there.
ADELE_MUST_CHECK adele_status file_remove_temporaries(const char *path);
ADELE_MUST_CHECK adele_status file_copy(const char *from, const char *to); // atomically
// Within a folder; what has the name `to` is replaced.
ADELE_MUST_CHECK adele_status file_rename(const char *from, const char *to);

// For this room: what has the name `to` is replaced by `from`, in the same folder; 0, or an errno,
// and then `to` is as it was wherever the file system lets it be.
int file_replace(const char *from, const char *to);
// Puts the names of the folder on the disk as far as its file system can.
ADELE_MUST_CHECK adele_status file_sync_folder(const char *folder);

// Takes the folder for its writer, until file_unlock or the end of the process, however it ends.
// ADELE_IO when another has it, in this process or elsewhere. *lock is -1, and nobody is kept out,
// on a file system without locks.
ADELE_MUST_CHECK adele_status file_lock_folder(const char *path, int *lock);
void file_unlock(int lock); // fine with -1

struct file_list {
    char **names; // sorted by strcmp, no folder part
    int n;
};
// The entries of a folder without "." and ".." and names that start with '.'.
// Adds a copy of the first n_bytes of `name`.
ADELE_MUST_CHECK adele_status file_list_add(struct file_list *list, const char *name,
                                            size_t n_bytes);
ADELE_MUST_CHECK adele_status file_list_directory(const char *path, struct file_list *out);
void file_list_deinit(struct file_list *list); // also zeroes it

// "a/b" from "a" and "b"; NULL when memory is out. Free with memory_free.
char *file_join(const char *folder, const char *name);
const char *file_base_name(const char *path);               // borrowed: behind the last '/'
bool file_has_suffix(const char *path, const char *suffix); // letter case ignored
#endif
