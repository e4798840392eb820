// SPDX-License-Identifier: MIT
// wgmma: PTX ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Instructions", sections
// "Matrix Fragments for wgmma.mma_async.m64nNk16", "wgmma.mma_async", "wgmma.fence",
// "wgmma.commit_group", "wgmma.wait_group". The sums are simt_dot_add's.
#include "simt_async.h"
#include "simt_dot_add.h"

#include <algorithm>
#include <stdio.h>

static const int n_group = 128, n_rows = 64, n_k = 16;

// The sums of one array of accumulators: those that products in flight will leave there, or that
// they have left.
struct sums {
    float *registers[n_group]; // of each thread; NULL: empty
    int n;                     // columns; a thread has n / 2 of the sums
    std::vector<float> values; // (64, n)
    bool is_in_flight;
    long group; // of the last product
};

struct product {
    long group;
    std::vector<struct simt_operand_chunk> chunks;
    const char *file;
    int line;
};

struct warpgroup {
    long n_groups; // committed
    bool is_fenced;
    std::vector<struct sums> sums;
    std::vector<struct product> products; // in flight
};
static struct warpgroup warpgroups[SIMT_MAX_THREADS / n_group];

void simt_wgmma_begin() {
    for (struct warpgroup &one : warpgroups)
        one = {};
}

// ---- registers ----------------------------------------------------------------------------------

static const uint32_t poison = 0xffffffffu; // a NaN

// Element i of a thread's accumulators.
static float *value_of(struct sums *sums, int thread, int i) {
    int lane = thread % 32;
    int row = thread / 32 * 16 + lane / 4 + i / 2 % 2 * 8,
        column = i / 4 * 8 + lane % 4 * 2 + i % 2;
    return &sums->values[(size_t)(row * sums->n + column)];
}

// Of an array that is out of scope by now, too: no thread of the warpgroup has ended.
__attribute__((no_sanitize("address"))) static void read_registers(struct sums *sums) {
    for (int thread = 0; thread < n_group; thread++)
        for (int i = 0; i < sums->n / 2; i++)
            *value_of(sums, thread, i) = sums->registers[thread][i];
}

static void write_registers(struct sums *sums) {
    for (int thread = 0; thread < n_group; thread++)
        for (int i = 0; i < sums->n / 2; i++)
            sums->registers[thread][i] = *value_of(sums, thread, i);
}

static bool registers_hold_values(struct sums *sums) {
    for (int thread = 0; thread < n_group; thread++)
        for (int i = 0; i < sums->n / 2; i++)
            if (memcmp(&sums->registers[thread][i], value_of(sums, thread, i), 4) != 0)
                return false;
    return true;
}

static void poison_registers(const struct sums *sums) {
    for (float *registers : sums->registers)
        for (int i = 0; i < sums->n / 2; i++)
            memcpy(&registers[i], &poison, sizeof poison);
}

static void check_poison(const struct sums *sums) {
    for (const float *registers : sums->registers)
        for (int i = 0; i < sums->n / 2; i++)
            if (memcmp(&registers[i], &poison, sizeof poison) != 0)
                simt_fail("the accumulators of a wgmma were written before wgmma_wait");
}

// ---- products -----------------------------------------------------------------------------------

// The accumulators of the calls: known ones, or new ones with the registers' values.
static struct sums *sums_of(struct warpgroup *self, struct simt_group_call *const calls[128],
                            int n) {
    const struct simt_group_call *first = calls[0];
    for (struct sums &sums : self->sums) {
        if (sums.registers[0] == first->sums && sums.n == n) {
            if (sums.is_in_flight || registers_hold_values(&sums))
                return &sums;
            simt_fail("%s at %s:%d: its accumulators were written since the last wgmma_fence",
                      first->name, simt_file_name(first->file), first->line);
        }
        if (sums.is_in_flight && sums.registers[0] < first->sums + n / 2 &&
            first->sums < sums.registers[0] + sums.n / 2)
            simt_fail("%s at %s:%d: a wgmma of another shape uses its accumulators in flight",
                      first->name, simt_file_name(first->file), first->line);
    }
    if (!self->is_fenced)
        simt_fail("%s at %s:%d: no wgmma_fence after its accumulators were written", first->name,
                  simt_file_name(first->file), first->line);
    self->sums.push_back({});
    struct sums *sums = &self->sums.back();
    sums->n = n;
    sums->values.resize((size_t)(n_rows * n));
    for (int thread = 0; thread < n_group; thread++)
        sums->registers[thread] = calls[thread]->sums;
    read_registers(sums);
    return sums;
}

