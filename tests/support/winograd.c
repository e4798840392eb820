// SPDX-License-Identifier: MIT
#include "support/winograd.h"

#include <string.h>

double winograd_factor(const struct plan *plan) {
    for (int i = 0; i < plan->network->graph.n_nodes; i++) {
        const struct adele_op *op = plan->steps[i].op;
        if (op != NULL && op->engine != NULL && strstr(op->engine, "wino") != NULL)
            return WINOGRAD_FACTOR;
    }
    return 1.0;
}
