// SPDX-License-Identifier: MIT
// The checked build. Its kernels are compiled with -fsanitize=thread and linked without that
// sanitizer's library: the compiler calls a function before each access to memory, and the
// functions are here. What a kernel's thread may touch: its own stack, the block's shared memory,
// the kernel's parameters, the program's constants, and device allocations.
#include "simt_check.h"

#include <link.h>
#include <stdlib.h>
#include <sys/mman.h>

struct simt_watch simt_watch;

// ---- where an address lies ----------------------------------------------------------------------

struct range {
    uintptr_t begin, end;
};
static std::vector<struct range> program; // data and constants of the program and its libraries
static struct range main_program;         // of the program alone, gaps included

static int add_segments(struct dl_phdr_info *info, size_t, void *) {
    bool is_main = program.empty();
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            program.push_back({begin, begin + info->dlpi_phdr[i].p_memsz});
        }
    if (is_main && !program.empty())
        main_program = {program.front().begin, program.back().end};
    return 0;
}

static bool is_program(uintptr_t address) {
    for (const struct range &one : program)
        if (address >= one.begin && address < one.end)
            return true;
    return false;
}

// Allocations begin on 256 bytes and have a gap behind them, so that 256 bytes belong to one.
static const size_t n_cached = 1024;
static struct {
    uintptr_t page; // address / 256
    struct simt_allocation *allocation;
} cached[n_cached];

static inline struct simt_allocation *find_allocation(uintptr_t address) {
    uintptr_t page = address / 256;
    auto &slot = cached[page % n_cached];
    if (slot.page == page)
        return slot.allocation;
    struct simt_allocation *found = simt_allocation_find((const void *)address);
    if (found && address - (uintptr_t)found->data < found->bytes) {
        slot.page = page;
        slot.allocation = found;
    }
    return found;
}

void simt_check_freed(struct simt_allocation *allocation) {
    simt_shadow_destroy(allocation->shadow);
    allocation->shadow = NULL;
    for (auto &one : cached)
        one = {};
}

// ---- shared memory ------------------------------------------------------------------------------

static const size_t shared_bytes = 1 << 20, shared_gap = 256;
static unsigned char *shared_memory;
static uintptr_t shared_begin;
static struct simt_shadow *shared_shadow;
static size_t shared_used;
static std::vector<struct range> shared_arrays;

void *simt_check_shared(size_t bytes, size_t align) {
    if (!shared_memory) {
        void *block =
            mmap(NULL, shared_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED)
            simt_fail("no memory for shared memory");
        shared_memory = (unsigned char *)block;
        shared_begin = (uintptr_t)block;
        shared_shadow = simt_shadow_create(shared_bytes);
    }
    // Aligned as much as its type asks for and no more.
    size_t step = align > 256 ? align : 256;
    size_t begin = (shared_used + shared_gap + step - 256) / step * step + (align < 16 ? align : 0);
    if (begin + bytes + shared_gap > shared_bytes)
        simt_fail("too many shared arrays for the emulator");
    shared_used = begin + bytes + 255;
    shared_arrays.push_back({shared_begin + begin, shared_begin + begin + bytes});
    return shared_memory + begin;
}

void simt_check_shared_end() {
    shared_used = 0;
    shared_arrays.clear();
}

// ---- the check of one access --------------------------------------------------------------------

static const char *const access_names[] = {"read", "write", "atomic"};

static void check_in_array(const struct range *array, uintptr_t address, size_t bytes,
                           enum simt_access access, const void *code) {
    struct simt_place place = {"shared array", array->end - array->begin, address - array->begin,
                               code};
    simt_race_check(shared_shadow->cells + (address - shared_begin) / 4, address, bytes, access,
                    simt_watch.block_begin, &place);
}

[[noreturn]] static void fail_shared(uintptr_t address, size_t bytes, enum simt_access access,
                                     const void *code) {
    const struct range *nearest = NULL;
    for (const struct range &array : shared_arrays)
        if (address + shared_gap >= array.begin && (!nearest || address >= array.begin))
            nearest = &array;
    if (!nearest)
        simt_fail("%s of %zu bytes at %p: outside of every shared array%s", access_names[access],
                  bytes, (void *)address, simt_code_place(code));
    bool is_below = address < nearest->begin;
    simt_fail("%s of %zu bytes that is %zu bytes %s a shared array of %zu bytes%s",
              access_names[access], bytes,
              is_below ? nearest->begin - address : address + bytes - nearest->end,
              is_below ? "before" : "past the end of", nearest->end - nearest->begin,
              simt_code_place(code));
}

