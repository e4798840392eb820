// SPDX-License-Identifier: MIT
#include "support/plan_overlap.h"

#include "nn/node_traits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool is_live_at(const struct plan_block *block, int time) {
    return (block->first <= time && time <= block->last) ||
           (block->last_again > 0 && block->first_again <= time && time <= block->last_again);
}

void plan_assert_no_overlap(const struct plan *plan) {
    for (int i = 0; i < plan->n_blocks; i++) {
        const struct plan_block *a = &plan->blocks[i];
        size_t limit = a->is_shared ? plan->memory.shared_bytes : plan->memory.activation_bytes;
        assert_true(a->offset + a->bytes <= limit);
        assert_true(a->first <= a->last);
        assert_int_equal(a->offset % 256, 0);
        for (int k = 0; k < i; k++) {
            const struct plan_block *b = &plan->blocks[k];
            bool is_together = !a->is_shared;
            for (int time = 0; a->is_shared && time < 2 * plan->network->graph.n_nodes; time++)
                is_together = is_together || (is_live_at(a, time) && is_live_at(b, time));
            if (a->is_shared == b->is_shared && is_together && a->offset < b->offset + b->bytes &&
                b->offset < a->offset + a->bytes)
                fail_msg("blocks %d and %d share bytes while both live", k, i);
        }
    }
}

size_t plan_live_peak(const struct plan *plan) {
    size_t peak = 0;
    for (int time = 0; time <= 2 * plan->network->graph.n_nodes; time++) {
        size_t bytes = 0;
        for (int i = 0; i < plan->n_blocks; i++)
            if (plan->blocks[i].is_shared && is_live_at(&plan->blocks[i], time))
                bytes += plan->blocks[i].bytes;
        peak = bytes > peak ? bytes : peak;
    }
    return peak;
}

size_t plan_shared_sum(const struct plan *plan) {
    size_t bytes = 0;
    for (int i = 0; i < plan->n_blocks; i++)
        bytes += plan->blocks[i].is_shared ? plan->blocks[i].bytes : 0;
    return bytes;
}
