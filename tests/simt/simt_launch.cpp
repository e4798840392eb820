// SPDX-License-Identifier: MIT
// Whether a grid may be launched.
#include "simt_internal.h"

#include <algorithm>

// ---- __launch_bounds__ --------------------------------------------------------------------------

// Where the nops before each kernel with a bound begin; the linker puts the compiler's lists
// together and names both ends.
extern "C" const uintptr_t __start___patchable_function_entries[]
    __attribute__((weak, visibility("hidden")));
extern "C" const uintptr_t __stop___patchable_function_entries[]
    __attribute__((weak, visibility("hidden")));

#if defined(__x86_64__) || defined(__i386__)
typedef uint8_t nop_code;
static const nop_code nop = 0x90;
#elif defined(__aarch64__)
typedef uint32_t nop_code;
static const nop_code nop = 0xd503201fu;
#else
#error "the nop of this processor is not known"
#endif

static const std::vector<uintptr_t> &nop_begins() {
    static std::vector<uintptr_t> all;
    if (all.empty() && __start___patchable_function_entries) {
        all.assign(__start___patchable_function_entries, __stop___patchable_function_entries);
        std::sort(all.begin(), all.end());
    }
    return all;
}

int simt_launch_bound(const void *kernel) {
    const std::vector<uintptr_t> &all = nop_begins();
    auto above = std::upper_bound(all.begin(), all.end(), (uintptr_t)kernel);
    if (above == all.begin())
        return 0;
    const nop_code *begin = (const nop_code *)*std::prev(above), *end = (const nop_code *)kernel;
    if (end - begin > SIMT_MAX_THREADS)
        return 0;
    for (const nop_code *at = begin; at < end; at++)
        if (*at != nop)
            return 0; // they belong to a function between
    return (int)(end - begin);
}

// ---- the launch ---------------------------------------------------------------------------------

static bool extents_are_possible(const struct simt_grid *all, uint64_t n_threads) {
    dim3 grid = all->grid, block = all->block;
    if (grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.x <= 0x7fffffffu && grid.y <= 65535 &&
        grid.z <= 65535 && n_threads > 0 && block.x <= SIMT_MAX_THREADS &&
        block.y <= SIMT_MAX_THREADS && block.z <= 64 && n_threads <= SIMT_MAX_THREADS)
        return true;
    simt_error(
        cudaErrorInvalidConfiguration,
        "kernel %s: a grid of (%u, %u, %u) blocks of (%u, %u, %u) threads cannot be launched",
        all->name, grid.x, grid.y, grid.z, block.x, block.y, block.z);
    return false;
}

// Programming guide, "Thread Block Clusters": up to 8 blocks everywhere, and the grid is a
// multiple.
static bool clusters_are_possible(const struct simt_grid *all, uint64_t n_threads) {
    dim3 grid = all->grid, cluster = all->cluster;
    uint64_t n_blocks = (uint64_t)cluster.x * cluster.y * cluster.z;
    bool is_hopper = simt_settings_read().is_hopper;
    if (n_blocks == 1 || (is_hopper && n_blocks > 1 && n_blocks <= SIMT_MAX_CLUSTER &&
                          grid.x % cluster.x == 0 && grid.y % cluster.y == 0 &&
                          grid.z % cluster.z == 0 && n_blocks * n_threads <= SIMT_MAX_THREADS))
        return true;
    simt_error(cudaErrorInvalidClusterSize,
               "kernel %s: clusters of (%u, %u, %u) blocks of %d threads in a grid of (%u, %u, "
               "%u): %s",
               all->name, cluster.x, cluster.y, cluster.z, (int)n_threads, grid.x, grid.y, grid.z,
               is_hopper ? "at most 8 blocks and, in the emulator, 1,024 threads, and the grid a "
                           "multiple of the cluster"
                         : "only compute capability 9.0 has clusters (SIMT_DEVICE=hopper)");
    return false;
}

static bool launch_is_possible(const struct simt_grid *all) {
    uint64_t n_threads = (uint64_t)all->block.x * all->block.y * all->block.z;
    if (!extents_are_possible(all, n_threads))
        return false;
    int bound = simt_launch_bound(all->kernel);
    if (bound > 0 && n_threads > (uint64_t)bound) {
        simt_error(cudaErrorInvalidConfiguration,
                   "kernel %s: blocks of %d threads, and its __launch_bounds__ declares %d",
                   all->name, (int)n_threads, bound);
        return false;
    }
    if (!clusters_are_possible(all, n_threads))
        return false;
    bool is_set;
    size_t allowed = simt_shared_allowed(all->kernel, &is_set);
    if (all->shared_bytes > allowed) {
        simt_error(cudaErrorInvalidValue,
                   "kernel %s: %zu bytes of dynamic shared memory, and %zu are allowed %s "
                   "cudaFuncAttributeMaxDynamicSharedMemorySize",
                   all->name, all->shared_bytes, allowed, is_set ? "by the last" : "without");
        return false;
    }
    return true;
}

void simt_launch_grid(const struct simt_grid *grid, struct CUstream_st *stream) {
    if (!launch_is_possible(grid))
        return;
    struct simt_work work = {};
    work.kind = SIMT_WORK_KERNEL;
    work.grid = *grid;
    work.arguments.resize((grid->arguments_bytes + sizeof(struct simt_line) - 1) /
                          sizeof(struct simt_line));
    if (grid->arguments_bytes > 0)
        memcpy(work.arguments.data(), grid->arguments, grid->arguments_bytes);
    (void)simt_work_add(stream, std::move(work)); // a failure is left for cudaGetLastError
}
