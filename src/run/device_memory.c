// SPDX-License-Identifier: MIT
// Whether a run fits into the device, asked before the first step.
#include "base/fail.h"
#include "base/log.h"
#include "infer/memory_check.h"
#include "run/trainer_state.h"

adele_status trainer_move_images(struct trainer *trainer, bool *out_moved) {
    *out_moved = false;
    if (trainer->config->data.residency != RESIDENCY_AUTO ||
        resident_is_host_memory(trainer->device))
        return ADELE_OK;
    for (int split = 0; split < SPLIT_COUNT; split++) {
        struct resident *resident = &trainer->resident[split];
        // Two batches of them stay on the device.
        if (resident->set.n_images <= 2 * resident->batch || resident_host_bytes(resident) > 0)
            continue;
        TRY(resident_move_to_host(resident));
        *out_moved = true;
    }
    return ADELE_OK;
}

// Of what the run takes after its first step, where that is memory of the device. A checkpoint
// holds copies of weights, running statistics, momenta and labels while it is written, and a run
// that is resumed reads all of that before it copies it; the host's memory is not asked for
// elsewhere.
static size_t later_bytes(const struct trainer *trainer) {
    if (!resident_is_host_memory(trainer->device))
        return 0;
    return network_parameter_bytes(trainer->network) +
           resident_map_bytes(&trainer->resident[SPLIT_TRAIN]);
}

adele_status trainer_check_memory(struct trainer *trainer) {
    bool can_move = trainer->config->data.residency == RESIDENCY_DEVICE &&
                    !resident_is_host_memory(trainer->device);
    struct memory_request request = {
        .device = trainer->device,
        .network = trainer->network,
        .plans = trainer->full.plans,
        .n_plans = trainer->n_scales,
        .n_images = trainer->resident[SPLIT_TRAIN].set.n_images,
        .last_batch = trainer->last_batch,
        .is_training = true,
        .later_bytes = later_bytes(trainer),
        .batch_hint = can_move ? "Set train.batch to that, or data.residency: auto."
                               : "Set train.batch to that.",
        .single_hint =
            can_move ? "Make train.batch, data.size, model.width or loss.scales smaller, or set "
                       "data.residency: auto."
                     : "Make train.batch, data.size, model.width or loss.scales smaller."};
    size_t data_bytes = 0, host_bytes = 0;
    for (int split = 0; split < SPLIT_COUNT; split++)
        if (trainer->resident[split].set.n_images > 0) {
            data_bytes += resident_device_bytes(&trainer->resident[split]);
            host_bytes += resident_host_bytes(&trainer->resident[split]);
        }
    log_line(LOG_INFO,
             "memory: parameters %.1f MB, plans %.1f MB, data %.1f MB (and %.1f MB on the host)",
             (double)network_parameter_bytes(trainer->network) / 1e6,
             (double)network_planned_bytes(trainer->network) / 1e6, (double)data_bytes / 1e6,
             (double)host_bytes / 1e6);
    return memory_check(&request);
}
