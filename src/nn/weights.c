// SPDX-License-Identifier: MIT
// Weights and momenta to and from files, under PyTorch's names. An import first checks every name
// and shape, then reads into host memory, and only then touches the network.
#include "base/fail.h"
#include "base/memory.h"
#include "nn/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// Room for a prefix and a parameter's name; problems named one by one before the rest is only
// counted.
#define NAME_BYTES         256
#define MAX_NAMED_PROBLEMS 5

// Which tensors a file holds: weights and buffers, or one momentum a trainable parameter.
enum content { CONTENT_WEIGHTS, CONTENT_MOMENTA };

struct problems {
    char text[1536];
    size_t used;
    int n;
};

static adele_status full_name(const char *prefix, const struct parameter *parameter,
                              char out[NAME_BYTES]) {
    int length = snprintf(out, NAME_BYTES, "%s%s", prefix, parameter->name);
    if (length < 0 || length >= NAME_BYTES)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "the name %s%s is longer than %d characters",
                    prefix, parameter->name, NAME_BYTES - 1);
    return ADELE_OK;
}

static bool is_wanted(const struct parameter *parameter, enum content content) {
    return content == CONTENT_WEIGHTS || !parameter->is_buffer;
}

// ---- out ----------------------------------------------------------------------------------------

static adele_status export_tensors(struct network *network, enum content content,
                                   const char *prefix, struct safetensors_writer *writer,
                                   float **keep) {
    const struct adele_device *device = network->device;
    const struct graph *graph = &network->graph;
    size_t n_weights = (size_t)graph->n_weights;
    size_t n_buffers = content == CONTENT_WEIGHTS ? (size_t)graph->n_buffers : 0;
    float *host = memory_calloc(n_weights + n_buffers + 1, sizeof *host);
    if (host == NULL)
        return FAIL_NO_MEMORY((n_weights + n_buffers + 1) * sizeof *host);
    adele_status status;
    const float *arena = content == CONTENT_WEIGHTS ? network->weights : network->momenta;
    TRY_GOTO(device->iface->download(device, host, arena, n_weights * sizeof *host), fail);
    if (n_buffers > 0)
        TRY_GOTO(device->iface->download(device, host + n_weights, network->buffers,
                                         n_buffers * sizeof *host),
                 fail);
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        if (!is_wanted(parameter, content))
            continue;
        char name[NAME_BYTES];
        TRY_GOTO(full_name(prefix, parameter, name), fail);
        const float *values = host + parameter->offset + (parameter->is_buffer ? n_weights : 0);
        TRY_GOTO(safetensors_writer_add(writer, name, SAFETENSORS_F32, parameter->n_dimensions,
                                        parameter->shape, values),
                 fail);
    }
    *keep = host;
    return ADELE_OK;
fail:
    memory_free(host);
    return status;
}

adele_status network_export(struct network *network, const char *prefix,
                            struct safetensors_writer *writer, float **keep) {
    return export_tensors(network, CONTENT_WEIGHTS, prefix, writer, keep);
}

adele_status network_export_momenta(struct network *network, const char *prefix,
                                    struct safetensors_writer *writer, float **keep) {
    return export_tensors(network, CONTENT_MOMENTA, prefix, writer, keep);
}

// ---- in -----------------------------------------------------------------------------------------

static void shape_text(int n_dimensions, const int64_t *shape, char *out, size_t out_bytes) {
    size_t used = (size_t)snprintf(out, out_bytes, "[");
    for (int i = 0; i < n_dimensions && used < out_bytes; i++)
        used += (size_t)snprintf(out + used, out_bytes - used, "%s%" PRId64, i > 0 ? ", " : "",
                                 shape[i]);
    if (used < out_bytes)
        snprintf(out + used, out_bytes - used, "]");
}

static void problem_add(struct problems *problems, const char *what, const char *name,
                        const char *detail) {
    problems->n++;
    if (problems->n > MAX_NAMED_PROBLEMS || problems->used >= sizeof problems->text)
        return;
    int length = snprintf(problems->text + problems->used, sizeof problems->text - problems->used,
                          "%s%s %s%s", problems->n > 1 ? "; " : "", what, name, detail);
    problems->used += length > 0 ? (size_t)length : 0;
}

static bool is_shape_equal(const struct safetensors_entry *entry,
                           const struct parameter *parameter) {
    if (entry->n_dimensions != parameter->n_dimensions)
        return false;
    for (int i = 0; i < entry->n_dimensions; i++)
        if (entry->shape[i] != parameter->shape[i])
            return false;
    return true;
}

