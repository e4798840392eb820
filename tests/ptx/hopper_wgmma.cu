// SPDX-License-Identifier: MIT
// wgmma on the interpreter: all layouts of its operands against plain loops, with numbers whose
// sums are exact; stmatrix; and each mistake, which must be reported or give other numbers.
#include "hopper_wgmma.cuh"

// ---- kernels -----------------------------------------------------------------------------------

struct task {
    struct layout a, b;
    const uint16_t *a_data, *b_data; // (rows, DEPTH) of bf16
    float *out;                      // (ROWS, columns)
    int fault;
};

static __device__ void store_matrix(const struct layout &l, const uint16_t *data, uint8_t *to) {
    for (int i = (int)threadIdx.x; i < l.rows * DEPTH; i += 128)
        *(uint16_t *)(to + place_of(l, i / DEPTH, i % DEPTH)) = data[i];
}

template <int n> static __device__ void write_sums(const float (&d)[n], float *out, int columns) {
    const int row = (int)threadIdx.x / 32 * 16 + (int)threadIdx.x % 32 / 4;
    for (int e = 0; e < n; e++)
        out[(row + (e & 2) * 4) * columns + e / 4 * 8 + (int)threadIdx.x % 4 * 2 + (e & 1)] = d[e];
}

template <int transposed_a, int transposed_b, int n>
static __global__ void __launch_bounds__(128) product_kernel(const struct task t) {
    extern __shared__ __align__(1024) uint8_t memory[];
    uint8_t *const a = memory, *const b = memory + ROWS * DEPTH * 2;
    float d[n];
    store_matrix(t.a, t.a_data, a);
    store_matrix(t.b, t.b_data, b);
    if (t.fault != FAULT_NO_PROXY_FENCE)
        fence_async();
    __syncthreads();
    for (int e = 0; e < n; e++)
        d[e] = 1000.0f; // which scale-d leaves out
    keep_here(d);
    if (t.fault == FAULT_REGISTERS)
        asm volatile("setmaxnreg.dec.sync.aligned.u32 32;");
    if (t.fault == FAULT_INCREASE)
        asm volatile("setmaxnreg.inc.sync.aligned.u32 256;");
    if (t.fault != FAULT_NO_FENCE)
        wgmma_fence();
#pragma unroll
    for (int step = 0; step < DEPTH / 16; step++) {
        uint64_t of_a = descriptor_of(t.a, shared_address(a), step, t.fault);
        uint64_t of_b = descriptor_of(t.b, shared_address(b), step, t.fault);
        if (t.fault == FAULT_WARPS && threadIdx.x >= 96)
            of_b -= 1;
        multiply<transposed_a, transposed_b>(d, of_a, of_b, step > 0);
        if (t.fault == FAULT_TOUCHED && step == 1) {
            wgmma_commit();
            wgmma_wait();
            d[3] += 1.0f;
        }
    }
    wgmma_commit();
    if (t.fault == FAULT_EARLY_READ)
        t.out[0] = d[0] + 1.0f;
    if (t.fault == FAULT_EARLY_WRITE && threadIdx.x == 0)
        a[0] = 1;
    if (t.fault == FAULT_NO_WAIT)
        return;
    wgmma_wait();
    write_sums(d, t.out, n * 2);
}

// B by TMA, A from registers; the descriptor of B may say another swizzle than TMA's.
static __global__ void __launch_bounds__(128)
    mixed_kernel(const __grid_constant__ CUtensorMap map, const struct task t) {
    extern __shared__ __align__(1024) uint8_t memory[];
    __shared__ alignas(8) uint64_t barrier;
    const uint32_t bar = shared_address(&barrier);
    const int row = (int)threadIdx.x / 32 * 16 + (int)threadIdx.x % 32 / 4;
    const int column = (int)threadIdx.x % 4 * 2;
    float d[32];
    if (threadIdx.x == 0) {
        barrier_init(bar, 1);
        fence_init();
        barrier_expect(bar, 64 * DEPTH * 2);
        load_2d(shared_address(memory), &map, 0, 0, bar);
    }
    __syncthreads();
    barrier_wait(bar, 0);
    for (int e = 0; e < 32; e++)
        d[e] = 0.0f;
    for (int step = 0; step < DEPTH / 16; step++) {
        uint32_t a[4];
        for (int e = 0; e < 4; e++)
            a[e] = *(const uint32_t *)(t.a_data + (row + (e & 1) * 8) * DEPTH + step * 16 + column +
                                       (e & 2) * 4);
        keep_here(d);
        wgmma_fence();
        multiply_registers(d, a, descriptor_of(t.b, shared_address(memory), step, t.fault));
        wgmma_commit();
        wgmma_wait();
    }
    write_sums(d, t.out, 64);
}

