// SPDX-License-Identifier: MIT
// Parameter groups (METHOD section 5).
#include "nn/graph.h"

static bool is_bias(const struct parameter *parameter) {
    return parameter->init == INIT_BIAS_UNIFORM || parameter->init == INIT_ZEROS;
}

void graph_set_rates(struct graph *graph, enum rate_groups groups) {
    for (int i = 0; i < graph->n_parameters; i++) {
        struct parameter *parameter = &graph->parameters[i];
        parameter->lr_scale = parameter->is_frozen ? 0.0F : 1.0F;
        if (groups == RATES_VOC && parameter->is_new)
            parameter->lr_scale *= 10.0F;
        if (groups == RATES_VOC && is_bias(parameter))
            parameter->lr_scale *= 2.0F;
    }
}
