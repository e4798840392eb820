// SPDX-License-Identifier: MIT
// The executables of these tests are linked with --wrap=dlopen: NVIDIA's own libraries (cuBLAS,
// cuDNN, NCCL) would bring the real CUDA along, which knows nothing of this device.
#include <dlfcn.h>
#include <string.h>

extern "C" void *__real_dlopen(const char *name, int flags);

extern "C" void *__wrap_dlopen(const char *name, int flags) {
    bool is_nvidia =
        name != NULL && (strstr(name, "libcu") != NULL || strstr(name, "libnv") != NULL ||
                         strstr(name, "libnccl") != NULL);
    return __real_dlopen(is_nvidia ? "libcuda-is-interpreted-here.so" : name, flags);
}