// Matrix k of warp 0: its element in row r, column c is 100 k + 8 r + c.
static __global__ void store_kernel(uint16_t *out) {
    __shared__ alignas(16) uint16_t rows[4][8][8];
    uint32_t v[4];
    for (int k = 0; k < 4; k++) {
        int first = 100 * k + (int)threadIdx.x / 4 * 8 + (int)threadIdx.x % 4 * 2;
        v[k] = (uint32_t)first | (uint32_t)(first + 1) << 16;
    }
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(
                     shared_address(rows[threadIdx.x / 8][threadIdx.x % 8])),
                 "r"(v[0]), "r"(v[1]), "r"(v[2]), "r"(v[3])
                 : "memory");
    __syncwarp();
    for (int i = (int)threadIdx.x; i < 256; i += 32)
        out[i] = rows[i / 64][i / 8 % 8][i % 8];
    __syncwarp();
    asm volatile("stmatrix.sync.aligned.m8n8.x1.trans.shared.b16 [%0], {%1};" ::"r"(
                     shared_address(rows[0][threadIdx.x % 8])),
                 "r"(v[1])
                 : "memory");
    __syncwarp();
    for (int i = (int)threadIdx.x; i < 64; i += 32)
        out[256 + i] = rows[0][i / 8][i % 8];
}

// ---- on the host -------------------------------------------------------------------------------

static uint16_t *a_data, *b_data, *words;
static float *out;

// Small integers: their bf16 and the sums of their products are exact.
static int number(int i) {
    return i * 37 % 17 - 8;
}
static uint16_t bf16_of(int value) {
    float f = (float)value;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static bool is_product(int columns, int sign) {
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < columns; c++) {
            int sum = 0;
            for (int k = 0; k < DEPTH; k++)
                sum += number(r * DEPTH + k) * number(7 * (c * DEPTH + k) + 3);
            if (!(out[r * columns + c] == (float)(sign * sum)))
                return false;
        }
    return true;
}

template <int transposed_a, int transposed_b, int n>
static cudaError_t run_product(int swizzle_a, int swizzle_b, int fault) {
    const struct task t = {{ROWS, swizzle_a, transposed_a},
                           {n * 2, swizzle_b, transposed_b},
                           a_data,
                           b_data,
                           out,
                           fault};
    const size_t shared = (size_t)(ROWS + n * 2) * DEPTH * 2;
    memset(out, 0, ROWS * 256 * sizeof *out);
    product_kernel<transposed_a, transposed_b, n><<<1, 128, shared>>>(t);
    return cudaStreamSynchronize(NULL);
}
static void run_with(int fault) {
    (void)run_product<0, 0, 32>(1, 1, fault);
}
static void run_mixed(int fault) {
    const uint64_t dims[] = {DEPTH, 64};
    const uint32_t box[] = {DEPTH, 64}, strides[] = {1, 1};
    const struct task t = {{ROWS, 1, 0}, {64, 1, 0}, a_data, b_data, out, fault};
    CUtensorMap map;
    (void)make_map(&map, b_data, 2, dims, box, strides, CU_TENSOR_MAP_SWIZZLE_128B);
    mixed_kernel<<<1, 128, 64 * DEPTH * 2>>>(map, t);
    (void)cudaStreamSynchronize(NULL);
}

