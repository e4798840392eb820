// SPDX-License-Identifier: MIT
// CUDA's header of this name as the emulator has it: the .cu files of cuda/ include it when they
// are compiled as C++ for the host. Every symbol has C++ linkage, so that a program may hold this
// and the real runtime at once.
#ifndef ADELE_SIMT_CUDA_RUNTIME_H
#define ADELE_SIMT_CUDA_RUNTIME_H

#include "simt_kernel.h"
#include "simt_math.h"
#include "simt_plant.h"
#include "simt_runtime.h"
#include "simt_types.h"

#endif
