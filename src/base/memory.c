// SPDX-License-Identifier: MIT
// The heap, with a hook that makes one chosen allocation fail.
#include "base/memory.h"

#include "base/fail.h"

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

// What this thread could not allocate: memory_report names it after the function that failed has
// returned NULL.
static _Thread_local size_t failed_bytes;

static bool is_chosen_to_fail(void) {
    long i = atomic_fetch_add(&n_allocations, 1);
    return i == atomic_load(&i_fail);
}

static size_t product(size_t count, size_t size) {
    return size != 0 && count > SIZE_MAX / size ? SIZE_MAX : count * size;
}

// Remembers `bytes` when `block`, the result of allocating them, is NULL.
static void *checked(void *block, size_t bytes) {
    if (block == NULL)
        failed_bytes = bytes;
    return block;
}

void memory_fail_at(long i_failing) {
    atomic_store(&i_fail, i_failing < 0 ? -1 : i_failing);
    atomic_store(&n_allocations, 0);
}

long memory_count(void) {
    return atomic_load(&n_allocations);
}

void *memory_calloc(size_t count, size_t size) {
    size_t bytes = product(count, size);
    if (is_chosen_to_fail() || bytes == SIZE_MAX)
        return checked(NULL, bytes);
    return checked(calloc(bytes != 0 ? bytes : 1, 1), bytes); // calloc(0) may return NULL
}

void *memory_realloc(void *old, size_t count, size_t size) {
    size_t bytes = product(count, size);
    if (is_chosen_to_fail() || bytes == SIZE_MAX)
        return checked(NULL, bytes);
    return checked(realloc(old, bytes != 0 ? bytes : 1), bytes); // realloc(old, 0) would free it
}

void *memory_aligned(size_t bytes) {
    if (is_chosen_to_fail() || bytes > SIZE_MAX - (ALIGNMENT - 1))
        return checked(NULL, bytes);
    // aligned_alloc requires a multiple of the alignment.
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return checked(aligned_alloc(ALIGNMENT, rounded != 0 ? rounded : ALIGNMENT), bytes);
}

void memory_report(const char *file, int line) {
    const char *hint = "Close other programs, or make the batch, the images or the model smaller.";
    // Libraries such as cJSON allocate by themselves and do not report the size.
    if (failed_bytes == 0)
        (void)fail_record(ADELE_NO_MEMORY, file, line, hint, "cannot allocate memory");
    else
        (void)fail_record(ADELE_NO_MEMORY, file, line, hint, "cannot allocate %zu bytes",
                          failed_bytes);
    failed_bytes = 0;
}

// The pointer is copied byte by byte, because an object of another pointer type must not be
// accessed as a `void *`.
adele_status memory_allocate(void *pointer, size_t count, size_t size, const char *file, int line) {
    void *block = memory_calloc(count, size);
    memcpy(pointer, &block, sizeof block);
    if (block != NULL)
        return ADELE_OK;
    memory_report(file, line);
    return ADELE_NO_MEMORY;
}

adele_status memory_grow(void *pointer, size_t n, size_t size, const char *file, int line) {
    if ((n & (n - 1)) != 0)
        return ADELE_OK; // the next power of two is above n
    void *block = NULL;
    memcpy(&block, pointer, sizeof block);
    block = memory_realloc(block, n != 0 ? product(2, n) : 1, size);
    if (block == NULL) {
        memory_report(file, line);
        return ADELE_NO_MEMORY;
    }
    memcpy(pointer, &block, sizeof block);
    return ADELE_OK;
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

void memory_free_owned(void *pointer) {
    void *block;
    memcpy(&block, pointer, sizeof block);
    memory_free(block);
}
