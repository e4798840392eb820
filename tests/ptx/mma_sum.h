// SPDX-License-Identifier: MIT
// How a tensor core adds up: d[i][j] += a[i][0] b[0][j] + ... The PTX ISA leaves order and rounding
// open.
//
// PTX_MMA_AMPERE and PTX_MMA_HOPPER are the arithmetic that was measured on these GPUs, as
// published with the simulator microsoft/MMA-Sim ("T-FDPA": truncated fused dot product and
// addition): of as many products as fit into 16 bytes of operands (Hopper: 32), and the sum so far,
// each is aligned to the largest exponent and cut off 24 bits behind its point (Hopper: 25); they
// are added up exactly, and the sum is cut off to a float. The exponent of a product is the sum of
// its operands' exponents, whether or not its significand reaches 2. Then come the next products.
//
// Written from that description, in integers; the emulator has its own version, in doubles. The two
// are to stay independent of each other.
#ifndef ADELE_PTX_MMA_SUM_H
#define ADELE_PTX_MMA_SUM_H

#include "ptx.h"

namespace ptx {

// n: of the sum, 16 or 8. operand_bytes: 2 for bf16, 4 for TF32; the products are exact in double.
void mma_sum(enum ptx_mma_sum how, float d[16][8], const float a[16][16], const float b[16][8],
             int n, int operand_bytes);

} // namespace ptx
#endif
