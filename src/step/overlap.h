// SPDX-License-Identifier: MIT
// What backward of a rank's last part does beside its ops: buckets of gradients (buckets.h) that
// are complete are added to those of the parts before, in the tree of part_tree.h, and sent to
// the other ranks. The rest of the vector follows when all is computed.
#ifndef ADELE_STEP_OVERLAP_H
#define ADELE_STEP_OVERLAP_H

#include "nn/network.h"
#include "step/buckets.h"
#include "step/part_tree.h"

struct overlap {
    const struct part_tree *tree; // borrowed, as all that is not said to be owned
    struct network *network;
    const struct buckets *buckets;
    // Begins to exchange bucket i_bucket of the tree's first vector.
    adele_status (*send)(void *context, int i_bucket);
    void *context;
    // Owned, of each bucket: the node whose backward completes it; and the op that adds up parts,
    // NULL where a rank has one part. The rest has both, too.
    int *completed_by;
    struct adele_op **combine;
    int i_next; // bucket that backward completes next; -1: none is left
};

// Of each bucket, the node whose backward completes it: backward reaches node 0 last. A bucket
// without parameters that learn is complete from the start: n_nodes.
void overlap_find_nodes(const struct graph *graph, const struct buckets *buckets,
                        int *completed_by);

// `out` has the fields that are borrowed. After an error, overlap_deinit frees what was made.
ADELE_MUST_CHECK adele_status overlap_init(struct overlap *out);
void overlap_deinit(struct overlap *self); // legal on a zeroed struct

// Before the backward of the last part.
void overlap_begin(struct overlap *self);
// After the backward of a node in it: sends the buckets that are complete now, the last ones of the
// network first.
ADELE_MUST_CHECK adele_status overlap_after_node(struct overlap *self, int i_node);
// Once the rest of the last part is in the vector of part_tree_next.
ADELE_MUST_CHECK adele_status overlap_send_rest(const struct overlap *self);
#endif
