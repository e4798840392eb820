// SPDX-License-Identifier: MIT
// Tensor copies: PTX ISA, sections "cp.async.bulk.tensor", "cp.async.bulk.commit_group",
// "cp.async.bulk.wait_group".
#include "simt_async.h"

#include <algorithm>
#include <stdio.h>

struct load { // of shared memory of one block
    int rank;
    unsigned char *to;
    std::vector<unsigned char> bytes; // as they will lie there
    uint32_t n_counted;               // bytes that the mbarrier counts
    struct simt_mbarrier *barrier;
};
static std::vector<struct load> loads;

struct store_row {
    const unsigned char *from; // 16 bytes
    unsigned char *to;
    unsigned char bytes[16];
    uint8_t n_written; // of them
};
struct store {
    int thread;
    long group;
    bool is_read; // its thread has waited for that
    std::vector<struct store_row> rows;
    const char *file;
    int line;
};
static std::vector<struct store> stores;
static long n_groups[SIMT_MAX_THREADS]; // committed by each thread
static uint64_t random_state;

void simt_bulk_begin() {
    loads.clear();
    stores.clear();
    std::fill(n_groups, n_groups + SIMT_MAX_THREADS, 0);
    random_state = simt_run.settings.seed * 0x9e3779b97f4a7c15u + simt_run.i_block + 1;
}

// ---- checks -------------------------------------------------------------------------------------

static void check_box(const struct simt_tensor_map *map, const void *shared, const char *name,
                      const char *file, int line) {
    uint64_t tensor_bytes = map->extents[0] * map->element_bytes;
    for (int i = 1; i < map->n_dims; i++)
        tensor_bytes += (map->extents[i] - 1) * map->strides[i];
    if (!simt_is_global(map->base, tensor_bytes))
        simt_fail("%s at %s:%d: the tensor of %llu bytes at %p is not all device memory", name,
                  simt_file_name(file), line, (unsigned long long)tensor_bytes, (void *)map->base);
    if (!simt_is_shared(shared, simt_box_bytes(map)))
        simt_fail("%s at %s:%d: the box of %u bytes at %p is not all shared memory of this block",
                  name, simt_file_name(file), line, simt_box_bytes(map), shared);
    if (simt_shared_window(shared) % 128 != 0)
        simt_fail("%s at %s:%d: %p is not aligned to 128 bytes of shared memory", name,
                  simt_file_name(file), line, shared);
    // What follows a shorter row in shared memory is not documented.
    if (map->swizzle_bytes != 0 && simt_box_row_bytes(map) != map->swizzle_bytes)
        simt_fail(
            "%s at %s:%d: a swizzle of %d bytes and a box with rows of %u: the emulator wants "
            "them equal",
            name, simt_file_name(file), line, map->swizzle_bytes, simt_box_row_bytes(map));
}

static bool overlap(const unsigned char *a, size_t a_bytes, const unsigned char *b,
                    size_t b_bytes) {
    return a < b + b_bytes && b < a + a_bytes;
}

void simt_bulk_check_read(const unsigned char *shared, size_t bytes, const char *reader) {
    char place[120];
    for (const struct load &load : loads)
        if (overlap(load.to, load.bytes.size(), shared, bytes)) {
            simt_shared_describe(load.to, place, sizeof place);
            simt_fail("%s reads shared memory that a tensor copy to %s has not filled yet: wait "
                      "for its mbarrier",
                      reader, place);
        }
}

// That nothing in flight uses the memory which a copy is to fill.
static void check_free(const unsigned char *to, size_t bytes, const char *file, int line) {
    char place[120];
    simt_shared_describe(to, place, sizeof place);
    for (const struct load &load : loads)
        if (overlap(load.to, load.bytes.size(), to, bytes))
            simt_fail("tma_load at %s:%d to %s, where another one is in flight",
                      simt_file_name(file), line, place);
    for (const struct store &store : stores)
        for (const struct store_row &row : store.rows)
            if (!store.is_read && overlap(row.from, 16, to, bytes))
                simt_fail("tma_load at %s:%d to %s, which the tensor copy of %s:%d still reads",
                          simt_file_name(file), line, place, simt_file_name(store.file),
                          store.line);
    if (memcmp(to, simt_async_view(to), bytes) != 0)
        simt_fail("tma_load at %s:%d to %s, where ordinary stores wrote with no "
                  "fence_proxy_async since",
                  simt_file_name(file), line, place);
}

// ---- to shared memory ---------------------------------------------------------------------------

static void begin_load(int rank, const void *to, const std::vector<unsigned char> &bytes,
                       const uint64_t *bar, const char *file, int line) {
    if (simt_run.blocks[rank].n_done == simt_run.n_threads)
        simt_fail("tma_load at %s:%d to block %d of the cluster, which has ended",
                  simt_file_name(file), line, rank);
    unsigned char *there = simt_shared_of_peer(to, rank);
    if (!there)
        simt_fail("tma_load at %s:%d to block %d of the cluster, which has not got this shared "
                  "array yet: cluster_sync first",
                  simt_file_name(file), line, rank);
    struct simt_mbarrier *barrier = simt_mbarrier_of_copy(bar, rank, file, line);
    check_free(there, bytes.size(), file, line);
    memset(there, 0xff, bytes.size());
    memset(simt_async_view(there), 0xff, bytes.size());
    barrier->n_in_flight++;
    uint32_t n_counted = (uint32_t)bytes.size();
    loads.push_back({rank, there, bytes, n_counted, barrier});
}

