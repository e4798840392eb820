// SPDX-License-Identifier: MIT
#include "step/averaged_weights.h"

#include "base/fail.h"

#include <math.h>
#include <string.h>

#define LARGEST_DECAY 0.99

adele_status averaged_weights_init(struct averaged_weights *out, const struct adele_device *device,
                                   struct network *network, bool is_apart) {
    const struct adele_average_desc desc = {network_graph(network)->n_buffers};
    const struct adele_average_desc desc_weights = {network_graph(network)->n_weights};
    *out = (struct averaged_weights){.network = network};
    TRY(network_add_average(network));
    if (is_apart)
        TRY(device->iface->average_create(device, &desc_weights, &out->weights));
    return desc.n_floats > 0 ? device->iface->average_create(device, &desc, &out->buffers)
                             : ADELE_OK;
}

void averaged_weights_deinit(struct averaged_weights *self) {
    if (self->buffers)
        self->buffers->device->iface->op_destroy(self->buffers);
    if (self->weights)
        self->weights->device->iface->op_destroy(self->weights);
    memset(self, 0, sizeof *self);
}

float averaged_weights_decay(const struct epoch_plan *plan, int epoch, int i_step) {
    int first = epoch_plan_update(plan, epoch, i_step).first;
    // With train.iterations the last epoch may have fewer steps than others. When such a run is
    // resumed with more of them, that epoch counts as a whole one, which changes the decay little.
    double n_before =
        (double)(epoch - 1) * ((plan->n_steps + plan->accumulate - 1) / plan->accumulate) +
        epoch_plan_updates(plan, epoch, first);
    return (float)fmin(LARGEST_DECAY, (1.0 + n_before) / (10.0 + n_before));
}

adele_status averaged_weights_update_weights(const struct averaged_weights *self, float decay,
                                             const int64_t *health) {
    if (!self->weights)
        return ADELE_OK;
    const struct adele_average_args args = {.average = network_average(self->network),
                                            .values = network_weights(self->network),
                                            .decay = decay,
                                            .health = health};
    return self->weights->device->iface->average_forward(self->weights, &args);
}

adele_status averaged_weights_update_buffers(const struct averaged_weights *self, float decay,
                                             const int64_t *health) {
    if (!self->buffers)
        return ADELE_OK;
    const struct adele_average_args args = {.average = network_average(self->network) +
                                                       network_graph(self->network)->n_weights,
                                            .values = network_buffers(self->network),
                                            .decay = decay,
                                            .health = health};
    return self->buffers->device->iface->average_forward(self->buffers, &args);
}
