// SPDX-License-Identifier: MIT
// Warp functions: the lane that comes last works out the result of all. Atomics, and the copies of
// cp.async, which are made as late as the rules allow.
#include "simt_internal.h"
#include "simt_tensor_core.h"

// ---- meeting ------------------------------------------------------------------------------------

static bool is_same_place(const struct simt_warp_call *a, const struct simt_warp_call *b) {
    return a->kind == b->kind && a->mask == b->mask && a->line == b->line &&
           (a->file == b->file || strcmp(a->file, b->file) == 0);
}

static void shuffle(struct simt_warp_call *const calls[32], int n_lanes) {
    uint64_t values[32];
    for (int lane = 0; lane < n_lanes; lane++)
        if (calls[lane])
            values[lane] = calls[lane]->value;
    for (int lane = 0; lane < n_lanes; lane++) {
        struct simt_warp_call *call = calls[lane];
        if (!call)
            continue;
        int width = call->width, first = lane / width * width, from = lane;
        switch (call->kind) {
        case SIMT_SHUFFLE:
            from = first + (call->argument & (width - 1));
            break;
        case SIMT_SHUFFLE_XOR:
            from = (lane ^ call->argument) < first + width ? lane ^ call->argument : lane;
            break;
        case SIMT_SHUFFLE_UP:
            from = lane - call->argument >= first ? lane - call->argument : lane;
            break;
        default:
            from = lane + call->argument < first + width ? lane + call->argument : lane;
        }
        if (from < 0 || from >= n_lanes || !calls[from])
            simt_fail("lane %d takes part in %s at %s:%d (mask 0x%08x) and reads lane %d, which "
                      "does not",
                      lane, simt_warp_name(call->kind), simt_file_name(call->file), call->line,
                      call->mask, from);
        call->value = values[from];
    }
}

static void vote(struct simt_warp_call *const calls[32], enum simt_warp_kind kind, unsigned mask) {
    unsigned ballot = 0;
    for (int lane = 0; lane < 32; lane++)
        if (calls[lane] && calls[lane]->value)
            ballot |= 1u << lane;
    uint64_t result = kind == SIMT_BALLOT ? ballot
                      : kind == SIMT_ANY  ? ballot != 0
                                          : ballot == mask;
    for (int lane = 0; lane < 32; lane++)
        if (calls[lane])
            calls[lane]->value = result;
}

// What the lanes did before is ordered before what they do from now on.
static void order_memory(int first_thread, unsigned mask) {
    uint32_t epoch = 0;
    for (int lane = 0; lane < 32; lane++)
        if (mask >> lane & 1u) {
            struct simt_thread *thread = &simt_run.threads[first_thread + lane];
            epoch = thread->warp_epoch > epoch ? thread->warp_epoch : epoch;
        }
    for (int lane = 0; lane < 32; lane++)
        if (mask >> lane & 1u)
            simt_run.threads[first_thread + lane].warp_epoch = epoch + 1;
}

static void complete(struct simt_warp_call *const calls[32], int first_thread, int n_lanes,
                     enum simt_warp_kind kind, unsigned mask) {
    switch (kind) {
    case SIMT_SYNCWARP:
        order_memory(first_thread, mask);
        simt_check_runs(true);
        break;
    case SIMT_SHUFFLE:
    case SIMT_SHUFFLE_XOR:
    case SIMT_SHUFFLE_UP:
    case SIMT_SHUFFLE_DOWN:
        shuffle(calls, n_lanes);
        break;
    case SIMT_BALLOT:
    case SIMT_ANY:
    case SIMT_ALL:
        vote(calls, kind, mask);
        break;
    case SIMT_LDMATRIX:
    case SIMT_LDMATRIX_TRANS:
        simt_load_matrices(calls, kind == SIMT_LDMATRIX_TRANS);
        break;
    case SIMT_STMATRIX:
        simt_store_matrices(calls);
        break;
    case SIMT_MMA_BF16:
        simt_multiply_bf16(calls);
        break;
    case SIMT_MMA_TF32:
        simt_multiply_tf32(calls);
        break;
    }
}

static void check_call(const struct simt_warp_call *call, int lane, int n_lanes) {
    const char *name = simt_warp_name(call->kind);
    if (!(call->mask >> lane & 1u))
        simt_fail("%s at %s:%d with mask 0x%08x, which leaves out the caller, lane %d", name,
                  simt_file_name(call->file), call->line, call->mask, lane);
    if (n_lanes < 32 && call->mask >> n_lanes != 0)
        simt_fail("%s at %s:%d with mask 0x%08x, in a warp of %d lanes (the block is no multiple "
                  "of 32)",
                  name, simt_file_name(call->file), call->line, call->mask, n_lanes);
    int width = call->width;
    if (width < 1 || width > 32 || (width & (width - 1)) != 0)
        simt_fail("%s at %s:%d with width %d", name, simt_file_name(call->file), call->line, width);
}