static adele_status check_wanted(const struct network *network, enum content content,
                                 const char *prefix, const struct safetensors *file,
                                 struct problems *problems) {
    for (int i = 0; i < network->graph.n_parameters; i++) {
        const struct parameter *parameter = &network->graph.parameters[i];
        if (!is_wanted(parameter, content))
            continue;
        char name[NAME_BYTES];
        TRY(full_name(prefix, parameter, name));
        const struct safetensors_entry *entry = safetensors_find(file, name);
        if (entry == NULL) {
            problem_add(problems, "missing", name, "");
        } else if (!is_shape_equal(entry, parameter)) {
            char has[128], wants[128], detail[300];
            shape_text(entry->n_dimensions, entry->shape, has, sizeof has);
            shape_text(parameter->n_dimensions, parameter->shape, wants, sizeof wants);
            snprintf(detail, sizeof detail, " has shape %s, want %s", has, wants);
            problem_add(problems, "tensor", name, detail);
        }
    }
    return ADELE_OK;
}

static bool has_suffix(const char *text, const char *suffix) {
    size_t length = strlen(text), suffix_length = strlen(suffix);
    return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

static bool is_parameter_of(const struct network *network, enum content content, const char *name) {
    for (int i = 0; i < network->graph.n_parameters; i++)
        if (is_wanted(&network->graph.parameters[i], content) &&
            strcmp(network->graph.parameters[i].name, name) == 0)
            return true;
    return false;
}

static void check_extra(const struct network *network, enum content content, const char *prefix,
                        const struct safetensors *file, struct problems *problems) {
    size_t prefix_length = strlen(prefix);
    for (int i = 0; i < safetensors_count(file); i++) {
        const char *name = safetensors_at(file, i)->name;
        // PyTorch counts the batches a batch norm has seen; nothing here depends on it.
        if (strncmp(name, prefix, prefix_length) == 0 && !has_suffix(name, "num_batches_tracked") &&
            !is_parameter_of(network, content, name + prefix_length))
            problem_add(problems, "extra", name, "");
    }
}

static adele_status check_tensors(const struct network *network, enum content content,
                                  const char *prefix, const struct safetensors *file) {
    struct problems problems = {.n = 0};
    TRY(check_wanted(network, content, prefix, file, &problems));
    check_extra(network, content, prefix, file, &problems);
    if (problems.n == 0)
        return ADELE_OK;
    char more[48] = "";
    if (problems.n > MAX_NAMED_PROBLEMS)
        snprintf(more, sizeof more, "; and %d more", problems.n - MAX_NAMED_PROBLEMS);
    return FAIL(
        ADELE_FORMAT,
        "The file must come from the same model: same name, width, channels and categories.",
        "the tensors do not fit the network: %s%s", problems.text, more);
}

static adele_status import_tensors(struct network *network, enum content content,
                                   const char *prefix, const struct safetensors *file) {
    TRY(check_tensors(network, content, prefix, file));
    const struct adele_device *device = network->device;
    const struct graph *graph = &network->graph;
    size_t n_weights = (size_t)graph->n_weights;
    size_t n_buffers = content == CONTENT_WEIGHTS ? (size_t)graph->n_buffers : 0;
    float *host = memory_calloc(n_weights + n_buffers + 1, sizeof *host);
    if (host == NULL)
        return FAIL_NO_MEMORY((n_weights + n_buffers + 1) * sizeof *host);
    adele_status status = ADELE_OK;
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        if (!is_wanted(parameter, content))
            continue;
        char name[NAME_BYTES];
        TRY_GOTO(full_name(prefix, parameter, name), done);
        float *values = host + parameter->offset + (parameter->is_buffer ? n_weights : 0);
        TRY_GOTO(safetensors_read_f32(file, name, parameter->count, values), done);
    }
    float *arena = content == CONTENT_WEIGHTS ? network->weights : network->momenta;
    TRY_GOTO(device->iface->upload(device, arena, host, n_weights * sizeof *host), done);
    if (n_buffers > 0)
        TRY_GOTO(device->iface->upload(device, network->buffers, host + n_weights,
                                       n_buffers * sizeof *host),
                 done);
done:
    memory_free(host);
    return status;
}

adele_status network_import(struct network *network, const char *prefix,
                            const struct safetensors *file) {
    return import_tensors(network, CONTENT_WEIGHTS, prefix, file);
}

adele_status network_import_momenta(struct network *network, const char *prefix,
                                    const struct safetensors *file) {
    return import_tensors(network, CONTENT_MOMENTA, prefix, file);
}