void simt_tma_load(void *to, const void *map_at, const int *coordinates, int n_dims,
                   const uint64_t *bar, uint32_t blocks, const char *file, int line) {
    simt_require_hopper("tma_load", file, line);
    struct simt_tensor_map map = simt_tensor_map_of(map_at, n_dims);
    check_box(&map, to, "tma_load", file, line);
    if (blocks == 0 || blocks >> simt_run.n_blocks != 0)
        simt_fail("tma_load at %s:%d to the blocks 0x%x of a cluster of %d", simt_file_name(file),
                  line, blocks, simt_run.n_blocks);
    static std::vector<unsigned char> bytes;
    bytes.assign(simt_box_bytes(&map), 0);
    for (const struct simt_chunk &chunk : simt_box_chunks(&map, coordinates, to))
        if (chunk.global) {
            simt_check_read(chunk.global, chunk.n_inside);
            memcpy(&bytes[chunk.offset], chunk.global, chunk.n_inside);
        }
    for (int rank = 0; rank < simt_run.n_blocks; rank++)
        if (blocks >> rank & 1u)
            begin_load(rank, to, bytes, bar, file, line);
}

bool simt_bulk_go_on() {
    if (loads.empty())
        return false;
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    size_t i = (size_t)(random_state >> 33) % loads.size();
    struct load load = std::move(loads[i]);
    loads.erase(loads.begin() + (long)i);
    if (simt_run.blocks[load.rank].n_done == simt_run.n_threads) {
        simt_stop("a tensor copy came to block %d of the cluster, which has ended", load.rank);
        return true;
    }
    for (size_t byte = 0; byte < load.bytes.size(); byte++)
        if (load.to[byte] != 0xff) {
            char place[120];
            simt_shared_describe(load.to + byte, place, sizeof place);
            simt_stop("an ordinary store wrote to %s while a tensor copy to it was in flight",
                      place);
            return true;
        }
    memcpy(load.to, load.bytes.data(), load.bytes.size());
    memcpy(simt_async_view(load.to), load.bytes.data(), load.bytes.size());
    simt_mbarrier_complete(load.barrier, load.n_counted);
    return true;
}

// ---- to global memory ---------------------------------------------------------------------------

void simt_tma_store(const void *map_at, const void *from, const int *coordinates, int n_dims,
                    const char *file, int line) {
    char reader[120];
    simt_require_hopper("tma_store", file, line);
    struct simt_tensor_map map = simt_tensor_map_of(map_at, n_dims);
    check_box(&map, from, "tma_store", file, line);
    snprintf(reader, sizeof reader, "tma_store at %s:%d", simt_file_name(file), line);
    simt_bulk_check_read((const unsigned char *)from, simt_box_bytes(&map), reader);
    stores.push_back({simt_run.current, n_groups[simt_run.current], false, {}, file, line});
    const unsigned char *view = simt_async_view(from);
    for (const struct simt_chunk &chunk : simt_box_chunks(&map, coordinates, from)) {
        const unsigned char *shared = (const unsigned char *)from + chunk.offset;
        if (!chunk.global)
            continue;
        if (memcmp(shared, view + chunk.offset, chunk.n_inside) != 0)
            simt_fail("%s reads byte %u of its box, which an ordinary store wrote with no "
                      "fence_proxy_async since",
                      reader, chunk.offset);
        simt_check_write(chunk.global, chunk.n_inside);
        struct store_row row = {shared, chunk.global, {0}, chunk.n_inside};
        memcpy(row.bytes, shared, chunk.n_inside);
        stores.back().rows.push_back(row);
    }
}

void simt_tma_store_commit() {
    n_groups[simt_run.current]++;
}

// The source must be as it was when the copy began.
static void read_store(struct store *store) {
    for (const struct store_row &row : store->rows)
        if (!store->is_read && memcmp(row.from, row.bytes, row.n_written) != 0)
            simt_fail("the tensor copy of %s:%d was in flight when its source in shared memory "
                      "changed: wait with tma_store_wait_read before",
                      simt_file_name(store->file), store->line);
    store->is_read = true;
}

static void write_store(const struct store *store) {
    for (const struct store_row &row : store->rows)
        memcpy(row.to, row.bytes, row.n_written);
}

void simt_tma_store_wait(int n_pending, bool only_read) {
    int self = simt_run.current;
    for (size_t i = 0; i < stores.size();) {
        if (stores[i].thread != self || stores[i].group >= n_groups[self] - n_pending) {
            i++;
            continue;
        }
        read_store(&stores[i]);
        if (only_read) {
            i++;
            continue;
        }
        write_store(&stores[i]);
        stores.erase(stores.begin() + (long)i);
    }
}

// ---- ends ---------------------------------------------------------------------------------------

// Shared memory is gone when its block ends; what was only read is still written.
void simt_bulk_thread_ends() {
    for (const struct store &store : stores)
        if (store.thread == simt_run.current && !store.is_read)
            simt_fail("the thread ends while its tensor copy of %s:%d reads shared memory: "
                      "tma_store_commit, then tma_store_wait_read",
                      simt_file_name(store.file), store.line);
}

void simt_bulk_end() {
    if (!loads.empty()) {
        char place[120];
        simt_shared_describe(loads[0].to, place, sizeof place);
        simt_stop("the block ended while %d tensor copies to shared memory were in flight, one to "
                  "%s",
                  (int)loads.size(), place);
        return;
    }
    for (const struct store &store : stores)
        write_store(&store);
    stores.clear();
}
