// SPDX-License-Identifier: MIT
#include "step/overlap.h"

#include "base/fail.h"
#include "base/memory.h"

#include <string.h>

static bool is_in(const struct parameter *parameter, const struct bucket *bucket) {
    return parameter->offset < bucket->first + bucket->n &&
           parameter->offset + parameter->count > bucket->first;
}

void overlap_find_nodes(const struct graph *graph, const struct buckets *buckets,
                        int *completed_by) {
    for (int b = 0; b < buckets->n; b++)
        completed_by[b] = graph->n_nodes;
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        int trained[NODE_MAX_TRAINED], n = node_trained(&graph->nodes[i], trained);
        for (int k = 0; k < n; k++)
            for (int b = 0; b < buckets->n; b++)
                if (is_in(&graph->parameters[trained[k]], &buckets->all[b]))
                    completed_by[b] = i;
    }
}

adele_status overlap_init(struct overlap *out) {
    const struct adele_device *device = out->tree->device;
    out->i_next = -1;
    TRY(ALLOCATE(&out->completed_by, out->buckets->n));
    TRY(ALLOCATE(&out->combine, out->buckets->n));
    overlap_find_nodes(network_graph(out->network), out->buckets, out->completed_by);
    for (int b = 0; b < out->buckets->n && out->tree->n_parts > 1; b++) {
        const struct adele_combine_desc desc = {out->buckets->all[b].n};
        TRY(device->iface->combine_create(device, &desc, &out->combine[b]));
    }
    return ADELE_OK;
}

void overlap_deinit(struct overlap *self) {
    if (!self->tree)
        return;
    for (int b = 0; self->combine && b < self->buckets->n; b++)
        self->tree->device->iface->op_destroy(self->combine[b]);
    memory_free(self->completed_by);
    memory_free(self->combine);
    memset(self, 0, sizeof *self);
}

void overlap_begin(struct overlap *self) {
    self->i_next = self->buckets->n - 2;
}

// The part's own floats of the bucket are in the tree.
static adele_status hand_over(const struct overlap *self, int i_bucket) {
    if (self->combine[i_bucket])
        TRY(part_tree_add_range(self->tree, self->combine[i_bucket],
                                self->buckets->all[i_bucket].first));
    return self->send(self->context, i_bucket);
}

adele_status overlap_after_node(struct overlap *self, int i_node) {
    const struct adele_device *device = self->tree->device;
    for (; self->i_next >= 0 && self->completed_by[self->i_next] >= i_node; self->i_next--) {
        const struct bucket *bucket = &self->buckets->all[self->i_next];
        TRY(device->iface->copy(device, part_tree_next(self->tree) + bucket->first,
                                network_gradients(self->network) + bucket->first,
                                (size_t)bucket->n * sizeof(float)));
        TRY(hand_over(self, self->i_next));
    }
    return ADELE_OK;
}

adele_status overlap_send_rest(const struct overlap *self) {
    return hand_over(self, self->buckets->n - 1);
}
