// SPDX-License-Identifier: MIT
#define _GNU_SOURCE // dl_iterate_phdr
#include "base/program_hash.h"

#include <link.h>
#include <stdbool.h>
#include <string.h>

#define MAX_SEGMENTS 16

struct hashes {
    int n;
    uint64_t of[MAX_SEGMENTS];
};

static bool holds(const struct dl_phdr_info *object, uintptr_t address) {
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t begin = object->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && address >= begin && address - begin < segment->p_memsz)
            return true;
    }
    return false;
}

// Writable segments are left out: they hold addresses, which differ from process to process.
static int hash_object(struct dl_phdr_info *object, size_t bytes, void *context) {
    struct hashes *hashes = context;
    (void)bytes;
    if (!holds(object, (uintptr_t)&program_hash_hex))
        return 0;
    for (int i = 0; i < object->dlpi_phnum && hashes->n < MAX_SEGMENTS; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && (segment->p_flags & (PF_R | PF_W)) == PF_R)
            hashes->of[hashes->n++] =
                hash_xxh3((const void *)(object->dlpi_addr + segment->p_vaddr), segment->p_filesz);
    }
    return 1;
}

void program_hash_hex(char out[HASH_HEX_BYTES]) {
    struct hashes hashes;
    memset(&hashes, 0, sizeof hashes);
    (void)dl_iterate_phdr(hash_object, &hashes);
    hash_xxh3_hex(&hashes, sizeof hashes, out);
}
