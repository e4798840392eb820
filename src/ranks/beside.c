// SPDX-License-Identifier: MIT
// Messages that are on their way while a rank computes.
#include "base/clock.h"
#include "ranks/ranks_state.h"

adele_status ranks_send(struct ranks *ranks, int to, const void *block, size_t bytes) {
    return messages_send(ranks, MESSAGES_BESIDE, to, block, bytes);
}

adele_status ranks_receive(struct ranks *ranks, int from, void *block, size_t bytes) {
    return messages_receive(ranks, MESSAGES_BESIDE, from, block, bytes);
}

adele_status ranks_poll(struct ranks *ranks) {
    int n_done = 0;
    return messages_poll(ranks, MESSAGES_BESIDE, &n_done);
}

adele_status ranks_wait(struct ranks *ranks) {
    double now = clock_seconds();
    for (int r = 0; r < ranks->n; r++)
        ranks->heard[r] = now;
    return messages_finish(ranks, MESSAGES_BESIDE, ranks->time_limit);
}

void ranks_cancel(struct ranks *ranks) {
    for (int r = 0; r < ranks->n; r++)
        if (ranks->n_pending[r] > 0) {
            messages_cancel(ranks);
            return;
        }
}
