// SPDX-License-Identifier: MIT
// An enum of a descriptor as a number. C callers may pass any number in an enum's place, while in
// C++ reading a value that the enum's bits cannot hold is undefined.
#ifndef ADELE_CUDA_RUNTIME_ENUM_VALUE_CUH
#define ADELE_CUDA_RUNTIME_ENUM_VALUE_CUH

#include <string.h>

namespace adele_cuda {

// `field` points to a field of an enum type without negative or large values: one int.
static inline int enum_value(const void *field) {
    int value;
    memcpy(&value, field, sizeof value);
    return value;
}

} // namespace adele_cuda
#endif
