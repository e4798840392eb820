// SPDX-License-Identifier: MIT
// The heap: every allocation of the library is made here, so that a test can make the n-th one
// fail. ALLOCATE and GROW report a failure themselves; CHECK_MEMORY reports it for a pointer that
// another function has returned.
#ifndef ADELE_BASE_MEMORY_H
#define ADELE_BASE_MEMORY_H

#include "adele/status.h"
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// ADELE_NO_MEMORY, with the place of the macro in the error record, when memory is out.

// *pointer = zeroed storage for `count` elements of its type. Free with memory_free.
#define ALLOCATE(pointer, count)                                                                   \
    memory_allocate((pointer), (size_t)(count), sizeof **(pointer), __FILE__, __LINE__)

// Makes room for one element more behind the n elements of the array *pointer (NULL for none). The
// capacity is not stored: it is the next power of two, so the array must grow by GROW alone, one
// element at a time. The old array stays valid on failure. New elements are not zeroed.
#define GROW(pointer, n) memory_grow((pointer), (size_t)(n), sizeof **(pointer), __FILE__, __LINE__)

// ADELE_OK unless `pointer`, the result of a function that returns NULL when memory is out, is
// NULL.
#define CHECK_MEMORY(pointer)                                                                      \
    ((pointer) != NULL ? (adele_status)ADELE_OK                                                    \
                       : (memory_report(__FILE__, __LINE__), (adele_status)ADELE_NO_MEMORY))

// `pointer` is the address of a pointer to any type.
ADELE_MUST_CHECK adele_status memory_allocate(void *pointer, size_t count, size_t size,
                                              const char *file, int line);
ADELE_MUST_CHECK adele_status memory_grow(void *pointer, size_t n, size_t size, const char *file,
                                          int line);
// Records the failure with the size of this thread's last allocation that failed.
void memory_report(const char *file, int line);

// Zeroed storage for `count` elements of `size` bytes; NULL when the product overflows or memory is
// out. Free with memory_free.
void *memory_calloc(size_t count, size_t size);
// As realloc for `count` elements; the old block stays valid on failure. New bytes are not zeroed.
void *memory_realloc(void *old, size_t count, size_t size);
// 64-byte aligned, not zeroed; free with memory_free.
void *memory_aligned(size_t bytes);
// A copy of a string; NULL when memory is out or text is NULL.
char *memory_strdup(const char *text);
// printf into new storage; NULL when memory is out.
char *memory_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
// The n texts with '\n' between them; NULL when memory is out.
char *memory_join_lines(int n, const char *const *texts);
void memory_free(void *block); // NULL is legal

// Before the declaration of a local variable, which is initialized there: `function` is called with
// its address where its scope ends, however that is left, so that TRY and return free it.
#define CLEANUP(function) __attribute__((cleanup(function)))
// The same for a pointer, by memory_free, or by a function for which a header has OWNER.
#define OWNED              CLEANUP(memory_free_owned)
#define OWNED_BY(function) CLEANUP(function##_owned)
#define OWNER(function, type)                                                                      \
    static inline void function##_owned(type **pointer) {                                          \
        function(*pointer);                                                                        \
    }
void memory_free_owned(void *pointer); // the address of a pointer to any type

// Test hook: the allocation number `i_failing` from now (0 = the next) returns NULL, once.
// A negative number switches the hook off.
void memory_fail_at(long i_failing);
// Allocations since memory_fail_at was last called.
long memory_count(void);

#ifdef __cplusplus
}
#endif
#endif
