// SPDX-License-Identifier: MIT
// Weights and momenta to and from files, under PyTorch's names. An import first checks every name
// and shape, then reads into host memory, and only then touches the network.
#include "nn/weights.h"
#include "base/fail.h"
#include "base/memory.h"
#include "nn/plan.h"

static size_t buffer_count(const struct graph *graph, enum weights_content content) {
    return content <= CONTENT_AVERAGE ? (size_t)graph->n_buffers : 0;
}

// Momenta of which the network has ranges alone.
static adele_status move_ranges(struct network *network, float *arena, float *host,
                                bool is_upload) {
    const struct adele_device *device = network->device;
    for (int i = 0; i < network->n_ranges; i++) {
        const struct network_range *range = &network->ranges[i];
        float *own = arena + range->at, *whole = host + range->first;
        size_t bytes = (size_t)range->n * sizeof *host;
        TRY(is_upload ? device->iface->upload(device, own, whole, bytes)
                      : device->iface->download(device, whole, own, bytes));
    }
    return ADELE_OK;
}

// Copies the arenas of the content to the host or back.
static adele_status move_arenas(struct network *network, enum weights_content content, float *host,
                                bool is_upload) {
    const struct adele_device *device = network->device;
    const struct graph *graph = &network->graph;
    size_t n_weights = (size_t)graph->n_weights, n_buffers = buffer_count(graph, content);
    float *arena = content == CONTENT_MOMENTA          ? network->momenta
                   : content == CONTENT_SECOND_MOMENTS ? network->second_moments
                   : content == CONTENT_AVERAGE        ? network->average
                   : is_upload                         ? network_writable_weights(network)
                                                       : network->weights;
    float *buffers = content == CONTENT_AVERAGE ? network->average + n_weights : network->buffers;
    if (network->ranges != NULL &&
        (content == CONTENT_MOMENTA || content == CONTENT_SECOND_MOMENTS))
        return move_ranges(network, arena, host, is_upload);
    size_t arena_bytes = n_weights * sizeof *host, buffer_bytes = n_buffers * sizeof *host;
    TRY(is_upload ? device->iface->upload(device, arena, host, arena_bytes)
                  : device->iface->download(device, host, arena, arena_bytes));
    if (n_buffers == 0)
        return ADELE_OK;
    return is_upload ? device->iface->upload(device, buffers, host + n_weights, buffer_bytes)
                     : device->iface->download(device, host + n_weights, buffers, buffer_bytes);
}

// ---- export -------------------------------------------------------------------------------------

adele_status network_download(struct network *network, float **out) {
    const struct graph *graph = &network->graph;
    OWNED float *host = NULL;
    TRY(ALLOCATE(&host, graph->n_weights + graph->n_buffers + 1));
    TRY(move_arenas(network, CONTENT_WEIGHTS, host, false));
    *out = host;
    host = NULL;
    return ADELE_OK;
}

// `host`: as move_arenas fills it; borrowed by the writer.
static adele_status add_tensors(const struct network *network, enum weights_content content,
                                const float *host, const char *prefix,
                                struct safetensors_writer *writer) {
    const struct graph *graph = &network->graph;
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        if (!weights_is_wanted(parameter, content))
            continue;
        char name[WEIGHTS_NAME_BYTES];
        TRY(weights_full_name(prefix, parameter, name));
        const float *values =
            host + parameter->offset + (parameter->is_buffer ? graph->n_weights : 0);
        TRY(safetensors_writer_add(writer, name, SAFETENSORS_F32, parameter->n_dimensions,
                                   parameter->shape, values));
    }
    return ADELE_OK;
}

adele_status network_export(struct network *network, enum weights_content content,
                            const char *prefix, const float *whole,
                            struct safetensors_writer *writer, float **keep) {
    const struct graph *graph = &network->graph;
    OWNED float *host = NULL;
    if (whole != NULL)
        return add_tensors(network, content, whole, prefix, writer);
    TRY(ALLOCATE(&host, (size_t)graph->n_weights + buffer_count(graph, content) + 1));
    TRY(move_arenas(network, content, host, false));
    TRY(add_tensors(network, content, host, prefix, writer));
    *keep = host;
    host = NULL;
    return ADELE_OK;
}

// ---- import -------------------------------------------------------------------------------------

static adele_status read_tensors(const struct graph *graph, enum weights_content content,
                                 const char *prefix, const struct safetensors *file, float *host) {
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        char name[WEIGHTS_NAME_BYTES];
        if (!weights_is_wanted(parameter, content))
            continue;
        TRY(weights_full_name(prefix, parameter, name));
        // weights_check allowed it to be missing: the parameter keeps its values.
        if (safetensors_find(file, name) == NULL)
            continue;
        float *values = host + parameter->offset + (parameter->is_buffer ? graph->n_weights : 0);
        TRY(safetensors_read_f32(file, name, parameter->count, values));
    }
    return ADELE_OK;
}

adele_status network_import(struct network *network, enum weights_content content,
                            const char *prefix, const struct safetensors *file, bool is_partial) {
    const struct graph *graph = &network->graph;
    TRY(weights_check(graph, content, prefix, file, is_partial));
    size_t n_buffers = buffer_count(graph, content);
    OWNED float *host = NULL;
    TRY(ALLOCATE(&host, (size_t)graph->n_weights + n_buffers + 1));
    if (is_partial)
        TRY(move_arenas(network, content, host, false));
    TRY(read_tensors(graph, content, prefix, file, host));
    return move_arenas(network, content, host, true);
}
