// SPDX-License-Identifier: MIT
// Fences (PTX ISA, "membar / fence"). Threads run one after the other here, so that their order
// needs none; what is kept is what the asynchronous proxy and other blocks may rely on.
#include "async.h"
#include "lanes.h"
#include "ops.h"

namespace ptx {

static void order(struct warp &, const struct inst &, uint32_t) {
}

static bool has_lane(const struct warp &w, const struct mbarrier &barrier, uint32_t lanes) {
    int lane = barrier.thread - cluster_thread(w, 0);
    return lane >= 0 && lane < N_LANES && (lanes >> lane & 1) != 0;
}

// fence.mbarrier_init: the inits before it, for other blocks and for asynchronous copies.
static void fence_inits(struct warp &w, const struct inst &, uint32_t lanes) {
    for (auto &one : w.block->async->barriers)
        if (has_lane(w, one.second, lanes))
            one.second.is_fenced = one.second.is_for_async = true;
}

// fence.proxy.async: all that these threads wrote.
static void fence_proxy(struct warp &w, const struct inst &, uint32_t lanes) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1)
        w.block->cluster->n_proxy_fences[(size_t)cluster_thread(w, __builtin_ctz(rest))]++;
    for (auto &one : w.block->async->barriers)
        if (has_lane(w, one.second, lanes))
            one.second.is_for_async = true;
}

static void build_async(struct op_maker &maker) {
    maker.parser.kernel().is_async = true;
}

std::vector<struct op_row> fence_rows() {
    return {
        {"fence",
         "acq_rel|sc|acquire|release?",
         NULL,
         {{"cta", order}, {"cluster", order}, {"gpu", order}, {"sys", order}}},
        {"fence",
         "mbarrier_init release",
         NULL,
         {{"cluster", fence_inits}},
         INST_PLAIN,
         0,
         build_async},
        {"fence", "proxy", NULL, {{"async", fence_proxy}}, INST_PLAIN, 0, build_async},
        {"fence",
         "proxy async",
         NULL,
         {{"shared::cta", fence_proxy}, {"shared::cluster", fence_proxy}, {"global", order}},
         INST_PLAIN,
         0,
         build_async},
        // What a kernel before this one wrote is there already, as launches are complete in order.
        {"griddepcontrol", "", NULL, {{"wait", order}, {"launch_dependents", order}}},
    };
}

} // namespace ptx
