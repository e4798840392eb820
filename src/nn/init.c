// SPDX-License-Identifier: MIT
// Initial weights, computed on the device. Each parameter has its own random stream, keyed by its
// number, so that the values depend on the seed and the graph alone.
#include "base/fail.h"
#include "base/memory.h"
#include "nn/plan.h"

#include <math.h>

// Half-width of the uniform distribution. With a = sqrt 5, Kaiming's sqrt(6 / ((1 + a^2) fan_in))
// is 1 / sqrt(fan_in): the same as the bias.
static double uniform_bound(const struct parameter *parameter) {
    return 1.0 / sqrt((double)parameter->fan_in);
}

static struct adele_initialize_item item_of(const struct parameter *parameter, int i_parameter) {
    struct adele_initialize_item item = {
        .offset = parameter->offset, .count = parameter->count, .stream = (uint32_t)i_parameter};
    switch (parameter->init) {
    case INIT_KAIMING_UNIFORM:
    case INIT_BIAS_UNIFORM:
        item.kind = ADELE_INITIAL_UNIFORM;
        item.spread = uniform_bound(parameter);
        break;
    case INIT_KAIMING_NORMAL_FAN_OUT:
        item.kind = ADELE_INITIAL_NORMAL;
        item.spread = sqrt(2.0 / (double)parameter->fan_out);
        break;
    case INIT_ONES:
        item.spread = 1.0;
        break;
    case INIT_ZEROS:
        break;
    }
    return item;
}

static adele_status draw_values(struct network *network, const struct adele_initialize_desc *desc,
                                float *values) {
    const struct adele_device *device = network->device;
    struct adele_op *op = NULL;
    TRY(device->iface->initialize_create(device, desc, &op));
    struct adele_initialize_args args = {values};
    adele_status status = device->iface->initialize_forward(op, &args);
    if (status == ADELE_OK)
        status = device->iface->synchronize(device);
    device->iface->op_destroy(op);
    return status;
}

static adele_status arena_initialize(struct network *network, bool is_buffer, uint64_t seed) {
    const struct graph *graph = &network->graph;
    int64_t n = is_buffer ? graph->n_buffers : graph->n_weights;
    if (n == 0)
        return ADELE_OK;
    float *values = is_buffer ? network->buffers : network->weights;
    TRY(network->device->iface->fill(network->device, values, 0, (size_t)n * sizeof *values));
    OWNED struct adele_initialize_item *items = NULL;
    TRY(ALLOCATE(&items, graph->n_parameters));
    struct adele_initialize_desc desc = {.items = items, .seed = seed};
    for (int i = 0; i < graph->n_parameters; i++)
        if (graph->parameters[i].is_buffer == is_buffer)
            items[desc.n_items++] = item_of(&graph->parameters[i], i);
    return draw_values(network, &desc, values);
}

adele_status network_initialize(struct network *network, uint64_t seed) {
    network->packing.is_current = false;
    TRY(arena_initialize(network, false, seed));
    return arena_initialize(network, true, seed);
}
