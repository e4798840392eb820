// SPDX-License-Identifier: MIT
// The CUDA device as C code uses it. The same sources built for the emulator of tests/simt have the
// same functions under names that begin with simt_.
#ifndef ADELE_CUDA_RUNTIME_CUDA_DEVICE_H
#define ADELE_CUDA_RUNTIME_CUDA_DEVICE_H

#include "device/device.h"

#ifdef __cplusplus
extern "C" {
#endif

// Which kernels an op takes. auto: for a convolution the fastest of direct, cudnn and cublas, timed
// once for a shape and remembered in a file; for every other op, direct. direct: our tuned kernels.
// plain: our first, simple kernel of every op, kept to be read and to be compared with. cudnn and
// cublas: that library's convolutions where it can, direct elsewhere.
enum cuda_engine {
    CUDA_ENGINE_AUTO,
    CUDA_ENGINE_DIRECT,
    CUDA_ENGINE_PLAIN,
    CUDA_ENGINE_CUDNN,
    CUDA_ENGINE_CUBLAS
};

struct cuda_options {
    int ordinal;                    // which GPU
    enum adele_precision precision; // bf16: tensors are bf16 in memory; otherwise float
    enum cuda_engine engine;
};

// GPUs that can be used; 0 when there is none or no driver.
int cuda_device_count(void);
// ADELE_DEVICE when there is no such GPU or it is older than sm_80.
ADELE_MUST_CHECK adele_status cuda_device_create(const struct cuda_options *options,
                                                 struct adele_device **out);
// The same, of the build for the emulator (tests/simt); `ordinal` is ignored.
ADELE_MUST_CHECK adele_status simt_device_create(const struct cuda_options *options,
                                                 struct adele_device **out);

// Of a device opened for the engine cudnn: convolutions created from now on take the candidate of
// that number in cuDNN's order for their shape, or the next usable one; 0 when the device is
// opened.
void cuda_device_set_cudnn_candidate(struct adele_device *device, int candidate);
// What the code of a GPU depends on beside this program: "NVIDIA H100, sm_90, driver 13000,
// runtime 13000, cudnn 91900, cublas 130100". Asks the driver and opens nothing on the GPU. "" when
// there is no such GPU.
void cuda_device_identity(int ordinal, char *out, size_t bytes);

// "auto", "direct", "plain", "cudnn", "cublas" -> *out; false for any other text.
bool cuda_engine_parse(const char *name, enum cuda_engine *out);

#ifdef __cplusplus
}
#endif
#endif
