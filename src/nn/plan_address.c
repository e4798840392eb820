// SPDX-License-Identifier: MIT
// Where the blocks of a plan and the parameters of a network lie in device memory.
#include "nn/plan.h"

void *plan_block_address(const struct plan *plan, int i_block) {
    if (i_block == -1)
        return NULL;
    const struct plan_block *block = &plan->blocks[i_block];
    char *region = block->is_shared ? plan->network->shared : plan->activations;
    return region + block->offset;
}

float *network_parameter(const struct network *network, float *arena, int i_parameter) {
    return i_parameter == -1 ? NULL : arena + network->graph.parameters[i_parameter].offset;
}

struct adele_slice plan_slice(const struct plan *plan, int i_node) {
    const struct plan_step *step = &plan->steps[i_node];
    struct adele_slice none = {0, 0};
    if (step->into == -1)
        return none;
    return (struct adele_slice){step->first_channel, plan->network->graph.nodes[step->into].c};
}
