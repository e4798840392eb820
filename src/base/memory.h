// SPDX-License-Identifier: MIT
// The one door to the heap: every allocation of the library passes here, so that a test can make
// the n-th one fail.
#ifndef ADELE_BASE_MEMORY_H
#define ADELE_BASE_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Zeroed storage for `count` elements of `size` bytes; NULL when the product overflows or memory is
// out (the caller answers FAIL_NO_MEMORY). Free with memory_free.
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

// Test hook: the allocation number `i_failing` from now (0 = the next) answers NULL, once.
// A negative number switches the hook off.
void memory_fail_at(long i_failing);
// Allocations since memory_fail_at was last called.
long memory_count(void);

#ifdef __cplusplus
}
#endif
#endif
