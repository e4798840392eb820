// SPDX-License-Identifier: MIT
// Where each block of a plan lies. Offsets are computed on plain numbers, before anything is
// allocated.
#include "base/fail.h"
#include "base/memory.h"
#include "nn/plan.h"

#include <stdlib.h>

// Wide enough for any device's vector loads and for separate cache lines.
#define BLOCK_ALIGNMENT 256

static size_t align_up(size_t bytes) {
    return (bytes + BLOCK_ALIGNMENT - 1) / BLOCK_ALIGNMENT * BLOCK_ALIGNMENT;
}

// Large first, because a large block that is placed late fits into no gap. Ties go to the earlier,
// then to the lower address, which is the lower block number, so that the order is total and the
// same everywhere.
static int compare_blocks(const void *a, const void *b) {
    const struct plan_block *left = *(struct plan_block *const *)a;
    const struct plan_block *right = *(struct plan_block *const *)b;
    if (left->bytes != right->bytes)
        return left->bytes > right->bytes ? -1 : 1;
    if (left->first != right->first)
        return left->first < right->first ? -1 : 1;
    return left < right ? -1 : left > right;
}

static bool is_live(const struct plan_block *block, int first, int last) {
    return (block->first <= last && block->last >= first) ||
           (block->last_again > 0 && block->first_again <= last && block->last_again >= first);
}

static bool are_live_together(const struct plan_block *a, const struct plan_block *b) {
    return is_live(a, b->first, b->last) ||
           (b->last_again > 0 && is_live(a, b->first_again, b->last_again));
}

// `placed` holds n_placed blocks in the order of their offsets. Returns the start of the tightest
// gap between those that live at the same time as `block`, or the end of the last of them.
static size_t find_gap(struct plan_block *const *placed, int n_placed,
                       const struct plan_block *block) {
    size_t need = align_up(block->bytes);
    size_t end = 0; // of the overlapping blocks seen so far
    size_t best = SIZE_MAX, best_size = SIZE_MAX;
    for (int i = 0; i < n_placed; i++) {
        const struct plan_block *other = placed[i];
        if (!are_live_together(other, block))
            continue;
        if (other->offset > end) {
            size_t gap = other->offset - end;
            if (gap >= need && gap < best_size) {
                best = end;
                best_size = gap;
            }
        }
        size_t other_end = other->offset + align_up(other->bytes);
        if (other_end > end)
            end = other_end;
    }
    return best != SIZE_MAX ? best : end;
}

adele_status plan_blocks_place(struct plan_block *blocks, int n_blocks,
                               struct plan_memory *memory) {
    *memory = (struct plan_memory){0, 0};
    if (n_blocks == 0)
        return ADELE_OK;
    OWNED struct plan_block **order = NULL;
    TRY(ALLOCATE(&order, 2 * (size_t)n_blocks));
    struct plan_block **placed = order + n_blocks;
    int n_shared = 0;
    for (int i = 0; i < n_blocks; i++) {
        if (blocks[i].is_shared) {
            order[n_shared++] = &blocks[i];
        } else {
            blocks[i].offset = memory->activation_bytes;
            memory->activation_bytes += align_up(blocks[i].bytes);
        }
    }
    qsort(order, (size_t)n_shared, sizeof(struct plan_block *), compare_blocks);
    for (int n_placed = 0; n_placed < n_shared; n_placed++) {
        struct plan_block *block = order[n_placed];
        block->offset = find_gap(placed, n_placed, block);
        size_t end = block->offset + align_up(block->bytes);
        if (end > memory->shared_bytes)
            memory->shared_bytes = end;
        int i = n_placed;
        for (; i > 0 && placed[i - 1]->offset > block->offset; i--)
            placed[i] = placed[i - 1];
        placed[i] = block;
    }
    return ADELE_OK;
}
