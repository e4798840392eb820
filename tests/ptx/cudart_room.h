// SPDX-License-Identifier: MIT
// What stands in for libcudart_static.a: the functions that nvcc's output and this project's host
// code call, with the interpreter in the GPU's place. A function that is not here is missed by the
// linker. What a GPU forbids is an error here too, with the code that CUDA's manual gives ("CUDA
// Runtime API"), and a line on stderr says why (PTX_QUIET=1: none).
#ifndef ADELE_PTX_CUDART_ROOM_H
#define ADELE_PTX_CUDART_ROOM_H

#include "ptx.h"

#include <cuda_runtime_api.h>

#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace ptx_cudart {

// ---- cudart_error.cpp ---------------------------------------------------------------------------

// A line on stderr, and nothing else.
void complain(int code, const std::string &text);
// The last error, for cudaGetLastError; answers the code.
cudaError_t fail(cudaError_t code, const std::string &text);
// The error of a kernel, which every later call answers too: the device is lost.
cudaError_t sticky_error(void);
void set_sticky_error(cudaError_t code);

// ---- cudart_module.cpp --------------------------------------------------------------------------

struct fat_binary;
struct function {
    struct fat_binary *binary;
    std::string name;
    struct ptx_kernel *kernel; // NULL until the module is read
    int dynamic_shared_most;   // the attribute; -1 = never set
};
// The kernel behind nvcc's stub; NULL when nobody registered it.
struct function *function_of(const void *stub);
// Reads the module at the first use. False: fail() has been called.
bool resolve(struct function *f);
// cudart_launch.cpp: of the device, 80, or 90 with PTX_SM=90.
int sm(void);

// cudart_lz4.cpp: false when these are not n_out bytes in LZ4's block format.
bool lz4_decode(const unsigned char *from, size_t bytes, size_t n_out, std::string *out);

// ---- cudart_stream.cpp --------------------------------------------------------------------------

// Streams are queues. PTX_STREAMS=now (the default) runs what is queued at once, =lazy only when
// somebody waits for it, so that work runs as late as it may, =mixed:SEED in turns drawn by chance.
typedef std::function<cudaError_t()> work;

// `what` tells nodes of graphs apart, in all but their arguments.
cudaError_t enqueue(cudaStream_t stream, const std::string &what, work job);
struct CUstream_st *stream_of(cudaStream_t stream); // NULL is the default stream
void run_stream(cudaStream_t stream);
void run_to(struct CUstream_st *s, uint64_t position);
void run_all_streams(void);
bool is_capturing(cudaStream_t stream);
// cudaSuccess, or an error that spoils the capture when any stream is being captured: for what is
// not allowed meanwhile.
cudaError_t forbid_in_capture(const char *what);
const std::vector<struct CUstream_st *> &all_streams(void);

} // namespace ptx_cudart

struct CUgraph_st {
    struct node {
        std::string what;
        ptx_cudart::work job;
    };
    std::vector<struct node> nodes;
};
struct CUstream_st {
    std::deque<ptx_cudart::work> queue;
    uint64_t n_queued = 0, n_done = 0;
    struct CUgraph_st *capture = nullptr; // what is queued goes there
    bool is_origin = false;               // of the capture, or a stream that joined it
    bool is_spoilt = false;               // the capture
};

#endif
