// SPDX-License-Identifier: MIT
// What a CPU device holds; cpu.c creates it, context.c gives the ops access to it.
#ifndef ADELE_CPU_CONTEXT_H
#define ADELE_CPU_CONTEXT_H

#include "cpu/cpu.h"

#include <oneapi/dnnl/dnnl.h>

struct cpu_context {
    struct adele_device device;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    int block;
    bool is_bf16;
    int n_threads;
    bool has_winograd;
};

#endif
