// SPDX-License-Identifier: MIT
// What goes on beside the threads, and the fences between the two proxies.
#include "simt_async.h"

static bool is_used; // by the running cluster

void simt_async_begin() {
    is_used = false;
}

// Most kernels use nothing of it: what earlier clusters left is only cleared when one does.
void simt_async_use() {
    if (is_used)
        return;
    is_used = true;
    simt_barriers_begin();
    simt_mbarriers_begin();
    simt_bulk_begin();
    simt_warpgroups_begin();
    simt_wgmma_begin();
}

bool simt_async_go_on() {
    return is_used && simt_bulk_go_on();
}

void simt_async_thread_ends() {
    if (!is_used)
        return;
    simt_bulk_thread_ends();
    simt_wgmma_thread_ends();
}

void simt_async_thread_ended() {
    if (is_used)
        simt_barriers_thread_ended();
}

void simt_async_end() {
    if (is_used)
        simt_bulk_end();
}

void simt_require_hopper(const char *name, const char *file, int line) {
    simt_async_use();
    if (!simt_run.settings.is_hopper)
        simt_fail("%s at %s:%d: only compute capability 9.0 has it (SIMT_DEVICE=hopper)", name,
                  simt_file_name(file), line);
}

void simt_fence_barrier_init() {
    simt_async_use();
    simt_mbarriers_fence();
}

void simt_fence_proxy_async() {
    simt_async_use();
    simt_mbarriers_fence();
    simt_async_view_fence();
}
