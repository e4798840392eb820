// SPDX-License-Identifier: MIT
#include "support/simt_devices.h"

#ifdef ADELE_HAVE_SIMT
#include "device/device.h"
#include "runtime/cuda_device.h"
#include "simt/simt_libraries.h"

static adele_status open_engine(enum cuda_engine engine, int way, enum adele_precision precision,
                                struct adele_device **out) {
    const struct cuda_options options = {0, precision, engine};
    adele_status status = simt_device_create(&options, out);
    if (status == ADELE_OK)
        simt_device_set_cudnn_candidate(*out, way);
    return status;
}

#define OPENER(name, engine, way)                                                                  \
    static adele_status open_##name(enum adele_precision precision, struct adele_device **out) {   \
        return open_engine(CUDA_ENGINE_##engine, way, precision, out);                             \
    }
OPENER(direct, DIRECT, 0)
OPENER(plain, PLAIN, 0)
OPENER(cublas, CUBLAS, 0)
OPENER(cudnn, CUDNN, 0)
OPENER(cudnn1, CUDNN, 1)
OPENER(cudnn2, CUDNN, 2)
#undef OPENER

void simt_devices_provide(void) {
    adele_device_provide("simt", open_direct);
    adele_device_provide("simt/plain", open_plain);
    adele_device_provide("simt/cublas", open_cublas);
    adele_device_provide("simt/cudnn", open_cudnn);
    adele_device_provide("simt/cudnn1", open_cudnn1);
    adele_device_provide("simt/cudnn2", open_cudnn2);
}
#else
void simt_devices_provide(void) {
}
#endif
