// SPDX-License-Identifier: MIT
// The heap, with a hook that makes one chosen allocation fail.
#include "base/memory.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64 // one cache line, and the widest vector register (AVX-512)

// Loader threads allocate too, so the hook counts atomically.
static atomic_long n_allocations;
static atomic_long i_fail = -1;

static bool is_chosen_to_fail(void) {
    long i = atomic_fetch_add(&n_allocations, 1);
    return i == atomic_load(&i_fail);
}

void memory_fail_at(long i_failing) {
    atomic_store(&i_fail, i_failing < 0 ? -1 : i_failing);
    atomic_store(&n_allocations, 0);
}

long memory_count(void) {
    return atomic_load(&n_allocations);
}

void *memory_calloc(size_t count, size_t size) {
    if (is_chosen_to_fail())
        return NULL;
    // calloc(0) may answer NULL, which the caller would take for a failure.
    if (count == 0 || size == 0)
        return calloc(1, 1);
    if (count > SIZE_MAX / size)
        return NULL;
    return calloc(count, size);
}

void *memory_realloc(void *old, size_t count, size_t size) {
    if (is_chosen_to_fail())
        return NULL;
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    size_t bytes = count * size;
    return realloc(old, bytes != 0 ? bytes : 1); // realloc(old, 0) would free the old block
}

void *memory_aligned(size_t bytes) {
    if (is_chosen_to_fail())
        return NULL;
    if (bytes > SIZE_MAX - (ALIGNMENT - 1))
        return NULL;
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; // aligned_alloc asks for it
    return aligned_alloc(ALIGNMENT, rounded != 0 ? rounded : ALIGNMENT);
}

char *memory_strdup(const char *text) {
    if (text == NULL)
        return NULL;
    size_t bytes = strlen(text) + 1;
    char *copy = memory_realloc(NULL, bytes, 1);
    if (copy != NULL)
        memcpy(copy, text, bytes);
    return copy;
}

char *memory_printf(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (n < 0)
        return NULL;
    char *text = memory_realloc(NULL, (size_t)n + 1, 1);
    if (text == NULL)
        return NULL;
    va_start(arguments, format);
    (void)vsnprintf(text, (size_t)n + 1, format, arguments);
    va_end(arguments);
    return text;
}

char *memory_join_lines(int n, const char *const *texts) {
    size_t bytes = 1;
    for (int i = 0; i < n; i++)
        bytes += strlen(texts[i]) + 1;
    char *joined = memory_calloc(bytes, 1);
    if (!joined)
        return NULL;
    char *at = joined;
    for (int i = 0; i < n; i++) {
        if (i > 0)
            *at++ = '\n';
        size_t length = strlen(texts[i]);
        memcpy(at, texts[i], length);
        at += length;
    }
    return joined;
}

void memory_free(void *block) {
    free(block);
}
