// SPDX-License-Identifier: MIT
#include "step/step_parts.h"

#include "base/fail.h"
#include "loader/resident.h"
#include "step/training_step.h"

#include <string.h>

// A loss op leaves the flag of a finite loss as it was, and makes that of another one 0. A float
// whose bytes are all 1 is no denormal, so that it stays what it is when zeros are added.
#define FINITE_BYTE 1

// A vector is a multiple of as many floats for each part, whatever the ranks: its chunks are equal
// and begin on a cache line.
#define CHUNK_FLOATS 16

adele_status step_parts_divide(struct step_parts *out, int n_parts, const struct ranks *ranks) {
    int n_ranks = ranks_count(ranks);
    if (n_parts % n_ranks != 0) // both are powers of two where it is 0
        return FAIL(ADELE_CONFIG,
                    "Start a number of processes that divides train.parts, or change train.parts.",
                    "%d processes cannot share train.parts: %d out equally", n_ranks, n_parts);
    out->n = n_parts;
    out->n_own = n_parts / n_ranks;
    out->i_first = ranks_index(ranks) * out->n_own;
    return ADELE_OK;
}

static adele_status send_bucket(void *context, int i_bucket) {
    struct step_parts *parts = context;
    const struct bucket *bucket = &parts->buckets.all[i_bucket];
    float *vector = parts->tree.vectors;
    return parts->is_divided ? bucket_exchange_send(&parts->divided.exchange, i_bucket, vector)
                             : exchange_sum_part(parts->exchange, vector + bucket->first, bucket->n,
                                                 i_bucket + 1 == parts->buckets.n);
}

static adele_status between_ranks_init(struct training_step *step) {
    struct step_parts *parts = &step->parts;
    const struct adele_device *device = step->data->device;
    struct ranks *ranks = step->data->ranks;
    TRY(buckets_init(&parts->buckets, parts->at_scales, parts->tree.n_floats - parts->at_scales,
                     ranks_count(ranks)));
    parts->overlap = (struct overlap){.tree = &parts->tree,
                                      .network = step->network,
                                      .buckets = &parts->buckets,
                                      .send = send_bucket,
                                      .context = parts};
    TRY(overlap_init(&parts->overlap));
    parts->is_divided = resident_is_host_memory(device);
    return parts->is_divided
               ? divided_update_init(&parts->divided, device, ranks, &parts->buckets, step->network)
               : exchange_create(device, ranks, parts->tree.n_floats, &parts->exchange);
}

adele_status step_parts_init(struct training_step *step) {
    struct step_parts *parts = &step->parts;
    const struct adele_device *device = step->data->device;
    const struct graph *graph = network_graph(step->network);
    if (parts->n == 1)
        return ADELE_OK;
    parts->at_scales = graph->n_weights;
    parts->at_statistics = parts->at_scales + ADELE_MAX_SCALES;
    parts->at_flags = parts->at_statistics + graph->n_buffers;
    int64_t multiple = (int64_t)parts->n * CHUNK_FLOATS;
    int64_t n_floats = (parts->at_flags + parts->n + multiple - 1) / multiple * multiple;
    TRY(part_tree_init(&parts->tree, device, n_floats, parts->n_own));
    if (parts->n_own < parts->n)
        TRY(between_ranks_init(step));
    const struct adele_combine_desc mean = {graph->n_buffers};
    return mean.n_floats > 0 ? device->iface->combine_create(device, &mean, &parts->mean)
                             : ADELE_OK;
}

adele_status step_parts_connect(struct step_parts *parts) {
    return parts->exchange ? exchange_connect(parts->exchange) : ADELE_OK;
}

adele_status step_parts_disconnect(struct step_parts *parts) {
    return parts->exchange ? exchange_disconnect(parts->exchange) : ADELE_OK;
}

void step_parts_deinit(struct step_parts *parts) {
    if (parts->mean)
        parts->tree.device->iface->op_destroy(parts->mean);
    exchange_destroy(parts->exchange);
    divided_update_deinit(&parts->divided);
    overlap_deinit(&parts->overlap);
    buckets_deinit(&parts->buckets);
    part_tree_deinit(&parts->tree);
    memset(parts, 0, sizeof *parts);
}

size_t step_parts_bytes(const struct step_parts *parts) {
    return parts->tree.bytes + parts->divided.exchange.bytes +
           (parts->exchange ? exchange_device_bytes(parts->exchange) : 0);
}

// ---- a step -------------------------------------------------------------------------------------

static float *scale_gradients(const struct training_step *step) {
    return step->scale_state + ADELE_MAX_SCALES;
}

static size_t statistics_bytes(const struct training_step *step) {
    return (size_t)network_graph(step->network)->n_buffers * sizeof(float);
}

