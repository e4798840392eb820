// SPDX-License-Identifier: MIT
// A network: its arenas on the device, the plans it owns and the memory they share.
#include "base/fail.h"
#include "base/memory.h"
#include "nn/plan.h"

#include <string.h>

static adele_status arena_create(struct network *network, int64_t n_floats, float **out) {
    // A network without parameters of a kind still gets an address.
    size_t bytes = (size_t)(n_floats > 0 ? n_floats : 1) * sizeof(float);
    void *block = NULL;
    TRY(adele_device_alloc_zeroed(network->device, bytes, "parameters", &block));
    *out = block;
    return ADELE_OK;
}

adele_status network_take_graph(const struct adele_device *device, struct graph *graph,
                                uint64_t seed, enum adele_precision precision,
                                struct network **out) {
    struct network *network;
    TRY(ALLOCATE(&network, 1));
    network->device = device;
    network->graph = *graph;
    network->n_momenta = graph->n_weights;
    network->precision = precision;
    network->seed = seed;
    graph_init(graph); // the nodes are the network's now
    *out = network;
    return ADELE_OK;
}

// After an error the network can only be destroyed.
static adele_status allocate_parameters(struct network *network) {
    TRY(arena_create(network, network->graph.n_weights, &network->weights));
    TRY(arena_create(network, network->graph.n_weights, &network->gradients));
    TRY(arena_create(network, network->n_momenta, &network->momenta));
    TRY(arena_create(network, network->graph.n_buffers, &network->buffers));
    return network_initialize(network, network->seed);
}

adele_status network_complete(struct network *network, struct network **out) {
    adele_status status = allocate_parameters(network);
    if (status != ADELE_OK) {
        network_destroy(network);
        return status;
    }
    *out = network;
    return ADELE_OK;
}

static void destroy_plans(struct network *network) {
    for (int i = 0; i < network->n_groups; i++)
        plan_group_destroy(network->groups[i]);
    for (int i = 0; i < network->n_plans; i++)
        plan_destroy(network->plans[i]);
    network->n_groups = network->n_plans = 0;
}

void network_destroy(struct network *network) {
    if (network == NULL)
        return;
    const struct adele_device *device = network->device;
    destroy_plans(network);
    memory_free(network->groups);
    memory_free(network->plans);
    memory_free(network->ranges);
    packing_release(network);
    device->iface->release(device, network->shared);
    device->iface->release(device, network->weights);
    device->iface->release(device, network->gradients);
    device->iface->release(device, network->momenta);
    device->iface->release(device, network->buffers);
    device->iface->release(device, network->second_moments);
    device->iface->release(device, network->average);
    graph_deinit(&network->graph);
    memory_free(network);
}

const struct graph *network_graph(const struct network *network) {
    return &network->graph;
}

bool network_has_parameters(const struct network *network) {
    return network->weights != NULL;
}

int64_t network_parameter_count(const struct network *network) {
    int64_t count = 0;
    for (int i = 0; i < network->graph.n_parameters; i++)
        if (!network->graph.parameters[i].is_buffer)
            count += network->graph.parameters[i].count;
    return count;
}

const float *network_weights(const struct network *network) {
    return network->weights;
}

float *network_writable_weights(struct network *network) {
    network->packing.is_current = false;
    return network->weights;
}

float *network_gradients(struct network *network) {
    return network->gradients;
}

float *network_momenta(struct network *network) {
    return network->momenta;
}

float *network_buffers(struct network *network) {
    return network->buffers;
}

adele_status network_divide_momenta(struct network *network, int n,
                                    const struct network_range *ranges, int64_t n_floats) {
    if (network->momenta != NULL || network->second_moments != NULL || network->ranges != NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "the momenta are allocated, or divided, already");
    TRY(ALLOCATE(&network->ranges, n + 1));
    memcpy(network->ranges, ranges, (size_t)n * sizeof *ranges);
    network->n_ranges = n;
    network->n_momenta = n_floats;
    return ADELE_OK;
}

size_t network_undivided_bytes(const struct network *network) {
    size_t n_floats = (size_t)(network->graph.n_weights - network->n_momenta);
    return (network->second_moments != NULL ? 2 : 1) * n_floats * sizeof(float);
}

adele_status network_add_second_moments(struct network *network) {
    return arena_create(network, network->n_momenta, &network->second_moments);
}

float *network_second_moments(const struct network *network) {
    return network->second_moments;
}

size_t network_early_bytes(const struct network *network) {
    size_t n_weights = (size_t)network->graph.n_weights, n_floats = 0;
    if (network->second_moments != NULL)
        n_floats += (size_t)network->n_momenta;
    if (network->average != NULL)
        n_floats += n_weights + (size_t)network->graph.n_buffers;
    return n_floats * sizeof(float);
}

// ---- the average --------------------------------------------------------------------------------

adele_status network_add_average(struct network *network) {
    return arena_create(network, network->graph.n_weights + network->graph.n_buffers,
                        &network->average);
}

float *network_average(const struct network *network) {
    return network->average;
}

static adele_status copy_floats(const struct network *network, float *to, const float *from,
                                int64_t n) {
    const struct adele_device *device = network->device;
    return n > 0 ? device->iface->copy(device, to, from, (size_t)n * sizeof(float)) : ADELE_OK;
}

adele_status network_restart_average(struct network *network) {
    int64_t n_weights = network->graph.n_weights;
    TRY(copy_floats(network, network->average, network->weights, n_weights));
    return copy_floats(network, network->average + n_weights, network->buffers,
                       network->graph.n_buffers);
}

