// SPDX-License-Identifier: MIT
#include "nn/node_traits.h"

#include "base/fail.h"

#include <limits.h>

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

adele_status node_check_extent(const struct node *node, struct adele_shape in, int64_t h,
                               int64_t w) {
    if (h < 1 || w < 1 || h > INT_MAX / 4 || w > INT_MAX / 4)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use larger images, or leave out the small scales.",
                    "%s: an input of %d x %d pixels would give %lld x %lld", node->name, in.h, in.w,
                    (long long)h, (long long)w);
    return ADELE_OK;
}

// 0 when the window does not fit.
static int64_t window_extent(int in, const struct node *node) {
    int64_t span = in + 2 * (int64_t)node->pad - (int64_t)node->dilation * (node->kernel - 1) - 1;
    return span < 0 ? 0 : span / node->stride + 1;
}

adele_status node_infer_window(const struct plan *plan, const struct node *node,
                               struct adele_shape in, int64_t *h, int64_t *w) {
    (void)plan;
    *h = window_extent(in.h, node);
    *w = window_extent(in.w, node);
    return ADELE_OK;
}