// a (16, 64) and b (16, n) have k as the first index.
static void add_products(struct sums *sums, const float *a, const float *b) {
    enum simt_tensor_core core = simt_run.settings.tensor_core == SIMT_TENSOR_CORE_NEAREST
                                     ? SIMT_TENSOR_CORE_NEAREST
                                     : SIMT_TENSOR_CORE_HOPPER;
    for (int row = 0; row < n_rows; row += 16)
        for (int column = 0; column < sums->n; column += 8) {
            float tile_a[16][16], tile_b[16][8], tile_d[16][8];
            for (int k = 0; k < n_k; k++) {
                memcpy(tile_a[k], a + k * n_rows + row, sizeof tile_a[k]);
                memcpy(tile_b[k], b + k * sums->n + column, sizeof tile_b[k]);
            }
            for (int i = 0; i < 16; i++)
                memcpy(tile_d[i], &sums->values[(size_t)((row + i) * sums->n + column)],
                       sizeof tile_d[i]);
            simt_dot_add(core, tile_d, tile_a, tile_b, n_k);
            for (int i = 0; i < 16; i++)
                memcpy(&sums->values[(size_t)((row + i) * sums->n + column)], tile_d[i],
                       sizeof tile_d[i]);
        }
}

static void multiply(struct simt_group_call *const calls[128]) {
    const struct simt_group_call *first = calls[0];
    struct warpgroup *self = &warpgroups[simt_warpgroup()];
    int n = first->argument / 4;
    bool is_mn_major_a = first->argument & 1, is_mn_major_b = first->argument & 2;
    char reader[120];
    snprintf(reader, sizeof reader, "%s at %s:%d", first->name, simt_file_name(first->file),
             first->line);
    struct sums *sums = sums_of(self, calls, n);
    if (!first->adds)
        std::fill(sums->values.begin(), sums->values.end(), 0.0f);
    static std::vector<float> a, b; // a failure would leak them from this frame
    a.resize((size_t)(n_k * n_rows));
    b.resize((size_t)(n_k * n));
    self->products.push_back({self->n_groups, {}, first->file, first->line});
    std::vector<struct simt_operand_chunk> *chunks = &self->products.back().chunks;
    simt_read_operand(first->a, is_mn_major_a, n_rows, reader, chunks, a.data());
    simt_read_operand(first->b, is_mn_major_b, (uint32_t)n, reader, chunks, b.data());
    add_products(sums, a.data(), b.data());
    sums->is_in_flight = true;
    sums->group = self->n_groups;
    poison_registers(sums);
}

void simt_wgmma(uint64_t a, uint64_t b, float *sums, int n, int mn_major, bool adds,
                const char *file, int line) {
    struct simt_group_call call = {"wgmma", a, b, adds, 4 * n + mn_major, sums, file, line};
    simt_warpgroup_meet(&call, multiply);
}

// ---- groups -------------------------------------------------------------------------------------

// Accumulators must be from now on as they are now, or as the last product left them.
static void fence(struct simt_group_call *const *) {
    struct warpgroup *self = &warpgroups[simt_warpgroup()];
    self->is_fenced = true;
    for (struct sums &sums : self->sums)
        if (!sums.is_in_flight)
            read_registers(&sums);
}

static void commit(struct simt_group_call *const *) {
    warpgroups[simt_warpgroup()].n_groups++;
}

// The operands must be as they were when the product began.
static void check_operands(const struct product *product) {
    for (const struct simt_operand_chunk &chunk : product->chunks)
        if (memcmp(chunk.from, chunk.bytes, sizeof chunk.bytes) != 0) {
            char place[120];
            simt_shared_describe(chunk.from, place, sizeof place);
            simt_fail("%s changed while the wgmma of %s:%d that reads it was in flight", place,
                      simt_file_name(product->file), product->line);
        }
}

static void wait(struct simt_group_call *const calls[128]) {
    struct warpgroup *self = &warpgroups[simt_warpgroup()];
    long n_complete = self->n_groups - calls[0]->argument;
    for (size_t i = 0; i < self->products.size();)
        if (self->products[i].group < n_complete) {
            check_operands(&self->products[i]);
            self->products.erase(self->products.begin() + (long)i);
        } else {
            i++;
        }
    for (struct sums &sums : self->sums)
        if (sums.is_in_flight && sums.group < n_complete) {
            check_poison(&sums);
            write_registers(&sums);
            sums.is_in_flight = false;
        }
    self->is_fenced = false;
}

void simt_wgmma_fence(const char *file, int line) {
    struct simt_group_call call = {"wgmma_fence", 0, 0, false, 0, NULL, file, line};
    simt_warpgroup_meet(&call, fence);
}

void simt_wgmma_commit(const char *file, int line) {
    struct simt_group_call call = {"wgmma_commit", 0, 0, false, 0, NULL, file, line};
    simt_warpgroup_meet(&call, commit);
}

void simt_wgmma_wait(int n_pending, const char *file, int line) {
    struct simt_group_call call = {"wgmma_wait", 0, 0, false, n_pending, NULL, file, line};
    simt_warpgroup_meet(&call, wait);
}

void simt_wgmma_thread_ends() {
    const struct warpgroup *self = &warpgroups[simt_warpgroup()];
    if (!self->products.empty())
        simt_fail("the thread ends while a wgmma of %s:%d is in flight: wgmma_commit, then "
                  "wgmma_wait",
                  simt_file_name(self->products[0].file), self->products[0].line);
}