static void check_shared(uintptr_t address, size_t bytes, enum simt_access access,
                         const void *code) {
    for (const struct range &array : shared_arrays)
        if (address >= array.begin && address + bytes <= array.end) {
            check_in_array(&array, address, bytes, access, code);
            return;
        }
    fail_shared(address, bytes, access, code);
}

static const size_t largest_watched = 32 << 20; // races are checked in allocations up to this size

static void check_global(uintptr_t address, size_t bytes, enum simt_access access,
                         const void *code) {
    struct simt_allocation *found = find_allocation(address);
    size_t offset = found ? address - (uintptr_t)found->data : 0;
    if (found && offset + bytes <= found->bytes) {
        if (found->bytes > largest_watched)
            return;
        if (!found->shadow)
            found->shadow = simt_shadow_create(found->bytes);
        struct simt_place place = {"allocation", found->bytes, offset, code};
        simt_race_check(found->shadow->cells + offset / 4, address, bytes, access,
                        simt_watch.launch_begin, &place);
        return;
    }
    if (is_program(address))
        return;
    if (found && offset < found->bytes + 4096)
        simt_fail("%s of %zu bytes at %p, which is %zu bytes past the end of an allocation of %zu "
                  "bytes%s",
                  access_names[access], bytes, (void *)address, offset + bytes - found->bytes,
                  found->bytes, simt_code_place(code));
    simt_fail("%s of %zu bytes at %p, which is no device memory%s", access_names[access], bytes,
              (void *)address, simt_code_place(code));
}

static inline void check(const void *pointer, size_t bytes, enum simt_access access,
                         const void *code) {
    if (!simt_watch.is_active)
        return;
    uintptr_t address = (uintptr_t)pointer;
    if (address - simt_watch.stack < simt_watch.stack_bytes)
        return;
    if (address - main_program.begin < main_program.end - main_program.begin ||
        address - simt_watch.arguments < simt_watch.arguments_bytes)
        return;
    if (shared_begin != 0 && address - shared_begin < shared_bytes)
        check_shared(address, bytes, access, code);
    else
        check_global(address, bytes, access, code);
}

void simt_check_read(const void *address, size_t bytes) {
    check(address, bytes, SIMT_READ, NULL);
}
void simt_check_write(const void *address, size_t bytes) {
    check(address, bytes, SIMT_WRITE, NULL);
}
void simt_check_atomic(const void *address, size_t bytes) {
    if ((uintptr_t)address % bytes != 0)
        simt_fail("atomic at %p: not aligned to its %zu bytes", address, bytes);
    check(address, bytes, SIMT_ATOMIC, NULL);
}

// ---- the run of a grid --------------------------------------------------------------------------

void simt_check_grid_begins() {
    if (program.empty())
        dl_iterate_phdr(add_segments, NULL);
    simt_watch.launch_begin = simt_watch.phase + 1;
    simt_watch.has_fence = false;
    simt_watch.arguments = (uintptr_t)simt_run.grid->arguments;
    simt_watch.arguments_bytes = simt_run.grid->arguments_bytes;
}

void simt_check_block_begins() {
    simt_watch.block_begin = ++simt_watch.phase;
}

void simt_check_barrier() {
    simt_watch.phase++;
    simt_check_runs(true);
}

void simt_check_fence() {
    simt_watch.has_fence = true;
}

void simt_check_runs(bool is_thread) {
    simt_watch.is_active = is_thread;
    if (!is_thread)
        return;
    const struct simt_thread *thread = &simt_run.threads[simt_run.current];
    uint32_t epoch = thread->warp_epoch < 0x1ffffu ? thread->warp_epoch : 0x1ffffu;
    simt_watch.self = (simt_stamp)simt_watch.phase << 32 | (simt_stamp)epoch << 15 |
                      (simt_stamp)simt_run.current << 5;
    simt_watch.stack = (uintptr_t)thread->fiber->stack;
    simt_watch.stack_bytes = thread->fiber->stack_bytes;
}

// ---- what the compiler calls --------------------------------------------------------------------

void *simt_checked_memcpy(void *to, const void *from, size_t bytes) {
    if (bytes > 0) {
        check(from, bytes, SIMT_READ, __builtin_return_address(0));
        check(to, bytes, SIMT_WRITE, __builtin_return_address(0));
    }
    return memcpy(to, from, bytes);
}

