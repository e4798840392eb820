// SPDX-License-Identifier: MIT
// A library for LD_PRELOAD that ends its process by SIGKILL at a moment that is counted, not timed:
//
//   ADELE_TEST_KILL_CALL=N    at the N-th call that changes a file: a write to a file (half of it
//                             is done first), fsync, fdatasync, link, rename, unlink or ftruncate
//   ADELE_TEST_KILL_REGION=N  at the N-th parallel region: within a step, a correction or an
//                             evaluation
//   ADELE_TEST_COUNT=FILE     at a normal end, writes "CALLS REGIONS" to FILE
//   ADELE_TEST_RANK=R         of several processes that Open MPI has started, only in this one; all
//                             of them count, each into FILE.RANK
//
// So the tested program needs no hook of its own.
#define _GNU_SOURCE // RTLD_NEXT
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long n_calls, n_regions;
static long call_to_die, region_to_die; // 0: none

static long number_of(const char *name) {
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *wanted = getenv("ADELE_TEST_RANK"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    if (wanted && rank && strcmp(wanted, rank) != 0)
        return;
    call_to_die = number_of("ADELE_TEST_KILL_CALL");
    region_to_die = number_of("ADELE_TEST_KILL_REGION");
}

__attribute__((destructor)) static void end(void) {
    const char *name = getenv("ADELE_TEST_COUNT"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    char path[4096];
    if (name)
        (void)snprintf(path, sizeof path, "%s%s%s", name, rank ? "." : "", rank ? rank : "");
    FILE *file = name ? fopen(path, "w") : NULL;
    if (!file)
        return;
    (void)fprintf(file, "%ld %ld\n", atomic_load(&n_calls), atomic_load(&n_regions));
    (void)fclose(file);
}

// The next definition of that name, as a pointer to a function of the caller's type.
static void find_next(const char *name, void *function, size_t bytes) {
    void *next = dlsym(RTLD_NEXT, name);
    if (!next)
        _exit(126);
    memcpy(function, &next, bytes);
}

static void die(void) {
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

static int is_moment(void) {
    return atomic_fetch_add(&n_calls, 1) + 1 == call_to_die;
}

// What goes to a terminal, a pipe or another process is not a moment: how often MPI wakes up its
// own threads depends on time.
static int is_file(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

ssize_t write(int fd, const void *data, size_t bytes) {
    ssize_t (*next)(int, const void *, size_t);
    find_next("write", &next, sizeof next);
    if (is_file(fd) && is_moment()) {
        (void)!next(fd, data, bytes / 2);
        die();
    }
    return next(fd, data, bytes);
}

#define BEFORE(name, parameters, arguments)                                                        \
    int name parameters {                                                                          \
        int(*next) parameters;                                                                     \
        find_next(#name, &next, sizeof next);                                                      \
        if (is_moment())                                                                           \
            die();                                                                                 \
        return next arguments;                                                                     \
    }
BEFORE(fsync, (int fd), (fd))
BEFORE(fdatasync, (int fd), (fd))
BEFORE(link, (const char *from, const char *to), (from, to))
BEFORE(rename, (const char *from, const char *to), (from, to))
BEFORE(unlink, (const char *path), (path))
BEFORE(ftruncate, (int fd, off_t bytes), (fd, bytes))

// Of GNU's OpenMP library. With another one no region is counted.
void GOMP_parallel(void (*body)(void *), void *data, unsigned n_threads, unsigned flags);
void GOMP_parallel(void (*body)(void *), void *data, unsigned n_threads, unsigned flags) {
    static void (*next)(void (*)(void *), void *, unsigned, unsigned);
    if (!next)
        find_next("GOMP_parallel", &next, sizeof next);
    if (atomic_fetch_add(&n_regions, 1) + 1 == region_to_die)
        die();
    next(body, data, n_threads, flags);
}
