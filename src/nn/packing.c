// SPDX-License-Identifier: MIT
// The packed weights of a network's convolutions: one block of device memory that the plans of all
// scales read, computed by one op after each change of the weights. What may change weights (an
// update, an import, initialization, a caller of network_writable_weights) clears is_current; a
// step packs right after its update, and forward and backward pack first when the packed weights
// are not current, so that nothing runs with old ones.
#include "base/fail.h"
#include "base/memory.h"
#include "nn/plan.h"

static int64_t aligned(int64_t bytes) {
    return (bytes + ADELE_PACK_ALIGNMENT - 1) / ADELE_PACK_ALIGNMENT * ADELE_PACK_ALIGNMENT;
}

// Bytes of the node's packed weights: the most that any plan reads.
static int64_t node_bytes(const struct network *network, int i_node) {
    size_t bytes = 0;
    for (int i = 0; i < network->n_plans; i++) {
        const struct adele_op *op = network->plans[i]->steps[i_node].op;
        if (op != NULL && op->packed_bytes > bytes)
            bytes = op->packed_bytes;
    }
    return (int64_t)bytes;
}

int64_t packing_bytes(const struct network *network) {
    int64_t end = 0;
    for (int i = 0; i < network->graph.n_nodes; i++)
        end += aligned(node_bytes(network, i));
    return end;
}

void packing_release(struct network *network) {
    const struct adele_device *device = network->device;
    device->iface->op_destroy(network->packing.op);
    device->iface->release(device, network->packing.block);
    memory_free(network->packing.items);
    memory_free(network->packing.of_node);
    network->packing = (struct packing){0};
}

static void list_items(struct network *network) {
    struct packing *packing = &network->packing;
    int64_t end = 0;
    for (int i = 0; i < network->graph.n_nodes; i++) {
        const struct node *node = &network->graph.nodes[i];
        int64_t bytes = node_bytes(network, i);
        packing->of_node[i] = -1;
        if (bytes == 0)
            continue;
        int input = node->inputs[0];
        packing->of_node[i] = packing->n_items;
        packing->items[packing->n_items++] =
            (struct adele_pack_item){.weight = network->graph.parameters[node->i_weight].offset,
                                     .packed = end,
                                     .bytes = bytes,
                                     .c_out = node->c,
                                     .c_in = network->graph.nodes[input].c,
                                     .kernel = node->kernel};
        end += aligned(bytes);
    }
}

adele_status packing_allocate(struct network *network) {
    const struct adele_device *device = network->device;
    struct packing *packing = &network->packing;
    size_t n_nodes = (size_t)network->graph.n_nodes;
    int64_t bytes = packing_bytes(network);
    // Plans are only added, so no node's bytes ever shrink.
    if (bytes == packing->bytes)
        return ADELE_OK;
    TRY(device->iface->synchronize(device));
    for (int i = 0; i < network->n_plans; i++)
        network->plans[i]->is_bound = false;
    packing_release(network);
    TRY(ALLOCATE(&packing->items, n_nodes));
    TRY(ALLOCATE(&packing->of_node, n_nodes));
    list_items(network);
    struct adele_pack_desc desc = {packing->n_items, packing->items, network->precision};
    TRY(device->iface->pack_create(device, &desc, &packing->op));
    TRY(adele_device_alloc_zeroed(device, (size_t)bytes, "packed weights", &packing->block));
    packing->bytes = bytes;
    return ADELE_OK;
}

const void *packing_address(const struct network *network, int i_node) {
    const struct packing *packing = &network->packing;
    if (packing->block == NULL || packing->of_node[i_node] == -1)
        return NULL;
    return (const char *)packing->block + packing->items[packing->of_node[i_node]].packed;
}

adele_status network_pack(struct network *network) {
    struct packing *packing = &network->packing;
    if (packing->is_current || packing->block == NULL)
        return ADELE_OK;
    struct adele_pack_args args = {network->weights, packing->block};
    TRY(network->device->iface->pack_forward(packing->op, &args));
    packing->is_current = true;
    return ADELE_OK;
}
