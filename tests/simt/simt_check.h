// SPDX-License-Identifier: MIT
// What the files of the checked build share: which thread accesses memory now, and the record of
// the last accesses of each word.
#ifndef ADELE_SIMT_CHECK_H
#define ADELE_SIMT_CHECK_H

#include "simt_internal.h"

enum simt_access { SIMT_READ, SIMT_WRITE, SIMT_ATOMIC };

// A phase is what a block does between two barriers; phases of all blocks and launches are numbered
// one after the other. A stamp says which thread accessed a word: phase (32 bits), times of
// __syncwarp in it (17), thread (10), which bytes (4), atomic or not (1). 0: none.
typedef uint64_t simt_stamp;

// Of each word of 4 bytes: the last to write, and two that read (of two warps when there were two),
// so that the next thread that writes finds a reader that is not itself.
struct simt_cell {
    simt_stamp write, reads[2];
};

struct simt_shadow {
    struct simt_cell *cells;
    size_t bytes; // of `cells`
};

struct simt_watch {
    bool is_active; // a kernel's thread runs
    uint32_t phase, block_begin, launch_begin;
    bool has_fence;  // blocks of this launch hand results to each other
    simt_stamp self; // without bytes
    uintptr_t stack, stack_bytes;
    uintptr_t arguments, arguments_bytes; // the kernel's parameters
};
extern struct simt_watch simt_watch;

// Words of zeros that take no memory until they are accessed.
struct simt_shadow *simt_shadow_create(size_t bytes);
void simt_shadow_destroy(struct simt_shadow *shadow);

// What was accessed, for the message.
struct simt_place {
    const char *what; // "shared array", "allocation"
    size_t bytes;     // of it
    size_t offset;    // of the access within it
    const void *code; // the instruction, NULL when the emulator itself touches for the thread
};
// Marks the cells of the access and fails the launch when it races with an earlier one. `cells`:
// of the word that holds the first byte; `since`: stamps of earlier phases do not count.
void simt_race_check(struct simt_cell *cells, uintptr_t address, size_t bytes,
                     enum simt_access access, uint32_t since, const struct simt_place *place);
// " (addr2line -Cfipe PROGRAM 0x...)", or nothing.
const char *simt_code_place(const void *code);

#endif
