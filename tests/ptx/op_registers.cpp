// SPDX-License-Identifier: MIT
// setmaxnreg (PTX ISA, "Miscellaneous Instructions: setmaxnreg"): a block has the registers that
// its threads begin with; .dec gives some back, .inc waits until there are enough. What ptxas needs
// is not known here, but wgmma's accumulators must fit (op_wgmma.cpp).
#include "async.h"
#include "lanes.h"
#include "ops.h"

namespace ptx {

#define BLOCK_REGISTERS 65536
#define MOST_REGISTERS  255

// What ptxas may use: .maxnreg, or what .maxntid and .minnctapersm leave for a thread.
void begin_registers(struct block_run &block) {
    const struct ptx_kernel *kernel = block.kernel;
    unsigned n_blocks = kernel->least_blocks > 0 ? kernel->least_blocks : 1;
    unsigned n = BLOCK_REGISTERS / (kernel->max_threads * n_blocks) / 8 * 8;
    if (kernel->most_registers != 0 && kernel->most_registers < n)
        n = kernel->most_registers;
    if (n > MOST_REGISTERS)
        n = MOST_REGISTERS;
    block.async->n_free_registers = 0;
    for (struct warp &w : block.warps)
        w.n_registers = n;
}

static void change(struct warp &w, const struct inst &i, uint32_t lanes) {
    const uint32_t wanted = (uint32_t)i.target;
    uint32_t &free = w.block->async->n_free_registers;
    bool is_increase = i.option != 0;
    if (is_increase ? wanted < w.n_registers : wanted > w.n_registers)
        throw error("setmaxnreg to " + std::to_string(wanted) + " of a thread that has " +
                    std::to_string(w.n_registers));
    uint32_t n = N_LANES * (is_increase ? wanted - w.n_registers : w.n_registers - wanted);
    if (is_increase && n > free) {
        fail_wait(w, lanes, -1, true);
        return;
    }
    free = is_increase ? free - n : free + n;
    w.n_registers = wanted;
    w.block->cluster->n_events++;
}

static void build_change(struct op_maker &maker) {
    uint64_t n = maker.operand_at(0).number;
    if (maker.operands[0].kind != OPERAND_NUMBER || n < 24 || n > 256 || n % 8 != 0)
        throw error("setmaxnreg takes a constant multiple of 8 from 24 to 256");
    if (maker.parser.kernel().max_threads == 1024 && maker.parser.kernel().most_registers == 0)
        throw error("setmaxnreg has no effect in a kernel without __launch_bounds__");
    maker.out.target = (uint32_t)n;
    maker.out.option = maker.modifiers[0] == "inc";
    maker.parser.kernel().is_async = true;
}

std::vector<struct op_row> register_rows() {
    return {{"setmaxnreg",
             "inc|dec sync aligned",
             NULL,
             {{"u32", change}},
             INST_ALIGNED,
             0,
             build_change}};
}

} // namespace ptx