static adele_status copy(const struct training_step *step, void *to, const void *from,
                         size_t bytes) {
    const struct adele_device *device = step->data->device;
    return bytes > 0 ? device->iface->copy(device, to, from, bytes) : ADELE_OK;
}

adele_status step_parts_begin_step(struct training_step *step) {
    const struct adele_device *device = step->data->device;
    return device->iface->fill(device, step->loss_is_finite, FINITE_BYTE,
                               (size_t)step->parts.n * sizeof *step->loss_is_finite);
}

// Whether buckets are exchanged beside the backward of that part.
static bool is_overlapped(const struct step_parts *parts, int i_part) {
    return i_part + 1 == parts->i_first + parts->n_own &&
           (parts->is_divided || (parts->exchange && exchange_is_queued(parts->exchange)));
}

adele_status step_parts_begin_part(struct training_step *step, int i_part) {
    struct step_parts *parts = &step->parts;
    const struct adele_device *device = step->data->device;
    TRY(network_zero_gradients(step->network));
    TRY(device->iface->fill(device, scale_gradients(step), 0, ADELE_MAX_SCALES * sizeof(float)));
    TRY(copy(step, network_buffers(step->network), step->good_statistics, statistics_bytes(step)));
    if (!is_overlapped(parts, i_part))
        return ADELE_OK;
    overlap_begin(&parts->overlap);
    return parts->is_divided ? bucket_exchange_begin(&parts->divided.exchange) : ADELE_OK;
}

static adele_status after_node(void *context, int i_node) {
    struct step_parts *parts = context;
    TRY(overlap_after_node(&parts->overlap, i_node));
    return parts->is_divided ? ranks_poll(parts->divided.exchange.ranks) : ADELE_OK;
}

adele_status step_parts_backward(struct training_step *step, struct plan_group *group, int i_part) {
    struct step_parts *parts = &step->parts;
    return is_overlapped(parts, i_part) ? plan_group_backward_observed(group, after_node, parts)
                                        : plan_group_backward(group);
}

// What a part's vector has behind its gradients.
static adele_status copy_rest(const struct training_step *step, int i_part, float *to) {
    const struct step_parts *parts = &step->parts;
    const struct adele_device *device = step->data->device;
    TRY(copy(step, to + parts->at_scales, scale_gradients(step), ADELE_MAX_SCALES * sizeof(float)));
    TRY(copy(step, to + parts->at_statistics, network_buffers(step->network),
             statistics_bytes(step)));
    TRY(device->iface->fill(device, to + parts->at_flags, 0, (size_t)parts->n * sizeof(float)));
    return copy(step, to + parts->at_flags + i_part, step->loss_is_finite + i_part,
                sizeof *step->loss_is_finite);
}

adele_status step_parts_add(struct training_step *step, int i_part) {
    struct step_parts *parts = &step->parts;
    float *to = part_tree_next(&parts->tree);
    TRY(copy_rest(step, i_part, to));
    if (is_overlapped(parts, i_part))
        return overlap_send_rest(&parts->overlap);
    TRY(copy(step, to, network_gradients(step->network), (size_t)parts->at_scales * sizeof(float)));
    return part_tree_add(&parts->tree);
}

static adele_status exchange_divided(struct training_step *step) {
    const struct adele_device *device = step->data->device;
    bool are_finite = false;
    TRY(divided_update_sum(&step->parts.divided, part_tree_end(&step->parts.tree), &are_finite));
    const int32_t flag = are_finite;
    return device->iface->upload(device, step->loss_is_finite + step->parts.n, &flag, sizeof flag);
}

adele_status step_parts_exchange(struct training_step *step) {
    struct step_parts *parts = &step->parts;
    if (parts->is_divided)
        return exchange_divided(step);
    if (!parts->exchange || exchange_is_queued(parts->exchange))
        return ADELE_OK; // the rest was the last part of the sum
    return exchange_sum(parts->exchange, part_tree_end(&parts->tree));
}

adele_status step_parts_end_step(struct training_step *step) {
    struct step_parts *parts = &step->parts;
    const struct adele_device *device = step->data->device;
    const float *sum = part_tree_end(&parts->tree);
    if (!parts->is_divided)
        TRY(copy(step, network_gradients(step->network), sum,
                 (size_t)parts->at_scales * sizeof(float)));
    TRY(copy(step, scale_gradients(step), sum + parts->at_scales,
             ADELE_MAX_SCALES * sizeof(float)));
    TRY(copy(step, step->loss_is_finite, sum + parts->at_flags,
             (size_t)parts->n * sizeof *step->loss_is_finite));
    if (!parts->mean)
        return ADELE_OK;
    const struct adele_combine_args mean = {.a = sum + parts->at_statistics,
                                            .out = network_buffers(step->network),
                                            .scale = 1.0f / (float)parts->n};
    return device->iface->combine_forward(parts->mean, &mean);
}