void simt_warp(struct simt_warp_call *call) {
    if (simt_run.current < 0)
        simt_fail("no thread runs");
    int current = simt_run.current, first_of_block = simt_rank() * simt_run.n_threads;
    int first_thread = first_of_block + (current - first_of_block) / 32 * 32;
    int n_lanes = first_of_block + simt_run.n_threads - first_thread;
    n_lanes = n_lanes < 32 ? n_lanes : 32;
    check_call(call, current - first_thread, n_lanes);
    struct simt_thread *self = &simt_run.threads[current];
    self->state = SIMT_AT_WARP;
    self->call = call;
    // From the last lane, which as a rule comes last, so that the others see at once that they
    // wait.
    for (int lane = n_lanes - 1; lane >= 0; lane--) {
        const struct simt_thread *other = &simt_run.threads[first_thread + lane];
        if (call->mask >> lane & 1u &&
            (other->state != SIMT_AT_WARP || !is_same_place(other->call, call))) {
            simt_wait();
            return;
        }
    }
    struct simt_warp_call *calls[32] = {NULL};
    for (int lane = 0; lane < n_lanes; lane++)
        if (call->mask >> lane & 1u)
            calls[lane] = simt_run.threads[first_thread + lane].call;
    complete(calls, first_thread, n_lanes, call->kind, call->mask);
    for (int lane = 0; lane < n_lanes; lane++)
        if (calls[lane] && first_thread + lane != current) {
            // It has its result and only waits to run; it must not be counted a second time.
            simt_run.threads[first_thread + lane].state = SIMT_RUNNING;
            simt_make_ready(first_thread + lane);
        }
    self->state = SIMT_RUNNING;
}

// ---- asynchronous copies ------------------------------------------------------------------------

void simt_copy_begin(void *to, const void *from, bool is_live) {
    struct simt_thread *self = &simt_run.threads[simt_run.current];
    if (((uintptr_t)to | (uintptr_t)from) % 16 != 0)
        simt_fail("cp_async_16 from %p to %p: not aligned to 16 bytes", from, to);
    if (!simt_is_shared(to, 16))
        simt_fail("cp_async_16 to %p, which is not shared memory of this block", to);
    if (!simt_is_global(from, 16))
        simt_fail("cp_async_16 from %p, which is not global memory", from);
    simt_check_write(to, 16); // no thread may still be reading there
    if (is_live) {
        unsigned char probe[16]; // so that a wrong address is reported here
        simt_check_read(from, 16);
        memcpy(probe, from, 16);
        __asm__ volatile("" : : "r"(probe) : "memory");
    }
    self->copies.push_back({to, is_live ? from : NULL, self->n_groups});
}

void simt_copy_commit() {
    simt_run.threads[simt_run.current].n_groups++;
}

void simt_copy_wait(int n_pending) {
    struct simt_thread *self = &simt_run.threads[simt_run.current];
    size_t n_made = 0;
    for (const struct simt_copy &copy : self->copies) {
        if (copy.group >= self->n_groups - n_pending)
            break; // groups are in order
        simt_check_write(copy.to, 16);
        if (copy.from)
            memcpy(copy.to, copy.from, 16);
        else
            memset(copy.to, 0, 16);
        n_made++;
    }
    self->copies.erase(self->copies.begin(), self->copies.begin() + (long)n_made);
}

// ---- atomics ------------------------------------------------------------------------------------

#define ATOMIC(name, type, result)                                                                 \
    type name(type *address, type value) {                                                         \
        simt_check_atomic(address, sizeof *address);                                               \
        type old = *address;                                                                       \
        *address = (result);                                                                       \
        return old;                                                                                \
    }
#define ATOMICS(type, wide)                                                                        \
    ATOMIC(atomicAdd, type, (type)((wide)old + (wide)value))                                       \
    ATOMIC(atomicSub, type, (type)((wide)old - (wide)value))                                       \
    ATOMIC(atomicMin, type, value < old ? value : old)                                             \
    ATOMIC(atomicMax, type, old < value ? value : old)                                             \
    ATOMIC(atomicAnd, type, (type)(old & value))                                                   \
    ATOMIC(atomicOr, type, (type)(old | value))                                                    \
    ATOMIC(atomicXor, type, (type)(old ^ value))                                                   \
    ATOMIC(atomicExch, type, value)                                                                \
    type atomicCAS(type *address, type compare, type value) {                                      \
        simt_check_atomic(address, sizeof *address);                                               \
        type old = *address;                                                                       \
        if (old == compare)                                                                        \
            *address = value;                                                                      \
        return old;                                                                                \
    }
ATOMICS(int, unsigned)
ATOMICS(unsigned, unsigned)
ATOMICS(unsigned long long, unsigned long long)