template <int transposed_a, int transposed_b, int n> static void check_products(void) {
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < 4; b += n == 32 ? 1 : 3) {
            char name[100];
            (void)snprintf(name, sizeof name, "n %d, swizzles %d %d, transposed %d %d", n * 2, a, b,
                           transposed_a, transposed_b);
            cudaError_t code = run_product<transposed_a, transposed_b, n>(a, b, FAULT_NONE);
            report(name, code == cudaSuccess && is_product(n * 2, 1), cudaGetErrorString(code));
        }
}

// A wrong descriptor reads other numbers, or what is reported.
static void tell_whether_right(int fault) {
    bool is_mn_major = fault == FAULT_LEADING;
    cudaError_t code =
        is_mn_major ? run_product<1, 1, 32>(3, 3, fault) : run_product<0, 0, 32>(2, 2, fault);
    if (code != cudaSuccess || !is_product(64, 1))
        (void)cudaSetDevice(1); // an error that says "there is one device"
}
static void must_be_wrong(const char *name, int fault) {
    must_report(name, tell_whether_right, fault, "there is one device");
}

static void check_stores(void) {
    store_kernel<<<1, 32>>>(words);
    cudaError_t code = cudaStreamSynchronize(NULL);
    bool is_right = code == cudaSuccess;
    for (int i = 0; i < 256; i++)
        is_right = is_right && words[i] == 100 * (i / 64) + i % 64;
    for (int i = 0; i < 64; i++)
        is_right = is_right && words[256 + i] == 100 + i % 8 * 8 + i / 8;
    report("stmatrix", is_right, cudaGetErrorString(code));
}

int main(void) {
    if (cudaHostAlloc((void **)&a_data, ROWS * DEPTH * 2, 0) != cudaSuccess ||
        cudaHostAlloc((void **)&b_data, 256 * DEPTH * 2, 0) != cudaSuccess ||
        cudaHostAlloc((void **)&words, 320 * 2, 0) != cudaSuccess ||
        cudaHostAlloc((void **)&out, ROWS * 256 * sizeof *out, 0) != cudaSuccess)
        return 2;
    for (int i = 0; i < ROWS * DEPTH; i++)
        a_data[i] = bf16_of(number(i));
    for (int i = 0; i < 256 * DEPTH; i++)
        b_data[i] = bf16_of(number(7 * i + 3));
    must_report("no proxy fence", run_with, FAULT_NO_PROXY_FENCE, "without a fence.proxy.async");
    must_report("early read", run_with, FAULT_EARLY_READ, "a register of a wgmma under way");
    must_report("early write", run_with, FAULT_EARLY_WRITE, "which a TMA store or wgmma");
    must_report("no wgmma.fence", run_with, FAULT_NO_FENCE, "no wgmma.fence before the first");
    must_report("touched", run_with, FAULT_TOUCHED, "touched since the last wgmma.fence");
    must_report("no wait", run_with, FAULT_NO_WAIT, "wgmma.wait_group 0 is missing");
    must_report("warps", run_with, FAULT_WARPS, "do not execute the same wgmma");
    must_report("registers", run_with, FAULT_REGISTERS, "wgmma holds 32 registers");
    must_report("increase", run_with, FAULT_INCREASE, "no thread can go on");
    must_report("another swizzle than TMA's", run_mixed, FAULT_SWIZZLE, "which TMA wrote with one");
    must_be_wrong("swizzle", FAULT_SWIZZLE);
    must_be_wrong("leading offset", FAULT_LEADING);
    must_be_wrong("stride", FAULT_STRIDE);
    check_products<0, 0, 32>();
    check_products<0, 1, 32>();
    check_products<1, 0, 32>();
    check_products<1, 1, 32>();
    check_products<0, 1, 128>();
    run_mixed(FAULT_NONE);
    cudaError_t code = cudaPeekAtLastError();
    report("A in registers", code == cudaSuccess && is_product(64, -1), cudaGetErrorString(code));
    check_stores();
    printf("%d cases, %d failed\n", n_cases, n_failed);
    return n_failed != 0;
}
