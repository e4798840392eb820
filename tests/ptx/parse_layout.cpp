// SPDX-License-Identifier: MIT
// Once a body is read: where branches go, where shared memory lies, and the addresses of symbols.
#include "parse.h"

namespace ptx {

void body_parser::set_targets() {
    for (const auto &branch : branches_) {
        bool is_found = false;
        for (const std::string &label : branch.second) {
            auto found = labels_.find(label);
            if (is_found || found == labels_.end())
                continue;
            kernel_->code[branch.first].target = found->second;
            is_found = true;
        }
        if (!is_found)
            throw error("no such label: " + branch.second.front());
    }
}

// The module's shared arrays that this kernel names, behind its own; last the one of the launch.
std::map<std::string, uint64_t> body_parser::lay_out_shared() {
    std::map<std::string, uint64_t> out;
    for (int is_extern = 0; is_extern < 2; is_extern++)
        for (const struct constant &constant : registers.constants) {
            auto found = kernel_->module->variables.find(constant.symbol);
            if (constant.symbol.empty() || found == kernel_->module->variables.end() ||
                found->second.space != SPACE_SHARED ||
                found->second.is_extern != (is_extern != 0) || out.count(constant.symbol) != 0)
                continue;
            kernel_->shared_bytes = round_up(kernel_->shared_bytes, found->second.align);
            out[constant.symbol] = SHARED_BASE + kernel_->shared_bytes;
            kernel_->shared_bytes += found->second.bytes;
        }
    return out;
}

void body_parser::lay_out_constants() {
    std::map<std::string, uint64_t> shared = lay_out_shared();
    for (struct constant &constant : registers.constants) {
        if (constant.symbol.empty())
            continue;
        auto own = variables_.find(constant.symbol);
        auto found = shared.find(constant.symbol);
        if (own != variables_.end())
            constant.bits += own->second.address;
        else if (found != shared.end())
            constant.bits += found->second;
        else
            constant.bits += kernel_->module->variables.at(constant.symbol).address;
    }
}

} // namespace ptx
