// SPDX-License-Identifier: MIT
// A plan computes its memory before it is allocated, so smaller batches are tried without
// allocating any.
#include "nn/memory_check.h"

#include "base/fail.h"
#include "base/memory.h"

// Adds the request's plans for a batch of n images: each batch has its own activations, and all use
// one shared region.
static adele_status add_batch(const struct memory_request *request, int n,
                              struct plan_memory *sum) {
    OWNED struct plan_extent *sizes = NULL;
    struct plan_memory memory;
    if (n == 0)
        return ADELE_OK;
    TRY(ALLOCATE(&sizes, (size_t)request->n_plans));
    for (int k = 0; k < request->n_plans; k++) {
        struct adele_shape input = plan_input_shape(request->plans[k]);
        sizes[k] = (struct plan_extent){input.h, input.w};
    }
    TRY(network_measure(request->network, n, request->n_plans, sizes, request->is_training,
                        &memory));
    sum->activation_bytes += memory.activation_bytes;
    if (memory.shared_bytes > sum->shared_bytes)
        sum->shared_bytes = memory.shared_bytes;
    return ADELE_OK;
}

int last_batch_images(enum last_batch kind, int n_images, int batch) {
    int rest = n_images % batch - last_batch_left_out(kind, n_images, batch);
    if (rest == 0)
        return batch;
    return rest == 1 && kind == LAST_JOINED ? batch + 1 : rest;
}

int last_batch_left_out(enum last_batch kind, int n_images, int batch) {
    int rest = n_images % batch;
    bool is_out = kind == LAST_DROPPED || (kind == LAST_NOT_SINGLE && rest == 1);
    return is_out ? rest : 0;
}

// The images of an epoch's last batch when it needs plans beside those of n images, else 0.
static int rest_of(const struct memory_request *request, int n) {
    int n_last = last_batch_images(request->last_batch, request->n_images, n);
    return n_last == n ? 0 : n_last;
}

static adele_status measure(const struct memory_request *request, int n, struct plan_memory *out) {
    *out = (struct plan_memory){0, 0};
    TRY(add_batch(request, n, out));
    return add_batch(request, rest_of(request, n), out);
}

static size_t bytes_of(const struct plan_memory *memory) {
    return memory->activation_bytes + memory->shared_bytes;
}

// The largest n below `batch` whose plans fit into `room`, 0 when not even one image does. Because
// of the last batch, memory does not always grow with n, so every n is considered. Making plans
// takes time and memory, so it is done only when n images would fit if they took a proportional
// part of the last plans made. That is a lower bound, because not everything becomes smaller with
// the batch.
static adele_status largest_batch(const struct memory_request *request, int batch,
                                  const struct plan_memory *of_batch, size_t room, int *out) {
    struct plan_memory last = *of_batch;
    double n_last = batch, n_last_both = batch + rest_of(request, batch);
    for (*out = batch - 1; *out > 0; --*out) {
        int n = *out, n_both = n + rest_of(request, n);
        if ((double)last.activation_bytes * n_both / n_last_both +
                (double)last.shared_bytes * n / n_last >
            (double)room)
            continue;
        adele_status status = measure(request, n, &last);
        if (status == ADELE_NO_MEMORY) // even for planning, so fewer images do not help
            break;
        TRY(status);
        if (bytes_of(&last) <= room)
            return ADELE_OK;
        n_last = n;
        n_last_both = n_both;
    }
    *out = 0;
    return ADELE_OK;
}

adele_status memory_check(const struct memory_request *request) {
    const struct adele_device *device = request->device;
    size_t needed = network_planned_bytes(request->network) + request->later_bytes;
    size_t free_bytes = device->iface->free_bytes(device);
    // What the network holds already is part of what it needs, so it counts as free.
    if (free_bytes != SIZE_MAX)
        free_bytes += network_allocated_bytes(request->network);
    if (needed <= free_bytes)
        return ADELE_OK;
    int batch = plan_input_shape(request->plans[0]).n, largest = 0;
    int n_parts = request->n_parts > 1 ? request->n_parts : 1;
    struct plan_memory of_batch;
    adele_status status = measure(request, batch, &of_batch);
    if (status != ADELE_OK && status != ADELE_NO_MEMORY)
        return status;
    size_t batch_bytes = status == ADELE_OK ? bytes_of(&of_batch) : 0;
    // Memory that does not depend on the batch.
    size_t other_bytes = needed > batch_bytes ? needed - batch_bytes : 0;
    if (status == ADELE_OK && other_bytes < free_bytes)
        TRY(largest_batch(request, batch, &of_batch, free_bytes - other_bytes, &largest));
    needed += request->allocated_bytes;
    free_bytes += request->allocated_bytes;
    // Other buffers of this batch, allocated before, are not free: one image may fit after all.
    if (largest == 0 && batch * n_parts > 1)
        return FAIL(ADELE_NO_MEMORY, request->single_hint,
                    "a batch of %d needs %zu MB, %zu MB are available on %s", batch * n_parts,
                    needed / 1000000, free_bytes / 1000000, device->description);
    if (largest == 0)
        return FAIL(ADELE_NO_MEMORY, request->single_hint,
                    "a batch of one image needs more than the %zu MB that are available on %s",
                    free_bytes / 1000000, device->description);
    return FAIL(
        ADELE_NO_MEMORY, request->batch_hint,
        "a batch of %d needs %zu MB, %zu MB are available on %s; the largest batch that fits is "
        "%d",
        batch * n_parts, needed / 1000000, free_bytes / 1000000, device->description,
        largest * n_parts);
}
