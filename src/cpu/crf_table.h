// SPDX-License-Identifier: MIT
// A hash table that numbers 64-bit keys in the order in which they come. It begins small, so that
// it stays in the first caches where few keys are different, and grows within the slots it has.
#ifndef ADELE_CPU_CRF_TABLE_H
#define ADELE_CPU_CRF_TABLE_H

#include <stdint.h>
#include <string.h>

#define CRF_NO_NUMBER  UINT32_MAX
#define CRF_FIRST_BITS 10

struct crf_table {
    uint64_t *keys;  // (n) by their numbers
    uint32_t *slots; // CRF_NO_NUMBER: empty
    uint32_t n;
    int bits; // of the number of slots, at least twice as many as keys
};

static inline uint32_t crf_table_slot(const struct crf_table *table, uint64_t key) {
    return (uint32_t)((key ^ key >> 32) * 0x9E3779B97F4A7C15u >> (64 - table->bits));
}

// Needs at least 2^CRF_FIRST_BITS slots, and twice as many as keys, rounded up to a power of two.
static inline void crf_table_init(struct crf_table *table, uint64_t *keys, uint32_t *slots) {
    *table = (struct crf_table){.keys = keys, .slots = slots, .bits = CRF_FIRST_BITS};
    memset(slots, 0xff, sizeof *slots << CRF_FIRST_BITS);
}

// The key's number, or CRF_NO_NUMBER; *at is the slot where it is or belongs.
static inline uint32_t crf_table_find(const struct crf_table *table, uint64_t key, uint32_t *at) {
    uint32_t mask = ((uint32_t)1 << table->bits) - 1, slot = crf_table_slot(table, key);
    while (table->slots[slot] != CRF_NO_NUMBER && table->keys[table->slots[slot]] != key)
        slot = (slot + 1) & mask;
    *at = slot;
    return table->slots[slot];
}

static inline void crf_table_grow(struct crf_table *table) {
    uint32_t at = 0;
    table->bits++;
    memset(table->slots, 0xff, sizeof *table->slots << table->bits);
    for (uint32_t i = 0; i < table->n; i++) {
        (void)crf_table_find(table, table->keys[i], &at);
        table->slots[at] = i;
    }
}

// The key's number, a new one where it has none.
static inline uint32_t crf_table_number(struct crf_table *table, uint64_t key) {
    uint32_t at = 0, number = crf_table_find(table, key, &at);
    if (number != CRF_NO_NUMBER)
        return number;
    if (2 * ((uint64_t)table->n + 1) > (uint64_t)1 << table->bits) {
        crf_table_grow(table);
        (void)crf_table_find(table, key, &at);
    }
    table->keys[table->n] = key;
    table->slots[at] = table->n;
    return table->n++;
}
#endif
