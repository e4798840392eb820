// SPDX-License-Identifier: MIT
// Whether a run fits into the device, asked before the first step: plans know their memory without
// having it.
#include "base/fail.h"
#include "base/log.h"
#include "train/trainer_state.h"

// Of the training plans of a batch of n images: activations of every scale side by side, one region
// for all.
static adele_status measure(struct trainer *trainer, int n, size_t *out) {
    size_t activation_bytes = 0, shared_bytes = 0;
    for (int k = 0; k < trainer->n_scales; k++) {
        struct adele_shape input = plan_input_shape(trainer->full.plans[k]);
        struct plan_memory memory;
        TRY(network_measure(trainer->network, n, input.h, input.w, true, &memory));
        activation_bytes += memory.activation_bytes;
        if (memory.shared_bytes > shared_bytes)
            shared_bytes = memory.shared_bytes;
    }
    *out = activation_bytes + shared_bytes;
    return ADELE_OK;
}

// The largest n below the configured batch whose plans fit, 0 when not even one image does.
// `other_bytes`: what the run takes whatever the batch.
static adele_status largest_batch(struct trainer *trainer, size_t other_bytes, size_t free_bytes,
                                  int *out) {
    int low = 0, high = trainer->full.n; // low fits, high does not
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        size_t bytes = 0;
        TRY(measure(trainer, middle, &bytes));
        if (bytes + other_bytes <= free_bytes)
            low = middle;
        else
            high = middle;
    }
    *out = low;
    return ADELE_OK;
}

adele_status trainer_move_images(struct trainer *trainer, bool *out_moved) {
    *out_moved = false;
    if (trainer->config->data.residency != RESIDENCY_AUTO)
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

adele_status trainer_check_memory(struct trainer *trainer) {
    const struct adele_device *device = trainer->device;
    size_t needed = network_planned_bytes(trainer->network);
    size_t free_bytes = device->iface->free_bytes(device);
    size_t data_bytes = 0, host_bytes = 0;
    for (int split = 0; split < SPLIT_COUNT; split++)
        if (trainer->resident[split].set.n_images > 0) {
            data_bytes += resident_device_bytes(&trainer->resident[split]);
            host_bytes += resident_host_bytes(&trainer->resident[split]);
        }
    log_line(LOG_INFO,
             "memory: parameters %.1f MB, plans %.1f MB, data %.1f MB (and %.1f MB on the host)",
             (double)network_parameter_bytes(trainer->network) / 1e6, (double)needed / 1e6,
             (double)data_bytes / 1e6, (double)host_bytes / 1e6);
    if (needed <= free_bytes)
        return ADELE_OK;
    size_t of_this_batch = 0;
    int batch = 0;
    TRY(measure(trainer, trainer->full.n, &of_this_batch));
    size_t other_bytes = needed > of_this_batch ? needed - of_this_batch : 0;
    TRY(largest_batch(trainer, other_bytes, free_bytes, &batch));
    if (batch == 0)
        return FAIL(ADELE_NO_MEMORY,
                    trainer->config->data.residency == RESIDENCY_DEVICE
                        ? "Make data.size, model.width or loss.scales smaller, or set "
                          "data.residency: auto."
                        : "Make data.size, model.width or loss.scales smaller.",
                    "a batch of one image needs more than the %zu MB that are free on %s",
                    free_bytes / 1000000, device->description);
    return FAIL(ADELE_NO_MEMORY,
                trainer->config->data.residency == RESIDENCY_DEVICE
                    ? "Set train.batch to that, or data.residency: auto."
                    : "Set train.batch to that.",
                "a batch of %d needs %zu MB, %zu MB are free on %s; the largest batch that fits is "
                "%d",
                trainer->full.n, needed / 1000000, free_bytes / 1000000, device->description,
                batch);
}
