// SPDX-License-Identifier: MIT
#include "nn/node_traits.h"

#define DECLARE(KIND, name) extern const struct node_traits node_traits_##name;
NODE_KINDS(DECLARE)
#undef DECLARE

const struct node_traits node_traits_input = {0}; // has no op

static const struct node_traits *const rows[] = {
#define ROW(KIND, name) [NODE_##KIND] = &node_traits_##name,
    NODE_KINDS(ROW)
#undef ROW
};

const struct node_traits *node_traits(enum node_kind kind) {
    return rows[kind];
}
