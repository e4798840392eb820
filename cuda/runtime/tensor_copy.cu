// SPDX-License-Identifier: MIT
// Tensors between plain NCHW floats and NHWC with padded channels in the context's storage.
#include "runtime/device_parts.cuh"

namespace adele_cuda {

static size_t element_bytes(const struct adele_device *device) {
    return context_of(device)->storage == ADELE_PRECISION_BF16 ? sizeof(bf16) : sizeof(float);
}

int slice_channels(const struct adele_device *device) {
    (void)device;
    return SLICE_CHANNELS;
}

size_t tensor_bytes(const struct adele_device *device, struct adele_shape shape) {
    return (size_t)tensor_elements(shape) * element_bytes(device);
}

// A thread owns one element (n, y, x, c) of the tensor.
template <typename T>
static __global__ void from_nchw(const float *__restrict__ nchw, T *__restrict__ tensor,
                                 int channels, int64_t n_pixels, int64_t n_elements) {
    int p = padded_channels(channels);
    int64_t stride = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n_elements; i += stride) {
        int c = (int)(i % p);
        int64_t pixel = i / p % n_pixels, n = i / p / n_pixels;
        float value = c < channels ? nchw[(n * channels + c) * n_pixels + pixel] : 0.0f;
        tensor[i] = from_float<T>(value);
    }
}

// A thread owns one element (n, c, y, x) of the plain array.
template <typename T>
static __global__ void to_nchw(const T *__restrict__ tensor, float *__restrict__ nchw, int channels,
                               int64_t n_pixels, int64_t n_elements) {
    int p = padded_channels(channels);
    int64_t stride = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n_elements; i += stride) {
        int64_t pixel = i % n_pixels, plane = i / n_pixels;
        int c = (int)(plane % channels);
        nchw[i] = to_float(tensor[(plane / channels * n_pixels + pixel) * p + c]);
    }
}

#define TRANSLATE_BLOCK 256

template <typename T>
static adele_status launch_from_nchw(const struct cuda_context *context, const float *nchw,
                                     void *tensor, struct adele_shape shape) {
    int64_t n_elements = tensor_elements(shape);
    return LAUNCH(context, from_nchw<T>, strided_grid(n_elements, TRANSLATE_BLOCK), TRANSLATE_BLOCK,
                  0, nchw, (T *)tensor, shape.c, (int64_t)shape.h * shape.w, n_elements);
}

template <typename T>
static adele_status launch_to_nchw(const struct cuda_context *context, const void *tensor,
                                   float *nchw, struct adele_shape shape) {
    int64_t n_pixels = (int64_t)shape.h * shape.w, n_elements = n_pixels * shape.n * shape.c;
    return LAUNCH(context, to_nchw<T>, strided_grid(n_elements, TRANSLATE_BLOCK), TRANSLATE_BLOCK,
                  0, (const T *)tensor, nchw, shape.c, n_pixels, n_elements);
}

static size_t plain_bytes(struct adele_shape shape) {
    return (size_t)shape.n * (size_t)shape.c * (size_t)shape.h * (size_t)shape.w * sizeof(float);
}

adele_status tensor_upload(const struct adele_device *device, void *tensor,
                           struct adele_shape shape, const float *nchw) {
    struct cuda_context *context = context_of(device);
    void *staging = NULL;
    TRY(device_alloc(device, plain_bytes(shape), &staging));
    adele_status status = device_upload(device, staging, nchw, plain_bytes(shape));
    if (status == ADELE_OK)
        status = WITH_STORAGE(context, T,
                              launch_from_nchw<T>(context, (const float *)staging, tensor, shape));
    if (status == ADELE_OK)
        status = device_synchronize(device);
    device_release(device, staging);
    return status;
}

adele_status tensor_download(const struct adele_device *device, float *nchw, const void *tensor,
                             struct adele_shape shape) {
    struct cuda_context *context = context_of(device);
    void *staging = NULL;
    TRY(device_alloc(device, plain_bytes(shape), &staging));
    adele_status status =
        WITH_STORAGE(context, T, launch_to_nchw<T>(context, tensor, (float *)staging, shape));
    if (status == ADELE_OK)
        status = device_download(device, nchw, staging, plain_bytes(shape));
    device_release(device, staging);
    return status;
}

} // namespace adele_cuda
