// SPDX-License-Identifier: MIT
// Collectives of messages between pairs of ranks. Each rank sends to all others directly, so that a
// rank that is missing is named by everyone who waits for it; runs have tens of ranks, not
// thousands.
#include "base/fail.h"
#include "base/memory.h"
#include "ranks/ranks_state.h"

#include <string.h>

adele_status ranks_broadcast(struct ranks *ranks, void *block, size_t bytes) {
    if (ranks == NULL)
        return ADELE_OK;
    if (ranks->index > 0)
        TRY(messages_receive(ranks, MESSAGES_BROADCAST, 0, block, bytes));
    for (int r = 1; ranks->index == 0 && r < ranks->n; r++)
        TRY(messages_send(ranks, MESSAGES_BROADCAST, r, block, bytes));
    return messages_finish(ranks, MESSAGES_BROADCAST, ranks->time_limit);
}

// Rank r's bytes come to all[starts[r]] on every rank.
static adele_status gather(struct ranks *ranks, enum rank_messages kind, const void *mine,
                           char *all, const size_t *starts, double limit) {
    size_t bytes = starts[ranks->index + 1] - starts[ranks->index];
    for (int r = 0; r < ranks->n; r++)
        if (r != ranks->index) {
            TRY(messages_receive(ranks, kind, r, all + starts[r], starts[r + 1] - starts[r]));
            TRY(messages_send(ranks, kind, r, mine, bytes));
        }
    if (bytes > 0)
        memcpy(all + starts[ranks->index], mine, bytes);
    return messages_finish(ranks, kind, limit);
}

adele_status ranks_gather_kind(struct ranks *ranks, enum rank_messages kind, const void *mine,
                               size_t bytes, void *all, double limit) {
    for (int r = 0; r <= ranks->n; r++)
        ranks->starts[r] = (size_t)r * bytes;
    return gather(ranks, kind, mine, all, ranks->starts, limit);
}

adele_status ranks_gather(struct ranks *ranks, const void *mine, size_t bytes, void *all) {
    if (ranks != NULL)
        return ranks_gather_kind(ranks, MESSAGES_GATHER, mine, bytes, all, ranks->time_limit);
    if (bytes > 0)
        memcpy(all, mine, bytes);
    return ADELE_OK;
}

static adele_status gather_starts(struct ranks *ranks, size_t bytes, size_t *starts) {
    OWNED uint64_t *sizes = NULL;
    uint64_t size = bytes;
    TRY(ALLOCATE(&sizes, ranks->n));
    TRY(ranks_gather(ranks, &size, sizeof size, sizes));
    starts[0] = 0;
    for (int r = 0; r < ranks->n; r++)
        starts[r + 1] = starts[r] + (size_t)sizes[r];
    return ADELE_OK;
}

adele_status ranks_gather_sized(struct ranks *ranks, const void *mine, size_t bytes, void **all,
                                size_t *starts) {
    int n = ranks != NULL ? ranks->n : 1;
    *all = NULL;
    starts[0] = 0;
    starts[1] = bytes;
    if (ranks != NULL)
        TRY(gather_starts(ranks, bytes, starts));
    OWNED char *block = memory_aligned(starts[n] > 0 ? starts[n] : 1);
    TRY(CHECK_MEMORY(block));
    if (ranks != NULL)
        TRY(gather(ranks, MESSAGES_GATHER_SIZED, mine, block, starts, ranks->time_limit));
    else if (bytes > 0)
        memcpy(block, mine, bytes);
    *all = block;
    block = NULL;
    return ADELE_OK;
}

static adele_status combine(struct ranks *ranks, int64_t *values, size_t n, bool is_sum) {
    OWNED int64_t *all = NULL;
    if (ranks == NULL || n == 0)
        return ADELE_OK;
    TRY(ALLOCATE(&all, n * (size_t)ranks->n));
    TRY(ranks_gather(ranks, values, n * sizeof *values, all));
    for (size_t i = 0; i < n; i++) {
        int64_t value = all[i];
        for (size_t r = 1; r < (size_t)ranks->n; r++) {
            int64_t other = all[r * n + i];
            value = is_sum ? value + other : other > value ? other : value;
        }
        values[i] = value;
    }
    return ADELE_OK;
}

adele_status ranks_sum(struct ranks *ranks, int64_t *values, size_t n) {
    return combine(ranks, values, n, true);
}
adele_status ranks_max(struct ranks *ranks, int64_t *values, size_t n) {
    return combine(ranks, values, n, false);
}

adele_status ranks_exchange(struct ranks *ranks, const void *to_each, size_t bytes,
                            void *from_each) {
    if (bytes == 0)
        return ADELE_OK;
    if (ranks == NULL) {
        memcpy(from_each, to_each, bytes);
        return ADELE_OK;
    }
    size_t own = (size_t)ranks->index * bytes;
    // Each rank begins with the one behind it, so that not all of them send to the same one first.
    for (int i = 1; i < ranks->n; i++) {
        int to = (ranks->index + i) % ranks->n, from = (ranks->index + ranks->n - i) % ranks->n;
        TRY(messages_receive(ranks, MESSAGES_EXCHANGE, from,
                             (char *)from_each + (size_t)from * bytes, bytes));
        TRY(messages_send(ranks, MESSAGES_EXCHANGE, to, (const char *)to_each + (size_t)to * bytes,
                          bytes));
    }
    memcpy((char *)from_each + own, (const char *)to_each + own, bytes);
    return messages_finish(ranks, MESSAGES_EXCHANGE, ranks->time_limit);
}
