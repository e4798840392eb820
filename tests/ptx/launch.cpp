// SPDX-License-Identifier: MIT
// A launch: the checks before it, registers and memory for its warps, and its blocks one by one.
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

static void run_grid(struct ptx_kernel *kernel, struct block_run &block) {
    size_t n_warps = (block.block[0] * block.block[1] * block.block[2] + N_LANES - 1) / N_LANES;
    add_registers(kernel, n_warps);
    if (kernel->memory_generation != memory_generation())
        for (const struct inst &i : kernel->code)
            i.low = i.high = 0;
    kernel->memory_generation = memory_generation();
    const size_t align = 128;
    std::vector<uint8_t> shared(block.shared_bytes + align);
    std::vector<uint8_t> locals(kernel->local_bytes * N_LANES * n_warps);
    std::vector<struct lane_copies> copies(n_warps * N_LANES);
    block.shared = (uint8_t *)(((uintptr_t)shared.data() + align - 1) / align * align);
    for (size_t k = 0; k < n_warps; k++) {
        struct warp w = {};
        w.registers = (uint8_t *)kernel->register_files[k].get();
        w.block = &block;
        w.index = (int)k;
        w.local = locals.empty() ? NULL : locals.data() + kernel->local_bytes * N_LANES * k;
        w.copies = &copies[k * N_LANES];
        block.warps.push_back(w);
    }
    begin_grid(block);
    for (uint64_t id : order_of_blocks((uint64_t)block.grid[0] * block.grid[1] * block.grid[2])) {
        if (id == 0 && is_faulty(kernel, PTX_FAULT_WRONG))
            continue;
        block.id[0] = (unsigned)(id % block.grid[0]);
        block.id[1] = (unsigned)(id / block.grid[0] % block.grid[1]);
        block.id[2] = (unsigned)(id / block.grid[0] / block.grid[1]);
        kernel->n_blocks++;
        run_block(block);
    }
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
        if (ptx::is_faulty(kernel, PTX_FAULT_CRASH))
            (void)raise(SIGSEGV);
        ptx::never_ends = ptx::never_ends || ptx::is_faulty(kernel, PTX_FAULT_HANG);
        ptx::run_grid(kernel, block);
        return NULL;
    } catch (const std::exception &e) {
        story = kernel->name + ", block (" + std::to_string(block.id[0]) + ", " +
                std::to_string(block.id[1]) + ", " + std::to_string(block.id[2]) + "): " + e.what();
        return story.c_str();
    }
}
