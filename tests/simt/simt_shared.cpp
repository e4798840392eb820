// SPDX-License-Identifier: MIT
// Shared memory: each array of a kernel is a heap block of its own, filled with 0xff when a thread
// of a block first asks for it.
#include "simt_internal.h"
#include "simt_tensor_core.h"

#include <map>
#include <stdlib.h>

static const size_t default_bytes = 48 * 1024; // static and dynamic, of one block
static const size_t largest_bytes = 163 * 1024;

struct shared_array {
    int id;
    size_t bytes;
    unsigned char *data;
    void *block;      // to be freed
    uint64_t i_block; // the block of threads it was last filled for
};
static std::vector<struct shared_array> arrays; // of the running kernel

static const int dynamic_id = -1;

// ---- what a kernel may use ----------------------------------------------------------------------

static std::map<const void *, size_t> &allowed() {
    static std::map<const void *, size_t> all;
    return all;
}

cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute attribute, int value) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
        return cudaSuccess;
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
    size_t largest = dynamic > default_bytes ? largest_bytes : default_bytes;
    if (simt_run.static_shared > default_bytes ||
        simt_run.static_shared + simt_run.grid->shared_bytes > largest)
        simt_fail("%zu bytes of static and %zu of dynamic shared memory; %zu are allowed",
                  simt_run.static_shared, simt_run.grid->shared_bytes, largest);
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
    if (posix_memalign(&array->block, 128, array->bytes + lead) != 0)
        simt_fail("no memory for %zu bytes of shared memory", array->bytes);
    array->data = (unsigned char *)array->block + lead;
#endif
}

static unsigned char *find_array(size_t bytes, size_t align, int id) {
    struct shared_array *found = NULL;
    for (struct shared_array &array : arrays)
        if (array.id == id && array.bytes == bytes)
            found = &array;
    if (!found) {
        arrays.push_back({id, bytes, NULL, NULL, 0});
        found = &arrays.back();
        make_array(found, align);
    }
    if (found->i_block != simt_run.i_block) {
        found->i_block = simt_run.i_block;
        memset(found->data, 0xff, bytes);
        simt_run.static_shared += id == dynamic_id ? 0 : bytes;
        check_size();
    }
    return found->data;
}

void *simt_shared(size_t bytes, size_t align, int id) {
    return find_array(bytes, align, id);
}

unsigned char *simt_dynamic_shared() {
    return find_array(simt_run.grid->shared_bytes, 128, dynamic_id);
}

bool simt_is_shared(const void *address, size_t bytes) {
    for (const struct shared_array &array : arrays) {
        size_t offset = (uintptr_t)address - (uintptr_t)array.data;
        if (offset < array.bytes && bytes <= array.bytes - offset)
            return true;
    }
    return false;
}

void simt_shared_end() {
    for (struct shared_array &array : arrays)
        free(array.block);
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

void __threadfence() {
#ifdef ADELE_SIMT_CHECKED
    simt_check_fence();
#endif
}
