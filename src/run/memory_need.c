// SPDX-License-Identifier: MIT
#include "run/memory_need.h"

#include "base/fail.h"
#include "base/log.h"

// What the run allocates after its first step, where that is memory of the device: while a
// checkpoint is written or read, there are copies of weights, running statistics, momenta and
// labels in host memory. Other host memory is not checked.
static size_t later_bytes(const struct training_step *step) {
    if (!resident_is_host_memory(step->data->device))
        return 0;
    return network_parameter_bytes(step->network) +
           resident_map_bytes(&step->data->resident[SPLIT_TRAIN]);
}

adele_status memory_need_check(const struct training_step *step) {
    const struct run_data *data = step->data;
    bool can_move =
        data->config->data.residency == RESIDENCY_DEVICE && !resident_is_host_memory(data->device);
    struct memory_request request = {
        .device = data->device,
        .network = step->network,
        .plans = step->full.plans,
        .n_plans = step->n_scales,
        .n_images = data->resident[SPLIT_TRAIN].set.n_images,
        .last_batch = step->epochs.last_batch,
        .is_training = true,
        .later_bytes = later_bytes(step),
        .batch_hint = can_move ? "Set train.batch to that, or data.residency: auto."
                               : "Set train.batch to that.",
        .single_hint =
            can_move ? "Make train.batch, data.size, model.width or loss.scales smaller, or set "
                       "data.residency: auto."
                     : "Make train.batch, data.size, model.width or loss.scales smaller."};
    size_t data_bytes = 0, host_bytes = 0;
    for (int split = 0; split < SPLIT_COUNT; split++)
        if (data->resident[split].set.n_images > 0) {
            data_bytes += resident_device_bytes(&data->resident[split]);
            host_bytes += resident_host_bytes(&data->resident[split]);
        }
    log_line(LOG_INFO,
             "memory: parameters %.1f MB, plans %.1f MB, data %.1f MB (and %.1f MB on the host)",
             (double)network_parameter_bytes(step->network) / 1e6,
             (double)network_planned_bytes(step->network) / 1e6, (double)data_bytes / 1e6,
             (double)host_bytes / 1e6);
    return memory_check(&request);
}
