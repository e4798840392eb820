// SPDX-License-Identifier: MIT
#include "support/faults.h"

#include "base/memory.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#ifdef ADELE_HAVE_SIMT // tests/simt/simt_runtime.h is C++
void simt_fail_at(long i_failing);
long simt_count(void);
#endif

static atomic_long n_calls[FAULT_COUNT];
static enum fault_kind armed_kind;
static long i_armed = -1;
static FILE *failed_file; // whose fread failed: ferror says so

static const struct {
    const char *name;
    int errors[2];
} kinds[FAULT_COUNT] = {
#define FAULT_ROW(kind, name, even, odd) {name, {even, odd}},
    FAULT_KINDS(FAULT_ROW)
#undef FAULT_ROW
};

const char *fault_name(enum fault_kind kind) {
    return kinds[kind].name;
}

// Counts the call; true: it is the chosen one, and errno is set.
static bool fails(enum fault_kind kind) {
    long i = atomic_fetch_add(&n_calls[kind], 1);
    if (kind != armed_kind || i != i_armed)
        return false;
    errno = kinds[kind].errors[i % 2];
    return true;
}

static void *json_allocate(size_t bytes) {
    return fails(FAULT_JSON) ? NULL : malloc(bytes);
}

void fault_arm(enum fault_kind kind, long i) {
    cJSON_Hooks hooks = {json_allocate, free};
    cJSON_InitHooks(&hooks);
    for (int k = 0; k < FAULT_COUNT; k++)
        atomic_store(&n_calls[k], 0);
    armed_kind = kind;
    i_armed = i;
    failed_file = NULL;
    memory_fail_at(kind == FAULT_MEMORY ? i : -1);
#ifdef ADELE_HAVE_SIMT
    simt_fail_at(kind == FAULT_DEVICE ? i : -1);
#endif
}

long fault_calls(enum fault_kind kind) {
#ifdef ADELE_HAVE_SIMT
    if (kind == FAULT_DEVICE)
        return simt_count();
#endif
    return kind == FAULT_MEMORY ? memory_count() : atomic_load(&n_calls[kind]);
}

// ---- the calls, as the linker's --wrap names them -----------------------------------------------

#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fails(FAULT_OPEN) ? -1 : __real_open(path, flags, mode);
}

WRAP(FILE *, fopen, const char *path, const char *mode) {
    return fails(FAULT_OPEN) ? NULL : __real_fopen(path, mode);
}

WRAP(gzFile, gzopen, const char *path, const char *mode) {
    return fails(FAULT_OPEN) ? NULL : __real_gzopen(path, mode);
}

WRAP(ssize_t, read, int fd, void *to, size_t bytes) {
    return fails(FAULT_READ) ? -1 : __real_read(fd, to, bytes);
}

WRAP(size_t, fread, void *to, size_t size, size_t count, FILE *file) {
    if (!fails(FAULT_READ))
        return __real_fread(to, size, count, file);
    failed_file = file;
    return 0;
}

WRAP(int, ferror, FILE *file) {
    return file == failed_file || __real_ferror(file);
}

WRAP(int, gzread, gzFile file, void *to, unsigned bytes) {
    return fails(FAULT_READ) ? -1 : __real_gzread(file, to, bytes);
}

WRAP(ssize_t, write, int fd, const void *from, size_t bytes) {
    return fails(FAULT_WRITE) ? -1 : __real_write(fd, from, bytes);
}

WRAP(int, fsync, int fd) {
    return fails(FAULT_SYNC) ? -1 : __real_fsync(fd);
}

WRAP(int, fdatasync, int fd) {
    return fails(FAULT_SYNC) ? -1 : __real_fdatasync(fd);
}

WRAP(int, rename, const char *from, const char *to) {
    return fails(FAULT_RENAME) ? -1 : __real_rename(from, to);
}

WRAP(int, mkdir, const char *path, mode_t mode) {
    return fails(FAULT_FOLDER) ? -1 : __real_mkdir(path, mode);
}

WRAP(DIR *, opendir, const char *path) {
    return fails(FAULT_FOLDER) ? NULL : __real_opendir(path);
}

WRAP(struct dirent *, readdir, DIR *folder) {
    return fails(FAULT_FOLDER) ? NULL : __real_readdir(folder);
}
