// SPDX-License-Identifier: MIT
// Wrong backward passes, to show that a comparison of gradients notices them. A mutant makes one
// mistake at one node; the rest of the backward pass is the device's own.
#ifndef ADELE_TESTS_MUTANTS_H
#define ADELE_TESTS_MUTANTS_H

#include "nn/plan.h"

enum mutant_kind {
    MUTANT_NONE,
    MUTANT_SWAP_CHANNELS, // two channels of the gradient that arrives at a node change places
    MUTANT_IGNORE_RELU    // one unit of a batch norm whose ReLU was closed passes its gradient on
};

struct mutant {
    enum mutant_kind kind;
    int i_node;
    uint64_t seed;  // of the draw of the channels or the unit
    char text[256]; // result: the mistake, for people
};

// "swap-channels" or "ignore-relu"; anything else fails the test.
enum mutant_kind mutant_kind_parse(const char *name);
// Whether a node of a plan offers a mutant of that kind.
bool mutant_fits(const struct plan *plan, enum mutant_kind kind, int i_node);
// As plan_backward, with the mutant's mistake, which is drawn uniformly: two channels of the node,
// or one of its closed units whose gradient is at least a tenth of the root mean square of the
// node's gradient. (A unit whose gradient happens to be next to zero changes nothing that a
// comparison could see.) What the forward stored is unchanged afterwards.
void mutant_backward(struct plan *plan, struct mutant *mutant);
#endif
