// SPDX-License-Identifier: MIT
// Initial weights. Each parameter draws from a stream of its own, keyed by its number, so that the
// values depend on the seed and the graph alone.
#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"
#include "nn/plan.h"

#include <math.h>

// Half-width of the uniform distribution. With a = sqrt 5, Kaiming's sqrt(6 / ((1 + a^2) fan_in))
// is 1 / sqrt(fan_in): the same as the bias.
static double uniform_bound(const struct parameter *parameter) {
    return 1.0 / sqrt((double)parameter->fan_in);
}

static void parameter_fill(const struct parameter *parameter, int i_parameter, uint64_t seed,
                           float *values) {
    struct random_stream stream;
    random_stream_init(&stream, seed, RANDOM_INIT, 0, (uint32_t)i_parameter);
    switch (parameter->init) {
    case INIT_KAIMING_UNIFORM:
    case INIT_BIAS_UNIFORM: {
        double bound = uniform_bound(parameter);
        for (int64_t i = 0; i < parameter->count; i++)
            values[i] = (float)random_range(&stream, -bound, bound);
        break;
    }
    case INIT_KAIMING_NORMAL_FAN_OUT: {
        double deviation = sqrt(2.0 / (double)parameter->fan_out);
        for (int64_t i = 0; i < parameter->count; i++)
            values[i] = (float)(deviation * random_normal(&stream));
        break;
    }
    case INIT_ONES:
        for (int64_t i = 0; i < parameter->count; i++)
            values[i] = 1.0F;
        break;
    case INIT_ZEROS:
        break; // the arena's host copy starts at zero
    }
}

static adele_status arena_initialize(struct network *network, bool is_buffer, uint64_t seed) {
    const struct graph *graph = &network->graph;
    int64_t n = is_buffer ? graph->n_buffers : graph->n_weights;
    if (n == 0)
        return ADELE_OK;
    float *values = memory_calloc((size_t)n, sizeof *values);
    if (values == NULL)
        return FAIL_NO_MEMORY((size_t)n * sizeof *values);
    for (int i = 0; i < graph->n_parameters; i++)
        if (graph->parameters[i].is_buffer == is_buffer)
            parameter_fill(&graph->parameters[i], i, seed, values + graph->parameters[i].offset);
    adele_status status = network->device->iface->upload(
        network->device, is_buffer ? network->buffers : network_writable_weights(network), values,
        (size_t)n * sizeof *values);
    memory_free(values);
    return status;
}

adele_status network_initialize(struct network *network, uint64_t seed) {
    TRY(arena_initialize(network, false, seed));
    return arena_initialize(network, true, seed);
}
