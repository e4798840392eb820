// SPDX-License-Identifier: MIT
// Races: two threads touch the same byte, one of them writes, and no barrier lies between; or two
// blocks of one launch do, which no barrier can order.
#include "simt_check.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

// ---- stamps -------------------------------------------------------------------------------------

static inline uint32_t phase_of(simt_stamp stamp) {
    return (uint32_t)(stamp >> 32);
}
static inline uint32_t epoch_of(simt_stamp stamp) {
    return (uint32_t)(stamp >> 15) & 0x1ffffu;
}
static inline uint32_t thread_of(simt_stamp stamp) {
    return (uint32_t)(stamp >> 5) & 0x3ffu;
}
static inline uint32_t bytes_of(simt_stamp stamp) {
    return (uint32_t)(stamp >> 1) & 0xfu;
}
static inline bool is_atomic(simt_stamp stamp) {
    return stamp & 1u;
}

static inline bool is_own(simt_stamp earlier) {
    return phase_of(earlier) >= simt_watch.block_begin &&
           thread_of(earlier) == thread_of(simt_watch.self);
}

// True when nothing orders the earlier access before what the running thread does now.
static inline bool is_unordered(simt_stamp earlier, uint32_t since) {
    uint32_t phase = phase_of(earlier);
    if (phase < since || is_own(earlier))
        return false;
    if (phase < simt_watch.block_begin)
        return true; // another block
    if (phase < simt_watch.phase)
        return false;
    bool is_same_warp = thread_of(earlier) / 32 == thread_of(simt_watch.self) / 32;
    return !(is_same_warp && epoch_of(earlier) < epoch_of(simt_watch.self));
}

// ---- the record of a word -----------------------------------------------------------------------

static inline simt_stamp merge(simt_stamp earlier, simt_stamp now) {
    bool is_same = (earlier ^ now) >> 5 == 0; // phase, epoch and thread
    return is_same ? now | (earlier & 0x1eu) : now;
}

static inline void remember_read(struct simt_cell *cell, simt_stamp now) {
    simt_stamp *first = &cell->reads[0], *second = &cell->reads[1];
    if (is_own(*first)) {
        *first = merge(*first, now);
    } else if (phase_of(*first) < simt_watch.phase) {
        // A reader of another block is kept, for a block that reads and then writes.
        if (phase_of(*first) < simt_watch.block_begin && phase_of(*second) < simt_watch.block_begin)
            *second = *first;
        *first = now;
    } else if (is_own(*second)) {
        *second = merge(*second, now);
    } else if (!is_unordered(*first, 0)) {
        *first = now;
    } else if (phase_of(*second) < simt_watch.phase ||
               thread_of(*second) / 32 == thread_of(*first) / 32) {
        *second = now;
    }
}

// ---- messages -----------------------------------------------------------------------------------

const char *simt_code_place(const void *code) {
    static char text[512];
    Dl_info info;
    if (!code || !dladdr(code, &info) || !info.dli_fname)
        return "";
    // One byte back, into the call itself.
    snprintf(text, sizeof text, " (addr2line -Cfipe %s 0x%zx)", info.dli_fname,
             (size_t)((const char *)code - (const char *)info.dli_fbase) - 1);
    return text;
}

[[noreturn]] static void fail_race(simt_stamp earlier, bool was_read, enum simt_access access,
                                   size_t bytes, const struct simt_place *place) {
    static const char *const names[] = {"read", "write", "atomic"};
    char culprit[160];
    const char *did = was_read ? "read" : is_atomic(earlier) ? "changed by an atomic" : "written";
    if (phase_of(earlier) < simt_watch.block_begin) {
        snprintf(culprit, sizeof culprit, "%s by another block of the launch", did);
    } else {
        uint3 index = simt_run.threads[thread_of(earlier)].index;
        snprintf(culprit, sizeof culprit, "%s by thread (%u, %u, %u) with no barrier between", did,
                 index.x, index.y, index.z);
    }
    char since[160] = "";
    if (simt_block()->barrier_file)
        snprintf(since, sizeof since, ", since the barrier at %s:%d",
                 simt_file_name(simt_block()->barrier_file), simt_block()->barrier_line);
    simt_fail("race: %s of %zu bytes at byte %zu of a%s %s of %zu bytes, %s%s%s", names[access],
              bytes, place->offset, place->what[0] == 'a' ? "n" : "", place->what, place->bytes,
              culprit, since, simt_code_place(place->code));
}

// ---- the check ----------------------------------------------------------------------------------

void simt_race_check(struct simt_cell *cells, uintptr_t address, size_t bytes,
                     enum simt_access access, uint32_t since, const struct simt_place *place) {
    uintptr_t end = address + bytes;
    for (uintptr_t word = address & ~(uintptr_t)3; word < end; word += 4, cells++) {
        unsigned first = address > word ? (unsigned)(address - word) : 0;
        unsigned last = end - word < 4 ? (unsigned)(end - word) : 4;
        unsigned mask = (0xfu >> (4 - last)) & (0xfu << first);
        simt_stamp now = simt_watch.self | mask << 1 | (access == SIMT_ATOMIC ? 1u : 0u);
        simt_stamp write = cells->write;
        if (access == SIMT_READ && cells->reads[0] == now)
            continue; // once more what it has just read
        if (bytes_of(write) & mask && !(access == SIMT_ATOMIC && is_atomic(write)) &&
            !(access == SIMT_READ && simt_watch.has_fence &&
              phase_of(write) < simt_watch.block_begin) &&
            is_unordered(write, since))
            fail_race(write, false, access, bytes, place);
        if (access == SIMT_READ) {
            remember_read(cells, now);
            continue;
        }
        for (simt_stamp read : cells->reads)
            if (bytes_of(read) & mask && is_unordered(read, since))
                fail_race(read, true, access, bytes, place);
        cells->write = merge(write, now);
    }
}

// ---- memory of the stamps -----------------------------------------------------------------------

struct simt_shadow *simt_shadow_create(size_t bytes) {
    struct simt_shadow *shadow = (struct simt_shadow *)malloc(sizeof *shadow);
    size_t size = (bytes / 4 + 2) * sizeof(struct simt_cell);
    void *cells = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!shadow || cells == MAP_FAILED) {
        perror("simt: no memory to watch memory");
        abort();
    }
    *shadow = {(struct simt_cell *)cells, size};
    return shadow;
}

void simt_shadow_destroy(struct simt_shadow *shadow) {
    if (!shadow)
        return;
    munmap(shadow->cells, shadow->bytes);
    free(shadow);
}
