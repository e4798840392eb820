// SPDX-License-Identifier: MIT
// Shared memory: each array of a kernel is a heap block of its own, filled with 0xff when a thread
// of a block first asks for it. The blocks of a cluster have arrays of their own.
#include "simt_async.h"
#include "simt_internal.h"
#include "simt_tensor_core.h"

#include <algorithm>
#include <map>
#include <stdio.h>
#include <stdlib.h>

static const size_t default_bytes = 48 * 1024; // static and dynamic, of one block

struct shared_array {
    int id, rank;
    size_t bytes;
    unsigned char *data;
    unsigned char *view; // of the asynchronous proxy; NULL as long as it was not needed
    void *block;         // to be freed
    uint64_t i_block;    // the cluster it was last filled for
    uint32_t window;     // address as instructions have it
};
static std::vector<struct shared_array> arrays; // of the running kernel

static const int dynamic_id = -1;

// ---- what a kernel may use ----------------------------------------------------------------------

size_t simt_shared_per_block() { // programming guide, "Technical Specifications per CC"
    return (simt_settings_read().is_hopper ? 227 : 163) * 1024;
}

static std::map<const void *, size_t> &allowed() {
    static std::map<const void *, size_t> all;
    return all;
}

cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute attribute, int value) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
        return cudaSuccess;
    size_t largest_bytes = simt_shared_per_block();
    if (value < 0 || (size_t)value > largest_bytes)
        return simt_error(cudaErrorInvalidValue,
                          "%d bytes of shared memory for a block: the device has %zu", value,
                          largest_bytes);
    allowed()[kernel] = (size_t)value;
    return cudaSuccess;
}

size_t simt_shared_allowed(const void *kernel, bool *is_set) {
    auto found = allowed().find(kernel);
    *is_set = found != allowed().end();
    return *is_set ? found->second : default_bytes;
}

static void check_size() {
    bool is_set;
    size_t dynamic = simt_shared_allowed(simt_run.grid->kernel, &is_set);
    size_t largest = dynamic > default_bytes ? simt_shared_per_block() : default_bytes;
    size_t fixed = simt_block()->static_shared;
    if (fixed > default_bytes || fixed + simt_run.grid->shared_bytes > largest)
        simt_fail("%zu bytes of static and %zu of dynamic shared memory; %zu are allowed", fixed,
                  simt_run.grid->shared_bytes, largest);
}

// ---- arrays -------------------------------------------------------------------------------------

static void make_array(struct shared_array *array, size_t align) {
#ifdef ADELE_SIMT_CHECKED
    array->block = NULL;
    array->data = (unsigned char *)simt_check_shared(array->bytes, align);
#else
    // Aligned as much as its type asks for and no more, as on a GPU, so that UBSan tells when a
    // wider vector is read from it.
    size_t lead = align < 16 ? align : 0;
    if (posix_memalign(&array->block, align > 128 ? align : 128, array->bytes + lead) != 0)
        simt_fail("no memory for %zu bytes of shared memory", array->bytes);
    array->data = (unsigned char *)array->block + lead;
#endif
}

// Behind the other arrays of its block, and congruent to the host's address modulo 1024, the period
// of the longest swizzle.
static void place_in_window(struct shared_array *array) {
    uint32_t end = 1024; // which the system keeps
    for (const struct shared_array &other : arrays)
        if (other.rank == array->rank && &other != array)
            end = std::max(end, other.window + (uint32_t)other.bytes);
    uint32_t wanted = (uint32_t)((uintptr_t)array->data % 1024);
    array->window = end + (wanted - end) % 1024;
}

static unsigned char *find_array(size_t bytes, size_t align, int id) {
    int rank = simt_rank();
    struct shared_array *found = NULL;
    for (struct shared_array &array : arrays)
        if (array.id == id && array.bytes == bytes && array.rank == rank)
            found = &array;
    if (!found) {
        arrays.push_back({id, rank, bytes, NULL, NULL, NULL, 0, 0});
        found = &arrays.back();
        make_array(found, align);
        place_in_window(found);
    }
    if (found->i_block != simt_run.i_block) {
        found->i_block = simt_run.i_block;
        memset(found->data, 0xff, bytes);
        if (found->view)
            memset(found->view, 0xff, bytes);
        simt_block()->static_shared += id == dynamic_id ? 0 : bytes;
        check_size();
    }
    return found->data;
}

