// SPDX-License-Identifier: MIT
#include "run/memory_need.h"

#include "base/log.h"

// What the run allocates beside the plans: the parameters, where they are not there yet. And after
// the first step, where that is memory of the device: while a checkpoint is written or read, there
// are copies of weights, running statistics, momenta (of all ranks), labels and an ensemble's maps
// in host memory. Other host memory is not checked.
static size_t later_bytes(const struct training_step *step) {
    size_t parameters = network_parameter_bytes(step->network);
    size_t bytes =
        network_has_parameters(step->network) ? 0 : parameters - network_early_bytes(step->network);
    if (resident_is_host_memory(step->data->device))
        bytes += parameters + network_undivided_bytes(step->network) +
                 resident_map_bytes(&step->data->resident[SPLIT_TRAIN]) + step->data->map_bytes +
                 step->data->map_host_bytes;
    return bytes;
}

static size_t data_bytes(const struct run_data *data, size_t (*of)(const struct resident *)) {
    size_t bytes = 0;
    for (int split = 0; split < SPLIT_COUNT; split++)
        if (data->resident[split].set.n_images > 0)
            bytes += of(&data->resident[split]);
    if (data->patches.set.n_images > 0)
        bytes += of(&data->patches);
    return bytes;
}

// What the run has allocated before the network's plans.
static size_t allocated_bytes(const struct training_step *step) {
    const struct network *network = step->network;
    return data_bytes(step->data, resident_device_bytes) + step->data->map_bytes +
           step->buffer_bytes +
           (network_has_parameters(network) ? network_parameter_bytes(network)
                                            : network_early_bytes(network));
}

// What the other ranks of this host, which do the same, will take of the same memory. All of them
// have allocated what this rank has.
static size_t neighbours_bytes(const struct training_step *step) {
    const struct ranks *ranks = step->data->ranks;
    size_t needed = network_planned_bytes(step->network) + later_bytes(step);
    size_t taken = network_allocated_bytes(step->network);
    if (!resident_is_host_memory(step->data->device))
        return 0;
    return (size_t)(ranks_local_count(ranks) - 1) * (needed > taken ? needed - taken : 0);
}

struct memory_need memory_need_of(const struct training_step *step) {
    const struct adele_device *device = step->data->device;
    const struct network *network = step->network;
    size_t allocated = allocated_bytes(step);
    size_t free_bytes = device->iface->free_bytes(device), neighbours = neighbours_bytes(step);
    if (free_bytes != SIZE_MAX)
        free_bytes = free_bytes > neighbours ? free_bytes - neighbours : 0;
    return (struct memory_need){
        .planned = allocated + (step->planned_buffer_bytes - step->buffer_bytes) +
                   network_planned_bytes(network) + later_bytes(step),
        .available = free_bytes == SIZE_MAX
                         ? SIZE_MAX
                         : free_bytes + allocated + network_allocated_bytes(network)};
}

static adele_status check(const struct memory_request *request, struct ranks *ranks) {
    adele_status status = memory_check(request);
    // None allocates its network before all have looked at what is free.
    return resident_is_host_memory(request->device) ? ranks_agree(ranks, status) : status;
}

adele_status memory_need_check(const struct training_step *step) {
    const struct run_data *data = step->data;
    size_t neighbours = neighbours_bytes(step);
    bool can_move =
        data->config->data.residency == RESIDENCY_DEVICE && !resident_is_host_memory(data->device);
    struct memory_request request = {
        .device = data->device,
        .network = step->network,
        .plans = step->full.plans,
        .n_plans = step->n_scales,
        .n_parts = step->parts.n,
        .n_images = data->resident[SPLIT_TRAIN].set.n_images / step->parts.n,
        .last_batch = step->epochs.last_batch,
        .is_training = true,
        .allocated_bytes = allocated_bytes(step),
        .later_bytes =
            step->planned_buffer_bytes - step->buffer_bytes + later_bytes(step) + neighbours,
        .batch_hint = neighbours > 0 ? "Set train.batch to that, or start fewer ranks on this host."
                      : can_move     ? "Set train.batch to that, or data.residency: auto."
                                     : "Set train.batch to that.",
        .single_hint =
            can_move ? "Make train.batch, data.size, model.width or loss.scales smaller, or set "
                       "data.residency: auto."
                     : "Make train.batch, data.size, model.width or loss.scales smaller."};
    log_line(LOG_DETAIL,
             "memory: parameters %.1f MB, plans %.1f MB, data %.1f MB (and %.1f MB on the host)",
             (double)network_parameter_bytes(step->network) / 1e6,
             (double)network_planned_bytes(step->network) / 1e6,
             (double)(data_bytes(data, resident_device_bytes) + data->map_bytes) / 1e6,
             (double)(data_bytes(data, resident_host_bytes) + data->map_host_bytes) / 1e6);
    return check(&request, data->ranks);
}
