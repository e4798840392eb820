// SPDX-License-Identifier: MIT
// A launch: the checks before it, registers and memory for its warps, and its blocks one by one.
#include "async.h"
#include "lanes.h"

#include <algorithm>
#include <signal.h>
#include <string.h>
#include <unistd.h>

namespace ptx {

// Registers are reused by the next block and the next launch; constants lie in them for ever.
static void add_registers(struct ptx_kernel *kernel, size_t n_warps) {
    while (kernel->register_files.size() < n_warps) {
        std::unique_ptr<uint64_t[]> file(new uint64_t[kernel->register_bytes / sizeof(uint64_t)]);
        memset(file.get(), 0xff, kernel->register_bytes);
        for (const struct constant &constant : kernel->constants) {
            uint8_t *place = (uint8_t *)file.get() + constant.place;
            size_t width = constant.cls == REG_64 ? 8 : 4;
            for (size_t l = 0; l < (constant.cls == REG_PRED ? 1u : (size_t)N_LANES); l++)
                memcpy(place + l * width, &constant.bits, width);
        }
        kernel->register_files.push_back(std::move(file));
    }
}

static std::vector<uint64_t> order_of_blocks(uint64_t n) {
    std::vector<uint64_t> order;
    for (uint64_t k = 0; k < n; k++)
        order.push_back(ptx_options()->order == PTX_ORDER_BACKWARD ? n - 1 - k : k);
    for (uint64_t k = n; ptx_options()->order == PTX_ORDER_SHUFFLE && k > 1; k--)
        std::swap(order[k - 1], order[random_below((uint32_t)k)]);
    return order;
}

static bool is_faulty(const struct ptx_kernel *kernel, enum ptx_fault fault) {
    return ptx_options()->fault == fault &&
           kernel->name.find(ptx_options()->faulty) != std::string::npos;
}

// The memory of a block of the cluster, of which there is one at a time.
struct block_memory {
    std::vector<uint8_t> shared, locals;
    std::vector<struct lane_copies> copies;
    struct block_async async;
};

static void add_block(struct cluster_run &cluster, const struct block_run &like,
                      struct block_memory &memory, unsigned rank, size_t n_warps) {
    const size_t align = 1024;
    struct ptx_kernel *kernel = like.kernel;
    cluster.blocks[rank] = like;
    struct block_run &block = cluster.blocks[rank];
    memory.shared.resize(block.shared_bytes + align);
    memory.locals.resize(kernel->local_bytes * N_LANES * n_warps);
    memory.copies.resize(n_warps * N_LANES);
    block.shared = (uint8_t *)(((uintptr_t)memory.shared.data() + align - 1) / align * align);
    block.cluster = &cluster;
    block.rank = rank;
    block.async = kernel->is_async ? &memory.async : NULL;
    for (size_t k = 0; k < n_warps; k++) {
        struct warp w = {};
        w.registers = (uint8_t *)kernel->register_files[rank * n_warps + k].get();
        w.block = &block;
        w.index = (int)k;
        w.local =
            memory.locals.empty() ? NULL : memory.locals.data() + kernel->local_bytes * N_LANES * k;
        w.copies = &memory.copies[k * N_LANES];
        block.warps.push_back(w);
    }
}

// The id of each block of a cluster; x counts first in a cluster too.
static void set_ids(struct cluster_run &cluster, const unsigned *grid, uint64_t id) {
    unsigned of_cluster[3], rest = 0;
    for (int d = 0; d < 3; d++) {
        unsigned n = grid[d] / cluster.size[d];
        of_cluster[d] = (unsigned)(id % n);
        id /= n;
    }
    for (struct block_run &block : cluster.blocks) {
        rest = block.rank;
        for (int d = 0; d < 3; d++) {
            block.id[d] = of_cluster[d] * cluster.size[d] + rest % cluster.size[d];
            rest /= cluster.size[d];
        }
    }
}

static void run_grid(struct ptx_kernel *kernel, struct cluster_run &cluster,
                     const struct block_run &like) {
    size_t n_warps = (like.block[0] * like.block[1] * like.block[2] + N_LANES - 1) / N_LANES;
    size_t n_blocks = (size_t)cluster.size[0] * cluster.size[1] * cluster.size[2];
    add_registers(kernel, n_warps * n_blocks);
    if (kernel->memory_generation != memory_generation())
        for (const struct inst &i : kernel->code)
            i.low = i.high = 0;
    kernel->memory_generation = memory_generation();
    std::vector<struct block_memory> memory(n_blocks);
    cluster.blocks.resize(n_blocks);
    for (unsigned rank = 0; rank < n_blocks; rank++)
        add_block(cluster, like, memory[rank], rank, n_warps);
    for (struct block_run &block : cluster.blocks)
        begin_grid(block);
    uint64_t n_clusters = (uint64_t)like.grid[0] * like.grid[1] * like.grid[2] / n_blocks;
    for (uint64_t id : order_of_blocks(n_clusters)) {
        if (id == 0 && is_faulty(kernel, PTX_FAULT_WRONG))
            continue;
        set_ids(cluster, like.grid, id);
        kernel->n_blocks += n_blocks;
        cluster.current = &cluster.blocks[0];
        run_cluster(cluster);
    }
}

// The launch's cluster, or the kernel's.
static void set_cluster(struct cluster_run &cluster, const struct ptx_kernel *kernel,
                        const struct ptx_launch *launch) {
    unsigned n_blocks = 1;
    for (int d = 0; d < 3; d++) {
        unsigned wanted = launch->cluster[d], own = kernel->cluster[d];
        if (wanted != 0 && own != 0 && wanted != own)
            throw error("a cluster of another size than the kernel's __cluster_dims__");
        cluster.size[d] = wanted != 0 ? wanted : own != 0 ? own : 1;
        if (launch->grid[d] % cluster.size[d] != 0)
            throw error("a grid of " + std::to_string(launch->grid[d]) +
                        " blocks is no multiple of its cluster's " +
                        std::to_string(cluster.size[d]));
        n_blocks *= cluster.size[d];
    }
    if (n_blocks > 8)
        throw error("a cluster of " + std::to_string(n_blocks) + " blocks: 8 are portable");
}

static void check_launch(const struct ptx_kernel *kernel, const struct ptx_launch *launch) {
    size_t shared = kernel->shared_bytes + launch->dynamic_shared_bytes;
    unsigned n_threads = launch->block[0] * launch->block[1] * launch->block[2];
    if (shared > launch->shared_limit_bytes)
        throw error(std::to_string(shared) + " bytes of shared memory, allowed are " +
                    std::to_string(launch->shared_limit_bytes));
    if (n_threads > kernel->max_threads)
        throw error(std::to_string(n_threads) + " threads, its __launch_bounds__ allow " +
                    std::to_string(kernel->max_threads));
}

static bool never_ends; // some kernel that was launched

} // namespace ptx