void *simt_shared(size_t bytes, size_t align, int id) {
    return find_array(bytes, align, id);
}

unsigned char *simt_dynamic_shared() {
    return find_array(simt_run.grid->shared_bytes, 1024, dynamic_id);
}

// The array that holds the bytes; NULL: none of this cluster does.
static struct shared_array *array_of(const void *address, size_t bytes) {
    for (struct shared_array &array : arrays) {
        size_t offset = (uintptr_t)address - (uintptr_t)array.data;
        if (offset < array.bytes && bytes <= array.bytes - offset &&
            array.i_block == simt_run.i_block)
            return &array;
    }
    return NULL;
}

bool simt_is_shared(const void *address, size_t bytes) {
    const struct shared_array *array = array_of(address, bytes);
    return array && array->rank == simt_rank();
}

// ---- for the asynchronous proxy -----------------------------------------------------------------

uint32_t simt_shared_window(const void *shared) {
    const struct shared_array *array = array_of(shared, 1);
    return array ? array->window + (uint32_t)((const unsigned char *)shared - array->data) : 0;
}

unsigned char *simt_shared_at(uint32_t window, size_t bytes) {
    for (const struct shared_array &array : arrays) {
        uint32_t offset = window - array.window;
        if (offset < array.bytes && bytes <= array.bytes - offset && array.rank == simt_rank() &&
            array.i_block == simt_run.i_block)
            return array.data + offset;
    }
    return NULL;
}

unsigned char *simt_shared_of_peer(const void *shared, int rank) {
    const struct shared_array *own = array_of(shared, 1);
    for (const struct shared_array &array : arrays)
        if (own && array.rank == rank && array.id == own->id && array.bytes == own->bytes &&
            array.i_block == simt_run.i_block)
            return array.data + ((const unsigned char *)shared - own->data);
    return NULL;
}

unsigned char *simt_async_view(const void *shared) {
    struct shared_array *array = array_of(shared, 1);
    if (!array->view) {
        array->view = (unsigned char *)malloc(array->bytes);
        if (!array->view) {
            perror("simt: no memory for a second view of shared memory");
            abort();
        }
        memset(array->view, 0xff, array->bytes); // as the array was when the block began
    }
    return array->view + ((const unsigned char *)shared - array->data);
}

void simt_async_view_fence() {
    for (const struct shared_array &array : arrays)
        if (array.rank == simt_rank() && array.i_block == simt_run.i_block)
            memcpy(simt_async_view(array.data), array.data, array.bytes);
}

void simt_shared_describe(const void *shared, char *out, size_t bytes) {
    const struct shared_array *array = array_of(shared, 1);
    if (!array) {
        snprintf(out, bytes, "%p", shared);
        return;
    }
    char block[40] = "";
    if (simt_run.n_blocks > 1)
        snprintf(block, sizeof block, " (block %d of the cluster)", array->rank);
    snprintf(out, bytes, "byte %zu of %s shared memory%s",
             (size_t)((const unsigned char *)shared - array->data),
             array->id == dynamic_id ? "dynamic" : "an array in", block);
}

void simt_shared_end() {
    for (struct shared_array &array : arrays) {
        free(array.block);
        free(array.view);
    }
    arrays.clear();
#ifdef ADELE_SIMT_CHECKED
    simt_check_shared_end();
#endif
}

void simt_matrix_row(const void *shared_row) {
    if ((uintptr_t)shared_row % 16 != 0)
        simt_fail("ldmatrix from %p: not aligned to 16 bytes", shared_row);
    if (!simt_is_shared(shared_row, 16))
        simt_fail("ldmatrix from %p, which is not shared memory of this block", shared_row);
    simt_check_read(shared_row, 16);
}

void simt_matrix_row_to(void *shared_row) {
    if ((uintptr_t)shared_row % 16 != 0)
        simt_fail("stmatrix to %p: not aligned to 16 bytes", shared_row);
    if (!simt_is_shared(shared_row, 16))
        simt_fail("stmatrix to %p, which is not shared memory of this block", shared_row);
    simt_check_write(shared_row, 16);
}

void __threadfence() {
#ifdef ADELE_SIMT_CHECKED
    simt_check_fence();
#endif
}