void *simt_checked_memset(void *to, int value, size_t bytes) {
    if (bytes > 0)
        check(to, bytes, SIMT_WRITE, __builtin_return_address(0));
    return memset(to, value, bytes);
}

static inline void check_aligned(const void *address, size_t bytes, enum simt_access access,
                                 const void *code) {
    if (!simt_watch.is_active || (uintptr_t)address - simt_watch.stack < simt_watch.stack_bytes)
        return;
    if ((uintptr_t)address % bytes != 0)
        simt_fail("%s of %zu bytes at %p: not aligned%s", access_names[access], bytes, address,
                  simt_code_place(code));
    check(address, bytes, access, code);
}

#define HOOKS(bytes)                                                                               \
    extern "C" void __tsan_read##bytes(void *address) {                                            \
        check_aligned(address, bytes, SIMT_READ, __builtin_return_address(0));                     \
    }                                                                                              \
    extern "C" void __tsan_write##bytes(void *address) {                                           \
        check_aligned(address, bytes, SIMT_WRITE, __builtin_return_address(0));                    \
    }                                                                                              \
    extern "C" void __tsan_unaligned_read##bytes(void *address) {                                  \
        check(address, bytes, SIMT_READ, __builtin_return_address(0));                             \
    }                                                                                              \
    extern "C" void __tsan_unaligned_write##bytes(void *address) {                                 \
        check(address, bytes, SIMT_WRITE, __builtin_return_address(0));                            \
    }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

extern "C" void __tsan_read_range(void *address, unsigned long bytes) {
    check(address, bytes, SIMT_READ, __builtin_return_address(0));
}
extern "C" void __tsan_write_range(void *address, unsigned long bytes) {
    check(address, bytes, SIMT_WRITE, __builtin_return_address(0));
}
extern "C" void *__tsan_memcpy(void *to, const void *from, size_t bytes) {
    return simt_checked_memcpy(to, from, bytes);
}
extern "C" void *__tsan_memset(void *to, int value, size_t bytes) {
    return simt_checked_memset(to, value, bytes);
}
extern "C" void *__tsan_memmove(void *to, const void *from, size_t bytes) {
    check(from, bytes, SIMT_READ, __builtin_return_address(0));
    check(to, bytes, SIMT_WRITE, __builtin_return_address(0));
    return memmove(to, from, bytes);
}
extern "C" void __tsan_vptr_update(void **, void *) {
}
extern "C" void __tsan_vptr_read(void **) {
}
extern "C" void __tsan_func_entry(void *) {
}
extern "C" void __tsan_func_exit() {
}
extern "C" void __tsan_init() {
}

// Of the host's parts of the files only: the flag of a static object that is made on first use.
#define ATOMIC_HOOKS(bits, type)                                                                   \
    extern "C" type __tsan_atomic##bits##_load(const volatile type *address, int) {                \
        return __atomic_load_n(address, __ATOMIC_SEQ_CST);                                         \
    }                                                                                              \
    extern "C" void __tsan_atomic##bits##_store(volatile type *address, type value, int) {         \
        __atomic_store_n(address, value, __ATOMIC_SEQ_CST);                                        \
    }                                                                                              \
    extern "C" type __tsan_atomic##bits##_exchange(volatile type *address, type value, int) {      \
        return __atomic_exchange_n(address, value, __ATOMIC_SEQ_CST);                              \
    }                                                                                              \
    extern "C" type __tsan_atomic##bits##_fetch_add(volatile type *address, type value, int) {     \
        return __atomic_fetch_add(address, value, __ATOMIC_SEQ_CST);                               \
    }                                                                                              \
    extern "C" type __tsan_atomic##bits##_fetch_sub(volatile type *address, type value, int) {     \
        return __atomic_fetch_sub(address, value, __ATOMIC_SEQ_CST);                               \
    }                                                                                              \
    extern "C" int __tsan_atomic##bits##_compare_exchange_strong(                                  \
        volatile type *address, type *expected, type value, int, int) {                            \
        return __atomic_compare_exchange_n(address, expected, value, false, __ATOMIC_SEQ_CST,      \
                                           __ATOMIC_SEQ_CST);                                      \
    }
ATOMIC_HOOKS(8, uint8_t)
ATOMIC_HOOKS(32, uint32_t)
ATOMIC_HOOKS(64, uint64_t)
