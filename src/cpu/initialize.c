// SPDX-License-Identifier: MIT
// Initial values of parameters: each parameter has its own random stream and is filled by one
// thread.
#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"
#include "cpu/cpu.h"

struct initialize {
    struct cpu_op base;
    struct adele_initialize_item *items;
    int n_items;
    uint64_t seed;
};

static void initialize_release(struct cpu_op *op) {
    memory_free(((struct initialize *)op)->items);
}

adele_status cpu_initialize_create(const struct adele_device *device,
                                   const struct adele_initialize_desc *desc,
                                   struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_initialize, sizeof(struct initialize), out));
    struct initialize *self = (struct initialize *)*out;
    self->base.release = initialize_release;
    self->seed = desc->seed;
    self->n_items = desc->n_items;
    TRY(ALLOCATE(&self->items, desc->n_items + 1));
    for (int i = 0; i < desc->n_items; i++)
        self->items[i] = desc->items[i];
    return ADELE_OK;
}

static void fill_item(const struct adele_initialize_item *item, uint64_t seed, float *values) {
    struct random_stream stream;
    random_stream_init(&stream, seed, RANDOM_INIT, 0, item->stream);
    for (int64_t i = 0; i < item->count; i++)
        switch (item->kind) {
        case ADELE_INITIAL_CONSTANT:
            values[i] = (float)item->spread;
            break;
        case ADELE_INITIAL_UNIFORM:
            values[i] = (float)random_range(&stream, -item->spread, item->spread);
            break;
        case ADELE_INITIAL_NORMAL:
            values[i] = (float)(item->spread * random_normal(&stream));
            break;
        }
}

adele_status cpu_initialize_forward(struct adele_op *op, const struct adele_initialize_args *args) {
    const struct initialize *self = (const struct initialize *)op;
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < self->n_items; i++)
        fill_item(&self->items[i], self->seed, args->values + self->items[i].offset);
    return ADELE_OK;
}