// Through the gradients, of which there are at least as many as of either: every buffer is one of a
// batch norm, which has as many weights.
static adele_status exchange(struct network *network, float *a, float *b, int64_t n) {
    if (n > network->graph.n_weights)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "%lld buffers beside %lld weights", (long long)n,
                    (long long)network->graph.n_weights);
    TRY(copy_floats(network, network->gradients, a, n));
    TRY(copy_floats(network, a, b, n));
    return copy_floats(network, b, network->gradients, n);
}

adele_status network_exchange_average(struct network *network) {
    int64_t n_weights = network->graph.n_weights;
    TRY(exchange(network, network_writable_weights(network), network->average, n_weights));
    TRY(exchange(network, network->buffers, network->average + n_weights,
                 network->graph.n_buffers));
    return network_pack(network); // at once: a step that had to do it would have other launches
}

adele_status network_zero_gradients(struct network *network) {
    const struct adele_device *device = network->device;
    return device->iface->fill(device, network->gradients, 0,
                               (size_t)network->graph.n_weights * sizeof(float));
}

// ---- plans --------------------------------------------------------------------------------------

adele_status network_plan(struct network *network, int n, int h, int w, bool is_training,
                          struct plan **out) {
    if (n < 1 || h < 1 || w < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "a batch of %d images of %d x %d pixels is empty",
                    n, h, w);
    // Inference plans keep nothing from one run to the next, so that one serves all of its shape.
    for (int i = 0; i < network->n_plans && !is_training; i++) {
        struct plan *plan = network->plans[i];
        struct adele_shape shape = plan->steps[0].shape;
        if (!plan->is_training && shape.n == n && shape.h == h && shape.w == w) {
            *out = plan;
            return ADELE_OK;
        }
    }
    TRY(GROW(&network->plans, network->n_plans));
    struct adele_shape input = {n, network->graph.n_nodes > 0 ? network->graph.nodes[0].c : 0, h,
                                w};
    TRY(plan_create(network, input, is_training, &network->plans[network->n_plans]));
    *out = network->plans[network->n_plans++];
    return ADELE_OK;
}

adele_status network_group(struct network *network, int n, struct plan *const *plans,
                           struct plan_group **out) {
    TRY(GROW(&network->groups, network->n_groups));
    TRY(plan_group_create(network, n, plans, &network->groups[network->n_groups]));
    *out = network->groups[network->n_groups++];
    return ADELE_OK;
}

static size_t largest_shared_bytes(const struct network *network) {
    size_t bytes = 0;
    for (int i = 0; i < network->n_plans; i++)
        bytes = larger(bytes, network->plans[i]->memory.shared_bytes);
    for (int i = 0; i < network->n_groups; i++)
        bytes = larger(bytes, network->groups[i]->shared_bytes);
    return bytes;
}

static adele_status allocate_shared(struct network *network) {
    const struct adele_device *device = network->device;
    size_t bytes = largest_shared_bytes(network);
    if (bytes <= network->shared_bytes)
        return ADELE_OK;
    // The old region is released first, so that the device need not hold both; until the new one is
    // there no plan can run.
    TRY(device->iface->synchronize(device));
    for (int i = 0; i < network->n_plans; i++)
        network->plans[i]->is_bound = false;
    device->iface->release(device, network->shared);
    network->shared = NULL;
    network->shared_bytes = 0;
    TRY(adele_device_alloc_zeroed(device, bytes, "gradients and workspace", &network->shared));
    network->shared_bytes = bytes;
    return ADELE_OK;
}

static adele_status allocate_regions(struct network *network) {
    TRY(allocate_shared(network));
    TRY(packing_allocate(network));
    for (int i = 0; i < network->n_plans; i++) {
        struct plan *plan = network->plans[i];
        if (plan->activations == NULL)
            TRY(adele_device_alloc_zeroed(network->device, plan->memory.activation_bytes,
                                          "activations", &plan->activations));
        plan_bind(plan);
    }
    return ADELE_OK;
}

adele_status network_allocate(struct network *network) {
    if (!network_has_parameters(network))
        TRY(allocate_parameters(network));
    adele_status status = allocate_regions(network);
    if (status == ADELE_NO_MEMORY)
        return fail_context(status, "the plans of the network take %zu bytes",
                            network_planned_bytes(network));
    return status;
}

adele_status network_drop_plans(struct network *network) {
    const struct adele_device *device = network->device;
    TRY(device->iface->synchronize(device));
    destroy_plans(network);
    // packing_allocate assumes that no plan is ever removed, so it has to start again.
    packing_release(network);
    device->iface->release(device, network->shared);
    network->shared = NULL;
    network->shared_bytes = 0;
    return ADELE_OK;
}

size_t network_parameter_bytes(const struct network *network) {
    return (2 * (size_t)network->graph.n_weights + (size_t)network->n_momenta +
            (size_t)network->graph.n_buffers) *
               sizeof(float) +
           network_early_bytes(network);
}

size_t network_planned_bytes(const struct network *network) {
    size_t bytes = largest_shared_bytes(network) + (size_t)packing_bytes(network);
    for (int i = 0; i < network->n_plans; i++)
        bytes += network->plans[i]->memory.activation_bytes;
    return bytes;
}

size_t network_allocated_bytes(const struct network *network) {
    size_t bytes = network->shared_bytes + (size_t)network->packing.bytes;
    for (int i = 0; i < network->n_plans; i++)
        if (network->plans[i]->activations != NULL)
            bytes += network->plans[i]->memory.activation_bytes;
    return bytes;
}
