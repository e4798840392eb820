// SPDX-License-Identifier: MIT
#include "ops.h"

namespace ptx {

std::vector<struct op_row> wgmma_rows() {
    return {};
}

} // namespace ptx
