// SPDX-License-Identifier: MIT
#include "cudart_room.h"

#include <stdio.h>
#include <stdlib.h>

namespace ptx_cudart {

static cudaError_t last = cudaSuccess, sticky = cudaSuccess;
static std::string story;

void complain(int code, const std::string &text) {
    if (getenv("PTX_QUIET") == NULL)
        fprintf(stderr, "ptx: error %d: %s\n", code, text.c_str());
}

cudaError_t fail(cudaError_t code, const std::string &text) {
    last = code;
    story = text;
    if (code != cudaErrorMemoryAllocation)
        complain((int)code, text);
    return code;
}

cudaError_t sticky_error(void) {
    if (sticky != cudaSuccess)
        last = sticky;
    return sticky;
}

void set_sticky_error(cudaError_t code) {
    if (sticky == cudaSuccess)
        sticky = code;
}

} // namespace ptx_cudart

using namespace ptx_cudart;

extern "C" cudaError_t cudaGetLastError(void) {
    cudaError_t out = last;
    last = sticky;
    return out;
}

extern "C" cudaError_t cudaPeekAtLastError(void) {
    return last;
}

extern "C" const char *cudaGetErrorString(cudaError_t code) {
    if (code == cudaSuccess)
        return "no error";
    return code == last || code == sticky ? story.c_str() : "an error";
}

extern "C" const char *cudaGetErrorName(cudaError_t code) {
    return code == cudaSuccess ? "cudaSuccess" : "cudaError";
}
