// SPDX-License-Identifier: MIT
// What trainer_setup.c made, given back.
#include "run/trainer_state.h"

#include "base/file.h"
#include "base/memory.h"

#include <string.h>

static void release_device_memory(struct trainer *trainer) {
    const struct adele_device *device = trainer->device;
    void *blocks[] = {trainer->buffers.labels,
                      trainer->buffers.noisy,
                      trainer->buffers.truth,
                      trainer->buffers.order,
                      trainer->buffers.workspace,
                      trainer->buffers.counts,
                      trainer->buffers.sums,
                      trainer->buffers.loss_is_finite,
                      trainer->buffers.health,
                      trainer->buffers.kept,
                      trainer->scale_state,
                      trainer->prediction.category,
                      trainer->prediction.confidence_foreground,
                      trainer->prediction.confidence_background,
                      trainer->evaluation_map,
                      trainer->evaluation_counts};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        device->iface->release(device, blocks[i]);
    memory_free(trainer->buffers.host_order);
    memset(&trainer->buffers, 0, sizeof trainer->buffers);
    memset(&trainer->prediction, 0, sizeof trainer->prediction);
    trainer->scale_state = NULL;
    trainer->evaluation_map = NULL;
    trainer->evaluation_counts = NULL;
}

static void destroy_ops(struct trainer *trainer) {
    struct adele_op **ops[] = {&trainer->full.sample, &trainer->full.loss,    &trainer->rest.sample,
                               &trainer->rest.loss,   &trainer->sgd,          &trainer->sgd_scales,
                               &trainer->correct,     &trainer->correct_rest, &trainer->count[0],
                               &trainer->count[1],    &trainer->count[2]};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        trainer->device->iface->op_destroy(*ops[i]);
        *ops[i] = NULL;
    }
}

void trainer_drop_preparations(struct trainer *trainer) {
    release_device_memory(trainer);
    destroy_ops(trainer);
    trainer_veto_deinit(trainer);
    inference_destroy(trainer->correction_inference);
    trainer->correction_inference = NULL;
    for (int split = 0; split < SPLIT_COUNT; split++) {
        inference_destroy(trainer->evaluation[split]);
        trainer->evaluation[split] = NULL;
    }
    network_destroy(trainer->network); // with the plans
    trainer->network = NULL;
    memset(&trainer->full, 0, sizeof trainer->full);
    memset(&trainer->rest, 0, sizeof trainer->rest);
    for (int c = 0; c < 256; c++) {
        memory_free(trainer->series[c]);
        trainer->series[c] = NULL;
    }
    memory_free(trainer->corrected);
    trainer->corrected = NULL;
}

void trainer_destroy(struct trainer *trainer) {
    if (!trainer)
        return;
    metrics_close(trainer->metrics);
    if (trainer->device) {
        trainer_drop_preparations(trainer);
        for (int split = 0; split < SPLIT_COUNT; split++)
            resident_deinit(&trainer->resident[split]);
        adele_device_close(trainer->device);
    }
    for (int split = 0; split < SPLIT_COUNT; split++)
        dataset_images_deinit(&trainer->images[split]);
    dataset_close(trainer->dataset);
    memory_free(trainer->records);
    memory_free(trainer->earlier);
    file_unlock(trainer->folder_lock);
    memory_free(trainer);
}
