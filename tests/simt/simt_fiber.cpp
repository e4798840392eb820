// SPDX-License-Identifier: MIT
// Fibers: stacks that hand the processor to each other. They are made once and serve every launch.
#include "simt_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef SIMT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

// A kernel's frame is small on a GPU; AddressSanitizer makes it larger. Pages are only taken when
// they are touched.
static const size_t stack_bytes = 256 * 1024;

static struct simt_fiber fibers[SIMT_MAX_THREADS + 1], host;
static struct simt_fiber *parked[SIMT_MAX_THREADS + 1];
static int n_fibers, n_parked;
static void (*fiber_body)();

// ---- the switch itself --------------------------------------------------------------------------

#if defined(__x86_64__)
// Saves the registers that a called function must keep, on the stack that is left; takes them from
// the stack that is entered.
extern "C" void simt_switch_stacks(void **save, void *load);
__asm__(".text\n"
        ".p2align 4\n"
        ".local simt_switch_stacks\n"
        ".type simt_switch_stacks, @function\n"
        "simt_switch_stacks:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size simt_switch_stacks, . - simt_switch_stacks\n");
#endif

// AddressSanitizer keeps a note of which stack it is on; the host's bounds are learned whenever a
// fiber is entered from it.
static bool left_the_host;

static void arrived(struct simt_fiber *fiber) {
#ifdef SIMT_ASAN
    const void *bottom = NULL;
    size_t bytes = 0;
    __sanitizer_finish_switch_fiber(fiber->fake_stack, &bottom, &bytes);
    if (left_the_host) {
        host.stack = (unsigned char *)bottom;
        host.stack_bytes = bytes;
    }
#else
    (void)fiber;
#endif
    left_the_host = false;
}

static void fiber_main() {
    struct simt_fiber fresh = {};
    arrived(&fresh);
    fiber_body();
    abort(); // a fiber parks, it does not end
}

void simt_fiber_switch(struct simt_fiber *from, struct simt_fiber *to) {
    left_the_host = from == NULL;
    if (from == NULL)
        from = &host;
    if (to == NULL)
        to = &host;
#ifdef SIMT_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_bytes);
#endif
#if defined(__x86_64__)
    simt_switch_stacks(&from->saved, to->saved);
#else
    if (from->saved == NULL)
        from->saved = calloc(1, sizeof(ucontext_t));
    swapcontext((ucontext_t *)from->saved, (ucontext_t *)to->saved);
#endif
    arrived(from);
}

// ---- making them --------------------------------------------------------------------------------

static void make_stack(struct simt_fiber *fiber) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *block = mmap(NULL, stack_bytes + page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED || mprotect(block, page, PROT_NONE) != 0) {
        perror("simt: no memory for a fiber's stack");
        abort();
    }
    fiber->stack = (unsigned char *)block + page;
    fiber->stack_bytes = stack_bytes;
}

// Stacks that begin at the same place of a page would push each other out of the cache: each
// begins a little lower than the one before it.
static void make_start(struct simt_fiber *fiber) {
    size_t color = (size_t)(fiber - fibers) * 576 % 4096;
    fiber->fake_stack = NULL;
#if defined(__x86_64__)
    void **top = (void **)(fiber->stack + fiber->stack_bytes - 64 - color / 64 * 64);
    *--top = NULL; // where fiber_main's caller would be
    *--top = (void *)fiber_main;
    for (int i = 0; i < 6; i++)
        *--top = NULL;
    fiber->saved = top;
#else
    if (fiber->saved == NULL)
        fiber->saved = calloc(1, sizeof(ucontext_t));
    ucontext_t *context = (ucontext_t *)fiber->saved;
    getcontext(context);
    context->uc_stack.ss_sp = fiber->stack;
    context->uc_stack.ss_size = fiber->stack_bytes - color / 64 * 64;
    context->uc_link = NULL;
    makecontext(context, fiber_main, 0);
#endif
}

struct simt_fiber *simt_fiber_take(void (*body)()) {
    fiber_body = body;
    if (n_parked > 0)
        return parked[--n_parked];
    struct simt_fiber *fiber = &fibers[n_fibers++];
    make_stack(fiber);
    make_start(fiber);
    return fiber;
}

void simt_fiber_park(struct simt_fiber *fiber) {
    parked[n_parked++] = fiber;
}

void simt_fiber_reset_all() {
    n_parked = 0;
    for (int i = n_fibers - 1; i >= 0; i--) {
#ifdef SIMT_ASAN
        __asan_unpoison_memory_region(fibers[i].stack, fibers[i].stack_bytes);
#endif
        make_start(&fibers[i]);
        parked[n_parked++] = &fibers[i];
    }
}
