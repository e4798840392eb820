// SPDX-License-Identifier: MIT
// The entries of the device's interface (device/device.h describes each) that are not in
// cuda_device.cu.
#ifndef ADELE_CUDA_RUNTIME_DEVICE_PARTS_CUH
#define ADELE_CUDA_RUNTIME_DEVICE_PARTS_CUH

#include "runtime/common.cuh"

namespace adele_cuda {

// memory.cu
adele_status device_alloc(const struct adele_device *device, size_t bytes, void **out);
adele_status device_alloc_pinned(const struct adele_device *device, size_t bytes, void **out);
void device_release(const struct adele_device *device, void *block);
size_t device_free_bytes(const struct adele_device *device);
adele_status device_upload(const struct adele_device *device, void *to, const void *from,
                           size_t bytes);
adele_status device_download(const struct adele_device *device, void *to, const void *from,
                             size_t bytes);
adele_status device_upload_begin(const struct adele_device *device, void *to, const void *pinned,
                                 size_t bytes);
adele_status device_upload_fence(const struct adele_device *device);
adele_status device_fill(const struct adele_device *device, void *block, int byte, size_t bytes);
adele_status device_copy(const struct adele_device *device, void *to, const void *from,
                         size_t bytes);
adele_status device_synchronize(const struct adele_device *device);

// tensor_copy.cu
int slice_channels(const struct adele_device *device);
size_t tensor_bytes(const struct adele_device *device, struct adele_shape shape);
adele_status tensor_upload(const struct adele_device *device, void *tensor,
                           struct adele_shape shape, const float *nchw);
adele_status tensor_download(const struct adele_device *device, float *nchw, const void *tensor,
                             struct adele_shape shape);

// conv2d/conv2d_scales.cu
adele_status cuda_conv2d_scales_create(const struct adele_device *device, int n,
                                       struct adele_op *const *ops, struct adele_op **out);
adele_status cuda_conv2d_scales_forward(struct adele_op *op,
                                        const struct adele_conv2d_args *const *args,
                                        void *workspace);
adele_status cuda_conv2d_scales_backward(struct adele_op *op,
                                         const struct adele_conv2d_args *const *args,
                                         void *workspace);

// exchange.cu
adele_status device_exchange_open(const struct adele_device *device, unsigned char *id);
adele_status device_exchange_join(const struct adele_device *device, const unsigned char *id,
                                  const struct adele_exchange_ranks *ranks);
adele_status device_exchange_leave(const struct adele_device *device, bool has_failed);
adele_status device_exchange_sum(const struct adele_device *device, float *vector, float *scratch,
                                 int64_t n, bool is_last);
// Waits until the stream's work is done. With other ranks it fails when NCCL has noticed that one
// of them is gone, or after the time limit: then what is under way has been abandoned.
adele_status exchange_wait(const struct cuda_context *context, cudaStream_t stream);
// Before a copy that makes the host wait inside of CUDA: the same where there are other ranks.
adele_status exchange_wait_before_copy(const struct cuda_context *context, cudaStream_t stream);
// Aborts what is under way where an exchange could not be queued as a whole.
void exchange_abort_failed(const struct cuda_context *context);

} // namespace adele_cuda
#endif
