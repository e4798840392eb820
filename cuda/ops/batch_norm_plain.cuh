// SPDX-License-Identifier: MIT
// The simple kernels of the batch norm (batch_norm_plain.cu), as batch_norm.cu calls them.
#ifndef ADELE_CUDA_OPS_BATCH_NORM_PLAIN_CUH
#define ADELE_CUDA_OPS_BATCH_NORM_PLAIN_CUH

#include "runtime/common.cuh"

namespace adele_cuda {

adele_status batch_norm_plain_forward(const struct cuda_context *context,
                                      const struct adele_batch_norm_desc *desc,
                                      const struct adele_batch_norm_args *args);
adele_status batch_norm_plain_backward(const struct cuda_context *context,
                                       const struct adele_batch_norm_desc *desc,
                                       const struct adele_batch_norm_args *args);

} // namespace adele_cuda
#endif