void ptx_wait(void) {
    while (ptx::never_ends)
        (void)pause();
}

const char *ptx_run(struct ptx_kernel *kernel, const struct ptx_launch *launch) {
    static std::string story;
    ptx::block_run block = {};
    ptx::cluster_run cluster = {};
    cluster.current = &block;
    try {
        if (!kernel->is_parsed)
            ptx::parse_kernel(kernel);
        kernel->n_launches++;
        ptx::report_launched(kernel);
        block.kernel = kernel;
        memcpy(block.grid, launch->grid, sizeof block.grid);
        memcpy(block.block, launch->block, sizeof block.block);
        block.shared_bytes = kernel->shared_bytes + launch->dynamic_shared_bytes;
        block.params = (const uint8_t *)launch->params;
        ptx::check_launch(kernel, launch);
        ptx::set_cluster(cluster, kernel, launch);
        if (ptx::is_faulty(kernel, PTX_FAULT_CRASH))
            (void)raise(SIGSEGV);
        ptx::never_ends = ptx::never_ends || ptx::is_faulty(kernel, PTX_FAULT_HANG);
        ptx::run_grid(kernel, cluster, block);
        return NULL;
    } catch (const std::exception &e) {
        const unsigned *id = cluster.current->id;
        story = kernel->name + ", block (" + std::to_string(id[0]) + ", " + std::to_string(id[1]) +
                ", " + std::to_string(id[2]) + "): " + e.what();
        return story.c_str();
    }
}
