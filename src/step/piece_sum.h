// SPDX-License-Identifier: MIT
// What both exchanges through the host (bucket_exchange.h of the CPU, and exchange.h of GPUs
// without NCCL) add up: the pieces that the ranks have sent to this one.
#ifndef ADELE_STEP_PIECE_SUM_H
#define ADELE_STEP_PIECE_SUM_H

#include <stdint.h>

// pieces: plain (n_ranks, n), one piece of n floats from each rank; n_ranks is a power of two. The
// sum goes into the first piece, and the others are overwritten. Ranks are added up in a binary
// tree of neighbours, so the sum has the same bits on every device and for any number of threads.
void piece_sum(float *pieces, int n_ranks, int64_t n);
#endif
