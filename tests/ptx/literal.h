// SPDX-License-Identifier: MIT
// Kernels as literals, for the tests of the interpreter itself.
#ifndef ADELE_PTX_LITERAL_H
#define ADELE_PTX_LITERAL_H

#include "ptx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// The body finds %rd1, the address of the buffer, %r1, the thread's index, and %rd2, the address of
// the buffer's word of that index (4 bytes each); predicates %p1 .. %p9, %r2 .. %r99, %rd3 ..
// %rd99, and `tile`, 1024 bytes of shared memory, aligned to 128.
#define LITERAL_HEAD                                                                               \
    ".version 8.0\n.target sm_80\n.address_size 64\n"                                              \
    ".visible .entry kernel(.param .u64 buffer) .maxntid 256, 1, 1 {\n"                            \
    ".reg .pred %p<10>; .reg .b32 %r<100>; .reg .b64 %rd<100>;\n"                                  \
    ".shared .align 128 .b8 tile[1024];\n"                                                         \
    "ld.param.u64 %rd1, [buffer]; mov.u32 %r1, %tid.x;\n"                                          \
    "mul.wide.u32 %rd2, %r1, 4; add.s64 %rd2, %rd1, %rd2;\n"
#define LITERAL_TAIL "\nret;\n}\n"

// NULL, or what went wrong, in reading or in running one block of so many threads.
static inline const char *literal_run(const char *body, unsigned n_threads, void *buffer,
                                      size_t bytes) {
    static char text[16384];
    const char *error;
    assert_true(strlen(LITERAL_HEAD) + strlen(body) + strlen(LITERAL_TAIL) < sizeof text);
    (void)snprintf(text, sizeof text, "%s%s%s", LITERAL_HEAD, body, LITERAL_TAIL);
    struct ptx_module *module = ptx_module_load(text, strlen(text), &error);
    if (module == NULL)
        return error;
    struct ptx_kernel *kernel = ptx_kernel_find(module, "kernel");
    assert_non_null(kernel);
    error = ptx_kernel_parse(kernel);
    if (error != NULL)
        return error;
    uint64_t address = (uintptr_t)buffer;
    struct ptx_launch launch = {{1, 1, 1}, {n_threads, 1, 1}, 0, 48 << 10, &address, {0, 0, 0}};
    ptx_memory_add(buffer, bytes);
    error = ptx_run(kernel, &launch);
    ptx_memory_remove(buffer);
    return error;
}

#define ASSERT_RUNS(body, n_threads, buffer, bytes)                                                \
    do {                                                                                           \
        const char *text_of_run = literal_run(body, n_threads, buffer, bytes);                     \
        if (text_of_run != NULL)                                                                   \
            fail_msg("%s", text_of_run);                                                           \
    } while (0)

#endif
