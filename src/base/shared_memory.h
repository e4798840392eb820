// SPDX-License-Identifier: MIT
// Memory that several processes of one user on one host share: one fills it, the others read the
// same pages. It has no name in any file system, so nothing is left of it when they have ended,
// however they end.
#ifndef ADELE_BASE_SHARED_MEMORY_H
#define ADELE_BASE_SHARED_MEMORY_H

#include "adele/status.h"
#include <stddef.h>
#include <stdint.h>

struct shared_memory {
    void *block; // NULL: none
    size_t bytes;
    int file; // of the process that created it, until shared_memory_close_file; else -1
};

// By which another process opens a block: plain bytes, which may be sent to it.
struct shared_memory_key {
    int64_t process, file;
    uint64_t bytes;
    uint8_t token[16]; // random, and in the block too: another host has another block there
};

// At least one byte of zeroed memory, all of whose pages exist already. ADELE_NO_MEMORY when there
// is less available.
ADELE_MUST_CHECK adele_status shared_memory_create(size_t bytes, struct shared_memory *out,
                                                   struct shared_memory_key *key);
// Read only. ADELE_UNSUPPORTED when it is not found: its process has closed it, runs on another
// host or as another user, or may not be looked at.
ADELE_MUST_CHECK adele_status shared_memory_open(const struct shared_memory_key *key,
                                                 struct shared_memory *out);
// In the process that has filled it: the block is read only from now on.
ADELE_MUST_CHECK adele_status shared_memory_protect(const struct shared_memory *memory);
// Once all others have opened it: no process can open it any more.
void shared_memory_close_file(struct shared_memory *memory);
// Unmaps the block in this process and zeroes *memory; legal on a zeroed one.
void shared_memory_release(struct shared_memory *memory);
#endif
