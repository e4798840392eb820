// SPDX-License-Identifier: MIT
// A file in memory (memfd) that the other processes open as /proc/PROCESS/fd/FILE. Unlike a file in
// /dev/shm it is not limited to the size of a file system that containers make small.
#define _GNU_SOURCE // memfd_create
#include "base/shared_memory.h"

#include "base/available_memory.h"
#include "base/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

// The token lies behind the block.
static size_t file_bytes(size_t bytes) {
    return bytes + sizeof((struct shared_memory_key *)0)->token;
}

static adele_status failed(const char *what, size_t bytes, int error) {
    return FAIL(error == ENOMEM || error == ENOSPC ? ADELE_NO_MEMORY : ADELE_IO, "",
                "%s for %zu MB of shared memory: %s", what, bytes / 1000000, strerror(error));
}

// Beyond the limit on sizes of files (`ulimit -f`) the system would end the process, and beyond the
// memory that is there some process of the machine.
static adele_status check_limits(size_t bytes) {
    struct rlimit limit;
    size_t available = available_memory();
    if (bytes > available)
        return FAIL(ADELE_NO_MEMORY, "", "%zu MB of shared memory, %zu MB are available",
                    bytes / 1000000, available / 1000000);
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        bytes > limit.rlim_cur)
        return FAIL(ADELE_NO_MEMORY, "", "%zu MB of shared memory, `ulimit -f` allows %zu MB",
                    bytes / 1000000, (size_t)limit.rlim_cur / 1000000);
    return ADELE_OK;
}

static adele_status map(int file, size_t bytes, int protection, void **out) {
    void *block = mmap(NULL, file_bytes(bytes), protection, MAP_SHARED, file, 0);
    if (block == MAP_FAILED)
        return failed("mmap", bytes, errno);
    *out = block;
    return ADELE_OK;
}

static adele_status fill_file(struct shared_memory *memory, struct shared_memory_key *key) {
    int error = posix_fallocate(memory->file, 0, (off_t)file_bytes(memory->bytes));
    if (error != 0)
        return failed("posix_fallocate", memory->bytes, error);
    // Its size stays, so that no access of a process that maps it can fail.
    if (fcntl(memory->file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        return failed("fcntl", memory->bytes, errno);
    TRY(map(memory->file, memory->bytes, PROT_READ | PROT_WRITE, &memory->block));
    *key = (struct shared_memory_key){
        .process = getpid(), .file = memory->file, .bytes = memory->bytes};
    if (getrandom(key->token, sizeof key->token, 0) != (ssize_t)sizeof key->token)
        return failed("getrandom", memory->bytes, errno);
    memcpy((char *)memory->block + memory->bytes, key->token, sizeof key->token);
    return ADELE_OK;
}

adele_status shared_memory_create(size_t bytes, struct shared_memory *out,
                                  struct shared_memory_key *key) {
    *out = (struct shared_memory){.file = -1, .bytes = bytes};
    TRY(check_limits(file_bytes(bytes)));
    out->file = memfd_create("adele", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (out->file < 0)
        return failed("memfd_create", bytes, errno);
    adele_status status = fill_file(out, key);
    if (status != ADELE_OK)
        shared_memory_release(out);
    return status;
}

static adele_status open_file(const struct shared_memory_key *key, const char *path, int file,
                              struct shared_memory *out) {
    struct stat state;
    const char *problem = "another size";
    if (fstat(file, &state) == 0 && key->bytes <= SIZE_MAX / 2 &&
        state.st_size == (off_t)file_bytes((size_t)key->bytes)) {
        out->bytes = (size_t)key->bytes;
        TRY(map(file, out->bytes, PROT_READ, &out->block));
        if (memcmp((char *)out->block + out->bytes, key->token, sizeof key->token) == 0)
            return ADELE_OK;
        problem = "other contents";
    }
    return FAIL(ADELE_UNSUPPORTED, "", "%s has %s than the shared memory of another process", path,
                problem);
}

adele_status shared_memory_open(const struct shared_memory_key *key, struct shared_memory *out) {
    char path[64];
    *out = (struct shared_memory){.file = -1};
    (void)snprintf(path, sizeof path, "/proc/%lld/fd/%lld", (long long)key->process,
                   (long long)key->file);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return FAIL(ADELE_UNSUPPORTED, "", "%s: %s", path, strerror(errno));
    adele_status status = open_file(key, path, file, out);
    (void)close(file); // the pages stay mapped
    if (status != ADELE_OK)
        shared_memory_release(out);
    return status;
}

adele_status shared_memory_protect(const struct shared_memory *memory) {
    if (mprotect(memory->block, file_bytes(memory->bytes), PROT_READ) == 0)
        return ADELE_OK;
    return failed("mprotect", memory->bytes, errno);
}

void shared_memory_close_file(struct shared_memory *memory) {
    if (memory->bytes > 0 && memory->file >= 0) // of a zeroed one, 0 is no file of ours
        (void)close(memory->file);
    memory->file = -1;
}

void shared_memory_release(struct shared_memory *memory) {
    if (memory->block != NULL)
        (void)munmap(memory->block, file_bytes(memory->bytes));
    shared_memory_close_file(memory);
    *memory = (struct shared_memory){.file = -1};
}
